//! Replay: from a history and a workflow function to the commands that come next. Pure: no clock, no disk, no tasks.

mod ahead;
mod command;
mod machine;
mod mismatch;
mod shared;
mod trail;
mod twin;

pub(crate) use ahead::Ahead;
pub(crate) use command::{Command, CommandKind, Outcome};
pub(crate) use machine::Machine;
pub use machine::{Step, replay, replay_with};
pub use mismatch::Mismatch;
pub(crate) use shared::Shared;
pub use twin::Scrutiny;
