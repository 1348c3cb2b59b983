//! What the watches last said, all of it at once: conditions judge this and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_engine::Timestamp;

use crate::ids::PoolName;
use crate::views::{ClusterOperator, ClusterVersion, MachineConfigPool, Node, View as _};

/// Objects of one kind by name.
pub type Objects<K> = Arc<BTreeMap<String, Arc<K>>>;

/// A consistent picture of the cluster; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The cluster's time at which the picture is judged.
    pub now: Timestamp,
    /// The ClusterVersion, under its name.
    pub versions: Objects<ClusterVersion>,
    /// The cluster operators.
    pub operators: Objects<ClusterOperator>,
    /// The machine config pools.
    pub pools: Objects<MachineConfigPool>,
    /// The nodes.
    pub nodes: Objects<Node>,
    /// Since when each node that is being drained is.
    pub draining_since: Arc<BTreeMap<String, Timestamp>>,
    /// How each kind's watch is doing.
    pub watches: Watches,
}

/// How the watches are doing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Watches {
    /// ClusterVersion.
    pub versions: WatchState,
    /// Cluster operators.
    pub operators: WatchState,
    /// Machine config pools.
    pub pools: WatchState,
    /// Nodes.
    pub nodes: WatchState,
}

/// How one watch is doing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WatchState {
    /// When it last brought something; none before the first whole list.
    pub as_of: Option<Timestamp>,
    /// What keeps it from following the cluster.
    pub trouble: Option<Trouble>,
}

/// What keeps a watch from following the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// Since when, by our clock.
    pub since: Timestamp,
    /// What went wrong.
    pub error: String,
    /// What sort of thing it is.
    pub sort: TroubleSort,
}

/// What sort of trouble a watch has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TroubleSort {
    /// The server is away.
    Connection,
    /// The server no longer accepts the login.
    Login,
    /// A permission is missing.
    Permission,
}

/// Whether the API server can be followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ApiState {
    /// The first lists are not there yet.
    Reading,
    /// The picture follows the cluster.
    Reachable,
    /// The server is away.
    Lost {
        /// Since when, by our clock.
        since: Timestamp,
        /// What went wrong.
        error: String,
    },
    /// The server no longer accepts the login.
    LoginEnded {
        /// Since when, by our clock.
        since: Timestamp,
        /// What went wrong, and what reading the kubeconfig again brought.
        error: String,
    },
    /// A permission is missing.
    Forbidden {
        /// Which.
        error: String,
    },
}

impl Watches {
    fn all(&self) -> [&WatchState; 4] {
        [&self.versions, &self.operators, &self.pools, &self.nodes]
    }

    pub(crate) fn all_mut(&mut self) -> [&mut WatchState; 4] {
        [&mut self.versions, &mut self.operators, &mut self.pools, &mut self.nodes]
    }

    fn first(&self, sort: TroubleSort) -> Option<&Trouble> {
        self.all().into_iter().filter_map(|watch| watch.trouble.as_ref()).filter(|t| t.sort == sort).min_by_key(|t| t.since)
    }

    /// Whether the API server can be followed: one watch that can't is enough to distrust the picture.
    pub fn api(&self) -> ApiState {
        if let Some(trouble) = self.first(TroubleSort::Permission) {
            return ApiState::Forbidden { error: trouble.error.clone() };
        }
        if let Some(Trouble { since, error, .. }) = self.first(TroubleSort::Login) {
            return ApiState::LoginEnded { since: *since, error: error.clone() };
        }
        if let Some(Trouble { since, error, .. }) = self.first(TroubleSort::Connection) {
            return ApiState::Lost { since: *since, error: error.clone() };
        }
        let complete = self.all().into_iter().all(|watch| watch.as_of.is_some());
        if complete { ApiState::Reachable } else { ApiState::Reading }
    }
}

impl Snapshot {
    /// Whether the API server can be followed.
    pub fn api(&self) -> ApiState {
        self.watches.api()
    }

    /// The ClusterVersion.
    pub fn version(&self) -> Option<&ClusterVersion> {
        self.versions.get("version").map(Arc::as_ref)
    }

    /// A pool by name.
    pub fn pool(&self, name: &PoolName) -> Option<&MachineConfigPool> {
        self.pools.get(name.as_str()).map(Arc::as_ref)
    }

    /// The nodes of a pool, by the machine-config operator's own rule: a control-plane node is in `master` whatever
    /// else selects it, a custom pool wins over `worker`.
    pub fn nodes_of<'a>(&'a self, pool: &'a MachineConfigPool) -> impl Iterator<Item = &'a Node> {
        self.nodes.values().map(Arc::as_ref).filter(move |node| {
            membership(node, self.pools.values().map(Arc::as_ref)).is_some_and(|owner| owner.name() == pool.name())
        })
    }
}

/// The pool that a node is in.
pub fn membership<'a>(node: &Node, pools: impl Iterator<Item = &'a MachineConfigPool> + Clone) -> Option<&'a MachineConfigPool> {
    let labels = node.metadata.labels.as_ref();
    let selecting = pools.filter(|pool| pool.spec.node_selector.as_ref().is_some_and(|selector| selector.selects(labels)));
    let named = |name: &str| selecting.clone().find(|pool| pool.name() == name);
    named("master").or_else(|| selecting.clone().find(|pool| pool.name() != "worker")).or_else(|| named("worker"))
}
