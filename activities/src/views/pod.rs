use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{View as _, view};

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
}

/// A pod as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed`.
    pub phase: Option<String>,
}

impl Pod {
    /// Whether a drain has to evict it: not finished, not a static pod, not a daemon set's.
    pub fn must_be_evicted(&self) -> bool {
        let finished = matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let fixed = self.annotation("kubernetes.io/config.mirror").is_some();
        let owners = self.metadata.owner_references.as_deref().unwrap_or_default();
        !finished && !fixed && !owners.iter().any(|owner| owner.kind == "DaemonSet")
    }
}
