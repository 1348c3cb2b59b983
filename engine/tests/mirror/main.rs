//! The second place for every record: what reaches it, what it claims, and what a worker waits for.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "../support/mod.rs"]
mod support;

mod barrier;
mod chunks;
mod directory;
mod follower;
mod rig;
#[path = "../support/seeds.rs"]
mod seeds;
