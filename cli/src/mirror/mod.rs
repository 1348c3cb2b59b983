//! The second place for every record: a directory, or the cluster itself.

mod remembered;
mod settle;
mod source;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use windlass_activities::Cluster;
use windlass_engine::Clock;
use windlass_engine::journal::DiskJournal;
use windlass_engine::mirror::{Barrier, Demand, Follower, MirrorWatch, Selection};

pub(crate) use remembered::Remembered;
use settle::Place;
pub(crate) use source::Source;

use crate::app::App;
use crate::failure::{Failure, Kind};
use crate::ownership::Ownership;

/// Where the records of a journal are kept besides.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct MirrorArgs {
    /// Keep every record in a second place too: a directory (a share), `cluster` for the cluster itself, or `none` to end that;
    /// remembered for the next time
    #[arg(long, value_name = "PLACE", global = true)]
    mirror: Option<String>,
    /// Change nothing on the cluster before the mirror has the intent; remembered with the mirror. One in the cluster takes
    /// nothing while its API is away
    #[arg(long, global = true)]
    mirror_required: bool,
}

impl MirrorArgs {
    /// Whether anything was said about a mirror.
    pub(crate) fn any(&self) -> bool {
        self.mirror.is_some() || self.mirror_required
    }
}

/// The mirror in the cluster that is worked on; a directory of that name is `./cluster`.
pub(crate) const CLUSTER: &str = "cluster";

/// Ends a mirror.
const NONE: &str = "none";

/// So long a command waits for the first answer of a mirror, and for its last.
const PATIENCE: Duration = Duration::from_secs(10);

/// The state is written down so often at the most.
const SAVED_EVERY: Duration = Duration::from_secs(1);

/// A mirror that follows the journal of this process.
pub(crate) struct Mirror {
    dir: PathBuf,
    remembered: Remembered,
    watch: MirrorWatch,
    following: tokio::task::JoinHandle<()>,
    saving: tokio::task::JoinHandle<()>,
    clock: Arc<dyn Clock>,
}

/// Whether what holds for mirrors can't be settled without a write to a cluster, and so not without its lease.
pub(crate) fn concerns_cluster(dir: &Path, args: &MirrorArgs) -> Result<bool, Failure> {
    let known = Remembered::read(dir)?.is_some_and(|known| known.cluster.is_some() || !known.elsewhere.is_empty());
    Ok(known || args.mirror.as_deref() == Some(CLUSTER))
}

/// As [`attach`], with a cluster that is held; it is given back if that fails.
pub(crate) async fn attach_held(
    app: &App,
    dir: &Path,
    journal: &mut DiskJournal,
    args: &MirrorArgs,
    (cluster, ownership, clock): (&Arc<Cluster>, Ownership, &Arc<dyn Clock>),
) -> Result<(Ownership, Option<Mirror>), Failure> {
    match attach(app, dir, journal, args, (cluster, clock)).await {
        Ok(mirror) => Ok((ownership, mirror)),
        Err(failure) => {
            ownership.release(&app.ui).await;
            Err(failure)
        }
    }
}

/// Attaches the mirror that is named or remembered to a journal that is held, before anything is driven.
pub(crate) async fn attach(
    app: &App,
    dir: &Path,
    journal: &mut DiskJournal,
    args: &MirrorArgs,
    (cluster, clock): (&Arc<Cluster>, &Arc<dyn Clock>),
) -> Result<Option<Mirror>, Failure> {
    let id = journal.id().to_string();
    let place = Place { dir, id: &id, cluster, clock };
    let Some(remembered) = place.settle(args).await? else { return Ok(None) };
    let target = place.open(&remembered.target);
    let selection = match &remembered.cluster {
        Some(cluster) => Selection::OfCluster(cluster.clone()),
        None => Selection::All,
    };
    let follower = Follower::new(journal.tail(), target, selection, &remembered.state, clock.clone());
    let follower = follower.required(remembered.required);
    let watch = follower.watch();
    let following = tokio::spawn(follower.run());
    let saving = tokio::spawn(keep_saving(dir.to_owned(), remembered.clone(), watch.clone(), clock.clone()));
    let mirror = Mirror { dir: dir.to_owned(), remembered, watch, following, saving, clock: clock.clone() };
    mirror.first_answer(app, args).await?;
    Ok(Some(mirror))
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
            let next = format!("make {target} usable, or name another one with --mirror");
            return Err(Failure::with_advice(Kind::Failed, &message, &next));
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
