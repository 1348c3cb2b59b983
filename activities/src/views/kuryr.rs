use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::view;

/// A kind of which only the metadata is read.
macro_rules! bare {
    ($(#[$doc:meta])* $name:ident, $group:literal, $kind:literal, $plural:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name {
            /// The object's metadata.
            pub metadata: ObjectMeta,
        }
        view!($name, Namespaced, $group, "v1", $kind, $plural);
    };
}

bare! {
    /// Which pods may talk to which.
    NetworkPolicy, "networking.k8s.io", "NetworkPolicy", "networkpolicies"
}
bare! {
    /// A pod's ports in the cloud, as Kuryr keeps them.
    KuryrPort, "openstack.org", "KuryrPort", "kuryrports"
}

/// A namespace's network in the cloud, as Kuryr keeps it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KuryrNetwork {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What there is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: KuryrNetworkStatus,
}
view!(KuryrNetwork, Namespaced, "openstack.org", "v1", "KuryrNetwork", "kuryrnetworks");

/// The ids of a namespace's network.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KuryrNetworkStatus {
    /// The network.
    #[serde(deserialize_with = "super::nullable")]
    pub net_id: String,
    /// Its subnet.
    #[serde(deserialize_with = "super::nullable")]
    pub subnet_id: String,
    /// The router that connects it.
    #[serde(deserialize_with = "super::nullable")]
    pub router_id: String,
}

/// A service's load balancer in the cloud, as Kuryr keeps it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KuryrLoadBalancer {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What there is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: KuryrLoadBalancerStatus,
}
view!(KuryrLoadBalancer, Namespaced, "openstack.org", "v1", "KuryrLoadBalancer", "kuryrloadbalancers");

/// What there is of a load balancer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KuryrLoadBalancerStatus {
    /// The load balancer itself.
    #[serde(deserialize_with = "super::nullable")]
    pub loadbalancer: CloudId,
}

/// The id of an object of the cloud.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CloudId {
    /// The id.
    #[serde(deserialize_with = "super::nullable")]
    pub id: String,
}

/// A network policy in the cloud, as Kuryr keeps it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KuryrNetworkPolicy {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What there is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: KuryrNetworkPolicyStatus,
}
view!(KuryrNetworkPolicy, Namespaced, "openstack.org", "v1", "KuryrNetworkPolicy", "kuryrnetworkpolicies");

/// What there is of a network policy.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KuryrNetworkPolicyStatus {
    /// Its security group.
    #[serde(deserialize_with = "super::nullable")]
    pub security_group_id: String,
}
