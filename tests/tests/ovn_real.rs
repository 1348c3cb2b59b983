//! Members of ovn-central exchanged on real rafts: those that follow, lead, hang or are dead, while others write; skipped, loudly, where
//! there are no database servers.
//!
//! Seen to fail with a rollout of ovs-ovn that waits for ever where a dead node holds it up.

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use windlass_tests::real::{Case, Leaving, Real, try_all};

async fn exchange(leaving: Leaving) -> Result<()> {
    let Some(real) = Real::start(leaving).await.context("the cluster")? else { return Ok(()) };
    real.exchanged().await?;
    real.judge().await
}

const CASES: [Case; 6] = [
    ("a follower", || exchange(Leaving::Follower).boxed_local()),
    ("the leader of one database", || exchange(Leaving::NorthboundLeader).boxed_local()),
    ("the leader of both databases", || exchange(Leaving::LeaderOfBoth).boxed_local()),
    ("a member that hangs", || exchange(Leaving::Hanging).boxed_local()),
    ("a dead follower", || exchange(Leaving::DeadFollower).boxed_local()),
    ("a dead leader", || exchange(Leaving::DeadLeader).boxed_local()),
];

#[test]
fn any_member_is_exchanged() -> Result<()> {
    try_all(&CASES)
}
