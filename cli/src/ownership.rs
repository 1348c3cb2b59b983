//! Holding a cluster: a worker takes its lease before it drives anything, and gives it back when it is done.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use windlass_activities::Cluster;
use windlass_activities::lease::{self, Claim, Held, Holder, LeaseError, Lost, Release, Taking};
use windlass_engine::journal::{DiskJournal, JournalId};
use windlass_engine::{Clock as _, RunId, SystemClock, WorkerHandle};

use crate::app::App;
use crate::failure::{Failure, Kind};
use crate::tell;
use crate::ui::Ui;

/// A cluster that this process drives.
pub(crate) struct Ownership {
    held: Held,
}

/// Whoever stops a worker does not wait longer for an API server that does not answer.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);

/// Takes a cluster for the journal in hand, and in the same write the runs that are adopted; waits as long as it takes to
/// be sure that nobody else acts on it.
pub(crate) async fn hold(
    app: &App,
    cluster: &Arc<Cluster>,
    journal: &DiskJournal,
    taking: &Taking,
    adopting: &[RunId],
) -> Result<Ownership, Failure> {
    let holder = holder(&app.journal()?, journal.id())?;
    let claim = Claim { holder, who: tell::who(), pid: std::process::id() };
    let held = lease::take(cluster, &claim, taking, adopting, &|text| app.ui.talk(text)).await?;
    Ok(Ownership { held })
}

/// Refuses early, before anything is asked of a person, if somebody else drives the cluster.
pub(crate) async fn refuse_driven(app: &App, cluster: &Cluster, dir: &Path) -> Result<(), Failure> {
    let us = known(dir)?;
    Ok(lease::look(cluster, us.as_ref(), &|text| app.ui.talk(text)).await?)
}

/// Who we are to a cluster, if the journal was ever written.
pub(crate) fn known(dir: &Path) -> Result<Option<Holder>, Failure> {
    let id = JournalId::read(dir)?;
    id.map(|id| holder(dir, id)).transpose()
}

fn holder(dir: &Path, id: JournalId) -> Result<Holder, Failure> {
    static START: OnceLock<String> = OnceLock::new();
    let start = START.get_or_init(|| RunId::generate(SystemClock.now()).to_string()).clone();
    // A copy of the journal is another file, on another machine or on this one.
    let file = dir.join("journal.id");
    let place = std::fs::metadata(&file).map_err(|e| Failure::io("looking at", &file, &e))?.ino();
    let machine = ["/etc/machine-id", "/var/lib/dbus/machine-id"].iter().find_map(|path| std::fs::read_to_string(path).ok());
    // The machine's own id is not for everybody's eyes.
    let place = blake3::hash(format!("{}/{place}", machine.unwrap_or_default().trim()).as_bytes());
    let home = format!("{}.{}", tell::host(), &place.to_hex()[..10]);
    Ok(Holder { home, journal: id.to_string(), start })
}

impl Ownership {
    /// Counts the times that the cluster was taken.
    pub(crate) fn epoch(&self) -> u64 {
        self.held.epoch()
    }

    /// Every run that another journal goes on with.
    pub(crate) fn elsewhere(&self) -> BTreeSet<RunId> {
        self.held.elsewhere()
    }

    /// The journal that had adopted a run before ours did.
    pub(crate) fn adopted_after(&self, run: RunId) -> Option<&str> {
        self.held.adopted_after(run)
    }

    /// What to say of a run that another journal goes on with; `None` if it is ours to drive.
    pub(crate) fn left_alone(&self, run: RunId) -> Option<Failure> {
        let adopter = self.held.adopted_elsewhere(run)?;
        let message = format!("run {run} was adopted by {} into journal {} and goes on there", adopter.who, adopter.journal);
        let next = "`windlass adopt --from MIRROR` takes it back, if that machine is lost";
        Some(Failure::new(Kind::Busy, message, next))
    }

    /// Stops a worker as soon as the cluster is lost, also one that only waits.
    pub(crate) fn stop_when_lost(&self, worker: WorkerHandle) -> impl Future<Output = ()> + Send + 'static {
        let mut lost = self.held.lost();
        async move {
            if lost.wait_for(Option::is_some).await.is_ok() {
                worker.stop();
            }
        }
    }

    /// Gives the cluster back; who lost it learns to whom.
    pub(crate) async fn release(self, ui: &Ui) -> Option<Lost> {
        match tokio::time::timeout(RELEASE_LIMIT, self.held.release()).await {
            Ok(Ok(Release::GivenBack)) => {}
            Ok(Ok(Release::Lost(lost))) => return Some(lost),
            Ok(Ok(Release::RunsOut)) => {
                ui.talk("the cluster stays held for a while: the answer to the last write never came, it may still take effect");
            }
            Ok(Err(error)) => ui.talk(&format!("the cluster's lease could not be given back and runs out by itself: {error}")),
            Err(_) => ui.talk("the cluster's lease could not be given back and runs out by itself: no answer"),
        }
        None
    }
}

/// What to say when another worker has taken the cluster.
pub(crate) fn ousted(lost: &Lost) -> Failure {
    let message = format!("{lost}; this worker has stopped, and nothing was sent since");
    Failure::new(
        Kind::Busy,
        message,
        "wait until that worker is done, then `windlass resume`: it leaves alone what went on elsewhere",
    )
}

impl From<LeaseError> for Failure {
    fn from(error: LeaseError) -> Self {
        let (kind, next) = match &error {
            LeaseError::Driven { .. } => (
                Kind::Busy,
                "wait until that worker is done; if its machine is lost, `windlass adopt --from MIRROR` takes its runs over",
            ),
            LeaseError::Lost(lost) => return ousted(lost),
            LeaseError::Forbidden { .. } => {
                (Kind::Failed, "`windlass rbac` prints what to have applied for this login, the namespace of the lease included")
            }
            LeaseError::Call { .. } => (Kind::Failed, "mend the cause, then retry; nothing was changed"),
        };
        Self::new(kind, error.to_string(), next)
    }
}
