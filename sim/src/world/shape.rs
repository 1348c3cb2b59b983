//! What the simulated cluster looks like when it starts.

mod parts;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::graph::UpdateGraph;
use super::snapshot::Snapshot;
use crate::kube_ovn::KubeOvnShape;
use crate::kuryr::KuryrShape;
pub use parts::{AlertShape, Credentials, CredentialsMode, Mirror, NetworkPlugin, NodeSize, Platform, PodRequests};

/// The size, versions and peculiarities of a simulated cluster; together with the scenario it decides everything that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing about the cluster, as its file does")]
pub struct ClusterShape {
    /// Feeds every random choice.
    pub seed: u64,
    /// Number of control-plane nodes.
    pub control_plane: usize,
    /// The pools beside `master`; `worker` is always one of them.
    pub pools: Vec<PoolShape>,
    /// The installed release.
    pub version: String,
    /// The channel that the cluster follows.
    pub channel: String,
    /// What every node offers.
    pub node_size: NodeSize,
    /// Application pods on each worker.
    pub workloads_per_node: usize,
    /// What each of them asks for.
    pub pod_requests: PodRequests,
    /// Pods that nothing would recreate, one on each of so many workers.
    pub bare_pods: usize,
    /// Pods whose data lies on the local disk of their node, one on each of so many workers.
    pub local_volumes: usize,
    /// Pods that may run on one node alone, one on each of so many workers.
    pub pinned_pods: usize,
    /// Deployments of one replica whose budget asks for one, so that their pod can't be evicted.
    pub single_replicas: usize,
    /// Pods that two budgets select, which no eviction gets past.
    pub doubly_guarded: usize,
    /// Minutes that a worker may be NotReady before its health check deletes the machine; none means no health checks.
    pub health_check_minutes: Option<u32>,
    /// Whether NodeHealthChecks watch the workers, too.
    pub node_health_checks: bool,
    /// Days until the kube-apiserver-to-kubelet signer ends.
    pub signer_days: i64,
    /// Gates that a person must acknowledge, by the minor version on which they appear.
    pub admin_gates: Vec<AdminGate>,
    /// Uses of APIs that a later release removes.
    pub removed_apis: Vec<RemovedApi>,
    /// Operators installed by OLM.
    pub installed_operators: Vec<InstalledOperator>,
    /// Cluster operators that forbid a minor update from the start.
    pub not_upgradeable: Vec<Objection>,
    /// Whether somebody took an object out of the hands of the version operator.
    pub overrides: bool,
    /// What it runs on.
    pub platform: Platform,
    /// What connects its pods.
    pub network: NetworkPlugin,
    /// The peculiarities of Kuryr, where it is that.
    #[serde(skip_serializing_if = "KuryrShape::is_default")]
    pub kuryr: KuryrShape,
    /// Where components get their cloud credentials from.
    pub credentials: Credentials,
    /// Whether nothing beyond the cluster's own network can be reached: no update service but `spec.upstream`, no signatures but
    /// those in ConfigMaps.
    pub disconnected: bool,
    /// Where images are pulled from instead.
    pub mirrors: Vec<Mirror>,
    /// Alerts that fire for reasons of their own.
    pub alerts: Vec<AlertShape>,
    /// Whether the API goes away for a moment whenever a control-plane node reboots; with a single one it always does.
    pub api_outage_on_master_reboot: bool,
    /// How long things take.
    pub timing: Timing,
    /// What the update service knows; none derives an EUS-to-EUS graph from `version`.
    pub graph: Option<UpdateGraph>,
    /// Objects laid over the generated ones: merged into the one of the same kind and name, else added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<serde_json::Value>,
    /// Kube-OVN on plain Kubernetes, instead of OpenShift.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_ovn: Option<KubeOvnShape>,
    /// The real cluster whose nodes, machines and workloads it has, instead of generated ones.
    #[serde(skip)]
    pub copied: Option<std::sync::Arc<Snapshot>>,
}

/// One machine config pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolShape {
    /// The pool's name and its nodes' role.
    pub name: String,
    /// Number of nodes.
    pub nodes: usize,
    /// `spec.maxUnavailable`: a number or a percentage.
    #[serde(default = "one")]
    pub max_unavailable: String,
    /// Whether the pool is paused from the start.
    #[serde(default)]
    pub paused: bool,
}

/// One key of the `admin-gates` ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminGate {
    /// The minor version whose payload brings it, e.g. 17 for 4.17.
    pub minor: u64,
    /// The key, e.g. `ack-4.17-kube-1.31-api-removals-in-4.18`.
    pub key: String,
    /// What the administrator is asked to have checked.
    pub text: String,
}

/// A removed API that something still asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovedApi {
    /// The APIRequestCount's name, e.g. `flowschemas.v1beta3.flowcontrol.apiserver.k8s.io`.
    pub name: String,
    /// The Kubernetes release without it, e.g. `1.32`.
    pub removed_in: String,
    /// Requests in the last day.
    pub requests: u64,
    /// Who sends them.
    pub user: String,
}

