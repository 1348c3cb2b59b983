//! What is open in a run: a light fold over its history.

mod fold;
mod open;

pub use open::{HeldChange, OpenActivity, OpenCommand, OpenRun, Pause, Phase, RunEnd};
