//! The worker: one event loop that linearises everything which happens to the runs of a journal.
//!
//! In each turn it takes what has arrived, turns it into events, commits them with one sync, and only then acts.

mod attempts;
mod barrier;
mod deadlines;
mod event_loop;
mod hook;
mod intake;
mod load;
mod outcome;
mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot};

pub use hook::{AttemptHook, AttemptInfo, Before};

use crate::context::ActivityOptions;
use crate::control::{Refusal, Request};
use crate::event::{NewEvent, Record};
use crate::ids::{CommandId, RunId};
use crate::journal::{Journal, JournalError};
use crate::mirror::Barrier;
use crate::replay::{Machine, Scrutiny};
use crate::state::OpenRun;
use crate::time::{Clock, Timestamp};
use crate::workflow::Registry;
use deadlines::Deadlines;
use said::Said;

/// How a worker is set up.
#[derive(Clone)]
pub struct WorkerOptions {
    /// Names the build, for the history: version and revision.
    pub build: String,
    /// The machine's name.
    pub host: String,
    /// When the worker returns by itself.
    pub until: Until,
    /// Drives only runs that are bound to this cluster or to none; `None` drives all.
    pub cluster: Option<String>,
    /// Drives only this run; `None` drives all.
    pub only: Option<RunId>,
    /// Leaves these runs alone: another journal goes on with them.
    pub leave: BTreeSet<RunId>,
    /// The epoch of the cluster's lease that this worker holds, for the history.
    pub epoch: Option<u64>,
    /// How closely a workflow is watched for asking differently when replayed.
    pub scrutiny: Scrutiny,
    /// What must hold before anything is changed outside.
    pub barrier: Option<Barrier>,
    /// Stands between the worker and each attempt, for tests.
    pub hook: Option<Arc<dyn AttemptHook>>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        let build = env!("CARGO_PKG_VERSION").to_owned();
        Self {
            build,
            host: "localhost".to_owned(),
            until: Until::Settled,
            cluster: None,
            only: None,
            leave: BTreeSet::new(),
            epoch: None,
            scrutiny: Scrutiny::default(),
            barrier: None,
            hook: None,
        }
    }
}

/// When a worker returns by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// Never; it is told to stop.
    Stopped,
    /// When every run that it drives has ended, is parked or paused.
    Ended,
    /// When every run that it drives has ended, is parked or paused, or waits at nothing but gates (with their deadlines) and
    /// signals.
    Settled,
}

/// Why a worker stopped before its time. Nothing that was acknowledged is lost.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The journal failed; nothing was done that is not on record.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Something that a worker did, for whoever watches.
#[derive(Clone, Debug)]
pub enum Update {
    /// An event is on record.
    Recorded(Arc<Record>),
    /// An attempt says how it goes.
    Progress(Progress),
    /// The workflow says what it is doing.
    Status {
        /// Which run.
        run: RunId,
        /// What it says.
        text: String,
    },
}

/// How an attempt goes.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// Which run.
    pub run: RunId,
    /// Which command.
    pub command: CommandId,
    /// What is waited for, and why not yet.
    pub text: String,
    /// Since when it says so, whatever its numbers were meanwhile.
    pub at: Timestamp,
}

/// Talks to a running worker; cheap to clone.
#[derive(Clone)]
pub struct WorkerHandle {
    mailbox: mpsc::UnboundedSender<Message>,
    updates: broadcast::Sender<Update>,
}

/// The worker is gone; what was asked is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the worker has stopped")]
pub struct WorkerGone;

impl WorkerHandle {
    /// Tells something to a run; returns once it is on disk.
    pub async fn tell(&self, request: Request) -> Result<Result<(), Refusal>, WorkerGone> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.send(Message::Request { request, reply }).map_err(|_| WorkerGone)?;
        answer.await.map_err(|_| WorkerGone)
    }

    /// What the attempts in flight last said.
    pub async fn progress(&self) -> Result<Vec<Progress>, WorkerGone> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.send(Message::AskProgress { reply }).map_err(|_| WorkerGone)?;
        answer.await.map_err(|_| WorkerGone)
    }

    /// Stops the worker between two events; every run stays resumable.
    pub fn stop(&self) {
        // A worker that is gone has stopped.
        let _ = self.mailbox.send(Message::Stop);
    }

    /// Watches what the worker does from now on; a slow watcher loses the oldest updates, never the worker's time.
    pub fn watch(&self) -> broadcast::Receiver<Update> {
        self.updates.subscribe()
    }
}

