use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::view;

/// Pods that replace each other freely.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: ReplicaSpec,
}
view!(Deployment, Namespaced, "apps", "v1", "Deployment", "deployments");

/// Pods with names and volumes of their own.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StatefulSet {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: ReplicaSpec,
}
view!(StatefulSet, Namespaced, "apps", "v1", "StatefulSet", "statefulsets");

/// How many pods are wished.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSpec {
    /// One if absent.
    pub replicas: Option<i32>,
}

/// An address in front of pods.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: ServiceSpec,
}
view!(Service, Namespaced, "", "v1", "Service", "services");

/// Which pods answer.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// Labels that they have; none if others say who answers.
    #[serde(deserialize_with = "super::nullable")]
    pub selector: BTreeMap<String, String>,
}