/// An operator that OLM installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstalledOperator {
    /// The ClusterServiceVersion's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The newest minor version it supports, e.g. `4.18`.
    pub max_openshift: Option<String>,
}

/// Why a cluster operator forbids a minor update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objection {
    /// The cluster operator.
    pub operator: String,
    /// The reason of its `Upgradeable` condition.
    pub reason: String,
    /// The message of its `Upgradeable` condition.
    pub message: String,
}

/// Medians of what takes time; the spread is log-normal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// From the accepted update to the machine-config operator's turn.
    pub operators_minutes: f64,
    /// Spread of it.
    pub sigma: f64,
    /// The chance that an update takes ten times as long.
    pub heavy_tail: f64,
    /// Writing the new operating system image.
    pub write_minutes: f64,
    /// From the kubelet's last word to its first.
    pub reboot_minutes: f64,
}

impl Default for Timing {
    /// Three control-plane nodes add about half an hour to the operators' share: a median of 70 minutes, as measured on real clusters.
    fn default() -> Self {
        Self { operators_minutes: 42.0, sigma: 0.35, heavy_tail: 0.0, write_minutes: 2.5, reboot_minutes: 4.0 }
    }
}

impl Default for ClusterShape {
    fn default() -> Self {
        Self {
            seed: 1,
            control_plane: 3,
            pools: vec![PoolShape::new("worker", 4), PoolShape::new("infra", 2)],
            version: "4.16.21".into(),
            channel: "stable-4.16".into(),
            node_size: NodeSize::default(),
            workloads_per_node: 8,
            pod_requests: PodRequests::default(),
            bare_pods: 0,
            local_volumes: 0,
            pinned_pods: 0,
            single_replicas: 0,
            doubly_guarded: 0,
            health_check_minutes: Some(5),
            node_health_checks: false,
            signer_days: 250,
            admin_gates: vec![AdminGate::api_removals(17)],
            removed_apis: vec![RemovedApi {
                name: "flowschemas.v1beta3.flowcontrol.apiserver.k8s.io".into(),
                removed_in: "1.32".into(),
                requests: 12,
                user: "system:serviceaccount:shop-0:traffic-shaper".into(),
            }],
            installed_operators: vec![InstalledOperator {
                name: "elasticsearch-operator.v5.8.15".into(),
                namespace: "openshift-operators-redhat".into(),
                max_openshift: Some("4.18".into()),
            }],
            not_upgradeable: vec![],
            overrides: false,
            platform: Platform::default(),
            network: NetworkPlugin::default(),
            kuryr: KuryrShape::default(),
            credentials: Credentials::default(),
            disconnected: false,
            mirrors: vec![],
            alerts: vec![],
            api_outage_on_master_reboot: false,
            timing: Timing::default(),
            graph: None,
            objects: vec![],
            kube_ovn: None,
            copied: None,
        }
    }
}

impl PoolShape {
    /// A pool that updates one node at a time.
    pub fn new(name: &str, nodes: usize) -> Self {
        Self { name: name.into(), nodes, max_unavailable: one(), paused: false }
    }
}

impl AdminGate {
    /// The gate of a release after which Kubernetes drops APIs.
    pub fn api_removals(minor: u64) -> Self {
        let (kube, next) = (minor + 14, minor + 1);
        Self {
            minor,
            key: format!("ack-4.{minor}-kube-1.{kube}-api-removals-in-4.{next}"),
            text: format!(
                "Kubernetes 1.{kube} and therefore OpenShift 4.{next} remove several APIs which require admin consideration. \
                 Please see the knowledge article https://access.redhat.com/articles/7090000 for details and instructions."
            ),
        }
    }
}

/// The minor version after which releases have no Kuryr.
const LAST_WITH_KURYR: u64 = 14;

fn one() -> String {
    "1".into()
}

/// A shape that was not understood.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ShapeError {
    /// `--nodes` is not `CONTROL+WORKERS`.
    #[error("read the node counts {0:?}: write CONTROL+WORKERS, e.g. 3+6")]
    Nodes(String),
    /// `--pools` is not `NAME=COUNT,…`.
    #[error("read the pools {0:?}: write NAME=COUNT separated by commas, e.g. worker=4,infra=2")]
    Pools(String),
    /// A pool that may not be declared.
    #[error("use a pool named {0:?}: it is built in, or named twice; choose another name")]
    PoolName(String),
}

impl ClusterShape {
    /// Sets the node counts from `3+6`; custom pools keep their size as long as workers are left over.
    pub fn with_nodes(mut self, text: &str) -> Result<Self, ShapeError> {
        let bad = || ShapeError::Nodes(text.into());
        let (control, workers) = text.split_once('+').ok_or_else(bad)?;
        let control: usize = control.trim().parse().map_err(|_| bad())?;
        let workers: usize = workers.trim().parse().map_err(|_| bad())?;
        if control == 0 {
            return Err(bad());
        }
        self.control_plane = control;
        let custom: usize = self.pools.iter().filter(|p| p.name != "worker").map(|p| p.nodes).sum();
        if custom >= workers {
            self.pools.retain(|p| p.name == "worker");
        }
        let custom = if custom >= workers { 0 } else { custom };
        for pool in self.pools.iter_mut().filter(|p| p.name == "worker") {
            pool.nodes = workers - custom;
        }
        Ok(self)
    }

