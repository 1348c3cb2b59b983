//! Real database servers in pods of ovn-central, started as Kube-OVN's start script starts them; skipped, loudly, where they are not.

use anyhow::{Context as _, Result};
use windlass_sim::kube_ovn::real::Settings;
use windlass_tests::raft::{CASES, Pods, real_raft};

async fn check(name: &str) -> Result<()> {
    let Some(raft) = real_raft(Settings::default()) else { return Ok(()) };
    let pods = Pods::new(raft.clone(), (1..=4).map(|node| raft.address(node)).collect())?;
    let case = CASES.iter().find(|case| case.name == name).context("there is such a case")?;
    assert_eq!((case.run)(&pods).await?, case.comes_out, "{name}");
    Ok(())
}

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        $(#[tokio::test]
        async fn $name() -> Result<()> {
            check(stringify!($name)).await
        })*

        #[test]
        fn every_case_is_tried() {
            let tried = [$(stringify!($name)),*];
            assert!(CASES.iter().map(|case| case.name).eq(tried));
        }
    };
}

cases! {
    three_form_one_cluster,
    a_follower_is_kicked,
    a_follower_forwards,
    the_leader_is_kicked_in_its_own_pod,
    the_leader_is_kicked_by_a_follower,
    the_last_one_takes_any_name_for_its_own,
    an_unknown_database,
}
