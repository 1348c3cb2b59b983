//! What goes wrong on nodes.

mod world_support;

use chrono::TimeDelta;
use serde_json::{Value, json};
use windlass_sim::ClusterShape;
use windlass_sim::ledger::Deleter;
use windlass_sim::scenario::{When, WorldFault};
use windlass_sim::store::Preconditions;
use windlass_sim::store::resources::{MACHINES, NODES, PDBS};
use world_support::{
    condition, get, hop, node, pass, pause, pause_health_check, pool, prepare, rolled_out, says, set_channel, start, until,
    version,
};

const MCO: &str = "machineconfiguration.openshift.io/";

fn annotation(object: &Value, key: &str) -> String {
    object["metadata"]["annotations"][format!("{MCO}{key}")].as_str().unwrap_or_default().to_owned()
}

/// A cluster whose workers wait, paused, for 4.17.11.
async fn waiting_workers(faults: Vec<WorldFault>) -> windlass_sim::Sim {
    let sim = start(ClusterShape::default(), faults);
    prepare(&sim).await;
    hop(&sim, "4.17.11").await;
    sim
}

#[tokio::test(start_paused = true)]
async fn a_blocked_drain_degrades_the_pool_after_an_hour_and_resolves_with_the_budget() {
    let fault = WorldFault::DrainBlocked { when: When::default(), node: "worker/0".into(), minutes: None };
    let sim = waiting_workers(vec![fault]).await;
    let begun = sim.clock().now();
    pause(&sim, "worker", false).await;
    until(&sim, 30, "the drain", |sim| annotation(&node(sim, "worker-0"), "desiredDrain").starts_with("drain-")).await;
    until(&sim, 2, "the cordon", |sim| node(sim, "worker-0")["spec"]["unschedulable"] == true).await;
    pass(&sim, 45).await;
    assert_eq!(says(&pool(&sim, "worker"), "Degraded"), "False");
    assert_ne!(annotation(&node(&sim, "worker-0"), "lastAppliedDrain"), annotation(&node(&sim, "worker-0"), "desiredDrain"));
    let degraded = until(&sim, 60, "the report", |sim| says(&pool(sim, "worker"), "Degraded") == "True").await;
    assert!(degraded - begun >= TimeDelta::hours(1));
    let stuck = node(&sim, "worker-0");
    assert_eq!(annotation(&stuck, "state"), "Degraded");
    assert!(annotation(&stuck, "reason").starts_with("failed to drain node: worker-0 after 1 hour"));
    let message = condition(&pool(&sim, "worker"), "NodeDegraded").2;
    assert!(message.starts_with("Node worker-0 is reporting: \"failed to drain node"), "{message}");
    assert_eq!(pool(&sim, "worker")["status"]["degradedMachineCount"], 1);
    pass(&sim, 24 * 60).await;
    assert_eq!(sim.reboot_counts()["worker-0"], 0, "it waits for ever");
    sim.store().delete(&PDBS, Some("legacy"), "till-worker-0", &Preconditions::default()).expect("the budget is there");
    until(&sim, 24 * 60, "the pool", |sim| rolled_out(sim, "worker")).await;
    assert_eq!(says(&pool(&sim, "worker"), "Degraded"), "False");
    assert_eq!(sim.reboot_counts()["worker-0"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_health_check_that_is_not_paused_deletes_a_slow_node() {
    for paused in [true, false] {
        let fault = WorldFault::NodeStuck { when: When::default(), node: "worker/0".into(), minutes: Some(25.0) };
        let sim = waiting_workers(vec![fault]).await;
        let before = sim.store().list(&MACHINES).len();
        pause_health_check(&sim, paused).await;
        pause(&sim, "worker", false).await;
        until(&sim, 24 * 60, "the pool", |sim| rolled_out(sim, "worker") && sim.reboots().len() >= 6).await;
        pass(&sim, 30).await;
        let deletions = sim.ledger().machine_deletions;
        let of_node: Vec<Deleter> = deletions.iter().filter(|d| d.node == "worker-0").map(|d| d.by).collect();
        assert_eq!(sim.store().list(&MACHINES).len(), before, "a deleted machine is replaced");
        if paused {
            assert!(deletions.is_empty(), "{deletions:?}");
        } else {
            assert_eq!(of_node, [Deleter::HealthCheck]);
            assert!(sim.store().get(&NODES, None, "worker-0").is_none());
            let newcomer = get(&sim, &NODES, None, "worker-4");
            assert_eq!(says(&newcomer, "Ready"), "True");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rebooting_node_is_not_ready_after_the_grace_period_and_comes_back_with_another_boot_id() {
    let sim = waiting_workers(vec![]).await;
    let old = node(&sim, "worker-0");
    pause(&sim, "worker", false).await;
    let silent = until(&sim, 60, "NotReady", |sim| says(&node(sim, "worker-0"), "Ready") == "Unknown").await;
    assert_eq!(condition(&node(&sim, "worker-0"), "Ready").1, "NodeStatusUnknown");
    let back = until(&sim, 60, "Ready", |sim| says(&node(sim, "worker-0"), "Ready") == "True").await;
    assert!(back - silent > TimeDelta::seconds(30), "{}", back - silent);
    let info = |n: &Value, key: &str| n["status"]["nodeInfo"][key].clone();
    let new = node(&sim, "worker-0");
    assert_ne!(info(&new, "bootID"), info(&old, "bootID"));
    assert!(info(&new, "kubeletVersion").as_str().is_some_and(|v| v.starts_with("v1.30.")));
    assert_ne!(info(&new, "osImage"), info(&old, "osImage"));
}

#[tokio::test(start_paused = true)]
async fn a_cordon_of_somebody_else_eats_the_budget() {
    let fault = WorldFault::NodeCordoned { when: When::default(), node: "worker/1".into(), minutes: Some(12.0 * 60.0) };
    let sim = waiting_workers(vec![fault]).await;
    pause(&sim, "worker", false).await;
    pass(&sim, 120).await;
    let worker = pool(&sim, "worker");
    assert_eq!(says(&worker, "Updating"), "True");
    assert_eq!(worker["status"]["unavailableMachineCount"], 1);
    assert!(sim.reboot_counts().iter().all(|(n, times)| !n.starts_with("worker") || *times == 0), "nothing moves");
    until(&sim, 24 * 60, "the pool", |sim| rolled_out(sim, "worker")).await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_config_in_the_middle_of_an_update_costs_a_second_reboot() {
    let fault = WorldFault::MachineConfigAdded { when: When { update: Some(1), after_minutes: 150.0 }, pool: "infra".into() };
    let sim = start(ClusterShape::default(), vec![fault]);
    pause_health_check(&sim, true).await;
    set_channel(&sim, "eus-4.18").await;
    pause(&sim, "worker", true).await;
    pause(&sim, "infra", true).await;
    pass(&sim, 1).await;
    hop(&sim, "4.17.11").await;
    let first = pool(&sim, "infra")["spec"]["configuration"]["name"].clone();
    pause(&sim, "infra", false).await;
    until(&sim, 600, "another render", |sim| pool(sim, "infra")["spec"]["configuration"]["name"] != first).await;
    until(&sim, 24 * 60, "the pool", |sim| rolled_out(sim, "infra")).await;
    assert!(sim.reboot_counts().iter().any(|(n, times)| n.starts_with("infra") && *times == 2), "{:?}", sim.reboot_counts());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_returns_holds_its_pool_and_the_update() {
    let fault = WorldFault::NodeStuck { when: When::default(), node: "master/0".into(), minutes: None };
    let sim = start(ClusterShape::default(), vec![fault]);
    prepare(&sim).await;
    world_support::request_update(&sim, "4.17.11").await;
    pass(&sim, 8 * 60).await;
    assert_eq!(condition(&version(&sim), "Failing").1, "SlowClusterOperator");
    assert!(condition(&version(&sim), "Progressing").2.contains("waiting on machine-config over 90 minutes"));
    assert_eq!(pool(&sim, "master")["status"]["unavailableMachineCount"], 1);
    assert_eq!(sim.reboot_counts().values().sum::<usize>(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_stays_degraded_fails_the_update_until_it_recovers() {
    let fault = WorldFault::OperatorDegraded {
        when: When { update: Some(1), after_minutes: 1.0 },
        operator: "etcd".into(),
        reason: "EtcdMembers_UnhealthyMembers".into(),
        message: "EtcdMembersDegraded: 2 of 3 members are available, master-1 is unhealthy".into(),
        minutes: Some(90.0),
    };
    let sim = start(ClusterShape::default(), vec![fault]);
    prepare(&sim).await;
    world_support::request_update(&sim, "4.17.11").await;
    until(&sim, 120, "the failure", |sim| says(&version(sim), "Failing") == "True").await;
    assert_eq!(condition(&version(&sim), "Failing").1, "ClusterOperatorDegraded");
    until(&sim, 24 * 60, "the hop", |sim| world_support::completed(sim, "4.17.11")).await;
    assert_eq!(says(&version(&sim), "Failing"), "False");
}

#[tokio::test(start_paused = true)]
async fn scripted_pool_faults_begin_and_end() {
    let when = When { update: None, after_minutes: 10.0 };
    let minutes = Some(30.0);
    let reason = "unexpected on-disk state validating against rendered-infra";
    let faults = vec![
        WorldFault::PoolDegraded { when, pool: "infra".into(), reason: reason.into(), minutes },
        WorldFault::PoolPaused { when, pool: "worker".into(), minutes },
        WorldFault::SignerEnds { when, days: 20 },
    ];
    let sim = start(ClusterShape::default(), faults);
    let seen = |sim: &windlass_sim::Sim| {
        let (infra, worker) = (pool(sim, "infra"), pool(sim, "worker"));
        (says(&infra, "Degraded"), condition(&infra, "NodeDegraded").2.contains(reason), worker["spec"]["paused"] == true)
    };
    pass(&sim, 5).await;
    let (calm, harsh) = (("False".to_owned(), false, false), ("True".to_owned(), true, true));
    assert_eq!(seen(&sim), calm);
    pass(&sim, 10).await;
    assert_eq!(seen(&sim), harsh);
    assert_eq!(condition(&version(&sim), "Upgradeable").1, "DegradedPool");
    assert_eq!(pool(&sim, "worker")["status"]["certExpirys"][1]["expiry"], "2026-03-22T06:10:00Z");
    pass(&sim, 30).await;
    assert_eq!(seen(&sim), calm);
    assert_eq!(condition(&version(&sim), "Upgradeable").1, "");
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_loses_its_pods_to_others_when_its_machine_goes() {
    let fault =
        WorldFault::NodeSilent { when: When { update: None, after_minutes: 10.0 }, node: "worker/2".into(), minutes: None };
    let sim = start(ClusterShape::default(), vec![fault]);
    pass(&sim, 60).await;
    assert!(sim.store().get(&NODES, None, "worker-2").is_none());
    let ready = sim.store().list(&NODES).iter().filter(|n| says(n, "Ready") == "True").count();
    assert_eq!(ready, 9);
    let stranded =
        sim.store().list(&windlass_sim::store::resources::PODS).iter().filter(|p| p["spec"]["nodeName"] == "worker-2").count();
    assert_eq!(stranded, 0);
    assert_eq!(sim.ledger().machine_deletions.len(), 1);
    assert_eq!(json!(pool(&sim, "worker")["status"]["machineCount"]), 4);
}
