//! The futures behind `ctx.run`, `ctx.sleep`, `ctx.signal` and `ctx.gate`. Each asks when it is first polled.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::activity::Activity;
use crate::context::ActivityOptions;
use crate::ids::CommandId;
use crate::json::Json;
use crate::replay::{CommandKind, Outcome, Shared};
use crate::retry::RetryPolicy;
use crate::time::Timestamp;
use crate::workflow::{AskedActivity, WorkflowError, WorkflowResult};

/// A command from its asking to its answer; dropped before that, it is given up.
struct Call {
    shared: Arc<Shared>,
    site: &'static Location<'static>,
    id: Option<CommandId>,
    done: bool,
}

impl Call {
    fn new(shared: Arc<Shared>, site: &'static Location<'static>) -> Self {
        Self { shared, site, id: None, done: false }
    }

    fn poll(&mut self, ask: impl FnOnce() -> CommandKind) -> Poll<Outcome> {
        if self.done {
            return Poll::Pending;
        }
        let mut inner = self.shared.lock();
        let id = match self.id {
            Some(id) => id,
            None => match inner.ask(ask(), self.site) {
                Ok(id) => *self.id.insert(id),
                Err(outcome) => {
                    self.done = true;
                    return Poll::Ready(outcome);
                }
            },
        };
        match inner.take_answer(id) {
            Some(outcome) => {
                self.done = true;
                Poll::Ready(outcome)
            }
            None => Poll::Pending,
        }
    }

    /// Stops the run with an explanation: going on would act on something misread.
    fn violate<T>(&self, text: String) -> Poll<T> {
        self.shared.lock().violation.get_or_insert(text);
        Poll::Pending
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let (Some(id), false) = (self.id, self.done) {
            self.shared.lock().give_up(id, self.site);
        }
    }
}

/// A running activity; awaiting it gives its output.
#[must_use = "an activity runs only when it is awaited"]
pub struct ActivityCall<A: Activity> {
    call: Call,
    activity: A,
    options: ActivityOptions,
    approval: Option<String>,
}

impl<A: Activity> ActivityCall<A> {
    pub(super) fn new(shared: Arc<Shared>, activity: A, site: &'static Location<'static>) -> Self {
        Self { call: Call::new(shared, site), activity, options: ActivityOptions::default(), approval: None }
    }

    /// Bounds one attempt.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = limit;
        self
    }

    /// Bounds the silence between two signs of progress.
    pub fn heartbeat(mut self, limit: Duration) -> Self {
        self.options.heartbeat = Some(limit);
        self
    }

    /// Says how transient failures are tried again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.options.retry = policy;
        self
    }

    /// Names the approval that permits it; an `Irreversible` activity does not run without.
    pub fn approved(mut self, approval: &Approval) -> Self {
        self.approval = Some(approval.gate.clone());
        self
    }
}

impl<A: Activity> Unpin for ActivityCall<A> {}

impl<A: Activity> Future for ActivityCall<A> {
    type Output = WorkflowResult<A::Output>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let input = match (this.call.id, Json::of(&this.activity)) {
            (None, Err(e)) => return this.call.violate(format!("the input of {} can't be recorded: {e}", A::NAME)),
            (None, Ok(input)) => Some(input),
            (Some(_), _) => None,
        };
        let (activity, options, approval) = (&this.activity, this.options, &this.approval);
        let ask = || {
            CommandKind::Activity(AskedActivity {
                name: A::NAME.as_str(),
                class: A::EFFECT,
                input: input.unwrap_or_else(Json::null),
                summary: activity.summary(),
                approval: approval.clone(),
                options,
            })
        };
        match this.call.poll(ask) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Outcome::Completed(output)) => match output.to() {
                Ok(output) => Poll::Ready(Ok(output)),
                Err(e) => this.call.violate(format!("the recorded result of {} can't be read by this build: {e}", A::NAME)),
            },
            Poll::Ready(Outcome::Failed(error)) => {
                Poll::Ready(Err(WorkflowError::Activity { summary: this.activity.summary(), error }))
            }
            Poll::Ready(_) => Poll::Ready(Err(WorkflowError::Cancelled)),
        }
    }
}

/// A durable timer.
#[must_use = "a timer starts only when it is awaited"]
pub struct TimerCall {
    call: Call,
    due_at: Timestamp,
    why: Option<String>,
}

impl TimerCall {
    pub(super) fn new(shared: Arc<Shared>, due_at: Timestamp, site: &'static Location<'static>) -> Self {
        Self { call: Call::new(shared, site), due_at, why: None }
    }

    /// Says what the run waits for: `the window to unpause pool worker`. For people; it may change between builds.
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }
}

impl Future for TimerCall {
    type Output = WorkflowResult<()>;

    #[expect(clippy::wildcard_enum_match_arm, reason = "the machine answers in kind, else with a cancellation")]
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let (due_at, why) = (self.due_at, self.why.clone());
        self.call.poll(|| CommandKind::Timer { due_at, why }).map(|outcome| match outcome {
            Outcome::Fired => Ok(()),
            _ => Err(WorkflowError::Cancelled),
        })
    }
}

/// A signal that is waited for.
#[must_use = "a signal is waited for only when it is awaited"]
pub struct SignalCall<T> {
    call: Call,
    name: String,
    payload: PhantomData<fn() -> T>,
}

impl<T> SignalCall<T> {
    pub(super) fn new(shared: Arc<Shared>, name: String, site: &'static Location<'static>) -> Self {
        Self { call: Call::new(shared, site), name, payload: PhantomData }
    }
}

impl<T: DeserializeOwned> Future for SignalCall<T> {
    type Output = WorkflowResult<T>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let name = self.name.clone();
        match self.call.poll(|| CommandKind::Signal { name }) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Outcome::Signal(payload)) => match payload.to() {
                Ok(payload) => Poll::Ready(Ok(payload)),
                Err(e) => Poll::Ready(Err(WorkflowError::Failed(format!("signal {} can't be read: {e}", self.name)))),
            },
            Poll::Ready(_) => Poll::Ready(Err(WorkflowError::Cancelled)),
        }
    }
}

/// A point where a person must approve.
#[derive(Clone, Debug)]
pub struct Gate {
    name: String,
    text: String,
}

impl Gate {
    /// Names the gate (kebab case, unique in a run) and says what the person is asked, with the evidence to judge by.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// A person's yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The gate.
    pub gate: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// A gate that is waited at.
#[must_use = "a gate opens only when it is awaited"]
pub struct GateCall {
    call: Call,
    gate: Gate,
}

impl GateCall {
    pub(super) fn new(shared: Arc<Shared>, gate: Gate, site: &'static Location<'static>) -> Self {
        Self { call: Call::new(shared, site), gate }
    }
}

impl Future for GateCall {
    type Output = WorkflowResult<Approval>;

    #[expect(clippy::wildcard_enum_match_arm, reason = "the machine answers in kind, else with a cancellation")]
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let gate = self.gate.clone();
        self.call.poll(|| CommandKind::Gate { name: gate.name.clone(), text: gate.text.clone() }).map(|outcome| match outcome {
            Outcome::Approved { by, reason } => Ok(Approval { gate: gate.name.clone(), by, reason }),
            Outcome::Rejected { by, reason } => Err(WorkflowError::Rejected { gate: gate.name.clone(), by, reason }),
            _ => Err(WorkflowError::Cancelled),
        })
    }
}
