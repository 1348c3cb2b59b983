//! The workloads that are told where the databases are, and the restart of those that only learn it so.

mod pods;
mod rollout;
mod workload;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::NAMESPACE;
use super::template::{Told, change_in_words};
use crate::cluster::{Cluster, Patch, Query};
use crate::machine_health::changed_meanwhile;
use crate::views::{DaemonSet, Deployment, PodTemplate, View as _};

pub use pods::{ListStalePods, OvsPod, RestartOvsPod};
pub use rollout::{AwaitClient, ClientRolledOut};
use workload::Found;

/// The variable that has the addresses.
const OVN_DB_IPS: &str = "OVN_DB_IPS";

/// Who is told first: without it a node's datapath is not programmed; the controller is next, all others can wait.
const FIRST: [&str; 2] = ["ovs-ovn", "kube-ovn-controller"];

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
        let query = Query { namespace: Some(NAMESPACE.to_owned()), ..Query::default() };
        let sets: Vec<DaemonSet> = cx.world().list(&query).await?;
        let deployments: Vec<Deployment> = cx.world().list(&query).await?;
        let sets = sets.iter().map(|set| {
            let on_delete = set.spec.update_strategy.kind == "OnDelete";
            clients(Workload::DaemonSet, set.name(), &set.spec.template, on_delete)
        });
        let deployments = deployments.iter().map(|one| clients(Workload::Deployment, one.name(), &one.spec.template, false));
        let mut found = sets.chain(deployments).collect::<Result<Vec<_>, _>>()?.concat();
        let place = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
        found.sort_by(|a, b| (place(&a.name), &a.name, a.kind).cmp(&(place(&b.name), &b.name, b.kind)));
        Ok(found)
    }
}

/// The containers of a workload that are told. An empty list means that they find the databases by their Services.
fn clients(kind: Workload, name: &str, template: &PodTemplate, on_delete: bool) -> Result<Vec<Client>, ActivityError> {
    let mut told = Vec::new();
    for container in template.spec.containers.iter().filter(|one| one.env.iter().any(|variable| variable.name == OVN_DB_IPS)) {
        let read = Told::read(&template.spec, &container.name, OVN_DB_IPS).map_err(|why| unreadable(name, &why))?;
        let (name, container) = (name.to_owned(), container.name.clone());
        told.push(Client { kind, name, container, addresses: read.addresses, on_delete });
    }
    told.retain(|client| !client.addresses.is_empty());
    Ok(told)
}

fn unreadable(name: &str, why: &str) -> ActivityError {
    let message = format!("where {name} is told that the databases are can't be read: {why}; look at it, then plan again");
    ActivityError::permanent("addresses-unreadable", message)
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

    fn requests(&self) -> Vec<String> {
        let change = change_in_words(&self.client.container, OVN_DB_IPS, &self.addresses);
        let patch = Patch::Json(Value::Array(vec![change]));
        vec![Found::patch_line(self.client.kind, &self.client.name, &patch)]
    }

    fn assumed(&self) -> Option<AddressesSet> {
        Some(AddressesSet { already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<AddressesSet, ActivityError> {
        let client = &self.client;
        let found = Found::read(cx.world(), client.kind, &client.name).await?;
        let told =
            Told::read(&found.template().spec, &client.container, OVN_DB_IPS).map_err(|why| unreadable(&client.name, &why))?;
        if told.addresses == self.addresses {
            return Ok(AddressesSet { already: true });
        }
        if told.addresses != client.addresses {
            return Err(changed(client, &told.addresses, &self.addresses));
        }
        let patch = Patch::Json(Value::Array(told.change(&self.addresses)));
        found.patch(cx.world(), &patch).await.map_err(changed_meanwhile)?;
        Ok(AddressesSet { already: false })
    }
}

fn changed(client: &Client, found: &[IpAddr], wished: &[IpAddr]) -> ActivityError {
    let [found, was, wished] = [found, &client.addresses, wished].map(super::list);
    let message = format!(
        "{} is told that the databases are at {found}; it was {was} when this was planned, and shall be {wished}: somebody else \
         changed it; find out who, then plan again",
        client.name
    );
    ActivityError::permanent("changed-by-other", message)
}

#[cfg(test)]
pub(super) mod tests;
