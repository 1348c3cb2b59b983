//! One picture of a cluster whose network somebody migrates: both network objects, pools, nodes, daemons, and since when each host runs.

use windlass_engine::{ActivityContext, ActivityError, Timestamp};

use super::super::prepared::{CheckPrepared, Configs, prepares, trouble};
use super::super::reboot::{Boot, Daemon};
use super::super::{CLUSTER, NetworkPlugin};
use crate::cluster::{Cluster, Query};
use crate::exec::Purpose;
use crate::ids::NodeName;
use crate::pool::PoolState;
use crate::views::{
    ClusterNetwork, ClusterOperator, Conditions as _, DaemonSet, MachineConfig, MachineConfigPool, Namespace, NetworkOperator,
    Node, Status, View as _, timestamp,
};

/// What the cluster shows, all of it between two looks at which both network objects were the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Picture {
    pub(super) from: NetworkPlugin,
    pub(super) to: NetworkPlugin,
    /// `spec.networkType`.
    pub(super) wished: String,
    /// `status.networkType`.
    pub(super) applied: String,
    /// `status.migration.networkType`.
    pub(super) accepted: String,
    /// `spec.migration.networkType` of the operator's object.
    pub(super) asked: String,
    /// Another kind of change that is under way.
    pub(super) otherwise: Option<&'static str>,
    /// What the network operator refuses, in its words.
    pub(super) refused: Option<String>,
    /// Whether the old plugin's settings are there.
    pub(super) old_settings: bool,
    /// The old plugin's namespace: its uid, and whether it is being deleted.
    pub(super) old_namespace: Option<(String, bool)>,
    pub(super) old_daemons: bool,
    /// Since when the new plugin's namespace is there, and its daemons.
    pub(super) new_namespace: Option<Timestamp>,
    pub(super) new_daemons: Option<Timestamp>,
    /// The pools with nodes, by name, each with whether its target prepares them.
    pub(super) pools: Vec<(PoolState, bool)>,
    /// The nodes by name.
    pub(super) nodes: Vec<Seen>,
    /// The operators that are not well.
    pub(super) unwell: Vec<String>,
}

/// A node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub(super) boot: Boot,
    pub(super) control_plane: bool,
    /// Why it is not prepared for the new plugin, if it is not.
    pub(super) unprepared: Option<String>,
    /// Since when its host runs; or why that can't be told.
    pub(super) booted: Result<Timestamp, String>,
}

impl Picture {
    /// Whether nothing of the old plugin nor of the migration is left.
    pub(super) fn is_clean(&self) -> bool {
        let gone = !self.old_settings && self.old_namespace.is_none() && !self.old_daemons;
        gone && self.asked.is_empty() && self.accepted.is_empty()
    }
}

/// Takes the picture.
pub(super) async fn take(
    cx: &ActivityContext<Cluster>,
    from: NetworkPlugin,
    to: NetworkPlugin,
) -> Result<Picture, ActivityError> {
    let cluster = cx.world();
    let (network, operator) = objects(cluster).await?;
    let (pools, configs) = pools(cluster, to).await?;
    let nodes: Vec<Node> = cluster.list(&Query::default()).await?;
    let operators: Vec<ClusterOperator> = cluster.list(&Query::default()).await?;
    let old_namespace: Option<Namespace> = cluster.get(None, from.namespace()).await?;
    let new_namespace: Option<Namespace> = cluster.get(None, to.namespace()).await?;
    let old_daemons: Option<DaemonSet> = cluster.get(Some(from.namespace()), from.daemons()).await?;
    let new_daemons: Option<DaemonSet> = cluster.get(Some(to.namespace()), to.daemons()).await?;
    let (migration, default) = (&operator.spec.migration, &operator.spec.default_network);
    let mut picture = Picture {
        from,
        to,
        wished: network.spec.network_type.clone(),
        applied: network.status.network_type.clone(),
        accepted: network.status.migration.network_type.clone(),
        asked: migration.network_type.clone(),
        otherwise: match () {
            () if migration.mode == "Live" => Some("a live migration"),
            () if migration.mtu.is_some() || network.status.migration.mtu.is_some() => Some("a change of the MTU"),
            () => None,
        },
        refused: operators.iter().find(|one| one.name() == "network").and_then(refusal),
        old_settings: match from {
            NetworkPlugin::OvnKubernetes => default.ovn.is_some(),
            NetworkPlugin::OpenShiftSdn => default.sdn.is_some(),
            NetworkPlugin::Kuryr => default.kuryr.is_some(),
        },
        old_namespace: old_namespace.map(|found| (found.uid_text().to_owned(), found.metadata.deletion_timestamp.is_some())),
        old_daemons: old_daemons.is_some(),
        new_namespace: new_namespace.and_then(|found| found.metadata.creation_timestamp.as_ref().map(timestamp)),
        new_daemons: new_daemons.and_then(|found| found.metadata.creation_timestamp.as_ref().map(timestamp)),
        pools,
        nodes: Vec::new(),
        unwell: operators.iter().filter_map(unwell).collect(),
    };
    // Before the switch no boot says anything, and after all of it nobody has to know.
    let ask = picture.applied == to.name() && !(picture.is_clean() && picture.unwell.is_empty());
    picture.nodes = seen(cx, (to, &configs), nodes, ask).await?;
    let (then, still) = objects(cluster).await?;
    if then.meta_version() != network.meta_version() || still.meta_version() != operator.meta_version() {
        let message = "the network was changed while it was looked at; wait until nobody works on it, then retry";
        return Err(ActivityError::transient("changed-meanwhile", message));
    }
    Ok(picture)
}

