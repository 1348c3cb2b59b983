//! A run as a person reads it: the steps in their order, the gates, what is owed, how it ended.
//!
//! What is open is [`crate::OpenRun`]'s to say, so that worker, replay and display never disagree about it; the fold here only
//! remembers what `OpenRun` forgets.

mod fold;
mod parts;
mod status;

pub use parts::{Decision, GateView, ResumeView, RunView, StepKind, StepState, StepView};
pub use status::RunStatus;

#[cfg(test)]
mod tests;
