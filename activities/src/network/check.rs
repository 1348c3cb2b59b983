//! What stands in the way of a migration to another plugin, seen before anything is changed.

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::machines::{self, INSTALL_CONFIG, Packets};
use super::policies::{HostPolicy, in_the_way};
use super::settings::{ClusterRange, Features, GENEVE_OVERHEAD, OvnSettings, Taken};
use super::{CLUSTER, NetworkPlugin};
use crate::cluster::{Cluster, Query};
use crate::pool::PoolState;
use crate::release::Minor;
use crate::views::{
    ClusterNetwork, ClusterVersion, Conditions as _, ConfigMap, MachineConfigPool, Namespace, NetworkOperator, Node,
    NodeNetworkPolicy, NodeNetworkState, Status, View as _,
};

/// The first minor releases that have no OpenShift SDN, and no Kuryr.
const WITHOUT_SDN: Minor = Minor { major: 4, minor: 17 };
const WITHOUT_KURYR: Minor = Minor { major: 4, minor: 15 };

/// From so many nodes on the vendor wants to hear of it first.
const MANY_NODES: usize = 150;

/// Looks at everything that would stop a migration half way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckMigration {
    /// The plugin that is expected.
    pub from: NetworkPlugin,
    /// The plugin to migrate to.
    pub to: NetworkPlugin,
    /// What is carried over.
    #[serde(default, skip_serializing_if = "Features::is_default")]
    pub features: Features,
    /// Settings of the new plugin.
    #[serde(default, skip_serializing_if = "OvnSettings::is_default")]
    pub settings: OvnSettings,
    /// Other addresses for the pods, if they are to change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_network: Vec<ClusterRange>,
    /// Whether the migration is asked for already, and its pools may be rolling.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopt: bool,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MigrationReport {
    /// What must be mended first, one line each.
    pub blockers: Vec<String>,
    /// What a person should know, one line each.
    pub warnings: Vec<String>,
    /// The pools, those with nodes, in the order of their names.
    pub pools: Vec<PoolState>,
    /// The old plugin's namespace: its uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_namespace: Option<String>,
    /// A migration that somebody asked for before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leftover: Option<String>,
    /// Policies of the hosts' network that the bridge of the new plugin is in conflict with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_policies: Vec<HostPolicy>,
}

impl Activity for CheckMigration {
    const NAME: ActivityName = ActivityName::new("check-network-migration");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = MigrationReport;

    fn summary(&self) -> String {
        format!("check what stands in the way from {} to {}", self.from, self.to)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<MigrationReport, ActivityError> {
        let cluster = cx.world();
        let states: Vec<NodeNetworkState> = cluster.list_if_served(&Query::default()).await?;
        let seen = Seen {
            network: cluster.must_get(None, CLUSTER).await?,
            operator: cluster.must_get(None, CLUSTER).await?,
            version: cluster.must_get(None, "version").await?,
            pools: cluster.list(&Query::default()).await?,
            nodes: cluster.list(&Query::default()).await?,
            policies: cluster.list_if_served(&Query::default()).await?,
            namespace: cluster.get(None, self.from.namespace()).await?,
            installed: cluster.get(Some(INSTALL_CONFIG.0), INSTALL_CONFIG.1).await?,
            packets: Packets::of(&states),
            states,
        };
        Ok(self.judge(&seen))
    }
}

/// What the cluster shows.
#[derive(Default)]
struct Seen {
    network: ClusterNetwork,
    operator: NetworkOperator,
    version: ClusterVersion,
    pools: Vec<MachineConfigPool>,
    nodes: Vec<Node>,
    policies: Vec<NodeNetworkPolicy>,
    states: Vec<NodeNetworkState>,
    namespace: Option<Namespace>,
    installed: Option<ConfigMap>,
    packets: Packets,
}

impl CheckMigration {
    fn judge(&self, seen: &Seen) -> MigrationReport {
        let mut blockers = self.plugin_troubles(seen);
        blockers.extend(pool_troubles(seen, self.adopt));
        if !self.adopt {
            blockers.extend(node_troubles(seen));
        }
        if self.to == NetworkPlugin::OvnKubernetes {
            blockers.extend(self.mtu_troubles(seen));
            match self.taken(seen) {
                Ok(taken) => blockers.extend(self.settings(seen).troubles(&taken)),
                Err(unreadable) => blockers.push(unreadable),
            }
        }
        let mut pools: Vec<PoolState> = seen.pools.iter().map(PoolState::of).filter(|pool| pool.nodes > 0).collect();
        pools.sort_by(|a, b| a.name.cmp(&b.name));
        let leftover = Some(seen.operator.spec.migration.network_type.clone()).filter(|to| !to.is_empty());
        MigrationReport {
            blockers,
            warnings: [warnings(seen, self.adopt), self.mtu_warnings(seen)].concat(),
            pools,
            old_namespace: seen.namespace.as_ref().map(|namespace| namespace.uid_text().to_owned()),
            leftover,
            host_policies: match self.to {
                NetworkPlugin::OvnKubernetes => in_the_way(&seen.policies, &seen.states),
                NetworkPlugin::OpenShiftSdn | NetworkPlugin::Kuryr => Vec::new(),
            },
        }
    }

