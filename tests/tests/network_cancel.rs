//! A migration of the network that is cancelled, wherever it is: machine health checks go on only when no node is still to boot without a
//! network, or stay paused and on record.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use windlass_engine::control::What;
use windlass_sim::shape::NetworkPlugin;
use windlass_sim::store::resources::{MACHINEHEALTHCHECKS, NETWORKS_CONFIG};
use windlass_sim::{ClusterShape, Scenario};
use windlass_tests::{Ending, Stage, on_paused_time};

/// Where a run was when it was cancelled, as far as health checks care.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place {
    BeforeTheSwitch,
    /// Nobody told all nodes to reboot.
    Switched,
    /// All were told, and came back before the run ended.
    Told,
}

fn stage() -> Stage {
    let shape = ClusterShape { network: NetworkPlugin::Sdn, ..ClusterShape::default() };
    Stage::new("sdn-to-ovn", shape.with_nodes("3+2").expect("a shape"), Scenario::default())
}

async fn start(stage: &Stage, crash_after: Option<u64>) {
    let approvals = ["prepare-nodes", "switch-network"].map(str::to_owned);
    stage.start(&json!({}), &approvals, crash_after, None).await.expect("the stage works");
}

fn paused(stage: &Stage) -> usize {
    let checks = stage.sim.store().list(&MACHINEHEALTHCHECKS);
    checks.iter().filter(|check| check["metadata"]["annotations"].get("cluster.x-k8s.io/paused").is_some()).count()
}

/// Cancels a run that crashed, lets it end, and looks at what it left.
async fn cancel(stage: &Stage, what: &str) -> Option<Place> {
    // It crashed before its first event, or after its last.
    stage.state().filter(|state| state.ended.is_none())?;
    stage.tell(What::Cancel).expect("the journal works").expect("an open run");
    stage.resume(None).await.expect("the stage works");
    let error = match stage.ending() {
        Ending::Failed(error) => error,
        ending @ (Ending::Completed | Ending::Parked(_) | Ending::AtGates(_) | Ending::Stuck(_)) => {
            unreachable!("{what}: {ending:?}")
        }
    };
    let held = stage.state().expect("it is there").held;
    let on_record = held.keys().filter(|key| key.starts_with("machine-health-check/")).count();
    assert_eq!(paused(stage), on_record, "{what}: paused, and on record: {held:?}");
    let config = stage.sim.store().get(&NETWORKS_CONFIG, None, "cluster").expect("it is there");
    if config["spec"]["networkType"] != "OVNKubernetes" {
        return Some(Place::BeforeTheSwitch);
    }
    if stage.sim.reboot_counts().values().all(|times| *times == 2) {
        assert_eq!(on_record, 0, "{what}: every node is back: {error}");
        return Some(Place::Told);
    }
    assert!(on_record > 0, "{what}: nodes are to boot, and health checks go on: {error}");
    assert!(error.contains("`windlass adopt-procedure sdn-to-ovn` goes on"), "{what}: {error}");
    assert!(held.contains_key("network-migration"), "{what}: {held:?}");
    Some(Place::Switched)
}

/// Seen to fail with health checks given back on every ending, and with no wait for the nodes that were told.
#[test]
fn health_checks_do_not_go_on_while_nodes_are_to_boot() {
    let mut appends = 0;
    on_paused_time(async {
        let stage = stage();
        start(&stage, None).await;
        assert_eq!(stage.ending(), Ending::Completed, "{}", stage.last_failure());
        assert!(paused(&stage) == 0 && !stage.sim.store().list(&MACHINEHEALTHCHECKS).is_empty());
        appends = stage.journal.appends();
    });
    let mut places = BTreeSet::new();
    for append in 0..appends {
        on_paused_time(async {
            let what = format!("cancelled at append {append} of {appends}");
            let stage = stage();
            start(&stage, Some(append)).await;
            places.extend(cancel(&stage, &what).await);
            stage.sim.clock().sleep(Duration::from_secs(3 * 3600)).await;
            assert!(stage.sim.ledger().machine_deletions.is_empty(), "{what}: a node was replaced");
        });
    }
    assert_eq!(places.into_iter().collect::<Vec<_>>(), [Place::BeforeTheSwitch, Place::Switched, Place::Told]);
}
