//! The modelled raft, held to what real servers do: the cases of `raft_backend.rs` come out the same.
//!
//! Seen to fail with commands that know no time limit of their own.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use windlass_sim::SimClock;
use windlass_sim::kube_ovn::Modelled;
use windlass_tests::raft::{CASES, Case, Pods};

async fn outcome(case: &Case, seed: u64) -> Result<Vec<String>> {
    let epoch = chrono::DateTime::from_timestamp(1_762_156_800, 0).context("an epoch")?;
    let model = Modelled::new(SimClock::new(epoch, 1.0), seed);
    let addresses = (1..=4).map(|host| Ipv4Addr::new(172, 18, 0, host)).collect();
    (case.run)(&Pods::new(Arc::new(model), addresses)?).await
}

#[tokio::test(start_paused = true)]
async fn the_model_does_as_real_servers_do() -> Result<()> {
    let mut differences = Vec::new();
    for (case, seed) in CASES.iter().flat_map(|case| [1, 2, 3].map(|seed| (case, seed))) {
        match outcome(case, seed).await {
            Ok(lines) if lines == case.comes_out => {}
            Ok(lines) => differences.push(format!("{} ({seed}): {lines:#?}, not {:#?}", case.name, case.comes_out)),
            Err(error) => differences.push(format!("{} ({seed}): {error:#}", case.name)),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}
