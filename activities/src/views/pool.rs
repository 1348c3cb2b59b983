use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};

use super::{Condition, LabelSelector, view};

/// Nodes that are configured and rebooted together.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineConfigPool {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    pub spec: PoolSpec,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: PoolStatus,
}
view!(MachineConfigPool, Cluster, "machineconfiguration.openshift.io", "v1", "MachineConfigPool", "machineconfigpools");

/// What is wished of a pool.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PoolSpec {
    /// New configuration is rendered but not rolled out.
    pub paused: bool,
    /// Which configurations it renders from.
    pub machine_config_selector: Option<LabelSelector>,
    /// Which nodes are in it.
    pub node_selector: Option<LabelSelector>,
    /// How many nodes may be down at once; one if absent.
    pub max_unavailable: Option<IntOrString>,
    /// The rendered configuration that its nodes should have.
    #[serde(deserialize_with = "super::nullable")]
    pub configuration: ConfigurationName,
}

/// Names a rendered configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigurationName {
    /// `rendered-<pool>-<hash>`; empty before the first rendering.
    #[serde(deserialize_with = "super::nullable")]
    pub name: String,
    /// What it was rendered from, by name.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<ConfigurationSource>,
}

/// Names a source of a rendered configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigurationSource {
    /// `99-worker-ssh`.
    pub name: String,
}

/// A pool as it is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PoolStatus {
    /// The last wish that was acted on.
    pub observed_generation: i64,
    /// The rendered configuration that every node has.
    #[serde(deserialize_with = "super::nullable")]
    pub configuration: ConfigurationName,
    /// Nodes in the pool.
    pub machine_count: i32,
    /// Nodes that have the wished configuration.
    pub updated_machine_count: i32,
    /// Of these, nodes that are ready and schedulable.
    pub ready_machine_count: i32,
    /// Nodes that are down or cordoned.
    pub unavailable_machine_count: i32,
    /// Nodes that failed to update.
    pub degraded_machine_count: i32,
    /// Updated, Updating, Degraded, NodeDegraded, RenderDegraded.
    #[serde(deserialize_with = "super::nullable")]
    pub conditions: Vec<Condition>,
    /// When the certificates in the configuration end.
    #[serde(rename = "certExpirys", deserialize_with = "super::nullable")]
    pub cert_expirys: Vec<CertificateExpiry>,
}

/// When one certificate bundle of a pool's configuration ends.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateExpiry {
    /// The bundle it is in.
    pub bundle: String,
    /// Whose certificate it is.
    pub subject: String,
    /// When it ends.
    pub expiry: Option<DateTime<Utc>>,
}

impl MachineConfigPool {
    /// Whether the status is about the present wish.
    pub fn is_observed(&self) -> bool {
        self.status.observed_generation >= self.metadata.generation.unwrap_or_default()
    }

    /// How many of its nodes may be down at once, as the operator reckons: one at least.
    pub fn at_once(&self, nodes: usize) -> usize {
        let wished = match &self.spec.max_unavailable {
            None => 1,
            Some(IntOrString::Int(count)) => usize::try_from(*count).unwrap_or(1),
            Some(IntOrString::String(text)) => match text.strip_suffix('%') {
                Some(share) => share.parse::<usize>().map_or(1, |share| nodes * share / 100),
                None => text.parse().unwrap_or(1),
            },
        };
        wished.max(1)
    }
}
