//! Custom pools that an administrator makes, fills, empties and deletes.

mod world_support;

use http::Method;
use serde_json::{Value, json};
use windlass_sim::store::Preconditions;
use windlass_sim::store::resources::{EVENTS, MACHINECONFIGPOOLS, MACHINECONFIGS, NODES};
use windlass_sim::{ClusterShape, Sim};
use world_support::{calm, condition, hop, node, pass, patch, pause, pool, prepare, rolled_out, says, send, start, until};

const POOLS: &str = "/apis/machineconfiguration.openshift.io/v1/machineconfigpools";
const CONFIGS: &str = "/apis/machineconfiguration.openshift.io/v1/machineconfigs";

async fn create_pool(sim: &Sim, name: &str) {
    let role = "machineconfiguration.openshift.io/role";
    let spec = json!({
        "machineConfigSelector": { "matchExpressions": [{ "key": role, "operator": "In", "values": ["worker", name] }] },
        "nodeSelector": { "matchLabels": { format!("node-role.kubernetes.io/{name}"): "" } },
    });
    send(sim, Method::POST, POOLS, Some(json!({ "metadata": { "name": name }, "spec": spec }))).await;
}

async fn label(sim: &Sim, node: &str, pool: &str, value: Value) {
    let labels = json!({ format!("node-role.kubernetes.io/{pool}"): value });
    patch(sim, &format!("/api/v1/nodes/{node}"), json!({ "metadata": { "labels": labels } })).await;
}

async fn delete_pool(sim: &Sim, name: &str) {
    send(sim, Method::DELETE, &format!("{POOLS}/{name}"), None).await;
}

fn count(sim: &Sim, name: &str) -> u64 {
    pool(sim, name)["status"]["machineCount"].as_u64().unwrap_or(0)
}

fn of_node(sim: &Sim, name: &str, key: &str) -> String {
    let key = format!("machineconfiguration.openshift.io/{key}");
    node(sim, name)["metadata"]["annotations"][key].as_str().unwrap_or_default().to_owned()
}

fn target(sim: &Sim, name: &str) -> String {
    pool(sim, name)["spec"]["configuration"]["name"].as_str().unwrap_or_default().to_owned()
}

fn suffix(rendered: &str) -> &str {
    rendered.rsplit('-').next().unwrap_or_default()
}

fn settled(sim: &Sim, name: &str) -> bool {
    sim.store().get(&MACHINECONFIGPOOLS, None, name).is_some_and(|p| says(&p, "Updated") == "True") && rolled_out(sim, name)
}

