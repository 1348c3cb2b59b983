use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{Affinity, Condition, Container, Quantity, Status, Toleration, View as _, Volume, view};

/// A pod: where it runs and who owns it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: PodSpec,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: PodStatus,
}
view!(Pod, Namespaced, "", "v1", "Pod", "pods");

/// What is wished of a pod.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// The node it runs on.
    pub node_name: Option<String>,
    /// Labels that its node must have.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// What else it asks of its node.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "is_default")]
    pub affinity: Affinity,
    /// The taints that it bears.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Its containers.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<Container>,
    /// Its volumes.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Seconds that it is given to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_grace_period_seconds: Option<u64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A pod as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed`.
    pub phase: Option<String>,
    /// Why it failed as a whole: `OutOfpods`, `DeadlineExceeded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Ready, PodScheduled.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The address of its node.
    #[serde(rename = "hostIP", skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<String>,
    /// Its containers as they are.
    #[serde(rename = "containerStatuses", deserialize_with = "super::nullable", skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerStatus>,
}

/// A container as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// How often it was started again.
    pub restart_count: u32,
    /// What it does.
    #[serde(deserialize_with = "super::nullable")]
    pub state: ContainerState,
    /// How it ended the last time.
    #[serde(deserialize_with = "super::nullable")]
    pub last_state: ContainerState,
}

/// What a container does, as far as it does not run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// It waits, such as for its image or for its next start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingContainer>,
    /// It has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminated: Option<EndedContainer>,
}

/// A container that waits.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitingContainer {
    /// `CrashLoopBackOff`, `ImagePullBackOff`, `ContainerCreating`.
    #[serde(deserialize_with = "super::nullable")]
    pub reason: String,
    /// A sentence for people.
    #[serde(deserialize_with = "super::nullable")]
    pub message: String,
}

/// A container that has ended.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndedContainer {
    /// Its exit code.
    pub exit_code: i32,
    /// `Error`, `OOMKilled`, `Completed`.
    #[serde(deserialize_with = "super::nullable")]
    pub reason: String,
    /// The last that it said, if its pod asks for that to be kept.
    #[serde(deserialize_with = "super::nullable")]
    pub message: String,
}

impl Pod {
    /// Whether something makes a new one when it is gone.
    pub fn has_controller(&self) -> bool {
        self.metadata.owner_references.as_deref().unwrap_or_default().iter().any(|owner| owner.controller != Some(false))
    }

    /// Whether it has an owner of that kind.
    pub fn is_owned_by(&self, kind: &str) -> bool {
        self.metadata.owner_references.as_deref().unwrap_or_default().iter().any(|owner| owner.kind == kind)
    }

    /// Whether it takes requests.
    pub fn is_ready(&self) -> bool {
        self.status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == Status::True)
    }

    /// Whether its containers run and nobody has asked for its end.
    pub fn runs(&self) -> bool {
        self.status.phase.as_deref() == Some("Running") && self.metadata.deletion_timestamp.is_none()
    }

    /// Whether it has ended; it holds nothing on its node any more.
    pub fn has_ended(&self) -> bool {
        matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed"))
    }

    /// What its containers ask for of one resource, in thousandths; what can't be read counts as nothing.
    pub fn requests(&self, resource: &str) -> i128 {
        let asked = self.spec.containers.iter().filter_map(|container| container.resources.requests.get(resource));
        asked.filter_map(Quantity::milli).sum()
    }

    /// Whether a drain has to evict it: not finished, not a static pod, not a daemon set's.
    pub fn must_be_evicted(&self) -> bool {
        let fixed = self.annotation("kubernetes.io/config.mirror").is_some();
        let owners = self.metadata.owner_references.as_deref().unwrap_or_default();
        !self.has_ended() && !fixed && !owners.iter().any(|owner| owner.kind == "DaemonSet")
    }
}
