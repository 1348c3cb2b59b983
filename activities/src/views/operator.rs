use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{Condition, view};

/// One of the cluster's operators, as it reports on itself.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterOperator {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What the operator reports.
    #[serde(deserialize_with = "super::nullable")]
    pub status: ClusterOperatorStatus,
}
view!(ClusterOperator, Cluster, "config.openshift.io", "v1", "ClusterOperator", "clusteroperators");

/// What an operator reports.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterOperatorStatus {
    /// Available, Progressing, Degraded, Upgradeable.
    #[serde(deserialize_with = "super::nullable")]
    pub conditions: Vec<Condition>,
    /// What is rolled out; `operator` moves only when all operands did.
    #[serde(deserialize_with = "super::nullable")]
    pub versions: Vec<OperandVersion>,
}

/// The version of something that an operator runs.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OperandVersion {
    /// What it is.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl ClusterOperator {
    /// The version that the operator has wholly rolled out.
    pub fn rolled_out(&self) -> Option<&str> {
        self.status.versions.iter().find(|operand| operand.name == "operator").map(|operand| operand.version.as_str())
    }
}
