//! What the scenario itself does is not held against the run; the same by anybody else is.

mod world_support;

use http::Method;
use serde_json::json;
use windlass_sim::check::Baseline;
use windlass_sim::hazards;
use windlass_sim::scenario::WorldFault;
use windlass_sim::store::resources::MACHINES;
use windlass_sim::{ClusterShape, Sim};
use world_support::{acknowledge, eus_update, hop, pass, prepare, release, request_update, send, start, until};

/// The world faults of a hazard, each node by its own name.
fn faults_of(number: u8) -> Vec<WorldFault> {
    let hazard = hazards::numbered(number).expect("a hazard of that number");
    (hazard.scenario)().resolved(&ClusterShape::default()).expect("names of this cluster").world
}

fn broken(sim: &Sim, before: &Baseline) -> Vec<String> {
    before.check_update(sim, &["4.17.11", "4.18.5"]).iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn extra_reboots_and_deletions_of_the_scenario_break_nothing() {
    let extra = |sim: &Sim| sim.reboots().iter().filter(|reboot| reboot.scripted).count();
    let lost = |sim: &Sim| sim.ledger().machine_deletions.len();
    for (number, reboots, machines) in [(6, true, 0), (13, true, 0), (14, false, 1)] {
        let sim = start(ClusterShape::default(), faults_of(number));
        let before = Baseline::of(&sim);
        eus_update(&sim).await;
        pass(&sim, 60).await;
        assert_eq!((extra(&sim) > 0, lost(&sim)), (reboots, machines), "F{number}");
        assert_eq!(broken(&sim, &before), Vec::<String>::new(), "F{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_a_client_deletes_is_named() {
    let sim = start(ClusterShape::default(), vec![]);
    let before = Baseline::of(&sim);
    let machine = sim.store().list(&MACHINES).iter().find(|m| m["status"]["nodeRef"]["name"] == "worker-1").cloned();
    let machine = machine.expect("the node has a machine")["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let path = format!("/apis/machine.openshift.io/v1beta1/namespaces/openshift-machine-api/machines/{machine}");
    send(&sim, Method::DELETE, &path, None).await;
    pass(&sim, 30).await;
    eus_update(&sim).await;
    let broken = broken(&sim, &before);
    assert!(broken.iter().any(|said| said.contains(&format!("somebody deleted machine {machine}"))), "{broken:?}");
    assert!(broken.iter().any(|said| said.contains("worker-1 rebooted 0 times")), "{broken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_config_that_a_client_adds_costs_reboots_that_are_named() {
    let sim = start(ClusterShape::default(), vec![]);
    let before = Baseline::of(&sim);
    prepare(&sim).await;
    hop(&sim, "4.17.11").await;
    acknowledge(&sim).await;
    request_update(&sim, "4.18.5").await;
    until(&sim, 48 * 60, "a master of the second release", |sim| {
        sim.reboots().iter().any(|reboot| reboot.node.starts_with("master") && reboot.version == "4.18.5")
    })
    .await;
    let file = json!({ "path": "/etc/sysctl.d/99-mine.conf", "mode": 420, "contents": { "source": "data:," } });
    let config = json!({
        "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig",
        "metadata": { "name": "99-mine", "labels": { "machineconfiguration.openshift.io/role": "master" } },
        "spec": { "config": { "ignition": { "version": "3.4.0" }, "storage": { "files": [file] } } },
    });
    send(&sim, Method::POST, "/apis/machineconfiguration.openshift.io/v1/machineconfigs", Some(config)).await;
    until(&sim, 48 * 60, "the second release", |sim| world_support::completed(sim, "4.18.5")).await;
    until(&sim, 48 * 60, "the masters", |sim| world_support::rolled_out(sim, "master")).await;
    release(&sim).await;
    let broken = broken(&sim, &before);
    assert!(broken.iter().any(|said| said.starts_with("master-") && said.contains("rebooted 3 times")), "{broken:?}");
}
