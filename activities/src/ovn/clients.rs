//! The workloads that are told where the databases are, and the restart of those that only learn it so.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::central::{PodRemoved, RolledOut};
use crate::cluster::Cluster;
use crate::ids::NodeName;

/// A workload that is told where the databases are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Client {
    /// Which sort of workload.
    pub kind: Workload,
    /// Its name: `ovs-ovn`, `kube-ovn-controller`, `kube-ovn-monitor`, `kube-ovn-cni`.
    pub name: String,
    /// The container whose environment has it.
    pub container: String,
    /// The addresses that it is told.
    pub addresses: Vec<IpAddr>,
    /// Whether its pods must be deleted to take up a change: the strategy `OnDelete`.
    pub on_delete: bool,
}

/// A sort of workload.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Workload {
    /// A Deployment.
    Deployment,
    /// A DaemonSet.
    DaemonSet,
}

/// Lists the workloads that carry `OVN_DB_IPS`: ovs-ovn first, then the controller, then whatever else does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ListClients {}

impl Activity for ListClients {
    const NAME: ActivityName = ActivityName::new("list-database-clients");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Vec<Client>;

    fn summary(&self) -> String {
        "list the workloads that are told where the databases are".to_owned()
    }

    fn assumed(&self) -> Option<Vec<Client>> {
        None
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Vec<Client>, ActivityError> {
        let _ = (self, cx);
        Err(ActivityError::permanent("unbuilt", "not built yet"))
    }
}

/// Tells a workload where the databases are; refuses if it was told neither the one nor the other before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SetDatabaseAddresses {
    /// The workload as it was.
    pub client: Client,
    /// The addresses as they shall be.
    pub addresses: Vec<IpAddr>,
}

/// That a workload is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AddressesSet {
    /// Whether it was told so already.
    pub already: bool,
}

impl Activity for SetDatabaseAddresses {
    const NAME: ActivityName = ActivityName::new("set-database-addresses");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = AddressesSet;

    fn summary(&self) -> String {
        format!("tell {} that the databases are at {}", self.client.name, super::list(&self.addresses))
    }

    fn assumed(&self) -> Option<AddressesSet> {
        Some(AddressesSet { already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<AddressesSet, ActivityError> {
        let _ = (self, cx);
        Err(ActivityError::permanent("unbuilt", "not built yet"))
    }
}

/// Waits until every pod of a workload has the new addresses and is ready.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitClient {
    /// The workload.
    pub client: Client,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
}

impl Activity for AwaitClient {
    const NAME: ActivityName = ActivityName::new("await-database-client");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = RolledOut;

    fn summary(&self) -> String {
        format!("wait until {} is rolled out", self.client.name)
    }

    fn assumed(&self) -> Option<RolledOut> {
        Some(RolledOut { evidence: crate::requests::ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<RolledOut, ActivityError> {
        let _ = (self, cx);
        Err(ActivityError::permanent("unbuilt", "not built yet"))
    }
}

/// A pod of ovs-ovn that was started with other addresses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OvsPod {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its node.
    pub node: NodeName,
}

/// Lists the pods of a DaemonSet that were started with other addresses than these, by node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ListStalePods {
    /// The DaemonSet.
    pub client: Client,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
}

impl Activity for ListStalePods {
    const NAME: ActivityName = ActivityName::new("list-stale-ovs-pods");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Vec<OvsPod>;

    fn summary(&self) -> String {
        format!("list the pods of {} that were started with other addresses", self.client.name)
    }

    fn assumed(&self) -> Option<Vec<OvsPod>> {
        None
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Vec<OvsPod>, ActivityError> {
        let _ = (self, cx);
        Err(ActivityError::permanent("unbuilt", "not built yet"))
    }
}

/// Deletes one pod of a DaemonSet by its uid, if all others of it are ready, and waits until its node has a new one that is ready.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RestartOvsPod {
    /// The DaemonSet.
    pub client: Client,
    /// The pod.
    pub pod: OvsPod,
}

impl Activity for RestartOvsPod {
    const NAME: ActivityName = ActivityName::new("restart-ovs-pod");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = PodRemoved;

    fn summary(&self) -> String {
        format!("restart {} on {}", self.client.name, self.pod.node)
    }

    fn assumed(&self) -> Option<PodRemoved> {
        Some(PodRemoved { already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<PodRemoved, ActivityError> {
        let _ = (self, cx);
        Err(ActivityError::permanent("unbuilt", "not built yet"))
    }
}
