//! A Kube-OVN cluster with a modelled raft, and those who look at it.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use serde_json::Value;
use windlass_sim::kube_ovn::{Database, KubeOvn, KubeOvnShape};
use windlass_sim::store::Resource;
use windlass_sim::{ClusterShape, Scenario, Sim, SimClock};

/// The nodes of the control plane, all members.
pub const NODES: [&str; 3] = ["control-plane-0", "control-plane-1", "control-plane-2"];

/// Three members and a worker, and nothing goes wrong.
pub fn plain() -> Sim {
    start("3+1", KubeOvnShape::default())
}

/// A cluster of so many nodes.
pub fn start(nodes: &str, kube_ovn: KubeOvnShape) -> Sim {
    let shape = ClusterShape { kube_ovn: Some(kube_ovn), ..ClusterShape::default() }.with_nodes(nodes).expect("node counts");
    let epoch = DateTime::parse_from_rfc3339("2026-03-02T06:00:00Z").expect("a time").to_utc();
    Sim::start(shape, Scenario::calm(), SimClock::new(epoch, 1.0)).expect("a shape that can be built")
}

/// OVN's databases.
pub fn central(sim: &Sim) -> &KubeOvn {
    sim.kube_ovn().expect("a cluster with Kube-OVN")
}

/// Lets virtual seconds pass.
pub async fn settle(sim: &Sim, seconds: u64) {
    sim.clock().sleep(Duration::from_secs(seconds)).await;
}

/// What a server says.
pub async fn status(sim: &Sim, node: &str, database: Database) -> String {
    central(sim).status(node, database).await.expect("an answer")
}

/// The lines of a status about servers.
pub fn servers(status: &str) -> Vec<&str> {
    status.lines().skip_while(|line| *line != "Servers:").skip(1).collect()
}

/// A server's own full id.
pub async fn id_of(sim: &Sim, node: &str, database: Database) -> String {
    let status = status(sim, node, database).await;
    let line = status.lines().find_map(|line| line.strip_prefix("Server ID: ")).expect("an id");
    line.split(['(', ')']).nth(1).expect("a full id").to_owned()
}

/// Kicks a server; the answer, or the first line of the error.
pub async fn kick(sim: &Sim, node: &str, database: Database, id: &str) -> Result<String, String> {
    let words = ["ovn-appctl", "-t", database.control(), "cluster/kick", database.schema(), id];
    let output = exec(sim, node, &words).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.code == 0 {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr).lines().next().unwrap_or_default().to_owned())
    }
}

/// Runs a command in the pod of ovn-central on a node, as the API server has it run.
pub async fn exec(sim: &Sim, node: &str, words: &[&str]) -> windlass_sim::containers::Output {
    let pod = central(sim).pod(node).expect("a pod");
    exec_in(sim, "kube-system", &pod, words).await
}

/// Runs a command in the first container of a pod.
pub async fn exec_in(sim: &Sim, namespace: &str, pod: &str, words: &[&str]) -> windlass_sim::containers::Output {
    let object = sim.store().get(&windlass_sim::store::resources::PODS, Some(namespace), pod).expect("the pod");
    let container = object["spec"]["containers"][0]["name"].as_str().unwrap_or_default().to_owned();
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    central(sim).run(object, container, words).await.expect("the container runs such commands")
}

/// An object that is there.
pub fn get(sim: &Sim, r: &Resource, ns: Option<&str>, name: &str) -> Value {
    (*sim.store().get(r, ns, name).expect("the object is there")).clone()
}

/// Waits until `done` holds; fails after `seconds` of virtual time.
pub async fn until(sim: &Sim, seconds: i64, what: &str, mut done: impl AsyncFnMut(&Sim) -> bool) {
    let deadline = sim.clock().now() + TimeDelta::seconds(seconds);
    while !done(sim).await {
        assert!(sim.clock().now() < deadline, "{what}: not within {seconds} seconds");
        sim.clock().sleep(Duration::from_millis(500)).await;
    }
}
