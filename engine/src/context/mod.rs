//! What workflow code is given: every command, and the only time and randomness it may use.

mod calls;
mod combine;

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub use calls::{ActivityCall, Approval, Gate, GateCall, SignalCall, TimerCall};
pub use combine::{All, Either, Race};

use crate::activity::Activity;
use crate::ids::RunId;
use crate::json::Json;
use crate::replay::{CommandKind, Shared};
use crate::retry::RetryPolicy;
use crate::time::Timestamp;
use crate::workflow::{WorkflowError, WorkflowResult};

/// How the attempts of an activity are bounded. Not journaled: it may change between builds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ActivityOptions {
    /// From the begin of an attempt to its end.
    pub timeout: Duration,
    /// Between two signs of progress; `None` when the activity gives none.
    pub heartbeat: Option<Duration>,
    /// What happens after a transient failure.
    pub retry: RetryPolicy,
}

/// Long enough for one call and its answer on a bad line; waits name their own limit.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

impl Default for ActivityOptions {
    fn default() -> Self {
        Self { timeout: DEFAULT_TIMEOUT, heartbeat: None, retry: RetryPolicy::default() }
    }
}

/// The workflow's side of the engine. Cheap to clone; all clones are the same run.
#[derive(Clone)]
pub struct WorkflowContext {
    shared: Arc<Shared>,
}

impl WorkflowContext {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Runs an activity. Nothing is asked for until the call is first awaited.
    #[track_caller]
    pub fn run<A: Activity>(&self, activity: A) -> ActivityCall<A> {
        ActivityCall::new(self.shared.clone(), activity, Location::caller())
    }

    /// Waits for a duration, counted from the event that is being processed; durable and absolute.
    #[track_caller]
    pub fn sleep(&self, duration: Duration) -> TimerCall {
        TimerCall::new(self.shared.clone(), self.now().plus(duration), Location::caller())
    }

    /// Waits until a wall-clock time.
    #[track_caller]
    pub fn sleep_until(&self, at: Timestamp) -> TimerCall {
        TimerCall::new(self.shared.clone(), at, Location::caller())
    }

    /// Waits for something to be told from outside; told too early, it is kept.
    #[track_caller]
    pub fn signal<T: DeserializeOwned>(&self, name: impl Into<String>) -> SignalCall<T> {
        SignalCall::new(self.shared.clone(), name.into(), Location::caller())
    }

    /// Waits for a person to approve.
    #[track_caller]
    pub fn gate(&self, gate: Gate) -> GateCall {
        GateCall::new(self.shared.clone(), gate, Location::caller())
    }

    /// The time of the event that is being processed: the same on each replay.
    pub fn now(&self) -> Timestamp {
        self.shared.lock().now
    }

    /// The run's own id.
    pub fn run_id(&self) -> RunId {
        self.shared.lock().run
    }

    /// A new uuid, the same on each replay.
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.shared.lock().draw()).into_uuid()
    }

    /// A random number, the same on each replay.
    pub fn random(&self) -> u64 {
        let bytes = self.shared.lock().draw();
        u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
    }

    /// Waits for all of the futures; their results come in the order given.
    pub fn all<F: Future>(&self, futures: impl IntoIterator<Item = F>) -> All<F> {
        All::new(futures)
    }

    /// Waits for the first of two futures and gives the other one up.
    pub fn race<A: Future, B: Future>(&self, first: A, second: B) -> Race<A, B> {
        Race::new(first, second)
    }

    /// Whether this run is on the new side of a code change; a run that passed the place before the change is not.
    #[track_caller]
    pub fn patched(&self, change: &str) -> bool {
        self.shared.lock().patched(change, Location::caller())
    }

    /// Says what the workflow is doing; shown live, not journaled.
    pub fn status(&self, text: impl Into<String>) {
        self.shared.lock().status = Some(text.into());
    }

    /// Records that something is about to be changed temporarily, with its value before. Until [`Self::give_back`] names
    /// the same key it is listed as owed, whatever becomes of the run.
    #[track_caller]
    pub fn hold<T: Serialize>(&self, key: impl Into<String>, text: impl Into<String>, prior: &T) -> WorkflowResult<()> {
        let prior = Json::of(prior).map_err(|e| WorkflowError::Failed(format!("a prior value can't be recorded: {e}")))?;
        let hold = CommandKind::Hold { key: key.into(), text: text.into(), prior };
        self.shared.lock().mark(hold, Location::caller());
        Ok(())
    }

    /// Records that a temporary change was given back.
    #[track_caller]
    pub fn give_back(&self, key: impl Into<String>) {
        self.shared.lock().mark(CommandKind::GiveBack { key: key.into() }, Location::caller());
    }
}
