//! Migrations from one network plugin to another, as all their tests have them.

use futures::FutureExt as _;
use serde_json::json;
use windlass_sim::shape::NetworkPlugin;
use windlass_sim::store::resources::{DAEMONSETS, MACHINEHEALTHCHECKS, NAMESPACES, NETWORKS_CONFIG, NETWORKS_OPERATOR};
use windlass_sim::{ClusterShape, Sim};

use crate::proof::{Around, Proof};
use crate::stage::{Ending, Stage};

/// Five nodes on OpenShift SDN, to be migrated to OVN-Kubernetes.
///
/// # Panics
/// Never: the shape is a good one.
pub fn to_ovn() -> Proof {
    let shape = ClusterShape { network: NetworkPlugin::Sdn, ..ClusterShape::default() };
    Proof {
        workflow: "sdn-to-ovn",
        input: json!({"settings": {"mtu": 8800}, "features": {"multicast": false}}),
        approvals: ["prepare-nodes", "switch-network"].map(str::to_owned).to_vec(),
        shape: shape.with_nodes("3+2").expect("a shape"),
        around: Around { after: |stage| async { migrated(stage) }.boxed_local(), effect: lasting, ..Around::default() },
    }
}

/// Five nodes on OVN-Kubernetes, to be migrated back to OpenShift SDN.
///
/// # Panics
/// Never: the shape is a good one.
pub fn to_sdn() -> Proof {
    let around =
        Around { after: |stage| async { migrated_to_sdn(&stage.sim) }.boxed_local(), effect: lasting, ..Around::default() };
    let shape = ClusterShape::default().with_nodes("3+2").expect("a shape");
    Proof { workflow: "ovn-to-sdn", input: json!({}), shape, around, ..to_ovn() }
}

/// The same with hosts that are told over ssh.
#[must_use]
pub fn by_ssh(mut proof: Proof) -> Proof {
    proof.input["reboot_by"] = json!({"ssh": {"user": "core"}});
    proof
}

/// A host may be told to reboot more than once; what counts is how often it does.
fn lasting(effect: &str) -> Option<String> {
    (!effect.contains("/exec?") && !effect.contains("/sim/hosts/")).then(|| effect.to_owned())
}

/// Each node rebooted so often.
///
/// # Panics
/// If one did otherwise.
pub fn each_rebooted(sim: &Sim, times: usize, what: &str) {
    for (node, found) in sim.reboot_counts() {
        assert_eq!(found, times, "{what}: {node} rebooted {found} times");
    }
}

/// The cluster of [`to_ovn`] is as it must be at the end.
///
/// # Panics
/// If it is not.
pub fn migrated(stage: &Stage) {
    migrated_to_ovn(&stage.sim);
}

/// As [`migrated`].
///
/// # Panics
/// If it is not.
pub fn migrated_to_ovn(sim: &Sim) {
    let store = sim.store();
    each_rebooted(sim, 2, "prepared, switched");
    let config = store.get(&NETWORKS_CONFIG, None, "cluster").expect("it is there");
    assert_eq!(config["status"]["networkType"], "OVNKubernetes");
    assert!(config["status"]["migration"].is_null(), "{config}");
    let operator = store.get(&NETWORKS_OPERATOR, None, "cluster").expect("it is there");
    assert!(operator["spec"]["migration"].is_null() && operator["spec"]["defaultNetwork"]["openshiftSDNConfig"].is_null());
    assert_eq!(operator["spec"]["defaultNetwork"]["ovnKubernetesConfig"]["mtu"], 8800);
    assert!(store.get(&NAMESPACES, None, "openshift-sdn").is_none());
    assert!(store.get(&DAEMONSETS, Some("openshift-ovn-kubernetes"), "ovnkube-node").is_some());
    assert!(sim.ledger().machine_deletions.is_empty());
}

/// The cluster of [`to_sdn`] is as it must be at the end.
///
/// # Panics
/// If it is not.
pub fn migrated_to_sdn(sim: &Sim) {
    let store = sim.store();
    each_rebooted(sim, 2, "prepared, switched");
    let config = store.get(&NETWORKS_CONFIG, None, "cluster").expect("it is there");
    assert_eq!(config["status"]["networkType"], "OpenShiftSDN");
    assert!(config["status"]["migration"].is_null(), "{config}");
    let operator = store.get(&NETWORKS_OPERATOR, None, "cluster").expect("it is there");
    assert!(operator["spec"]["migration"].is_null() && operator["spec"]["defaultNetwork"]["ovnKubernetesConfig"].is_null());
    assert!(store.get(&NAMESPACES, None, "openshift-ovn-kubernetes").is_none());
    assert!(store.get(&DAEMONSETS, Some("openshift-sdn"), "sdn").is_some());
    assert!(sim.ledger().machine_deletions.is_empty());
}

/// A migration that is asked for and not done is on record as owed, and health checks are given back.
///
/// # Panics
/// If it is not.
pub fn owed_if_begun(stage: &Stage, what: &str) {
    let held: Vec<String> = stage.state().map(|state| state.held.into_keys().collect()).unwrap_or_default();
    let operator = stage.sim.store().get(&NETWORKS_OPERATOR, None, "cluster").expect("it is there");
    let asked = !operator["spec"]["migration"].is_null();
    if stage.ending() == Ending::Completed {
        assert_eq!(held, Vec::<String>::new(), "{what}: done, and still owed");
    } else if asked {
        assert!(held.iter().any(|key| key == "network-migration"), "{what}: asked for, not done, and not owed: {held:?}");
    }
    let paused = stage.sim.store().list(&MACHINEHEALTHCHECKS).into_iter();
    let paused = paused.filter(|check| check["metadata"]["annotations"].get("cluster.x-k8s.io/paused").is_some()).count();
    let on_record = held.iter().filter(|key| key.starts_with("machine-health-check/")).count();
    assert_eq!(paused, on_record, "{what}: health checks paused, and on record: {held:?}");
}
