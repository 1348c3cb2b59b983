//! Replay: from a history and a workflow function to the commands that come next. Pure: no clock, no disk, no tasks.

mod command;
mod machine;
mod mismatch;
mod shared;

pub(crate) use command::{Command, CommandKind, Outcome};
pub(crate) use machine::Machine;
pub use machine::{Mismatch, Step, replay};
pub(crate) use shared::Shared;
