use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use windlass_engine::Timestamp;

use super::{Condition, Quantity, View as _, view};

/// A machine of the cluster, as its kubelet and the machine-config daemon report it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: NodeSpec,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: NodeStatus,
}
view!(Node, Cluster, "", "v1", "Node", "nodes");

/// What is wished of a node.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    /// Cordoned.
    #[serde(deserialize_with = "super::nullable")]
    pub unschedulable: bool,
    /// What keeps pods away.
    #[serde(deserialize_with = "super::nullable")]
    pub taints: Vec<Taint>,
}

/// Something that keeps pods away from a node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// `NoSchedule`, `NoExecute`.
    pub effect: String,
    /// When it was set; the scheduler's own taints carry it.
    pub time_added: Option<DateTime<Utc>>,
}

/// A node as it is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    /// Ready, MemoryPressure, DiskPressure, PIDPressure.
    #[serde(deserialize_with = "super::nullable")]
    pub conditions: Vec<Condition>,
    /// Its addresses.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<NodeAddress>,
    /// What runs on it.
    pub node_info: NodeInfo,
    /// What pods may ask for in all, by resource: `cpu`, `memory`, `pods`, `ephemeral-storage`.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub allocatable: BTreeMap<String, Quantity>,
}

/// An address of a node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeAddress {
    /// `InternalIP`, `ExternalIP`, `Hostname`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The address.
    pub address: String,
}

/// What runs on a node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    /// Changes on every boot.
    #[serde(rename = "bootID")]
    pub boot_id: String,
    /// `v1.29.6+…`.
    pub kubelet_version: String,
    /// Its processor architecture, as Go names it: `amd64`.
    pub architecture: String,
    /// The operating system's own name.
    pub os_image: String,
}

const MCO: &str = "machineconfiguration.openshift.io/";

impl Node {
    /// The rendered configuration that the node has.
    pub fn current_config(&self) -> &str {
        self.mco("currentConfig")
    }

    /// The rendered configuration that the node is told to take.
    pub fn desired_config(&self) -> &str {
        self.mco("desiredConfig")
    }

    /// `Done`, `Working`, `Rebooting`, `Degraded`, `Unreconcilable`.
    pub fn config_state(&self) -> &str {
        self.mco("state")
    }

    /// Why the node is degraded, in the daemon's words.
    pub fn config_reason(&self) -> &str {
        self.mco("reason")
    }

    /// Whether a drain was asked for and has not ended.
    pub fn is_draining(&self) -> bool {
        let wished = self.mco("desiredDrain");
        wished.starts_with("drain-") && wished != self.mco("lastAppliedDrain")
    }

    /// Whether the machine-config operator itself asked for the node to be drained.
    pub fn is_drained_by_operator(&self) -> bool {
        self.mco("desiredDrain").starts_with("drain-")
    }

    /// Whether the operator still has to drain the node or to let it go.
    pub fn has_open_drain_wish(&self) -> bool {
        self.mco("desiredDrain") != self.mco("lastAppliedDrain")
    }

    /// When the node was cordoned, if the taint tells.
    pub fn cordoned_at(&self) -> Option<Timestamp> {
        let taint = self.spec.taints.iter().find(|taint| taint.key == "node.kubernetes.io/unschedulable")?;
        taint.time_added.map(Timestamp::from)
    }

    /// Whether the node is part of the control plane.
    pub fn is_control_plane(&self) -> bool {
        self.has_label("node-role.kubernetes.io/master") || self.has_label("node-role.kubernetes.io/control-plane")
    }

    /// The addresses by which the cluster's nodes reach it, in the order of its kubelet; what is no address is left out.
    pub fn internal_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let internal = self.status.addresses.iter().filter(|address| address.kind == "InternalIP");
        internal.filter_map(|address| address.address.parse().ok())
    }

    /// The kubelet's minor version: 29 of `v1.29.6+aba1e8d`.
    pub fn kubelet_minor(&self) -> Option<u64> {
        self.status.node_info.kubelet_version.split('.').nth(1)?.parse().ok()
    }

    fn mco(&self, key: &str) -> &str {
        self.annotation(&format!("{MCO}{key}")).unwrap_or_default()
    }
}
