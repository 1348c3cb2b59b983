//! Hazards of the network's migrations: F36 to F49.

use serde_json::json;

use super::{Hazard, calm, lay};
use crate::world::shape::{ClusterShape, NetworkPlugin};

pub(super) const ALL: &[Hazard] = &[
    Hazard {
        number: 38,
        title: "a pool is paused, and its nodes would never be prepared",
        apply: |shape| {
            of_sdn(shape);
            for pool in shape.pools.iter_mut().filter(|pool| pool.name == "worker") {
                pool.paused = true;
            }
        },
        scenario: calm,
    },
    Hazard { number: 39, title: "multus is never rolled out", apply: slow_multus, scenario: calm },
    Hazard { number: 42, title: "a policy of the hosts' network holds the default route", apply: host_policy, scenario: calm },
    Hazard { number: 43, title: "the old plugin's namespace stays Terminating", apply: kept_namespace, scenario: calm },
    Hazard {
        number: 45,
        title: "services have the addresses that the new plugin takes for itself",
        apply: overlap,
        scenario: calm,
    },
];

/// A cluster that has OpenShift SDN.
fn of_sdn(shape: &mut ClusterShape) {
    shape.network = NetworkPlugin::Sdn;
}

fn slow_multus(shape: &mut ClusterShape) {
    of_sdn(shape);
    lay(
        shape,
        json!({ "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": { "name": "multus", "namespace": "openshift-multus" },
            "spec": { "updateStrategy": { "type": "OnDelete", "rollingUpdate": null } } }),
    );
}

fn host_policy(shape: &mut ClusterShape) {
    of_sdn(shape);
    lay(
        shape,
        json!({ "apiVersion": "nmstate.io/v1", "kind": "NodeNetworkConfigurationPolicy", "metadata": { "name": "bond0-static" },
            "spec": { "desiredState": { "interfaces": [{ "name": "bond0", "type": "bond", "mtu": 9000 }] } } }),
    );
}

fn kept_namespace(shape: &mut ClusterShape) {
    of_sdn(shape);
    lay(
        shape,
        json!({ "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "kept", "namespace": "openshift-sdn", "finalizers": ["example.com/keep"] } }),
    );
}

fn overlap(shape: &mut ClusterShape) {
    of_sdn(shape);
    let services = json!(["100.64.0.0/17"]);
    lay(
        shape,
        json!({ "apiVersion": "config.openshift.io/v1", "kind": "Network", "metadata": { "name": "cluster" },
            "spec": { "serviceNetwork": services }, "status": { "serviceNetwork": services } }),
    );
}
