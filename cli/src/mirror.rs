//! The second place for every record: which one, remembered in `mirror.json` beside the journal, and how it stands.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::Clock;
use windlass_engine::journal::DiskJournal;
use windlass_engine::mirror::{Barrier, Demand, Directory, Follower, MirrorState, MirrorTarget, MirrorWatch, Selection};

use crate::app::App;
use crate::failure::{Failure, Kind};

/// Where the records of a journal are kept besides.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct MirrorArgs {
    /// Keep every record in this directory too (a share), or `none` to end that; remembered for the next time
    #[arg(long, value_name = "DIR", global = true)]
    mirror: Option<String>,
    /// Change nothing on the cluster before the mirror has the intent; remembered with the mirror
    #[arg(long, global = true)]
    mirror_required: bool,
}

impl MirrorArgs {
    /// Whether anything was said about a mirror.
    pub(crate) fn any(&self) -> bool {
        self.mirror.is_some() || self.mirror_required
    }
}

/// What is remembered beside the journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// The directory.
    pub(crate) target: String,
    /// Whether nothing is changed on the cluster before the mirror has the intent.
    pub(crate) required: bool,
    /// Whether the mirror says of itself that it is required, or may say so.
    vouches: bool,
    /// How it stood when it was last seen.
    pub(crate) state: MirrorState,
}

const FILE: &str = "mirror.json";

/// Ends a mirror.
const NONE: &str = "none";

/// So long a command waits for the first answer of a mirror, and for its last.
const PATIENCE: Duration = Duration::from_secs(10);

/// The state is written down so often at the most.
const SAVED_EVERY: Duration = Duration::from_secs(1);

impl Remembered {
    /// Reads what is remembered; `None` if there is no mirror.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = dir.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::io("reading", &path, &error)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            let next = format!("remove {} and name the mirror again with --mirror", path.display());
            Failure::new(Kind::Failed, format!("{} can't be understood: {error}", path.display()), next)
        })
    }

    fn save(&self, dir: &Path) -> io::Result<()> {
        let (path, new) = (dir.join(FILE), dir.join("mirror.json.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        fs::File::open(dir)?.sync_all()
    }
}

/// A mirror that follows the journal of this process.
pub(crate) struct Mirror {
    dir: PathBuf,
    remembered: Remembered,
    watch: MirrorWatch,
    following: tokio::task::JoinHandle<()>,
    saving: tokio::task::JoinHandle<()>,
    clock: Arc<dyn Clock>,
}

/// Attaches the mirror that is named or remembered to a journal that is held, before anything is driven.
pub(crate) async fn attach(
    app: &App,
    dir: &Path,
    journal: &mut DiskJournal,
    args: &MirrorArgs,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Mirror>, Failure> {
    let id = journal.id().to_string();
    let Some(remembered) = settle(dir, &id, args, clock).await? else { return Ok(None) };
    let target = open(&remembered.target, &id, clock);
    let follower = Follower::new(journal.tail(), target, Selection::All, &remembered.state, clock.clone());
    let follower = follower.required(remembered.required);
    let watch = follower.watch();
    let following = tokio::spawn(follower.run());
    let saving = tokio::spawn(keep_saving(dir.to_owned(), remembered.clone(), watch.clone(), clock.clone()));
    let mirror = Mirror { dir: dir.to_owned(), remembered, watch, following, saving, clock: clock.clone() };
    mirror.first_answer(app, args).await?;
    Ok(Some(mirror))
}

/// From what was said and what is remembered to what holds now, which is remembered before anything is done with it.
async fn settle(dir: &Path, id: &str, args: &MirrorArgs, clock: &Arc<dyn Clock>) -> Result<Option<Remembered>, Failure> {
    let known = Remembered::read(dir)?;
    let named = args.mirror.as_deref().map(absolute).transpose()?;
    let target = match (&named, &known) {
        (Some(named), _) => named.clone(),
        (None, Some(known)) => known.target.clone(),
        (None, None) if args.mirror_required => {
            return Err(Failure::usage("there is no mirror that could be required", "name one with --mirror DIR"));
        }
        (None, None) => return Ok(None),
    };
    if let Some(known) = known.as_ref().filter(|known| known.vouches && known.target != target) {
        withdraw(known, id, clock).await?;
    }
    if target == NONE {
        let path = dir.join(FILE);
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::io("removing", &path, &error)),
            Ok(()) | Err(_) => Ok(None),
        };
    }
    let same = known.filter(|known| known.target == target);
    let required = args.mirror_required || (named.is_none() && same.as_ref().is_some_and(|known| known.required));
    let vouches = required || same.as_ref().is_some_and(|known| known.vouches);
    // Named anew, it may begin anew; remembered, it must have what it had.
    let state = same.filter(|_| named.is_none()).map(|known| known.state).unwrap_or_default();
    let remembered = Remembered { target, required, vouches, state };
    remembered.save(dir).map_err(|error| Failure::io("writing", &dir.join(FILE), &error))?;
    Ok(Some(remembered))
}

