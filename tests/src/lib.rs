//! What tests of more than one crate share: a stage with a simulated cluster, and the proofs that every workflow must pass.

mod binary;
mod bytes;
mod cases;
mod proof;
pub mod raft;
mod rig;
pub mod scene;
pub mod shim;
mod stage;

pub use binary::windlass;
pub use bytes::{Storm, withstand};
pub use cases::{seeds, soaking};
pub use proof::{
    Around, Proof, crash_at_every_append, crash_before_every_effect, fail_every_activity, lose_every_reply, on_paused_time,
    repeat_every_activity,
};
pub use rig::{LONGEST, Rig};
pub use stage::{Ending, Stage};
