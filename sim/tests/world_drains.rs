//! Pods that a drain has trouble with, and what becomes of them.

mod world_support;

use serde_json::Value;
use windlass_sim::shape::{NodeSize, PodRequests};
use windlass_sim::store::resources::{NODES, PODS, STATEFULSETS};
use windlass_sim::{ClusterShape, Sim};
use world_support::{condition, get, hop, node, pass, pause, pool, prepare, rolled_out, says, start, until};

/// A cluster of this shape whose workers are about to be updated.
async fn rolling(shape: ClusterShape) -> Sim {
    let sim = start(shape, vec![]);
    prepare(&sim).await;
    hop(&sim, "4.17.11").await;
    pause(&sim, "worker", false).await;
    sim
}

fn pods(sim: &Sim, ns: &str) -> Vec<Value> {
    sim.store().list(&PODS).iter().filter(|p| p["metadata"]["namespace"] == ns).map(|p| (**p).clone()).collect()
}

fn is_cordoned(sim: &Sim, name: &str) -> bool {
    node(sim, name)["spec"]["unschedulable"] == true
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_an_owner_is_lost() {
    let sim = rolling(ClusterShape { bare_pods: 2, ..ClusterShape::default() }).await;
    assert_eq!(pods(&sim, "scratch").len(), 2);
    assert!(pods(&sim, "scratch").iter().all(|p| p["metadata"]["ownerReferences"].is_null()));
    until(&sim, 24 * 60, "the workers", |sim| rolled_out(sim, "worker")).await;
    assert!(pods(&sim, "scratch").is_empty());
}

#[tokio::test(start_paused = true)]
async fn pods_that_fit_on_one_node_wait_for_it() {
    let shape = ClusterShape { local_volumes: 1, pinned_pods: 1, ..ClusterShape::default() };
    let sim = rolling(shape).await;
    until(&sim, 60, "the drain", |sim| is_cordoned(sim, "worker-0")).await;
    pass(&sim, 2).await;
    for (ns, why) in [("archive", "volume node affinity conflict"), ("factory", "node(s) were unschedulable")] {
        let [pod] = pods(&sim, ns).try_into().expect("one pod");
        let (status, reason, message) = condition(&pod, "PodScheduled");
        assert_eq!((status.as_str(), reason.as_str()), ("False", "Unschedulable"), "{ns}");
        assert!(message.starts_with("0/9 nodes are available: ") && message.contains(why), "{message}");
    }
    let set = get(&sim, &STATEFULSETS, Some("archive"), "shelf-0");
    assert_eq!((&set["status"]["readyReplicas"], &set["status"]["replicas"]), (&0.into(), &1.into()));
    until(&sim, 24 * 60, "the workers", |sim| rolled_out(sim, "worker")).await;
    pass(&sim, 2).await;
    for ns in ["archive", "factory"] {
        let [pod] = pods(&sim, ns).try_into().expect("one pod");
        assert_eq!((pod["spec"]["nodeName"].as_str(), says(&pod, "Ready").as_str()), (Some("worker-0"), "True"), "{ns}");
    }
    assert_eq!(get(&sim, &STATEFULSETS, Some("archive"), "shelf-0")["status"]["readyReplicas"], 1);
}

#[tokio::test(start_paused = true)]
async fn budgets_that_allow_nothing_hold_the_drain() {
    let single = ClusterShape { single_replicas: 1, ..ClusterShape::default() };
    let double = ClusterShape { doubly_guarded: 1, ..ClusterShape::default() };
    for (shape, ns, left) in [(single, "ledger", 1), (double, "treasury", 2)] {
        let sim = rolling(shape).await;
        until(&sim, 180, "the report", |sim| says(&pool(sim, "worker"), "Degraded") == "True").await;
        assert!(condition(&pool(&sim, "worker"), "NodeDegraded").2.contains("failed to drain node: worker-0"));
        assert_eq!(pods(&sim, ns).len(), left);
        assert_eq!(sim.reboot_counts()["worker-0"], 0);
    }
}

#[tokio::test(start_paused = true)]
async fn pods_that_ask_for_too_much_find_no_other_node() {
    let shape = ClusterShape {
        node_size: NodeSize { cpus: 4, ..NodeSize::default() },
        pod_requests: PodRequests { cpu_millis: 370, memory_mib: 256 },
        ..ClusterShape::default()
    };
    let sim = start(shape, vec![]);
    let worker = node(&sim, "worker-0");
    assert_eq!(
        (worker["status"]["capacity"]["cpu"].as_str(), worker["status"]["allocatable"]["cpu"].as_str()),
        (Some("4"), Some("3500m"))
    );
    prepare(&sim).await;
    hop(&sim, "4.17.11").await;
    pause(&sim, "worker", false).await;
    until(&sim, 60, "the drain", |sim| is_cordoned(sim, "worker-0")).await;
    let unplaced = |sim: &Sim| {
        let all = sim.store().list(&PODS);
        let messages = all.iter().filter(|p| p["spec"]["nodeName"].is_null()).map(|p| condition(p, "PodScheduled").2);
        messages.collect::<Vec<_>>()
    };
    until(&sim, 60, "a pod without a place", |sim| !unplaced(sim).is_empty()).await;
    assert!(unplaced(&sim).iter().any(|m| m.contains("Insufficient cpu")), "{:?}", unplaced(&sim));
    until(&sim, 48 * 60, "the workers", |sim| rolled_out(sim, "worker")).await;
    pass(&sim, 10).await;
    assert!(unplaced(&sim).is_empty(), "there is room again");
    assert!(sim.store().list(&NODES).iter().all(|n| n["spec"]["unschedulable"].is_null()));
}