fn absolute(named: &str) -> Result<String, Failure> {
    if named == NONE {
        return Ok(named.to_owned());
    }
    let path = std::path::absolute(named).map_err(|error| Failure::io("finding", Path::new(named), &error))?;
    Ok(path.display().to_string())
}

fn open(target: &str, id: &str, clock: &Arc<dyn Clock>) -> Box<dyn MirrorTarget> {
    Box::new(Directory::new(Path::new(target), id, clock.clone()))
}

/// A mirror that says that it is required would vouch for more than it gets from now on.
async fn withdraw(known: &Remembered, id: &str, clock: &Arc<dyn Clock>) -> Result<(), Failure> {
    let mut target = open(&known.target, id, clock);
    let why = tokio::select! {
        opened = target.open(false) => match opened {
            Ok(_) => return Ok(()),
            Err(error) => error.to_string(),
        },
        () = after(clock, PATIENCE) => "it does not answer".to_owned(),
    };
    let message = format!("the mirror {} still vouches for every change, and can't be told otherwise: {why}", known.target);
    Err(Failure::new(Kind::Failed, message, format!("make {} reachable, then retry", known.target)))
}

async fn after(clock: &Arc<dyn Clock>, pause: Duration) {
    clock.sleep_until(clock.now().plus(pause.mul_f64(clock.speed()))).await;
}

/// Writes down how the mirror stands, for whoever asks without a worker.
async fn keep_saving(dir: PathBuf, remembered: Remembered, mut watch: MirrorWatch, clock: Arc<dyn Clock>) {
    while watch.changed().await {
        save_state(&dir, &remembered, &watch).await;
        after(&clock, SAVED_EVERY).await;
    }
    save_state(&dir, &remembered, &watch).await;
}

async fn save_state(dir: &Path, remembered: &Remembered, watch: &MirrorWatch) {
    let vouches = remembered.required || (remembered.vouches && !watch.is_attached());
    let now = Remembered { state: watch.state(), vouches, ..remembered.clone() };
    let dir = dir.to_owned();
    let saved = tokio::task::spawn_blocking(move || now.save(&dir)).await;
    // What is written here is only shown; the mirror itself is asked before anything rests on it.
    if let Ok(Err(error)) = saved {
        tracing::warn!(%error, "how the mirror stands could not be written down");
    }
}

impl Mirror {
    /// What a worker must wait for.
    pub(crate) fn barrier(&self) -> Option<Barrier> {
        let demand = match (self.remembered.required, self.remembered.vouches) {
            (true, _) => Demand::Holds,
            (false, true) => Demand::KnowsItIsNotRequired,
            (false, false) => return None,
        };
        Some(self.watch.barrier(demand))
    }

    /// A mirror that was just named must work; a remembered one may come back later, unless it refuses.
    async fn first_answer(&self, app: &App, args: &MirrorArgs) -> Result<(), Failure> {
        let mut watch = self.watch.clone();
        let answered = async { while !watch.is_attached() && watch.state().error.is_none() && watch.changed().await {} };
        tokio::select! {
            () = answered => {}
            () = after(&self.clock, PATIENCE) => {}
        }
        if self.watch.is_attached() {
            return Ok(());
        }
        let (state, target) = (self.watch.state(), &self.remembered.target);
        let why = state.error.unwrap_or_else(|| "it does not answer".to_owned());
        let message = format!("mirror {target}: {why}");
        if state.refused {
            self.stop();
            let next = format!("`windlass adopt --from {target}` takes what it has; or name another one with --mirror");
            return Err(Failure::new(Kind::Failed, message, next));
        }
        if args.mirror.is_some() {
            self.stop();
            return Err(Failure::new(Kind::Failed, message, format!("make {target} usable, or name another one with --mirror")));
        }
        let meanwhile = if self.remembered.required {
            "nothing is changed until it has the intent"
        } else {
            "it is brought up to date later"
        };
        app.ui.talk(&format!("{message}; {meanwhile}"));
        Ok(())
    }

    fn stop(&self) {
        self.following.abort();
        self.saving.abort();
    }

    /// Lets the mirror have what was recorded last, within reason; the journal is closed.
    pub(crate) async fn finish(self, app: &App) {
        let Self { dir, remembered, watch, mut following, saving, clock } = self;
        tokio::select! {
            _ = &mut following => {}
            () = after(&clock, PATIENCE) => {
                app.ui.talk(&format!("mirror {}: it lacks the last records; the next worker brings them", remembered.target));
            }
        }
        following.abort();
        saving.abort();
        save_state(&dir, &remembered, &watch).await;
    }
}
