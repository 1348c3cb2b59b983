//! Drains: why one that is under way does not end, and which of those to come will not.

mod blocked;
mod place;
mod predict;

pub use blocked::{BlockedDrain, HeldPods, blocked, explain_blocked_drain};
pub(crate) use place::{Lack, Places};
pub(crate) use predict::homeless;
pub use predict::{BlockCause, Blocker, PredictedDrain, predict};
