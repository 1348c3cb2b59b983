use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{Condition, view};

/// A named set of texts.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigMap {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// The texts by key.
    #[serde(deserialize_with = "super::nullable")]
    pub data: BTreeMap<String, String>,
}
view!(ConfigMap, Namespaced, "", "v1", "ConfigMap", "configmaps");

/// A namespace; its uid identifies a cluster that has no ClusterVersion id.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// How its deletion goes.
    #[serde(deserialize_with = "super::nullable")]
    pub status: NamespaceStatus,
}
view!(Namespace, Cluster, "", "v1", "Namespace", "namespaces");

/// How a namespace is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespaceStatus {
    /// NamespaceContentRemaining, NamespaceFinalizersRemaining, and what failed.
    #[serde(deserialize_with = "super::nullable")]
    pub conditions: Vec<Condition>,
}
