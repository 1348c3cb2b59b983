//! Clusters of a single node, whose API is away while it reboots, and the health checks of others.

use serde_json::json;
use windlass_engine::Event;
use windlass_sim::check::Baseline;
use windlass_sim::{ClusterShape, Scenario};
use windlass_tests::{Ending, Stage};

/// Drives an update to its end, and says which writes reached health checks.
async fn health_check_writes(nodes: &str) -> Vec<String> {
    let shape = ClusterShape::default().with_nodes(nodes).expect("a shape");
    let stage = Stage::new("eus-update", shape, Scenario::calm());
    let before = Baseline::of(&stage.sim);
    let input = json!({"channel": "eus-4.18", "target": "4.18", "pause_days": 14});
    let approvals = ["ack-hop-1", "ack-hop-2", "release-pool-infra", "release-pool-worker"].map(str::to_owned);
    stage.start(&input, &approvals, None, None).await.expect("the stage works");
    assert_eq!(stage.ending(), Ending::Completed, "{nodes}");
    let broken: Vec<String> = before.check_update(&stage.sim, &["4.17.11", "4.18.5"]).iter().map(ToString::to_string).collect();
    assert_eq!(broken, Vec::<String>::new(), "{nodes}");
    let held = stage
        .history()
        .into_iter()
        .filter(|record| matches!(&record.event, Event::ChangeHeld { key, .. } if key.starts_with("machine-health-check")));
    let writes: Vec<String> = stage.effects().into_iter().filter(|write| write.contains("/machinehealthchecks/")).collect();
    assert_eq!(held.count() * 2, writes.len(), "{nodes}: each pause is on record and given back: {writes:?}");
    writes
}

#[tokio::test(start_paused = true)]
async fn the_health_checks_of_a_single_node_are_left_alone() {
    assert_eq!(health_check_writes("1+0").await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn those_of_larger_clusters_are_paused_and_resumed() {
    for nodes in ["3+0", "1+2", "3+6"] {
        assert_eq!(health_check_writes(nodes).await.len(), 2, "{nodes}");
    }
}