/// Drives the runs of one journal.
pub struct Worker {
    journal: Box<dyn Journal>,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    options: WorkerOptions,
    mailbox: mpsc::UnboundedReceiver<Message>,
    sender: mpsc::UnboundedSender<Message>,
    updates: broadcast::Sender<Update>,
    runs: BTreeMap<RunId, Driven>,
    /// Runs of other clusters, left alone.
    foreign: Vec<RunId>,
    deadlines: Deadlines,
    /// Events of this turn, not yet on disk.
    batch: Vec<NewEvent>,
    /// What waits for the batch to be on disk.
    after: Vec<After>,
    /// The time of this turn.
    now: Timestamp,
    stopping: bool,
}

/// How many updates a slow watcher may lag behind.
const UPDATE_BACKLOG: usize = 4096;

impl Worker {
    /// Sets a worker up on an open journal; [`Worker::run`] starts it.
    pub fn new(journal: Box<dyn Journal>, registry: Registry, clock: Arc<dyn Clock>, options: WorkerOptions) -> Self {
        let (sender, mailbox) = mpsc::unbounded_channel();
        let now = clock.now();
        Self {
            journal,
            registry: Arc::new(registry),
            clock,
            options,
            mailbox,
            sender,
            updates: broadcast::channel(UPDATE_BACKLOG).0,
            runs: BTreeMap::new(),
            foreign: Vec::new(),
            deadlines: Deadlines::default(),
            batch: Vec::new(),
            after: Vec::new(),
            now,
            stopping: false,
        }
    }

    /// A handle that talks to this worker.
    pub fn handle(&self) -> WorkerHandle {
        WorkerHandle { mailbox: self.sender.clone(), updates: self.updates.clone() }
    }
}

/// What a worker leaves behind.
#[derive(Debug)]
pub struct WorkerReport {
    /// The runs that it drove, as they stand; finished ones too.
    pub runs: Vec<OpenRun>,
    /// Open runs that it left alone because they are bound to another cluster.
    pub foreign: Vec<RunId>,
}

/// A run in the worker's hands.
struct Driven {
    /// `None` while this binary cannot replay it.
    machine: Option<Machine>,
    /// The state, when there is no machine to hold it.
    bare: Option<OpenRun>,
    attempts: BTreeMap<CommandId, Running>,
    progress: BTreeMap<CommandId, Said>,
}

impl Driven {
    fn state(&self) -> Option<&OpenRun> {
        self.machine.as_ref().map(|machine| &machine.state).or(self.bare.as_ref())
    }

    /// How an attempt is bounded: as the workflow says, unless a person said otherwise; a probe as the workflow says.
    fn options(&self, command: CommandId, probing: bool) -> ActivityOptions {
        let mut options = self.machine.as_ref().map(|machine| machine.options(command)).unwrap_or_default();
        let set = self.state().and_then(|state| state.activity(command)).and_then(|activity| activity.timeout);
        if let (Some(timeout), false) = (set, probing) {
            options.timeout = timeout;
        }
        options
    }
}

/// An attempt or a probe in flight.
struct Running {
    number: u32,
    probing: bool,
    /// A reply was lost while this worker lived, so the next attempt keeps a distance.
    lost_reply: bool,
    probe_failures: u32,
    task: Option<tokio::task::AbortHandle>,
    begun_at: Timestamp,
    timeout_at: Option<Timestamp>,
    heartbeat_at: Option<Timestamp>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// What arrives at the loop.
enum Message {
    AttemptEnded {
        run: RunId,
        command: CommandId,
        number: u32,
        result: Result<crate::json::Json, crate::activity::ActivityError>,
    },
    ProbeEnded {
        run: RunId,
        command: CommandId,
        number: u32,
        result: outcome::ProbeResult,
    },
    Progress {
        run: RunId,
        command: CommandId,
        text: String,
    },
    Request {
        request: Request,
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
    AskProgress {
        reply: oneshot::Sender<Vec<Progress>>,
    },
    Stop,
}

/// What is done once the batch is on disk.
enum After {
    Attempt { run: RunId, command: CommandId },
    Probe { run: RunId, command: CommandId },
    Reply { reply: oneshot::Sender<Result<(), Refusal>>, answer: Result<(), Refusal> },
}

impl After {
    /// Whether it begins an attempt or a probe of that command.
    fn is_of(&self, run: RunId, command: CommandId) -> bool {
        match self {
            Self::Attempt { run: r, command: c } | Self::Probe { run: r, command: c } => (*r, *c) == (run, command),
            Self::Reply { .. } => false,
        }
    }
}
