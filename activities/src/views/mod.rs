//! Small typed views of the objects that the procedures read: only what is judged, tolerant of everything else.
//!
//! Views are for reading. What is written is a patch of the fields that change, never a view.

mod budget;
mod certificate;
mod cluster_version;
mod condition;
mod config_map;
mod credentials;
mod kuryr;
mod layered;
mod machine;
mod mirror;
mod network;
mod node;
mod operator;
mod pod;
mod pool;
mod request_count;
mod scheduling;
mod selector;
mod storage;
mod virtual_machine;
mod webhook;
mod workload;

pub use budget::{Budget, BudgetSpec, BudgetStatus};
pub use certificate::{SigningRequest, SigningRequestStatus, TlsSecret};
pub use cluster_version::{
    Channels, ClusterVersion, ClusterVersionSpec, ClusterVersionStatus, ComponentOverride, ConditionalRisk, ConditionalUpdate,
    DesiredUpdate, HistoryEntry, HistoryState, PublishedRelease,
};
pub use condition::{Condition, Conditions, Status};
pub use config_map::{ConfigMap, Namespace, NamespaceStatus};
pub use credentials::{
    Authentication, AuthenticationSpec, CloudCredential, CloudCredentialSpec, CredentialsRequest, CredentialsRequestSpec,
    Infrastructure, InfrastructureStatus, PlatformStatus, SecretRef,
};
pub use kuryr::{
    CloudId, KuryrLoadBalancer, KuryrLoadBalancerStatus, KuryrNetwork, KuryrNetworkPolicy, KuryrNetworkPolicyStatus,
    KuryrNetworkStatus, KuryrPort, NetworkPolicy,
};
pub use layered::{
    AccessReview, AccessReviewStatus, BareMetalHost, BareMetalHostSpec, CephCluster, CephClusterStatus, CephHealth, EtcdOperator,
    EtcdOperatorStatus, InstalledOperator, Lease, LeaseSpec, ManagementController, NodeHealthCheck, NodeHealthCheckSpec,
    NodeHealthCheckStatus, RenderedConfig,
};
pub use machine::{Machine, MachineHealthCheck, MachineHealthCheckSpec, MachineStatus, NodeRef};
pub use mirror::{ContentSourcePolicy, ContentSourceSpec, DigestMirrorSet, DigestMirrorSpec, MirrorRule};
pub use network::{
    ClusterNetwork, ClusterNetworkSpec, ClusterNetworkState, DefaultNetwork, DesiredState, HostInterface, HostNetwork, HostRoute,
    HostRoutes, Ignition, MachineConfig, MachineConfigSpec, Migration, NetworkOperator, NetworkOperatorSpec, NodeNetworkPolicy,
    NodeNetworkPolicySpec, NodeNetworkState, NodeNetworkStatus, OvnConfig, PodRange, SdnConfig, Systemd, Unit,
};
pub use node::{Node, NodeAddress, NodeInfo, NodeSpec, NodeStatus, Taint};
pub use operator::{ClusterOperator, ClusterOperatorStatus, OperandVersion};
pub use pod::{ContainerState, ContainerStatus, EndedContainer, Pod, PodSpec, PodStatus, WaitingContainer};
pub use pool::{CertificateExpiry, ConfigurationName, ConfigurationSource, MachineConfigPool, PoolSpec, PoolStatus};
pub use request_count::{ApiRequestCount, ApiRequestCountStatus, HourlyRequests, NodeRequests, UserRequests};
pub use scheduling::{
    Affinity, ClaimReference, Container, EnvironmentVariable, NodeAffinity, NodeSelector, NodeSelectorTerm, Quantity, Resources,
    Toleration, Volume,
};
pub use selector::{LabelSelector, Requirement};
pub use storage::{LocalDisk, ObjectReference, PersistentVolume, PersistentVolumeSpec, VolumeNodeAffinity};
pub use virtual_machine::{VirtualMachineInstance, VirtualMachineInstanceSpec, VirtualMachineInstanceStatus};
pub use webhook::{MutatingWebhooks, ValidatingWebhooks, Webhook, WebhookClient, WebhookRule};
pub use workload::{
    DaemonSet, DaemonSetSpec, DaemonSetStatus, Deployment, DeploymentSpec, DeploymentStatus, PodTemplate, ReplicaSpec, Service,
    ServiceSpec, StatefulSet, UpdateStrategy,
};

use serde::{Deserialize, Deserializer};

/// A kind of object that the procedures read: what kube must know of it, and its metadata.
pub trait View:
    kube::Resource<DynamicType = ()> + serde::de::DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static
{
    /// The object's name; empty if the server sent none.
    fn name(&self) -> &str {
        self.meta().name.as_deref().unwrap_or_default()
    }

    /// The object's namespace; empty for cluster-scoped kinds.
    fn namespace_name(&self) -> &str {
        self.meta().namespace.as_deref().unwrap_or_default()
    }

    /// The value of an annotation.
    fn annotation(&self, key: &str) -> Option<&str> {
        self.meta().annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Whether the object carries a label, whatever its value.
    fn has_label(&self, key: &str) -> bool {
        self.meta().labels.as_ref().is_some_and(|labels| labels.contains_key(key))
    }

    /// The object's uid; empty if the server sent none.
    fn uid_text(&self) -> &str {
        self.meta().uid.as_deref().unwrap_or_default()
    }

    /// The object's version, which changes with every change; empty if the server sent none.
    fn meta_version(&self) -> &str {
        self.meta().resource_version.as_deref().unwrap_or_default()
    }

    /// Counts the changes of the object's wish (`spec`).
    fn generation(&self) -> i64 {
        self.meta().generation.unwrap_or_default()
    }
}

/// Says where a view's kind is served.
macro_rules! view {
    ($view:ident, $scope:ident, $group:literal, $version:literal, $kind:literal, $plural:literal) => {
        impl kube::Resource for $view {
            type DynamicType = ();
            type Scope = crate::views::scope::$scope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                $version.into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.metadata
            }
        }

        impl crate::views::View for $view {}
    };
}
pub(crate) use view;

/// Where objects live, under names that read well in `view!`.
pub(crate) mod scope {
    pub(crate) use kube::core::{ClusterResourceScope as Cluster, NamespaceResourceScope as Namespaced};
}

/// A time of an object's metadata.
pub(crate) fn timestamp(at: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Time) -> windlass_engine::Timestamp {
    windlass_engine::Timestamp::from_micros(at.0.as_microsecond())
}

/// Reads `null` as the default: several of these APIs send it for an empty list.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests;
