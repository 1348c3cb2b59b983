//! An administrator of a simulated cluster, at the API server like everybody else.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use windlass_sim::scenario::{Scenario, WorldFault};
use windlass_sim::store::Resource;
use windlass_sim::store::resources::{CLUSTERVERSIONS, MACHINECONFIGPOOLS, NODES};
use windlass_sim::{ClusterShape, Sim, SimClock};

/// The version path of the ClusterVersion.
pub const VERSION: &str = "/apis/config.openshift.io/v1/clusterversions/version";

/// A cluster of the default shape on which nothing goes wrong.
pub fn calm() -> Sim {
    start(ClusterShape::default(), vec![])
}

/// A cluster of this shape with these faults.
pub fn start(shape: ClusterShape, world: Vec<WorldFault>) -> Sim {
    let epoch = DateTime::parse_from_rfc3339("2026-03-02T06:00:00Z").expect("a time").to_utc();
    let scenario = Scenario { world, ..Scenario::calm() };
    Sim::start(shape, scenario, SimClock::new(epoch, 1.0)).expect("a shape that can be built")
}

/// Sends a merge patch and returns the object.
pub async fn patch(sim: &Sim, path: &str, body: Value) -> Value {
    send(sim, Method::PATCH, path, Some(body)).await
}

/// Sends a request that must succeed, and returns what comes back.
pub async fn send(sim: &Sim, method: Method, path: &str, body: Option<Value>) -> Value {
    let media = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", media)
        .header("user-agent", "test")
        .body(Full::from(body.map_or_else(String::new, |b| b.to_string())))
        .expect("a request");
    let reply = sim.service().handle(request).await.expect("a reply");
    let status = reply.status();
    let bytes = reply.into_body().collect().await.expect("a body").to_bytes();
    assert!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&bytes));
    serde_json::from_slice(&bytes).expect("JSON")
}

/// Asks for an update by version and digest.
pub async fn request_update(sim: &Sim, version: &str) {
    let graph = ClusterShape::default().update_graph();
    let image = graph.release(version).expect("a release of the graph").image();
    patch(sim, VERSION, json!({ "spec": { "desiredUpdate": { "version": version, "image": image } } })).await;
}

/// Sets the channel.
pub async fn set_channel(sim: &Sim, channel: &str) {
    patch(sim, VERSION, json!({ "spec": { "channel": channel } })).await;
}

/// Pauses or unpauses a pool.
pub async fn pause(sim: &Sim, pool: &str, paused: bool) {
    let path = format!("/apis/machineconfiguration.openshift.io/v1/machineconfigpools/{pool}");
    patch(sim, &path, json!({ "spec": { "paused": paused } })).await;
}

/// Pauses the workers' health check, or takes the pause back.
pub async fn pause_health_check(sim: &Sim, paused: bool) {
    let path = "/apis/machine.openshift.io/v1beta1/namespaces/openshift-machine-api/machinehealthchecks/worker-health";
    let value = if paused { json!("") } else { Value::Null };
    patch(sim, path, json!({ "metadata": { "annotations": { "cluster.x-k8s.io/paused": value } } })).await;
}

/// Acknowledges the gate of 4.17.
pub async fn acknowledge(sim: &Sim) {
    let path = "/api/v1/namespaces/openshift-config/configmaps/admin-acks";
    patch(sim, path, json!({ "data": { "ack-4.17-kube-1.31-api-removals-in-4.18": "true" } })).await;
}

/// The ClusterVersion.
pub fn version(sim: &Sim) -> Value {
    (*sim.store().get(&CLUSTERVERSIONS, None, "version").expect("there is one")).clone()
}

/// A pool.
pub fn pool(sim: &Sim, name: &str) -> Value {
    get(sim, &MACHINECONFIGPOOLS, None, name)
}

/// A node.
pub fn node(sim: &Sim, name: &str) -> Value {
    get(sim, &NODES, None, name)
}

/// An object that is there.
pub fn get(sim: &Sim, r: &Resource, ns: Option<&str>, name: &str) -> Value {
    (*sim.store().get(r, ns, name).expect("the object is there")).clone()
}

/// Everything that an EUS-to-EUS update does before its first hop.
pub async fn prepare(sim: &Sim) {
    pause_health_check(sim, true).await;
    set_channel(sim, "eus-4.18").await;
    for name in ["infra", "worker"] {
        pause(sim, name, true).await;
    }
    pass(sim, 1).await;
}

/// Asks for an update and waits until the control plane has it.
pub async fn hop(sim: &Sim, to: &str) {
    request_update(sim, to).await;
    until(sim, 48 * 60, to, |sim| completed(sim, to)).await;
}

/// Unpauses one pool after the other, waits for each, and takes the health check's pause back.
pub async fn release(sim: &Sim) {
    for name in ["infra", "worker"] {
        pause(sim, name, false).await;
        until(sim, 48 * 60, name, |sim| rolled_out(sim, name)).await;
    }
    pause_health_check(sim, false).await;
}

/// A whole EUS-to-EUS update as an administrator does it by hand.
pub async fn eus_update(sim: &Sim) {
    prepare(sim).await;
    hop(sim, "4.17.11").await;
    acknowledge(sim).await;
    hop(sim, "4.18.5").await;
    release(sim).await;
}

/// A condition's status, reason and message.
pub fn condition(object: &Value, kind: &str) -> (String, String, String) {
    let found = object["status"]["conditions"].as_array().and_then(|all| all.iter().find(|c| c["type"] == kind));
    let field = |key: &str| found.and_then(|c| c[key].as_str()).unwrap_or_default().to_owned();
    (field("status"), field("reason"), field("message"))
}

/// The status of a condition.
pub fn says(object: &Value, kind: &str) -> String {
    condition(object, kind).0
}

/// Waits until `done` holds; fails after `limit_minutes` of virtual time.
pub async fn until(sim: &Sim, limit_minutes: i64, what: &str, done: impl Fn(&Sim) -> bool) -> DateTime<Utc> {
    let deadline = sim.clock().now() + TimeDelta::minutes(limit_minutes);
    let mut changes = sim.store().changes();
    loop {
        changes.borrow_and_update();
        if done(sim) {
            return sim.clock().now();
        }
        assert!(
            sim.clock().now() < deadline,
            "{what}: not after {limit_minutes} minutes: {}",
            version(sim)["status"]["conditions"]
        );
        tokio::select! {
            alive = changes.changed() => alive.expect("the store is there"),
            () = sim.clock().sleep_until(deadline) => {}
        }
    }
}

/// Lets virtual minutes pass.
pub async fn pass(sim: &Sim, minutes: u64) {
    sim.clock().sleep(Duration::from_secs(minutes * 60)).await;
}

/// Whether the newest update is this one, completed.
pub fn completed(sim: &Sim, version_text: &str) -> bool {
    let newest = &version(sim)["status"]["history"][0];
    newest["version"] == version_text && newest["state"] == "Completed"
}

/// Whether a pool has rolled out what it rendered.
pub fn rolled_out(sim: &Sim, name: &str) -> bool {
    let pool = pool(sim, name);
    pool["spec"]["configuration"]["name"] == pool["status"]["configuration"]["name"] && says(&pool, "Updated") == "True"
}