/// A canary pool of the first two workers.
async fn with_canaries(sim: &Sim) {
    create_pool(sim, "canary").await;
    for name in ["worker-0", "worker-1"] {
        label(sim, name, "canary", json!("")).await;
    }
    until(sim, 20, "the canaries", |sim| settled(sim, "canary") && count(sim, "canary") == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_without_nodes_renders_what_the_workers_do_and_is_updated() {
    let sim = calm();
    create_pool(&sim, "canary").await;
    until(&sim, 2, "the render", |sim| settled(sim, "canary")).await;
    let (canary, worker) = (target(&sim, "canary"), target(&sim, "worker"));
    assert!(canary.starts_with("rendered-canary-") && suffix(&canary) == suffix(&worker), "{canary} and {worker}");
    let status = pool(&sim, "canary")["status"].clone();
    for key in ["machineCount", "updatedMachineCount", "readyMachineCount", "unavailableMachineCount", "degradedMachineCount"] {
        assert_eq!(status[key], 0, "{key}");
    }
    assert_eq!(
        (says(&pool(&sim, "canary"), "Degraded"), says(&pool(&sim, "canary"), "Updating")),
        ("False".into(), "False".into())
    );
    assert_eq!(status["observedGeneration"], pool(&sim, "canary")["metadata"]["generation"]);
    assert!(status["certExpirys"].is_array());
}

#[tokio::test(start_paused = true)]
async fn nodes_move_to_a_pool_and_back_without_a_reboot() {
    let sim = calm();
    with_canaries(&sim).await;
    assert_eq!((count(&sim, "canary"), count(&sim, "worker")), (2, 2));
    for key in ["currentConfig", "desiredConfig"] {
        assert_eq!(of_node(&sim, "worker-0", key), target(&sim, "canary"));
    }
    assert_eq!(of_node(&sim, "worker-0", "state"), "Done");
    assert_eq!(of_node(&sim, "worker-0", "lastAppliedDrain"), format!("uncordon-{}", target(&sim, "canary")));
    for name in ["worker-0", "worker-1"] {
        label(&sim, name, "canary", Value::Null).await;
    }
    until(&sim, 20, "the workers", |sim| settled(sim, "worker") && count(sim, "worker") == 4).await;
    pass(&sim, 5).await;
    assert_eq!((count(&sim, "canary"), says(&pool(&sim, "canary"), "Updated")), (0, "True".into()));
    delete_pool(&sim, "canary").await;
    pass(&sim, 5).await;
    assert!(sim.store().list(&MACHINECONFIGS).iter().all(|mc| !mc["metadata"]["name"].to_string().contains("canary")));
    assert_eq!(says(&pool(&sim, "worker"), "Degraded"), "False");
    assert!(sim.reboots().is_empty(), "{:?}", sim.reboots());
    assert!(sim.store().list(&NODES).iter().all(|n| n["spec"]["unschedulable"].is_null()));
}

#[tokio::test(start_paused = true)]
async fn nodes_that_move_to_other_contents_reboot_and_back_again() {
    let sim = calm();
    world_support::pause_health_check(&sim, true).await;
    let file = json!([{ "path": "/etc/canary", "mode": 420, "contents": { "source": "data:," } }]);
    let spec = json!({ "config": { "ignition": { "version": "3.4.0" }, "storage": { "files": file } } });
    let labels = json!({ "machineconfiguration.openshift.io/role": "canary" });
    send(&sim, Method::POST, CONFIGS, Some(json!({ "metadata": { "name": "99-canary", "labels": labels }, "spec": spec }))).await;
    create_pool(&sim, "canary").await;
    label(&sim, "worker-0", "canary", json!("")).await;
    until(&sim, 60, "the canary", |sim| settled(sim, "canary") && count(sim, "canary") == 1).await;
    assert_ne!(suffix(&target(&sim, "canary")), suffix(&target(&sim, "worker")));
    assert_eq!(sim.reboot_counts()["worker-0"], 1);
    label(&sim, "worker-0", "canary", Value::Null).await;
    until(&sim, 60, "the worker", |sim| settled(sim, "worker") && count(sim, "worker") == 4).await;
    let counts = sim.reboot_counts();
    assert_eq!((counts["worker-0"], counts.values().sum::<usize>()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_paused_pool_takes_its_nodes_in_and_leaves_their_config_alone() {
    let sim = calm();
    create_pool(&sim, "canary").await;
    pause(&sim, "canary", true).await;
    pass(&sim, 2).await;
    label(&sim, "worker-0", "canary", json!("")).await;
    pass(&sim, 30).await;
    assert_eq!(count(&sim, "canary"), 1);
    assert_eq!(of_node(&sim, "worker-0", "desiredConfig"), target(&sim, "worker"));
    assert_eq!(says(&pool(&sim, "canary"), "Updated"), "False");
}

#[tokio::test(start_paused = true)]
async fn deleting_a_pool_under_its_nodes_degrades_them_until_it_is_back() {
    let sim = calm();
    with_canaries(&sim).await;
    let rendered = target(&sim, "canary");
    delete_pool(&sim, "canary").await;
    until(&sim, 5, "the damage", |sim| says(&pool(sim, "worker"), "Degraded") == "True").await;
    assert!(sim.store().get(&MACHINECONFIGS, None, &rendered).is_none());
    pass(&sim, 24 * 60).await;
    for name in ["worker-0", "worker-1"] {
        assert_eq!(of_node(&sim, name, "state"), "Degraded");
        let reason = of_node(&sim, name, "reason");
        assert!(reason.contains(&rendered) && reason.ends_with("not found"), "{reason}");
    }
    let worker = pool(&sim, "worker");
    assert_eq!((&worker["status"]["machineCount"], &worker["status"]["degradedMachineCount"]), (&json!(4), &json!(2)));
    assert!(condition(&worker, "NodeDegraded").2.contains("worker-1 is reporting"), "{}", condition(&worker, "NodeDegraded").2);
    create_pool(&sim, "canary").await;
    until(&sim, 20, "the recovery", |sim| settled(sim, "canary") && count(sim, "canary") == 2).await;
    assert_eq!(says(&pool(&sim, "worker"), "Degraded"), "False");
    assert!(sim.reboots().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_in_two_custom_pools_is_in_none() {
    let sim = calm();
    for name in ["canary", "gpu"] {
        create_pool(&sim, name).await;
        label(&sim, "worker-0", name, json!("")).await;
    }
    pass(&sim, 10).await;
    let counts = ["canary", "gpu", "worker"].map(|p| count(&sim, p));
    assert_eq!(counts, [0, 0, 3]);
    let events = sim.store().list(&EVENTS);
    let told = events.iter().any(|e| e["message"] == "node worker-0 belongs to 2 custom roles, cannot proceed with this Node");
    assert!(told, "{events:?}");
    label(&sim, "worker-0", "gpu", Value::Null).await;
    until(&sim, 10, "the canary", |sim| count(sim, "canary") == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_selector_that_selects_no_config_degrades_the_pool() {
    let sim = calm();
    let spec = json!({ "machineConfigSelector": { "matchLabels": { "role": "nobody" } }, "nodeSelector": { "matchLabels": { "a": "b" } } });
    send(&sim, Method::POST, POOLS, Some(json!({ "metadata": { "name": "odd" }, "spec": spec }))).await;
    pass(&sim, 2).await;
    let (status, _, message) = condition(&pool(&sim, "odd"), "RenderDegraded");
    assert_eq!((status.as_str(), says(&pool(&sim, "odd"), "Degraded").as_str()), ("True", "True"));
    assert!(message.contains("no MachineConfigs found"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn canaries_update_on_their_own_and_go_home_without_another_reboot() {
    let sim = start(ClusterShape::default(), vec![]);
    with_canaries(&sim).await;
    pause(&sim, "canary", true).await;
    prepare(&sim).await;
    hop(&sim, "4.17.11").await;
    pause(&sim, "canary", false).await;
    until(&sim, 600, "the canaries", |sim| settled(sim, "canary")).await;
    let reboots = sim.reboot_counts();
    assert_eq!(["worker-0", "worker-1", "worker-2"].map(|n| reboots[n]), [1, 1, 0]);
    pause(&sim, "worker", false).await;
    until(&sim, 600, "the workers", |sim| settled(sim, "worker")).await;
    for name in ["worker-0", "worker-1"] {
        label(&sim, name, "canary", Value::Null).await;
    }
    until(&sim, 20, "the way home", |sim| settled(sim, "worker") && count(sim, "worker") == 4).await;
    sim.store().delete(&MACHINECONFIGPOOLS, None, "canary", &Preconditions::default()).expect("the pool is there");
    pass(&sim, 10).await;
    let reboots = sim.reboot_counts();
    assert!((0..4).all(|i| reboots[&format!("worker-{i}")] == 1), "{reboots:?}");
    assert_eq!(says(&pool(&sim, "worker"), "Degraded"), "False");
}
