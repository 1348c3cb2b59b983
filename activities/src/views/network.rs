use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::view;

/// The cluster's network.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterNetwork {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: ClusterNetworkState,
}
view!(ClusterNetwork, Cluster, "config.openshift.io", "v1", "Network", "networks");

/// The network as it is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterNetworkState {
    /// `OVNKubernetes`, `OpenShiftSDN`, `Kuryr`.
    #[serde(deserialize_with = "super::nullable")]
    pub network_type: String,
}
