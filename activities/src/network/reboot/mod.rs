//! Reboots that happen once: each host is told to reboot at a time, by a unit that ends only the boot that was journaled, and nothing
//! has to reach it at that time any more.
//!
//! In the order of a migration: [`CheckLogins`], [`ReadBoots`], [`ArmReboot`] in one [`RebootWay`], [`AwaitReboots`].

mod arm;
mod boots;
mod daemon;
mod host;
mod login;
mod looks;
mod ssh;
mod wait;
mod way;

pub use arm::{ArmReboot, RebootArmed};
pub use boots::{Boot, Boots, ReadBoots};
pub use login::{CheckLogins, Logins};
pub use wait::{AwaitReboots, Rebooted};
pub use way::RebootWay;

pub(super) use daemon::Daemon;
