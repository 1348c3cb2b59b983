//! Updates on which nothing goes wrong: what moves, in which order, and what stays.

mod world_support;

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::{Value, json};
use windlass_sim::ClusterShape;
use windlass_sim::check::{Baseline, Violation, pools_updated};
use windlass_sim::shape::PoolShape;
use windlass_sim::store::resources::{CLUSTEROPERATORS, NODES, PODS};
use world_support::{
    acknowledge, calm, completed, condition, eus_update, get, hop, node, pass, pause, pause_health_check, pool, prepare, release,
    request_update, rolled_out, says, set_channel, start, until, version,
};

fn assert_none(found: &[Violation]) {
    assert!(found.is_empty(), "{}", found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_hop_moves_everything_to_the_release() {
    let sim = calm();
    pause_health_check(&sim, true).await;
    set_channel(&sim, "eus-4.18").await;
    pass(&sim, 1).await;
    request_update(&sim, "4.17.11").await;
    let accepted = until(&sim, 5, "acceptance", |sim| version(sim)["status"]["desired"]["version"] == "4.17.11").await;
    let during = version(&sim);
    assert_eq!(during["status"]["history"][0]["state"], "Partial");
    assert_eq!(during["status"]["history"][0]["completionTime"], Value::Null);
    assert_eq!(says(&during, "ReleaseAccepted"), "True");
    let done = until(&sim, 24 * 60, "the hop", |sim| completed(sim, "4.17.11")).await;
    let minutes = (done - accepted).num_minutes();
    assert!((35..180).contains(&minutes), "{minutes}");
    for operator in sim.store().list(&CLUSTEROPERATORS) {
        assert_eq!(
            operator["status"]["versions"][0],
            json!({ "name": "operator", "version": "4.17.11" }),
            "{}",
            operator["metadata"]["name"]
        );
        assert_eq!((says(&operator, "Progressing"), says(&operator, "Degraded")), ("False".into(), "False".into()));
    }
    assert_eq!(condition(&version(&sim), "Available").2, "Done applying 4.17.11");
    assert_eq!(version(&sim)["status"]["observedGeneration"], version(&sim)["metadata"]["generation"]);
    for name in ["infra", "worker"] {
        until(&sim, 24 * 60, name, |sim| rolled_out(sim, name)).await;
    }
    assert!(sim.reboot_counts().values().all(|n| *n == 1), "{:?}", sim.reboot_counts());
    let kubelets: BTreeSet<String> =
        sim.store().list(&NODES).iter().map(|n| n["status"]["nodeInfo"]["kubeletVersion"].to_string()).collect();
    assert_eq!(kubelets.len(), 1, "{kubelets:?}");
    assert_none(&pools_updated(sim.store()));
}

#[tokio::test(start_paused = true)]
async fn two_hops_with_paused_workers_reboot_each_worker_once() {
    for seed in 1..=5 {
        let sim = start(ClusterShape { seed, ..ClusterShape::default() }, vec![]);
        let before = Baseline::of(&sim);
        eus_update(&sim).await;
        pass(&sim, 5).await;
        assert_none(&before.check_update(&sim, &["4.17.11", "4.18.5"]));
        assert_none(&pools_updated(sim.store()));
    }
}

#[tokio::test(start_paused = true)]
async fn paused_pools_render_and_their_nodes_stay() {
    let sim = calm();
    prepare(&sim).await;
    let old = pool(&sim, "worker")["spec"]["configuration"]["name"].clone();
    hop(&sim, "4.17.11").await;
    let worker = pool(&sim, "worker");
    assert_ne!(worker["spec"]["configuration"]["name"], old);
    assert_eq!(worker["status"]["configuration"]["name"], old);
    assert_eq!((says(&worker, "Updated"), says(&worker, "Updating")), ("False".into(), "False".into()));
    assert!(condition(&worker, "Updating").2.starts_with("Pool is paused; will not update to rendered-worker-"));
    assert_eq!(node(&sim, "worker-0")["metadata"]["annotations"]["machineconfiguration.openshift.io/desiredConfig"], old);
    let reboots = sim.reboot_counts();
    assert!(reboots.iter().all(|(n, times)| *times == usize::from(n.starts_with("master"))), "{reboots:?}");
}

#[tokio::test(start_paused = true)]
async fn the_old_green_shows_for_a_while_after_a_render() {
    let sim = calm();
    set_channel(&sim, "eus-4.18").await;
    pass(&sim, 1).await;
    let old = pool(&sim, "worker")["spec"]["configuration"]["name"].clone();
    request_update(&sim, "4.17.11").await;
    let rendered = until(&sim, 300, "a render", |sim| pool(sim, "worker")["spec"]["configuration"]["name"] != old).await;
    assert_eq!(says(&pool(&sim, "worker"), "Updated"), "True", "the green is stale");
    let seen = until(&sim, 5, "the true colour", |sim| says(&pool(sim, "worker"), "Updated") == "False").await;
    let stale = seen - rendered;
    assert!((TimeDelta::seconds(10)..=TimeDelta::seconds(60)).contains(&stale), "{stale}");
}

#[tokio::test(start_paused = true)]
async fn asking_for_the_same_update_again_changes_nothing() {
    let sim = calm();
    set_channel(&sim, "eus-4.18").await;
    pass(&sim, 1).await;
    hop(&sim, "4.17.11").await;
    let before = version(&sim)["status"]["history"].clone();
    request_update(&sim, "4.17.11").await;
    sim.store()
        .modify(&windlass_sim::store::resources::CLUSTERVERSIONS, None, "version", |v| {
            v["spec"]["desiredUpdate"]["force"] = json!(false);
        })
        .expect("a write");
    pass(&sim, 120).await;
    assert_eq!(version(&sim)["status"]["history"], before);
    assert_eq!(sim.ledger().accepted.len(), 1);
    assert_eq!(version(&sim)["status"]["observedGeneration"], version(&sim)["metadata"]["generation"]);
}

#[tokio::test(start_paused = true)]
async fn another_target_closes_the_old_one_as_partial() {
    let sim = calm();
    set_channel(&sim, "eus-4.18").await;
    pass(&sim, 1).await;
    request_update(&sim, "4.17.11").await;
    pass(&sim, 15).await;
    hop(&sim, "4.17.12").await;
    let history = version(&sim)["status"]["history"].clone();
    assert_eq!((history[1]["version"].as_str(), history[1]["state"].as_str()), (Some("4.17.11"), Some("Partial")));
    assert!(history[1]["completionTime"].is_string());
}

#[tokio::test(start_paused = true)]
async fn evicted_pods_come_back_on_other_nodes() {
    let sim = calm();
    prepare(&sim).await;
    hop(&sim, "4.17.11").await;
    acknowledge(&sim).await;
    let pods = |sim: &windlass_sim::Sim| {
        let all = sim.store().list(&PODS);
        let running = all.iter().filter(|p| says(p, "Ready") == "True").count();
        (all.len(), running)
    };
    let before = pods(&sim);
    release(&sim).await;
    pass(&sim, 10).await;
    assert_eq!(pods(&sim), before, "as many pods as before, all of them ready");
    let drained = get(&sim, &NODES, None, "worker-0");
    assert_eq!(drained["spec"]["unschedulable"], Value::Null);
    assert_eq!(drained["spec"]["taints"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_pool_updates_as_many_nodes_at_once_as_it_allows() {
    let wide = PoolShape { max_unavailable: "25%".into(), ..PoolShape::new("worker", 12) };
    let shape = ClusterShape { pools: vec![wide], ..ClusterShape::default() };
    let sim = start(shape, vec![]);
    pause_health_check(&sim, true).await;
    set_channel(&sim, "eus-4.18").await;
    pass(&sim, 1).await;
    hop(&sim, "4.17.11").await;
    until(&sim, 24 * 60, "the workers", |sim| rolled_out(sim, "worker")).await;
    let most = sim.ledger().disruptions.iter().filter(|d| d.pool == "worker").map(|d| d.updating).max();
    assert_eq!(most, Some(3));
    assert_none(&windlass_sim::check::budgets_kept(&sim.ledger()));
    pause(&sim, "worker", true).await;
}