    /// The settings of the new plugin: of a migration that is taken over those that it was given.
    fn settings(&self, seen: &Seen) -> OvnSettings {
        let Some(given) = seen.operator.spec.default_network.ovn.as_ref().filter(|_| self.adopt) else {
            return self.settings.clone();
        };
        OvnSettings {
            mtu: given.mtu,
            geneve_port: given.geneve_port,
            v4_internal_subnet: given.v4_internal_subnet.as_ref().and_then(|subnet| subnet.parse().ok()),
            v6_internal_subnet: given.v6_internal_subnet.as_ref().and_then(|subnet| subnet.parse().ok()),
        }
    }

    fn plugin_troubles(&self, seen: &Seen) -> Vec<String> {
        let mut found = Vec::new();
        let (wished, applied) = (&seen.network.spec.network_type, &seen.network.status.network_type);
        if applied != self.from.name() {
            found.push(format!("the cluster's network is {applied}, not {}", self.from.name()));
        } else if wished != applied {
            found.push(format!("spec.networkType is {wished} while {applied} is applied: somebody began to switch it"));
        }
        let migration = &seen.operator.spec.migration;
        if migration.mode == "Live" {
            found.push("a live migration is asked for; it and this one can't be mixed".to_owned());
        }
        if migration.mtu.is_some() || seen.network.status.migration.mtu.is_some() {
            found.push("a change of the MTU is under way; finish it first".to_owned());
        }
        let minor = seen.version.status.desired.version.parse::<semver::Version>().ok();
        let minor = minor.map(|version| Minor { major: version.major, minor: version.minor });
        match minor {
            Some(minor) if minor >= WITHOUT_SDN => found.push(format!("release {minor} has no OpenShift SDN any more")),
            Some(minor) if self.from == NetworkPlugin::Kuryr && minor >= WITHOUT_KURYR => {
                found.push(format!("release {minor} has no Kuryr any more"));
            }
            Some(_) => {}
            None => found.push("the cluster does not say which release it runs".to_owned()),
        }
        let mode = seen.operator.spec.default_network.sdn.as_ref().map_or("", |sdn| sdn.mode.as_str());
        if self.from == NetworkPlugin::OpenShiftSdn && !matches!(mode, "" | "NetworkPolicy") {
            found.push(format!("OpenShift SDN isolates by {mode}; the migration is for NetworkPolicy only"));
        }
        found
    }

