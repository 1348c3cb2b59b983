//! An event-sourced workflow engine: workflows are deterministic async functions, each command they give is journaled
//! before it acts, and a run that was cut off replays to the exact step and goes on.
//!
//! The engine knows no Kubernetes, reads no clock and no entropy of its own, and keeps one promise above all: an event
//! that was acknowledged survives a power cut.

mod activity;
pub mod archive;
mod codec;
pub mod context;
pub mod control;
mod event;
pub mod foresee;
mod ids;
pub mod journal;
mod json;
pub mod mirror;
pub mod remote;
mod replay;
mod retry;
mod signature;
mod state;
mod time;
pub mod view;
mod worker;
mod workflow;

pub use activity::{Activity, ActivityContext, ActivityError, Attempt, Effect, FailureKind, Probe};
pub use context::{Approval, Either, Gate, WorkflowContext};
pub use event::{Event, NewEvent, ParkReason, ProbeVerdict, Record};
pub use ids::{ActivityName, CommandId, RunId};
pub use json::{Difference, Json};
pub use replay::{Mismatch, Scrutiny, Step, replay, replay_with};
pub use retry::RetryPolicy;
pub use signature::signed_by;
pub use state::{HeldChange, OpenActivity, OpenCommand, OpenRun, Pause, Phase, RunEnd};
pub use time::{Clock, SystemClock, Timestamp, TokioClock};
pub use worker::{
    AttemptHook, AttemptInfo, Before, Progress, Until, Update, Worker, WorkerError, WorkerGone, WorkerHandle, WorkerOptions,
    WorkerReport,
};
pub use workflow::{Registry, WorkflowError, WorkflowResult};
