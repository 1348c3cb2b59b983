//! What an activity is: one operation on the outside world, a struct that is its own input.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ids::{ActivityName, CommandId, RunId};
use crate::time::{Clock, Timestamp};

/// What may be done with an attempt that began and whose end is unknown (DESIGN: "never twice, never silently").
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Reads, waits, checks: run again.
    Observe,
    /// Brings something to a stated value: run again, the goal is a state and not a keystroke.
    Declare,
    /// Carries a precondition (uid, resourceVersion) that makes a repeat a no-op: run again.
    Guarded,
    /// Must not happen twice: probed, never simply repeated.
    Once,
    /// As `Once`, and never without an approval recorded before it.
    Irreversible,
}

impl Effect {
    /// Whether an attempt with an unknown end must be probed before anything else.
    pub const fn needs_probe(self) -> bool {
        matches!(self, Self::Once | Self::Irreversible)
    }

    /// The name as it stands in the journal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Declare => "declare",
            Self::Guarded => "guarded",
            Self::Once => "once",
            Self::Irreversible => "irreversible",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a failed attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Nothing was changed and another attempt may succeed: retried by the activity's policy, then parked.
    Transient,
    /// Another attempt would end the same: handed to the workflow at once.
    Permanent,
    /// The request left and no answer came; it may have taken effect. `Once` is probed, the rest retried.
    Unknown,
}

/// Why an attempt failed, as it is recorded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ActivityError {
    /// What is known of its effect.
    pub kind: FailureKind,
    /// A stable word for programs: `"forbidden"`, `"update-refused"`.
    pub code: String,
    /// A lower-case fragment for people; names the thing and the cause.
    pub message: String,
    /// The server's own wish for the delay before the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

impl ActivityError {
    /// The code of an attempt that was kept from acting because this worker lost the right to; the worker stops.
    pub const FENCED: &'static str = "fenced";

    /// Nothing changed; try again.
    pub fn transient(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Transient, code, message)
    }

    /// No attempt can succeed.
    pub fn permanent(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Permanent, code, message)
    }

    /// The request may or may not have taken effect.
    pub fn unknown(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unknown, code, message)
    }

    /// Asks for a certain delay before the next attempt.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after_seconds = Some(delay.as_secs());
        self
    }

    fn new(kind: FailureKind, code: &str, message: impl Into<String>) -> Self {
        Self { kind, code: code.to_owned(), message: message.into(), retry_after_seconds: None }
    }
}

impl fmt::Display for ActivityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ActivityError {}

/// What a look at the world says of an attempt in doubt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Probe<T> {
    /// It took effect; this is its result. The evidence says what was seen.
    Happened {
        /// The result that the lost attempt would have returned.
        output: T,
        /// What was seen, for the logbook.
        evidence: String,
    },
    /// It did not take effect and may be run. The text says what was seen.
    DidNotHappen(String),
    /// The world does not tell; a person must. The text says what was seen.
    CannotTell(String),
}

/// One operation on the outside world; the struct's fields are its journaled input.
///
/// `run` observes, decides in a pure function, acts, and returns evidence. It states a goal: already so is success.
/// Fields must serialise the same on each replay (no hash maps), and hold references to secrets, never secrets.
pub trait Activity: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The registered name; never changes once released.
    const NAME: ActivityName;
    /// What a crash in mid-attempt means.
    const EFFECT: Effect;
    /// What the activity works on: a cluster, a host.
    type World: Send + Sync + 'static;
    /// The recorded result.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// What it does in a few words for the logbook, imperative: `pause pool worker`.
    fn summary(&self) -> String;

    /// The exact requests that it makes to the outside, one line each, for a plan; reads are not listed.
    fn requests(&self) -> Vec<String> {
        Vec::new()
    }

    /// Makes one attempt.
    fn run(self, cx: ActivityContext<Self::World>) -> impl Future<Output = Result<Self::Output, ActivityError>> + Send;

    /// Finds out whether an attempt in doubt took effect; required in substance for `Once` and `Irreversible`.
    fn probe(&self, cx: ActivityContext<Self::World>) -> impl Future<Output = Result<Probe<Self::Output>, ActivityError>> + Send {
        let _ = cx;
        async { Ok(Probe::CannotTell("this activity has no probe".to_owned())) }
    }

    /// The result if a person says that it is done, or that it may be left out; `None` where only the world can tell.
    fn assumed(&self) -> Option<Self::Output> {
        None
    }
}

/// What an attempt is given: the world, the time, and a way to say how it goes.
pub struct ActivityContext<W> {
    world: Arc<W>,
    attempt: Attempt,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn Fn(String) + Send + Sync>,
}

/// Which attempt this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The run it belongs to.
    pub run: RunId,
    /// The command it carries out.
    pub command: CommandId,
    /// Counted from 1.
    pub number: u32,
}

impl<W> ActivityContext<W> {
    /// Puts a context together; the worker does this for each attempt, tests of an activity do it by hand.
    pub fn new(world: Arc<W>, attempt: Attempt, clock: Arc<dyn Clock>, progress: Arc<dyn Fn(String) + Send + Sync>) -> Self {
        Self { world, attempt, clock, progress }
    }

    /// What the activity works on.
    pub fn world(&self) -> &W {
        &self.world
    }

    /// Which attempt this is.
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// The time now; an activity may look at the clock, a workflow may not.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Waits on the injected clock.
    pub async fn sleep(&self, duration: Duration) {
        self.clock.sleep_until(self.now().plus(duration)).await;
    }

    /// Says what is being waited for and why not yet; counts as a heartbeat. Shown live, kept in the operational
    /// stream, never in the history.
    pub fn progress(&self, text: impl Into<String>) {
        (self.progress)(text.into());
    }
}

impl<W> Clone for ActivityContext<W> {
    fn clone(&self) -> Self {
        Self { world: self.world.clone(), attempt: self.attempt, clock: self.clock.clone(), progress: self.progress.clone() }
    }
}
