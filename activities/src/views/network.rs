use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::view;

/// The cluster's network: what is asked for, and what the network operator applied.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterNetwork {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: ClusterNetworkSpec,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: ClusterNetworkState,
}
view!(ClusterNetwork, Cluster, "config.openshift.io", "v1", "Network", "networks");

/// The network as it is wished.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterNetworkSpec {
    /// `OVNKubernetes`, `OpenShiftSDN`, `Kuryr`.
    #[serde(deserialize_with = "super::nullable")]
    pub network_type: String,
    /// Where pods get their addresses from.
    #[serde(deserialize_with = "super::nullable")]
    pub cluster_network: Vec<PodRange>,
    /// Where services get their addresses from.
    #[serde(deserialize_with = "super::nullable")]
    pub service_network: Vec<String>,
}

/// A range of pod addresses.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodRange {
    /// `10.128.0.0/14`.
    pub cidr: String,
    /// The length of each node's share.
    pub host_prefix: u8,
}

/// The network as it is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterNetworkState {
    /// `OVNKubernetes`, `OpenShiftSDN`, `Kuryr`: set when the operator applied it, before any node runs it.
    #[serde(deserialize_with = "super::nullable")]
    pub network_type: String,
    /// The largest packet of a pod.
    #[serde(rename = "clusterNetworkMTU", deserialize_with = "super::nullable")]
    pub mtu: u32,
    /// The migration that the operator accepted.
    #[serde(deserialize_with = "super::nullable")]
    pub migration: Migration,
}

/// A migration to another plugin.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Migration {
    /// The plugin to migrate to; empty for none.
    #[serde(deserialize_with = "super::nullable")]
    pub network_type: String,
    /// `Live` for the other kind of migration.
    #[serde(deserialize_with = "super::nullable")]
    pub mode: String,
    /// A change of the packet size that is under way, as it stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<serde_json::Value>,
}

/// What the network operator is told.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkOperator {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: NetworkOperatorSpec,
}
view!(NetworkOperator, Cluster, "operator.openshift.io", "v1", "Network", "networks");

/// What the network operator is told.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkOperatorSpec {
    /// The migration that is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub migration: Migration,
    /// The settings of the plugins.
    #[serde(deserialize_with = "super::nullable")]
    pub default_network: DefaultNetwork,
}

/// The settings of the plugins.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DefaultNetwork {
    /// The plugin that is managed.
    #[serde(rename = "type", deserialize_with = "super::nullable")]
    pub kind: String,
    /// OpenShift SDN's.
    #[serde(rename = "openshiftSDNConfig", skip_serializing_if = "Option::is_none")]
    pub sdn: Option<SdnConfig>,
    /// Kuryr's, as they stand there.
    #[serde(rename = "kuryrConfig", skip_serializing_if = "Option::is_none")]
    pub kuryr: Option<serde_json::Value>,
    /// OVN-Kubernetes'.
    #[serde(rename = "ovnKubernetesConfig", skip_serializing_if = "Option::is_none")]
    pub ovn: Option<OvnConfig>,
}

/// Settings of OpenShift SDN.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SdnConfig {
    /// `NetworkPolicy`, `Multitenant`, `Subnet`; empty means the first.
    #[serde(deserialize_with = "super::nullable")]
    pub mode: String,
    /// The largest packet of a pod, if it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The port of its tunnels, 4789 if it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vxlan_port: Option<u16>,
}

/// Settings of OVN-Kubernetes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OvnConfig {
    /// The largest packet of a pod, if it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The port of its tunnels, 6081 if it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geneve_port: Option<u16>,
    /// Its own IPv4 addresses, 100.64.0.0/16 if it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v4_internal_subnet: Option<String>,
    /// Its own IPv6 addresses, `fd98::/64` if it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v6_internal_subnet: Option<String>,
}

/// A machine configuration: the units that systemd starts.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineConfig {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: MachineConfigSpec,
}
view!(MachineConfig, Cluster, "machineconfiguration.openshift.io", "v1", "MachineConfig", "machineconfigs");

/// What a machine configuration wishes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineConfigSpec {
    /// The Ignition part.
    #[serde(deserialize_with = "super::nullable")]
    pub config: Ignition,
}

