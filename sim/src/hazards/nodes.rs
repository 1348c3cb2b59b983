//! Hazards of node rollouts: F1 to F18.

use serde_json::json;

use super::{Hazard, as_usual, calm, lay, lay_node, of, on};
use crate::scenario::{Pressure, When, WorldFault};
use crate::world::nodes::mco;
use crate::world::shape::ClusterShape;

pub(super) const ALL: &[Hazard] = &[
    Hazard {
        number: 1,
        title: "a disruption budget holds a drain for hours",
        apply: as_usual,
        scenario: || {
            let blocked = |when, minutes| WorldFault::DrainBlocked { when, node: "worker/0".into(), minutes };
            of(1, vec![blocked(on(2, 30.0), Some(300.0))])
        },
    },
    Hazard { number: 2, title: "two budgets on one pod: its eviction fails for ever", apply: two_budgets, scenario: calm },
    Hazard { number: 3, title: "a node waits for a rendered config that is gone", apply: config_gone, scenario: calm },
    Hazard {
        number: 4,
        title: "a person's cordon uses up what may be unavailable",
        apply: as_usual,
        scenario: || {
            of(4, vec![WorldFault::NodeCordoned { when: When::default(), node: "worker/1".into(), minutes: Some(600.0) }])
        },
    },
    Hazard {
        number: 5,
        title: "a pool stays paused while the kubelets' signer comes to its end",
        apply: |shape| {
            shape.signer_days = 20;
            for pool in shape.pools.iter_mut().filter(|pool| pool.name == "worker") {
                pool.paused = true;
            }
        },
        scenario: calm,
    },
    Hazard {
        number: 6,
        title: "the first master reboots twice",
        apply: as_usual,
        scenario: || of(6, vec![WorldFault::NodeRebootsTwice { when: on(1, 0.0), node: "master/0".into() }]),
    },
    Hazard {
        number: 7,
        title: "a node does not come back from its reboot",
        apply: as_usual,
        scenario: || of(7, vec![WorldFault::NodeStuck { when: on(1, 0.0), node: "worker/0".into(), minutes: Some(120.0) }]),
    },
    Hazard {
        number: 8,
        title: "a node has no room for the new images",
        apply: as_usual,
        scenario: || {
            let when = When::default();
            of(8, vec![WorldFault::NodePressure { when, node: "master/1".into(), of: Pressure::Disk, minutes: None }])
        },
    },
    Hazard {
        number: 9,
        title: "a kubelet's certificate request waits for approval",
        apply: as_usual,
        scenario: || {
            of(9, vec![WorldFault::SigningRequestPending { when: When::default(), node: "worker/1".into(), minutes: None }])
        },
    },
    Hazard { number: 10, title: "a worker runs RHEL, which no pool updates", apply: rhel_worker, scenario: calm },
    Hazard {
        number: 11,
        title: "an interrupted update left several nodes cordoned",
        apply: as_usual,
        scenario: || {
            let left = |node: &str| WorldFault::NodeCordoned { when: When::default(), node: node.into(), minutes: Some(600.0) };
            of(11, vec![left("worker/0"), left("worker/2")])
        },
    },
    Hazard { number: 12, title: "a node is in two custom pools", apply: two_pools, scenario: calm },
    Hazard {
        number: 13,
        title: "a machine config is added in the middle of the update",
        apply: as_usual,
        scenario: || of(13, vec![WorldFault::MachineConfigAdded { when: on(2, 55.0), pool: "master".into() }]),
    },
    Hazard {
        number: 14,
        title: "the machine under a node is deleted during the update",
        apply: as_usual,
        scenario: || {
            let node = || "worker/1".to_owned();
            // A health check that nobody paused does so once the node has been silent for its minutes.
            of(
                14,
                vec![
                    WorldFault::NodeSilent { when: on(2, 15.0), node: node(), minutes: Some(60.0) },
                    WorldFault::MachineDeleted { when: on(2, 20.0), node: node() },
                ],
            )
        },
    },
    Hazard {
        number: 15,
        title: "an evicted pod stays Terminating",
        apply: as_usual,
        scenario: || of(15, vec![WorldFault::PodStuck { when: on(2, 10.0), node: "worker/0".into(), minutes: Some(600.0) }]),
    },
    Hazard {
        number: 18,
        title: "another actor uncordons a node while it is drained",
        apply: as_usual,
        scenario: || {
            let node = || "worker/0".to_owned();
            // The drain must last for the meddling to be seen.
            of(
                18,
                vec![
                    WorldFault::DrainBlocked { when: on(2, 30.0), node: node(), minutes: Some(240.0) },
                    WorldFault::NodeUncordoned { when: on(2, 30.0), node: node() },
                ],
            )
        },
    },
];

fn two_budgets(shape: &mut ClusterShape) {
    lay(
        shape,
        json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": { "name": "image-registry-extra", "namespace": "openshift-image-registry" },
            "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "image-registry" } } },
            "status": { "currentHealthy": 2, "desiredHealthy": 1, "disruptionsAllowed": 1, "expectedPods": 2, "observedGeneration": 1 },
        }),
    );
}

/// The digest of a rendered config that nothing renders.
const GONE: &str = "0badc0ffee0ddba11deadbeef5ca1ab1";

fn config_gone(shape: &mut ClusterShape) {
    let rendered = format!("rendered-worker-{GONE}");
    let reason = format!("machineconfig.machineconfiguration.openshift.io \"{rendered}\" not found");
    lay_node(
        shape,
        "worker/1",
        json!({ "metadata": { "annotations": {
        mco("currentConfig"): rendered, mco("desiredConfig"): rendered, mco("state"): "Degraded", mco("reason"): reason } } }),
    );
}

fn rhel_worker(shape: &mut ClusterShape) {
    let info = json!({ "osImage": "Red Hat Enterprise Linux 8.10 (Ootpa)", "kernelVersion": "4.18.0-553.el8_10.x86_64" });
    lay_node(shape, "worker/1", json!({ "metadata": {}, "status": { "nodeInfo": info } }));
}

fn two_pools(shape: &mut ClusterShape) {
    shape.pools.push(crate::world::shape::PoolShape::new("gpu", 1));
    // One of the new pool's nodes carries the label of another custom pool, too.
    let other = shape.pools.iter().find(|pool| pool.name != "worker" && pool.name != "gpu").map(|pool| pool.name.clone());
    let other = other.unwrap_or_else(|| {
        shape.pools.push(crate::world::shape::PoolShape::new("infra", 0));
        "infra".to_owned()
    });
    lay_node(shape, "gpu/0", json!({ "metadata": { "labels": { format!("node-role.kubernetes.io/{other}"): "" } } }));
}
