use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{Condition, LabelSelector, PodSpec, view};

/// Pods that replace each other freely.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: DeploymentSpec,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: DeploymentStatus,
}
view!(Deployment, Namespaced, "apps", "v1", "Deployment", "deployments");

/// What is wished of a Deployment.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentSpec {
    /// How many pods; one if absent.
    pub replicas: Option<i32>,
    /// Which pods are its own.
    #[serde(deserialize_with = "super::nullable")]
    pub selector: LabelSelector,
    /// What its pods are made from.
    #[serde(deserialize_with = "super::nullable")]
    pub template: PodTemplate,
}

/// A Deployment as it is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStatus {
    /// The generation that the rest is about.
    pub observed_generation: i64,
    /// Its pods.
    pub replicas: i32,
    /// Those of the newest template.
    pub updated_replicas: i32,
    /// Those that take requests.
    pub ready_replicas: i32,
    /// Those that have taken requests for long enough.
    pub available_replicas: i32,
    /// Available, Progressing, ReplicaFailure.
    #[serde(deserialize_with = "super::nullable")]
    pub conditions: Vec<Condition>,
}

/// One pod on each node.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DaemonSet {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: DaemonSetSpec,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: DaemonSetStatus,
}
view!(DaemonSet, Namespaced, "apps", "v1", "DaemonSet", "daemonsets");

/// What is wished of a DaemonSet.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonSetSpec {
    /// Which pods are its own.
    #[serde(deserialize_with = "super::nullable")]
    pub selector: LabelSelector,
    /// What its pods are made from.
    #[serde(deserialize_with = "super::nullable")]
    pub template: PodTemplate,
    /// How pods of an older template are replaced.
    #[serde(deserialize_with = "super::nullable")]
    pub update_strategy: UpdateStrategy,
}

/// How pods of an older template are replaced.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UpdateStrategy {
    /// `RollingUpdate`, `OnDelete`.
    #[serde(rename = "type", deserialize_with = "super::nullable")]
    pub kind: String,
}

/// A DaemonSet as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonSetStatus {
    /// The generation that the rest is about.
    pub observed_generation: i64,
    /// On how many nodes a pod should be.
    pub desired_number_scheduled: i32,
    /// On how many a pod of the newest template is.
    pub updated_number_scheduled: i32,
    /// On how many a pod takes requests.
    pub number_ready: i32,
    /// On how many a pod has taken requests for long enough.
    pub number_available: i32,
}

/// What pods are made from.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    /// Their labels and annotations.
    #[serde(deserialize_with = "super::nullable")]
    pub metadata: ObjectMeta,
    /// What is wished of them.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: PodSpec,
}

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
