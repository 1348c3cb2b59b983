use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{LabelSelector, view};

/// A machine as the machine API keeps it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// The object's metadata; a deletion timestamp means that it is being replaced.
    pub metadata: ObjectMeta,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: MachineStatus,
}
view!(Machine, Namespaced, "machine.openshift.io", "v1beta1", "Machine", "machines");

/// A machine as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MachineStatus {
    /// `Running`, `Deleting`, `Failed`.
    pub phase: Option<String>,
    /// The node it became.
    pub node_ref: Option<NodeRef>,
}

/// Names a node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeRef {
    /// The node's name.
    pub name: String,
}

/// Deletes machines whose nodes stay unhealthy: also nodes that only reboot, unless it is paused.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineHealthCheck {
    /// The object's metadata; the annotation `cluster.x-k8s.io/paused` pauses it, whatever its value.
    pub metadata: ObjectMeta,
    /// What it watches.
    pub spec: MachineHealthCheckSpec,
}
view!(MachineHealthCheck, Namespaced, "machine.openshift.io", "v1beta1", "MachineHealthCheck", "machinehealthchecks");

/// What a health check watches.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineHealthCheckSpec {
    /// The machines it watches.
    pub selector: LabelSelector,
}
