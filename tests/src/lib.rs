//! What tests of more than one crate share: a stage with a simulated cluster, and the proofs that every workflow must pass.

mod binary;
mod bytes;
pub mod migration;
mod proof;
pub mod raft;
pub mod readers;
pub mod real;
mod rig;
pub mod scene;
#[path = "../../engine/tests/support/seeds.rs"]
mod seeds;
pub mod shim;
pub mod sshd;
mod stage;

pub use binary::windlass;
pub use bytes::{Storm, withstand};
pub use proof::{
    Around, Proof, crash_at_every_append, crash_before_every_effect, fail_every_activity, lose_every_reply, on_paused_time,
    repeat_every_activity,
};
pub use rig::{LONGEST, Rig, kill_after, serve};
pub use seeds::{Seeds, seeds, soaking};
pub use stage::{Ending, Stage, cloud_access};
