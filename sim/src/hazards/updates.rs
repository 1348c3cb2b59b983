//! Hazards of the cluster's version and of its operators: F19 to F35.

use serde_json::json;

use super::{Hazard, as_usual, calm, lay, lay_node, of, on};
use crate::scenario::{Refusal, When, WorldFault};
use crate::world::graph::{Applies, parse};
use crate::world::shape::{ClusterShape, InstalledOperator, RemovedApi};

pub(super) const ALL: &[Hazard] = &[
    Hazard {
        number: 19,
        title: "a removed API is still used, and its removal is not acknowledged",
        apply: api_in_use,
        scenario: calm,
    },
    Hazard { number: 20, title: "an installed operator does not support the release", apply: operator_too_old, scenario: calm },
    Hazard { number: 21, title: "the channel offers no way", apply: no_way, scenario: calm },
    Hazard { number: 22, title: "the newest release in between has no way on", apply: as_usual, scenario: calm },
    Hazard {
        number: 23,
        title: "the release is not accepted: it cannot be fetched",
        apply: as_usual,
        scenario: || {
            let (when, reason, version) = (When::default(), Refusal::RetrievePayload, None);
            of(23, vec![WorldFault::UpdateRefused { when, reason, version, minutes: Some(45.0) }])
        },
    },
    Hazard {
        number: 25,
        title: "an operator does not get on for longer than the version operator bears",
        apply: as_usual,
        scenario: || {
            of(25, vec![WorldFault::OperatorSlow { when: on(1, 0.0), operator: "kube-apiserver".into(), minutes: 90.0 }])
        },
    },
    Hazard {
        number: 26,
        title: "an operator is degraded for a while",
        apply: as_usual,
        scenario: || {
            of(
                26,
                vec![WorldFault::OperatorDegraded {
                    when: on(1, 10.0),
                    operator: "image-registry".into(),
                    reason: "StorageNotConfigured".into(),
                    message: "Degraded: The registry has no storage configured".into(),
                    minutes: Some(50.0),
                }],
            )
        },
    },
    Hazard { number: 27, title: "kubelets are too far behind the control plane", apply: old_kubelets, scenario: calm },
    Hazard {
        number: 28,
        title: "a pool is still being updated when the update is to begin",
        apply: as_usual,
        scenario: || of(28, vec![WorldFault::MachineConfigAdded { when: When::default(), pool: "worker".into() }]),
    },
    Hazard {
        number: 29,
        title: "credentials are managed by hand, and nobody vouched for the next release",
        apply: by_hand,
        scenario: calm,
    },
    Hazard {
        number: 30,
        title: "an override keeps an object from the version operator",
        apply: |shape| shape.overrides = true,
        scenario: calm,
    },
    Hazard { number: 31, title: "whether a risk applies cannot be told", apply: risk_unknown, scenario: calm },
    Hazard { number: 32, title: "etcd has lost a member", apply: etcd_member_lost, scenario: calm },
    Hazard { number: 33, title: "nobody knows of a backup of etcd", apply: as_usual, scenario: calm },
    Hazard { number: 35, title: "a virtual machine cannot be moved", apply: pinned_machine, scenario: calm },
];

fn api_in_use(shape: &mut ClusterShape) {
    let minor = parse(&shape.version).minor;
    shape.admin_gates.push(crate::world::shape::AdminGate::api_removals(minor));
    shape.removed_apis.push(RemovedApi {
        name: "cronjobs.v1beta1.batch".into(),
        removed_in: format!("1.{}", minor + 14),
        requests: 480,
        user: "system:serviceaccount:shop-0:nightly".into(),
    });
}

fn operator_too_old(shape: &mut ClusterShape) {
    let minor = parse(&shape.version).minor;
    shape.installed_operators.push(InstalledOperator {
        name: "mesh-operator.v2.4.1".into(),
        namespace: "openshift-operators".into(),
        max_openshift: Some(format!("4.{minor}")),
    });
}

fn no_way(shape: &mut ClusterShape) {
    let mut graph = shape.update_graph();
    let minor = parse(&shape.version).minor;
    graph.edges.retain(|edge| parse(&edge.from).minor == parse(&edge.to).minor || parse(&edge.from).minor != minor);
    shape.graph = Some(graph);
}

fn old_kubelets(shape: &mut ClusterShape) {
    let kubelet = format!("v1.{}.9+1e2a8b7", parse(&shape.version).minor + 11);
    lay_node(shape, "worker/0", json!({ "metadata": {}, "status": { "nodeInfo": { "kubeletVersion": kubelet } } }));
}

fn by_hand(shape: &mut ClusterShape) {
    lay(
        shape,
        json!({
            "apiVersion": "operator.openshift.io/v1", "kind": "CloudCredential", "metadata": { "name": "cluster" },
            "spec": { "credentialsMode": "Manual" },
        }),
    );
}

fn risk_unknown(shape: &mut ClusterShape) {
    let mut graph = shape.update_graph();
    let minor = parse(&shape.version).minor;
    graph.judge_risk(&format!("4.{minor}"), &format!("4.{}", minor + 1), "PrometheusCannotTell", Applies::Unknown);
    shape.graph = Some(graph);
}

fn etcd_member_lost(shape: &mut ClusterShape) {
    let conditions = |available: &str, message: &str| {
        json!([
            { "type": "EtcdMembersAvailable", "status": available, "reason": "EtcdQuorate", "message": message,
                "lastTransitionTime": "2025-10-30T06:00:00Z" },
            { "type": "EtcdMembersDegraded", "status": "True", "reason": "UnhealthyMembers",
                "message": "2 of 3 members are available, master-1 is unhealthy", "lastTransitionTime": "2025-10-30T06:00:00Z" },
        ])
    };
    lay(
        shape,
        json!({
            "apiVersion": "operator.openshift.io/v1", "kind": "Etcd", "metadata": { "name": "cluster" },
            "spec": { "managementState": "Managed" },
            "status": { "conditions": conditions("True", "2 of 3 members are available, master-1 is unhealthy") },
        }),
    );
}

fn pinned_machine(shape: &mut ClusterShape) {
    let Some(node) = shape.node_named("worker/0") else { return };
    let owner = json!({ "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "name": "till-database", "uid": "1b6c2d1e",
        "controller": true });
    lay(
        shape,
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "virt-launcher-till-database-x2k9p", "namespace": "legacy", "ownerReferences": [owner],
                "labels": { "kubevirt.io": "virt-launcher" } },
            "spec": { "nodeName": node, "containers": [{ "name": "compute" }], "terminationGracePeriodSeconds": 30 },
            "status": { "phase": "Running", "conditions": [
                { "type": "Ready", "status": "True", "lastTransitionTime": "2025-10-30T06:00:00Z" }] },
        }),
    );
    lay(
        shape,
        json!({
            "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance",
            "metadata": { "name": "till-database", "namespace": "legacy", "labels": { "kubevirt.io/nodeName": node } },
            "spec": { "evictionStrategy": "LiveMigrate" },
            "status": { "phase": "Running", "nodeName": node, "conditions": [
                { "type": "Ready", "status": "True", "lastTransitionTime": "2025-10-30T06:00:00Z" },
                { "type": "LiveMigratable", "status": "False", "reason": "DisksNotLiveMigratable",
                    "message": "cannot migrate VMI: PVC till-database is not shared, live migration requires that all PVCs must be shared",
                    "lastTransitionTime": "2025-10-30T06:00:00Z" },
            ] },
        }),
    );
}
