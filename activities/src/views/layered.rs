use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{Condition, ObjectReference, view};

/// An operator that the lifecycle manager installed; its annotations say how far it goes along.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InstalledOperator {
    /// The object's metadata.
    pub metadata: ObjectMeta,
}
view!(InstalledOperator, Namespaced, "operators.coreos.com", "v1alpha1", "ClusterServiceVersion", "clusterserviceversions");

/// A storage cluster.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CephCluster {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: CephClusterStatus,
}
view!(CephCluster, Namespaced, "ceph.rook.io", "v1", "CephCluster", "cephclusters");

/// A storage cluster as it is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CephClusterStatus {
    /// Its health.
    #[serde(deserialize_with = "super::nullable")]
    pub ceph: CephHealth,
}

/// The health of a storage cluster.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CephHealth {
    /// `HEALTH_OK`, `HEALTH_WARN`, `HEALTH_ERR`.
    #[serde(deserialize_with = "super::nullable")]
    pub health: String,
}

/// A machine that is reached out of band.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BareMetalHost {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: BareMetalHostSpec,
}
view!(BareMetalHost, Namespaced, "metal3.io", "v1alpha1", "BareMetalHost", "baremetalhosts");

/// How a machine is reached.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BareMetalHostSpec {
    /// Its management controller.
    #[serde(deserialize_with = "super::nullable")]
    pub bmc: ManagementController,
    /// The machine object that it became.
    pub consumer_ref: Option<ObjectReference>,
}

/// A management controller.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagementController {
    /// Its address.
    #[serde(deserialize_with = "super::nullable")]
    pub address: String,
}

/// Remediates nodes that stay unhealthy, unless it is paused.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeHealthCheck {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: NodeHealthCheckSpec,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: NodeHealthCheckStatus,
}
view!(NodeHealthCheck, Cluster, "remediation.medik8s.io", "v1alpha1", "NodeHealthCheck", "nodehealthchecks");

/// What is wished of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeHealthCheckSpec {
    /// Reasons to pause it.
    #[serde(deserialize_with = "super::nullable")]
    pub pause_requests: Vec<String>,
}

/// A health check as it is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeHealthCheckStatus {
    /// `Enabled`, `Paused`, `Disabled`, `Remediating`.
    #[serde(deserialize_with = "super::nullable")]
    pub phase: String,
}

/// The operator of etcd.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EtcdOperator {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: EtcdOperatorStatus,
}
view!(EtcdOperator, Cluster, "operator.openshift.io", "v1", "Etcd", "etcds");

/// What the operator of etcd says.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EtcdOperatorStatus {
    /// EtcdMembersAvailable, EtcdMembersDegraded, EtcdMembersProgressing.
    #[serde(deserialize_with = "super::nullable")]
    pub conditions: Vec<Condition>,
}

/// Says who holds something, and until when.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lease {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: LeaseSpec,
}
view!(Lease, Namespaced, "coordination.k8s.io", "v1", "Lease", "leases");

/// Who holds it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseSpec {
    /// The holder.
    #[serde(deserialize_with = "super::nullable")]
    pub holder_identity: String,
    /// How long it holds without being renewed.
    #[serde(deserialize_with = "super::nullable")]
    pub lease_duration_seconds: i64,
    /// Since when it is held.
    pub acquire_time: Option<DateTime<Utc>>,
    /// When it was renewed last.
    pub renew_time: Option<DateTime<Utc>>,
    /// How often it was taken.
    #[serde(deserialize_with = "super::nullable")]
    pub lease_transitions: i64,
}

/// A machine configuration, metadata only: the rendered ones are large.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RenderedConfig {
    /// The object's metadata.
    pub metadata: ObjectMeta,
}
view!(RenderedConfig, Cluster, "machineconfiguration.openshift.io", "v1", "MachineConfig", "machineconfigs");

/// An answer to the question whether something is allowed.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AccessReview {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: AccessReviewStatus,
}
view!(AccessReview, Cluster, "authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews");

/// The answer.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessReviewStatus {
    /// Whether it is allowed.
    #[serde(deserialize_with = "super::nullable")]
    pub allowed: bool,
}
