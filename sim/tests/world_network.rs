//! The network operator, and nodes that are prepared for another plugin, told to reboot, and reboot all at once.
//!
//! Seen to fail with: a unit that reboots whatever boot it finds; a config rendered for the running plugin alone; an API that answers
//! without most of etcd.

mod world_support;

use bytes::Bytes;
use chrono::TimeDelta;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use windlass_sim::shape::NetworkPlugin;
use windlass_sim::store::resources::{CLUSTEROPERATORS, DAEMONSETS, MACHINECONFIGS, NAMESPACES, NETWORKS_CONFIG, PODS};
use windlass_sim::{ClusterShape, Sim};
use world_support::{condition, get, node, pass, patch, pool, rolled_out, says, start, until};

const OPERATOR: &str = "/apis/operator.openshift.io/v1/networks/cluster";
const CONFIG: &str = "/apis/config.openshift.io/v1/networks/cluster";
const OVN: &str = "OVNKubernetes";

fn sdn() -> Sim {
    // A health check would replace nodes that take long to boot.
    start(ClusterShape { network: NetworkPlugin::Sdn, health_check_minutes: None, ..ClusterShape::default() }, vec![])
}

fn network(sim: &Sim) -> Value {
    get(sim, &NETWORKS_CONFIG, None, "cluster")
}

async fn answers(sim: &Sim) -> bool {
    let request = Request::get("/readyz").body(Full::<Bytes>::default()).expect("a request");
    sim.service().handle(request).await.is_ok()
}

fn unit_of(sim: &Sim, pool_name: &str) -> String {
    let config = pool(sim, pool_name)["spec"]["configuration"]["name"].as_str().expect("a config").to_owned();
    let rendered = get(sim, &MACHINECONFIGS, None, &config);
    rendered["spec"]["config"]["systemd"]["units"][0]["contents"].as_str().expect("a unit").to_owned()
}

/// Has all nodes prepared for OVN-Kubernetes.
async fn prepare(sim: &Sim) {
    patch(sim, OPERATOR, json!({ "spec": { "migration": { "networkType": OVN } } })).await;
    until(sim, 5, "the migration", |sim| network(sim)["status"]["migration"]["networkType"] == OVN).await;
    for name in ["master", "worker", "infra"] {
        until(sim, 5, name, |sim| unit_of(sim, name).contains("configure-ovs.sh OVNKubernetes")).await;
        until(sim, 24 * 60, name, |sim| rolled_out(sim, name)).await;
    }
}

async fn switch(sim: &Sim) {
    patch(sim, CONFIG, json!({ "spec": { "networkType": OVN } })).await;
    until(sim, 5, "the switch", |sim| network(sim)["status"]["networkType"] == OVN).await;
}

/// Runs a command in the machine-config daemon's pod of a node.
async fn on_host(sim: &Sim, node: &str, words: &[&str]) -> windlass_sim::containers::Output {
    let pods = sim.store().list(&PODS);
    let is_daemon = |pod: &&std::sync::Arc<Value>| {
        pod["metadata"]["labels"]["app"] == "machine-config-daemon" && pod["spec"]["nodeName"] == *node
    };
    let pod = pods.iter().find(is_daemon).expect("a daemon's pod").clone();
    let words = ["chroot", "/rootfs"].iter().chain(words).map(|word| (*word).to_owned()).collect();
    let containers = sim.service().containers().expect("containers run");
    containers.exec(pod, "machine-config-daemon".to_owned(), words).await.expect("it runs")
}

async fn arm(sim: &Sim, node_name: &str, seconds: u32) -> windlass_sim::containers::Output {
    let boot_id = node(sim, node_name)["status"]["nodeInfo"]["bootID"].as_str().expect("a boot id").to_owned();
    arm_boot(sim, node_name, seconds, &boot_id).await
}

/// Tells a host to reboot if it is in this boot.
async fn arm_boot(sim: &Sim, node_name: &str, seconds: u32, boot_id: &str) -> windlass_sim::containers::Output {
    let script = format!("[ \"$(cat /proc/sys/kernel/random/boot_id)\" = \"{boot_id}\" ] && systemctl reboot");
    let words = ["systemd-run", "--unit=test-reboot", &format!("--on-active={seconds}"), "/bin/sh", "-c", &script];
    on_host(sim, node_name, &words).await
}