    /// Sets the pools from `infra=2,worker=4`; `worker` is added, empty, when it is not named.
    pub fn with_pools(mut self, text: &str) -> Result<Self, ShapeError> {
        let mut pools: Vec<PoolShape> = vec![];
        for part in text.split(',') {
            let bad = || ShapeError::Pools(text.into());
            let (name, nodes) = part.split_once('=').ok_or_else(bad)?;
            let (name, nodes) = (name.trim(), nodes.trim().parse().map_err(|_| bad())?);
            let well_formed = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            if !well_formed {
                return Err(bad());
            }
            if matches!(name, "master" | "control-plane") || pools.iter().any(|p| p.name == name) {
                return Err(ShapeError::PoolName(name.into()));
            }
            pools.push(PoolShape::new(name, nodes));
        }
        if !pools.iter().any(|p| p.name == "worker") {
            pools.push(PoolShape::new("worker", 0));
        }
        self.pools = pools;
        Ok(self)
    }

    /// Makes it a cluster that Kuryr can connect: on OpenStack, and of a release that still has it.
    pub fn suit_kuryr(&mut self) {
        self.network = NetworkPlugin::Kuryr;
        self.platform = Platform::OpenStack;
        let version = super::graph::parse(&self.version);
        if version.minor > LAST_WITH_KURYR {
            self.version = format!("4.{LAST_WITH_KURYR}.38");
            self.channel = format!("stable-4.{LAST_WITH_KURYR}");
        }
    }

    /// What the update service knows.
    pub fn update_graph(&self) -> UpdateGraph {
        self.graph.clone().unwrap_or_else(|| UpdateGraph::eus(&self.version))
    }

    /// Each pool with the names of its nodes, the control plane first: `master`, or `control-plane` on plain Kubernetes.
    pub fn nodes_by_pool(&self) -> Vec<(String, Vec<String>)> {
        if let Some(copied) = &self.copied {
            return copied.nodes_by_pool();
        }
        let control_plane = if self.kube_ovn.is_some() { "control-plane" } else { "master" };
        let master = (control_plane.to_owned(), self.control_plane);
        let pools = std::iter::once(master).chain(self.pools.iter().map(|p| (p.name.clone(), p.nodes)));
        pools.map(|(pool, n)| (pool.clone(), (0..n).map(|i| format!("{pool}-{i}")).collect())).collect()
    }

    /// The node of this name; `worker/0` is the first of its pool.
    pub fn node_named(&self, name: &str) -> Option<String> {
        let pools = self.nodes_by_pool();
        if let Some((pool, index)) = name.split_once('/') {
            let (_, nodes) = pools.into_iter().find(|(known, _)| known == pool)?;
            return nodes.into_iter().nth(index.parse().ok()?);
        }
        pools.into_iter().flat_map(|(_, nodes)| nodes).find(|node| node == name)
    }

    /// `SingleReplica` or `HighlyAvailable`, as the platform calls a control plane of this size.
    pub fn topology(&self) -> &'static str {
        if self.control_plane == 1 { "SingleReplica" } else { "HighlyAvailable" }
    }

    /// Number of nodes outside the control plane.
    pub fn workers(&self) -> usize {
        self.pools.iter().map(|p| p.nodes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read<'a> = (usize, &'a [(&'a str, usize)]);

    fn check(read: Result<ClusterShape, ShapeError>, expected: Result<Read<'_>, ShapeError>) {
        let seen = read.map(|s| (s.control_plane, s.pools.iter().map(|p| (p.name.clone(), p.nodes)).collect::<Vec<_>>()));
        let expected = expected.map(|(c, pools)| (c, pools.iter().map(|(n, k)| ((*n).to_owned(), *k)).collect::<Vec<_>>()));
        assert_eq!(seen, expected);
    }

    #[test]
    fn node_counts_are_read() {
        let nodes = |text| ClusterShape::default().with_nodes(text);
        check(nodes("3+6"), Ok((3, &[("worker", 4), ("infra", 2)])));
        check(nodes("3+100"), Ok((3, &[("worker", 98), ("infra", 2)])));
        check(nodes("1+2"), Ok((1, &[("worker", 2)])));
        for bad in ["", "3", "0+3", "3+x", "-1+2"] {
            check(nodes(bad), Err(ShapeError::Nodes(bad.into())));
        }
    }

    #[test]
    fn pools_are_read() {
        let pools = |text| ClusterShape::default().with_pools(text);
        check(pools("infra=2,worker=4"), Ok((3, &[("infra", 2), ("worker", 4)])));
        check(pools("gpu=1"), Ok((3, &[("gpu", 1), ("worker", 0)])));
        check(pools("master=1"), Err(ShapeError::PoolName("master".into())));
        check(pools("gpu=1,gpu=2"), Err(ShapeError::PoolName("gpu".into())));
        for bad in ["", "gpu", "gpu=x", "GPU=1", "=1"] {
            check(pools(bad), Err(ShapeError::Pools(bad.into())));
        }
    }
}