/// The Ignition part of a machine configuration.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ignition {
    /// What systemd is told.
    #[serde(deserialize_with = "super::nullable")]
    pub systemd: Systemd,
}

/// What systemd is told.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Systemd {
    /// Its units.
    #[serde(deserialize_with = "super::nullable")]
    pub units: Vec<Unit>,
}

/// A unit of systemd's.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// Its file.
    #[serde(deserialize_with = "super::nullable")]
    pub contents: String,
}

/// How the hosts' own network is to be.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeNetworkPolicy {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: NodeNetworkPolicySpec,
}
view!(NodeNetworkPolicy, Cluster, "nmstate.io", "v1", "NodeNetworkConfigurationPolicy", "nodenetworkconfigurationpolicies");

/// What a policy of the hosts' own network wishes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeNetworkPolicySpec {
    /// Interfaces and routes.
    #[serde(deserialize_with = "super::nullable")]
    pub desired_state: DesiredState,
}

/// Interfaces as they are to be.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DesiredState {
    /// The interfaces.
    #[serde(deserialize_with = "super::nullable")]
    pub interfaces: Vec<HostInterface>,
}

/// An interface of a host.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct HostInterface {
    /// Its name.
    pub name: String,
    /// Its largest packet, if it is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// `ethernet`, `bond`, `vlan`, `linux-bridge`, `ovs-bridge`.
    #[serde(rename = "type", deserialize_with = "super::nullable")]
    pub kind: String,
    /// The ports of a bond.
    #[serde(deserialize_with = "super::nullable")]
    pub link_aggregation: BondPorts,
    /// The ports of a bridge.
    #[serde(deserialize_with = "super::nullable")]
    pub bridge: BridgePorts,
    /// What a VLAN is on.
    #[serde(deserialize_with = "super::nullable")]
    pub vlan: VlanBase,
}

impl HostInterface {
    /// The interfaces that it is made of.
    pub fn below(&self) -> impl Iterator<Item = &str> {
        let bonded = self.link_aggregation.port.iter().map(String::as_str);
        let bridged = self.bridge.port.iter().map(|port| port.name.as_str());
        bonded.chain(bridged).chain(Some(self.vlan.base_iface.as_str()).filter(|base| !base.is_empty()))
    }
}

/// The ports of a bond.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BondPorts {
    /// Their names.
    #[serde(deserialize_with = "super::nullable")]
    pub port: Vec<String>,
}

/// The ports of a bridge.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BridgePorts {
    /// Each.
    #[serde(deserialize_with = "super::nullable")]
    pub port: Vec<BridgePort>,
}

/// A port of a bridge.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BridgePort {
    /// Its name.
    pub name: String,
}

/// What a VLAN is on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct VlanBase {
    /// The interface.
    #[serde(deserialize_with = "super::nullable")]
    pub base_iface: String,
}

/// The hosts' own network as it is, one object for each node; where nmstate is installed.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeNetworkState {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: NodeNetworkStatus,
}
view!(NodeNetworkState, Cluster, "nmstate.io", "v1beta1", "NodeNetworkState", "nodenetworkstates");

/// A host's network as it is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeNetworkStatus {
    /// Interfaces and routes.
    #[serde(deserialize_with = "super::nullable")]
    pub current_state: HostNetwork,
}

/// A host's interfaces and routes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HostNetwork {
    /// The interfaces.
    #[serde(deserialize_with = "super::nullable")]
    pub interfaces: Vec<HostInterface>,
    /// The routes.
    #[serde(deserialize_with = "super::nullable")]
    pub routes: HostRoutes,
}

/// A host's routes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HostRoutes {
    /// Those that are in force.
    #[serde(deserialize_with = "super::nullable")]
    pub running: Vec<HostRoute>,
}

/// A route of a host.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct HostRoute {
    /// `0.0.0.0/0` for the default route.
    pub destination: String,
    /// The interface that it leads out by.
    #[serde(deserialize_with = "super::nullable")]
    pub next_hop_interface: String,
    /// The smaller one wins.
    #[serde(deserialize_with = "super::nullable")]
    pub metric: i64,
}
