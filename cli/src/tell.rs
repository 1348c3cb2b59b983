//! Telling something to a run: through the worker that holds the journal, or with the lock in hand when there is none.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use windlass_engine::control::{Refusal, Request, What, record_offline_with};
use windlass_engine::journal::{DiskJournal, Journal, JournalError, JournalOptions};
use windlass_engine::remote::{Remote, RemoteError};
use windlass_engine::{Clock, RunId};

use crate::app::App;
use crate::books::Books;
use crate::clock;
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::procedure;

/// Who took the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// The worker that drives the run; it acts at once.
    Worker,
    /// Nobody drives the run; the next worker acts on it.
    Offline,
}

impl Told {
    /// What happens now.
    pub(crate) fn in_words(self, run: RunId) -> String {
        match self {
            Self::Worker => "its worker goes on".to_owned(),
            Self::Offline => format!("no worker drives it now; `windlass resume {run}` goes on"),
        }
    }
}

/// Who is at the keyboard: user and machine.
pub(crate) fn who() -> String {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    format!("{}@{}", user.or_else(user_of_process).unwrap_or_else(|| "unknown".to_owned()), host())
}

/// A service or a container often has no `USER`.
fn user_of_process() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.to_owned();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|entry| entry.get(2) == Some(&uid.as_str()));
    Some(entry.map_or_else(|| format!("uid-{uid}"), |entry| entry[0].to_owned()))
}

/// The machine's name.
pub(crate) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "localhost".to_owned() } else { name.trim().to_owned() }
}

/// A request by whoever is at the keyboard.
pub(crate) fn request(run: RunId, reason: Option<String>, what: What) -> Request {
    Request { run, by: who(), reason, what }
}

/// Tells a run something for a command that has nothing else to do, and says that it is done.
pub(crate) async fn carry_out(app: &App, run: &str, reason: Option<String>, what: What, said: &str) -> Outcome {
    let dir = app.journal()?;
    let run = Books::open(&dir)?.resolve(run)?;
    // Neither moves a run, so there is nothing to say of what happens next.
    let moves = !matches!(what, What::Pause | What::Note { .. });
    let told = tell(&dir, &clock::settings(app).clock, request(run, reason, what)).await?;
    let next = if moves { format!("; {}", told.in_words(run)) } else { String::new() };
    app.ui.talk(&format!("run {run}: {said}{next}"));
    Ok(Exit::Done)
}

/// A worker that has the lock but does not listen yet is given so many moments.
const PATIENCE: u32 = 20;
const MOMENT: Duration = Duration::from_millis(100);

/// Tells it; returns once it is on disk.
pub(crate) async fn tell(dir: &Path, clock: &Arc<dyn Clock>, request: Request) -> Result<Told, Failure> {
    for _ in 0..PATIENCE {
        if let Some(told) = tell_worker(dir, &request).await? {
            return Ok(told);
        }
        match open(dir, clock) {
            Ok(mut journal) => {
                let registry = procedure::catalogue();
                let answer = record_offline_with(&mut journal, &registry, &request, clock.now())?;
                Box::new(journal).close()?;
                answer?;
                return Ok(Told::Offline);
            }
            Err(JournalError::Locked { .. }) => tokio::time::sleep(MOMENT).await,
            Err(error) => return Err(error.into()),
        }
    }
    open(dir, clock).map_or_else(|error| Err(error.into()), |_| Err(no_answer()))
}

async fn tell_worker(dir: &Path, request: &Request) -> Result<Option<Told>, Failure> {
    let mut remote = match Remote::connect(dir).await {
        Ok(remote) => remote,
        Err(RemoteError::NoWorker) => return Ok(None),
        Err(error) => return Err(remote_failure(&error)),
    };
    match remote.tell(request.clone()).await {
        // The command has seen the run in the journal, so it is there.
        Ok(Err(Refusal::NoSuchRun { run })) => Err(Failure::new(
            Kind::Busy,
            format!("the worker that holds the journal does not drive run {run}"),
            "`windlass list` names the worker: stop it, then retry and `windlass resume`",
        )),
        Ok(answer) => {
            answer?;
            Ok(Some(Told::Worker))
        }
        // It went in this very moment.
        Err(RemoteError::NoWorker) => Ok(None),
        Err(error) => Err(remote_failure(&error)),
    }
}

/// Opens the journal for writing, with the lock.
pub(crate) fn open(dir: &Path, clock: &Arc<dyn Clock>) -> Result<DiskJournal, JournalError> {
    DiskJournal::open(dir, clock, JournalOptions::default())
}

/// What to say when a worker can't be talked to.
pub(crate) fn remote_failure(error: &RemoteError) -> Failure {
    let next = match error {
        RemoteError::OtherCluster { .. } => "name another journal with --journal DIR, or wait until that worker is done",
        RemoteError::Protocol(_) => "use the same windlass as the worker, or stop the worker and `windlass resume` with this one",
        RemoteError::NoWorker | RemoteError::Io(_) => "`windlass list` shows whether the worker still runs; then retry",
    };
    Failure::new(Kind::Busy, error.to_string(), next)
}

fn no_answer() -> Failure {
    Failure::new(Kind::Busy, "the journal's worker came and went", "retry")
}