async fn objects(cluster: &Cluster) -> Result<(ClusterNetwork, NetworkOperator), ActivityError> {
    Ok((cluster.must_get(None, CLUSTER).await?, cluster.must_get(None, CLUSTER).await?))
}

/// The pools with nodes, and the configurations that are their targets.
async fn pools(cluster: &Cluster, to: NetworkPlugin) -> Result<(Vec<(PoolState, bool)>, Configs), ActivityError> {
    let mut found: Vec<MachineConfigPool> = cluster.list(&Query::default()).await?;
    found.retain(|pool| pool.status.machine_count > 0);
    found.sort_by(|a, b| a.name().cmp(b.name()));
    let (mut pools, mut configs) = (Vec::new(), Configs::new());
    for pool in &found {
        let state = PoolState::of(pool);
        let target = state.target.as_str().to_owned();
        let config: Option<MachineConfig> = cluster.get(None, &target).await?;
        pools.push((state, config.as_ref().is_some_and(|config| prepares(config, to))));
        configs.insert(target, config);
    }
    Ok((pools, configs))
}

async fn seen(
    cx: &ActivityContext<Cluster>,
    (to, known): (NetworkPlugin, &Configs),
    mut nodes: Vec<Node>,
    ask: bool,
) -> Result<Vec<Seen>, ActivityError> {
    nodes.sort_by(|a, b| a.name().cmp(b.name()));
    let configs = CheckPrepared { to }.configs(cx.world(), &nodes, known).await?;
    let mut all = Vec::new();
    for (number, node) in (1..).zip(&nodes) {
        let boot = Boot::of(node);
        let booted = if ask {
            cx.progress(format!("asking the hosts since when they run: {number} of {}", nodes.len()));
            booted(cx.world(), node, &boot.node).await?
        } else {
            Err("not asked".to_owned())
        };
        all.push(Seen { boot, control_plane: node.is_control_plane(), unprepared: trouble(node, to, &configs), booted });
    }
    Ok(all)
}

/// Since when a host runs, by its own kernel; the inner error says why that can't be told.
async fn booted(cluster: &Cluster, node: &Node, name: &NodeName) -> Result<Result<Timestamp, String>, ActivityError> {
    if node.says("Ready") != Status::True {
        return Ok(Err("it is not ready".to_owned()));
    }
    let words = ["cat", "/proc/stat", "/proc/sys/kernel/random/boot_id"];
    let told = match Daemon::on(cluster, name).await {
        Ok(daemon) => daemon.command(&words, Purpose::Look).await,
        Err(error) => Err(error),
    };
    match told {
        Ok(ended) if ended.code == 0 => Ok(read_boot(&String::from_utf8_lossy(&ended.stdout), &node.status.node_info.boot_id)),
        Ok(ended) => Ok(Err(format!("its daemon says: {}", ended.in_words()))),
        Err(error) if ["forbidden", "unauthorized"].contains(&error.code.as_str()) => Err(error),
        Err(error) => Ok(Err(error.message)),
    }
}

/// The start of the boot in `/proc/stat`, if the host is in the boot that its node tells of.
fn read_boot(text: &str, boot_id: &str) -> Result<Timestamp, String> {
    let seconds = text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<i64>().ok());
    let seconds = seconds.ok_or_else(|| "its kernel does not say since when it runs".to_owned())?;
    if text.lines().last().map(str::trim) != Some(boot_id) {
        return Err("it has rebooted just now".to_owned());
    }
    Ok(Timestamp::from_micros(seconds.saturating_mul(1_000_000)))
}

fn refusal(operator: &ClusterOperator) -> Option<String> {
    operator.holds("Degraded").filter(|found| found.reason == "InvalidOperatorConfig").map(|found| found.message.clone())
}

fn unwell(operator: &ClusterOperator) -> Option<String> {
    let is = |kind| operator.says(kind) == Status::True;
    (!is("Available") || is("Degraded")).then(|| operator.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_counts_only_if_the_node_tells_of_the_same() {
        let check = |text: &str, expect: Result<i64, &str>| {
            let found = read_boot(text, "b1").map(|at| at.as_micros() / 1_000_000);
            assert_eq!(found, expect.map_err(str::to_owned), "{text}");
        };
        check("cpu  1 2\nbtime 1772431200\nprocesses 9\nb1\n", Ok(1_772_431_200));
        check("cpu  1 2\nbtime 1772431200\nb2\n", Err("it has rebooted just now"));
        check("cpu  1 2\nbtime soon\nb1\n", Err("its kernel does not say since when it runs"));
        check("", Err("its kernel does not say since when it runs"));
    }
}