#[tokio::test(start_paused = true)]
async fn all_nodes_take_the_new_plugin_with_one_reboot_each() {
    let sim = sdn();
    assert_eq!(says(&get(&sim, &CLUSTEROPERATORS, None, "network"), "Degraded"), "False");
    prepare(&sim).await;
    let nodes: Vec<String> = sim.reboot_counts().into_keys().collect();
    assert!(sim.reboot_counts().values().all(|times| *times == 1), "each node reboots once to be prepared");
    switch(&sim).await;
    pass(&sim, 5).await;
    let ingress = get(&sim, &CLUSTEROPERATORS, None, "ingress");
    assert_eq!(condition(&ingress, "Available").1, "Unreachable", "nodes still run the old plugin");
    for node in &nodes {
        let told = arm(&sim, node, if node.starts_with("master") { 240 } else { 60 }).await;
        assert_eq!(told.code, 0, "{}", String::from_utf8_lossy(&told.stderr));
        assert_ne!(arm(&sim, node, 60).await.code, 0, "a unit of this name is there");
    }
    until(&sim, 30, "the outage", |sim| !sim.ledger().api_outages.is_empty()).await;
    assert!(!answers(&sim).await);
    until(&sim, 60, "two reboots each", |sim| sim.reboot_counts().values().all(|times| *times == 2)).await;
    until(&sim, 60, "health", |sim| says(&get(sim, &CLUSTEROPERATORS, None, "ingress"), "Available") == "True").await;
    assert!(answers(&sim).await && nodes.iter().all(|name| says(&node(&sim, name), "Ready") == "True"));
    assert!(sim.store().get(&DAEMONSETS, Some("openshift-sdn"), "sdn").is_none());
    assert!(sim.store().get(&NAMESPACES, None, "openshift-sdn").is_some(), "the namespace is left to the administrator");
    let ovn = get(&sim, &DAEMONSETS, Some("openshift-ovn-kubernetes"), "ovnkube-node");
    assert_eq!(ovn["status"]["numberReady"], nodes.len());
    pass(&sim, 24 * 60).await;
    assert!(sim.reboot_counts().values().all(|times| *times == 2), "nothing reboots once more");
}

#[tokio::test(start_paused = true)]
async fn a_unit_ends_no_boot_but_the_one_it_names() {
    let sim = sdn();
    assert_eq!(arm_boot(&sim, "worker-1", 60, "01234567-89ab-cdef-0123-456789abcdef").await.code, 0);
    assert_eq!(arm(&sim, "worker-0", 600).await.code, 0);
    assert_eq!(on_host(&sim, "worker-0", &["shutdown", "-r", "+1"]).await.code, 0);
    until(&sim, 30, "the first reboot", |sim| sim.reboot_counts()["worker-0"] == 1).await;
    let active =
        on_host(&sim, "worker-0", &["systemctl", "show", "--property=ActiveState", "--value", "test-reboot.timer"]).await;
    assert_eq!(active.stdout, b"inactive\n", "transient units do not outlive a boot");
    pass(&sim, 60).await;
    assert_eq!((sim.reboot_counts()["worker-0"], sim.reboot_counts()["worker-1"]), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_migration_that_is_cleared_too_early_takes_all_nodes_back() {
    let sim = sdn();
    prepare(&sim).await;
    patch(&sim, OPERATOR, json!({ "spec": { "migration": null } })).await;
    until(&sim, 24 * 60, "the way back", |sim| sim.reboot_counts().values().all(|times| *times == 2)).await;
    assert!(unit_of(&sim, "worker").contains("configure-ovs.sh OpenShiftSDN"));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_not_prepared_comes_back_without_a_network() {
    let sim = sdn();
    patch(&sim, "/apis/machineconfiguration.openshift.io/v1/machineconfigpools/infra", json!({ "spec": { "paused": true } }))
        .await;
    patch(&sim, OPERATOR, json!({ "spec": { "migration": { "networkType": OVN } } })).await;
    for name in ["master", "worker"] {
        until(&sim, 5, name, |sim| unit_of(sim, name).contains("configure-ovs.sh OVNKubernetes")).await;
        until(&sim, 24 * 60, name, |sim| rolled_out(sim, name)).await;
    }
    switch(&sim).await;
    arm(&sim, "infra-0", 60).await;
    until(&sim, 60, "the reboot", |sim| sim.reboot_counts()["infra-0"] == 1).await;
    pass(&sim, 60).await;
    let (status, _, message) = condition(&node(&sim, "infra-0"), "Ready");
    assert_eq!(status, "False");
    assert!(message.contains("NetworkPluginNotReady"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn unsafe_wishes_degrade_the_operator_and_change_nothing() {
    let sim = sdn();
    patch(&sim, CONFIG, json!({ "spec": { "networkType": OVN } })).await;
    pass(&sim, 30).await;
    let (status, reason, message) = condition(&get(&sim, &CLUSTEROPERATORS, None, "network"), "Degraded");
    assert_eq!((status.as_str(), reason.as_str()), ("True", "InvalidOperatorConfig"));
    assert!(message.contains("cannot change default network type when not doing migration"), "{message}");
    assert_eq!(network(&sim)["status"]["networkType"], "OpenShiftSDN");
    patch(&sim, CONFIG, json!({ "spec": { "networkType": "OpenShiftSDN" } })).await;
    until(&sim, 5, "the operator", |sim| says(&get(sim, &CLUSTEROPERATORS, None, "network"), "Degraded") == "False").await;
    assert!(sim.ledger().api_outages.is_empty() && sim.clock().now() - sim.clock().epoch() < TimeDelta::hours(2));
}