    fn mtu_troubles(&self, seen: &Seen) -> Vec<String> {
        let (Some(wished), now) = (self.settings(seen).mtu, seen.network.status.mtu) else { return Vec::new() };
        if seen.packets.is_known() {
            return seen.packets.troubles(wished);
        }
        // OpenShift SDN leaves 50 bytes less than the hosts have; OVN-Kubernetes needs 100.
        let hosts = match self.from {
            NetworkPlugin::OpenShiftSdn => now + 50,
            NetworkPlugin::OvnKubernetes => now + GENEVE_OVERHEAD,
            // Kuryr's networks are the cloud's own, like the hosts'.
            NetworkPlugin::Kuryr => now,
        };
        if now > 0 && wished + GENEVE_OVERHEAD > hosts {
            let most = hosts - GENEVE_OVERHEAD;
            return vec![format!(
                "an MTU of {wished} does not fit: the hosts have {hosts} by the present network, which leaves {most}"
            )];
        }
        Vec::new()
    }

    fn mtu_warnings(&self, seen: &Seen) -> Vec<String> {
        let left_to_operator = self.to == NetworkPlugin::OvnKubernetes && self.settings(seen).mtu.is_none();
        seen.packets.unequal().filter(|_| left_to_operator).into_iter().collect()
    }

    fn taken(&self, seen: &Seen) -> Result<Taken, String> {
        let spec = &seen.network.spec;
        let parse = |text: &str| text.parse().map_err(|_| format!("{text:?} of the cluster's network is no range of addresses"));
        let services = spec.service_network.iter().map(|range| parse(range)).collect::<Result<_, _>>()?;
        let now = spec
            .cluster_network
            .iter()
            .map(|range| Ok(ClusterRange { cidr: parse(&range.cidr)?, host_prefix: range.host_prefix }));
        let pods =
            if self.cluster_network.is_empty() { now.collect::<Result<_, String>>()? } else { self.cluster_network.clone() };
        let machines = machines::ranges(seen.installed.as_ref(), &seen.nodes);
        let sdn = seen.operator.spec.default_network.sdn.as_ref();
        let nodes = u32::try_from(seen.nodes.len()).unwrap_or(u32::MAX);
        Ok(Taken { services, pods, machines, vxlan_port: sdn.and_then(|sdn| sdn.vxlan_port), nodes })
    }
}

/// What a person should know; of a migration that is taken over, not that it is asked for.
fn warnings(seen: &Seen, adopt: bool) -> Vec<String> {
    let mut found = Vec::new();
    if seen.nodes.len() > MANY_NODES {
        found.push(format!(
            "{} nodes: the vendor asks to be told before clusters of more than {MANY_NODES} are migrated",
            seen.nodes.len()
        ));
    }
    let migration = &seen.operator.spec.migration.network_type;
    if !migration.is_empty() && !adopt {
        found.push(format!(
            "a migration to {migration} is asked for already; it is taken back first, and nodes that were prepared reboot"
        ));
    }
    found
}

/// What is wrong with pools; those of a migration that is taken over may be rolling.
fn pool_troubles(seen: &Seen, adopt: bool) -> Vec<String> {
    let with_nodes = seen.pools.iter().filter(|pool| pool.status.machine_count > 0);
    let trouble = |pool: &MachineConfigPool| {
        let name = pool.name();
        if pool.spec.paused {
            return Some(format!(
                "pool {name} is paused: its nodes would never be prepared, and lose the network; unpause it first"
            ));
        }
        if pool.says("Degraded") == Status::True {
            return Some(format!("pool {name} is degraded"));
        }
        (pool.says("Updated") != Status::True && !adopt).then(|| format!("pool {name} is being updated"))
    };
    with_nodes.filter_map(trouble).collect()
}

fn node_troubles(seen: &Seen) -> Vec<String> {
    let trouble = |node: &Node| {
        let name = node.name();
        if node.says("Ready") != Status::True {
            return Some(format!("node {name} is not ready"));
        }
        if node.spec.unschedulable {
            return Some(format!("node {name} is cordoned"));
        }
        node.status.node_info.boot_id.is_empty().then(|| format!("node {name} does not tell its boot id"))
    };
    seen.nodes.iter().filter_map(trouble).collect()
}
