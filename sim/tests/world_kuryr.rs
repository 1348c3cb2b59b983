//! A cluster that leaves Kuryr: what Kuryr keeps by its finalizers goes while Kuryr runs, and stays once another plugin does.
//!
//! Seen to fail with: a controller of Kuryr's that goes on after the switch; a network operator that lets Kuryr migrate to OpenShift
//! SDN.

mod openstack_support;
mod world_support;

use http::Method;
use openstack_support::{Cloud, kuryr};
use serde_json::{Value, json};
use windlass_sim::Sim;
use windlass_sim::check::CloudBaseline;
use windlass_sim::kuryr::POD_FINALIZER;
use windlass_sim::store::resources::{
    CLUSTEROPERATORS, DAEMONSETS, KURYRNETWORKS, KURYRPORTS, NAMESPACES, NETWORKS_CONFIG, NODES, PODS, SERVICES,
};
use world_support::{condition, get, pass, patch, rolled_out, says, send, until};

const OPERATOR: &str = "/apis/operator.openshift.io/v1/networks/cluster";
const CONFIG: &str = "/apis/config.openshift.io/v1/networks/cluster";
const OVN: &str = "OVNKubernetes";

fn plugin(sim: &Sim) -> Value {
    get(sim, &NETWORKS_CONFIG, None, "cluster")["status"]["networkType"].clone()
}

/// Prepares all nodes, switches, and reboots every node through the cloud.
async fn migrate(sim: &Sim) {
    patch(sim, OPERATOR, json!({ "spec": { "migration": { "networkType": OVN } } })).await;
    let prepared = |sim: &Sim| sim.reboot_counts().values().all(|times| *times == 1);
    until(sim, 24 * 60, "the nodes are prepared", prepared).await;
    for pool in ["master", "worker", "infra"] {
        until(sim, 60, pool, |sim| rolled_out(sim, pool)).await;
    }
    patch(sim, CONFIG, json!({ "spec": { "networkType": OVN } })).await;
    until(sim, 5, "the switch", |sim| plugin(sim) == OVN).await;
    let cloud = Cloud::of(sim).await;
    for node in sim.store().list(&NODES) {
        let server = node["spec"]["providerID"].as_str().and_then(|id| id.strip_prefix("openstack:///")).expect("a server");
        let told = cloud.post(&format!("/compute/v2.1/servers/{server}/action"), json!({ "reboot": { "type": "SOFT" } })).await;
        assert_eq!(told.code, 202);
    }
    until(sim, 60, "the outage", |sim| !sim.ledger().api_outages.is_empty()).await;
    assert_eq!(cloud.get("/network/v2.0/networks").await.code, 200, "the cloud answers while the cluster does not");
    until(sim, 120, "two reboots each", |sim| sim.reboot_counts().values().all(|times| *times == 2)).await;
    until(sim, 120, "health", |sim| says(&get(sim, &CLUSTEROPERATORS, None, "ingress"), "Available") == "True").await;
}

/// A pod that Kuryr keeps, in a namespace of applications.
fn kept_pod(sim: &Sim) -> (String, String) {
    let pods = sim.store().list(&PODS);
    let is_kept = |pod: &&std::sync::Arc<Value>| {
        pod["metadata"]["finalizers"].as_array().is_some_and(|all| all.iter().any(|f| f == POD_FINALIZER))
            && pod["metadata"]["namespace"].as_str().is_some_and(|ns| ns.starts_with("shop"))
    };
    let pod = pods.iter().find(is_kept).expect("a pod that is kept");
    let field = |key: &str| pod["metadata"][key].as_str().expect("text").to_owned();
    (field("namespace"), field("name"))
}

#[tokio::test(start_paused = true)]
async fn kuryr_lets_pods_go_until_another_plugin_runs_and_nobody_does_after() {
    let sim = kuryr();
    let openstack = sim.openstack().expect("a cloud").clone();
    let before = CloudBaseline::of(&openstack);
    migrate(&sim).await;
    assert!(sim.store().get(&DAEMONSETS, Some("openshift-kuryr"), "kuryr-cni").is_none());
    assert_eq!(before.check_others(&openstack).len(), 0, "only servers say that they were rebooted");
    assert!(CloudBaseline::left_of_kuryr(&openstack).len() > 20, "nothing cleans up by itself");
    let (ns, pod) = kept_pod(&sim);
    send(&sim, Method::DELETE, &format!("/api/v1/namespaces/{ns}/pods/{pod}"), None).await;
    pass(&sim, 60).await;
    let stays = get(&sim, &PODS, Some(&ns), &pod);
    assert!(stays["metadata"]["deletionTimestamp"].is_string());
    assert!(sim.store().get(&KURYRPORTS, Some(&ns), &pod).is_some());
    patch(&sim, &format!("/api/v1/namespaces/{ns}/pods/{pod}"), json!({ "metadata": { "finalizers": null } })).await;
    until(&sim, 5, "the pod's end", |sim| sim.store().get(&PODS, Some(&ns), &pod).is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn the_namespace_of_kuryr_waits_for_what_is_kept_in_it() {
    let sim = kuryr();
    migrate(&sim).await;
    send(&sim, Method::DELETE, "/api/v1/namespaces/openshift-kuryr", None).await;
    assert!(sim.store().get(&NAMESPACES, None, "openshift-kuryr").is_none(), "nothing in it is kept");
    assert!(sim.store().get(&SERVICES, Some("openshift-kuryr"), "service-subnet-gateway-ip").is_none());
    send(&sim, Method::DELETE, "/api/v1/namespaces/shop-0", None).await;
    pass(&sim, 60).await;
    let (_, _, message) = condition(&get(&sim, &NAMESPACES, None, "shop-0"), "NamespaceFinalizersRemaining");
    assert!(message.contains("kuryrnetwork.finalizers.kuryr.openstack.org in 1 resource instances"), "{message}");
    assert!(get(&sim, &KURYRNETWORKS, Some("shop-0"), "shop-0")["metadata"]["deletionTimestamp"].is_string());
}

#[tokio::test(start_paused = true)]
async fn from_kuryr_the_only_way_leads_to_ovn_kubernetes() {
    let sim = kuryr();
    assert_eq!(plugin(&sim), "Kuryr");
    patch(&sim, OPERATOR, json!({ "spec": { "migration": { "networkType": "OpenShiftSDN" } } })).await;
    pass(&sim, 10).await;
    let (status, _, message) = condition(&get(&sim, &CLUSTEROPERATORS, None, "network"), "Degraded");
    assert_eq!(status, "True");
    assert!(message.contains("unsupported migration target network type: OpenShiftSDN"), "{message}");
}
