//! An event-sourced workflow engine: workflows are deterministic async functions, each command they give is journaled
//! before it acts, and a run that was cut off replays to the exact step and goes on.
//!
//! The engine knows no Kubernetes, reads no clock and no entropy of its own, and keeps one promise above all: an event
//! that was acknowledged survives a power cut.

mod activity;
mod event;
mod ids;
pub mod journal;
mod json;
mod time;

pub use activity::{Activity, ActivityContext, ActivityError, Attempt, Effect, FailureKind, Probe};
pub use event::{Event, NewEvent, ParkReason, ProbeVerdict, Record};
pub use ids::{ActivityName, CommandId, RunId};
pub use json::{Difference, Json};
pub use time::{Clock, SystemClock, Timestamp, TokioClock};
