//! The Kube-OVN side of a simulated cluster, for tests and faults.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::disks::Disks;
use super::model::Modelled;
use super::objects::{CENTRAL, NAMESPACE};
use super::rooms::{Kick, Rooms};
use super::{Backend, Database, Health};
use crate::containers::{Containers as _, Output};
use crate::store::resources::PODS;
use crate::store::{Removal, Store};
use crate::world::json::{label, name, text};

/// OVN's databases under a simulated cluster.
#[derive(Clone)]
pub struct KubeOvn {
    pub(crate) store: Store,
    pub(crate) backend: Arc<dyn Backend>,
    /// The same backend, if it is a model.
    pub(crate) model: Option<Modelled>,
    pub(crate) disks: Arc<Disks>,
    pub(crate) rooms: Arc<Rooms>,
}

impl std::fmt::Debug for KubeOvn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KubeOvn")
    }
}

impl KubeOvn {
    /// The pod of ovn-central on a node: one that is not being deleted, if there is one.
    pub fn pod(&self, node: &str) -> Option<String> {
        let pods = self.store.list(&PODS);
        let mut here: Vec<_> =
            pods.iter().filter(|p| label(p, "app") == Some(CENTRAL) && text(p, "/spec/nodeName") == node).collect();
        here.sort_by_key(|pod| pod["metadata"]["deletionTimestamp"].is_string());
        here.first().map(|pod| name(pod).to_owned())
    }

    /// How the container of ovn-central on a node is.
    pub fn health(&self, node: &str) -> Option<Health> {
        Some(self.backend.health(&self.pod(node)?))
    }

    /// Runs a command in the container of ovn-central on a node.
    pub async fn exec(&self, node: &str, words: &[&str]) -> Option<Output> {
        let pod = self.store.get(&PODS, Some(NAMESPACE), &self.pod(node)?)?;
        self.run(pod, CENTRAL.to_owned(), words.iter().map(|word| (*word).to_owned()).collect()).await
    }

    /// Runs a command in a container of a pod.
    pub async fn run(&self, pod: Arc<Value>, container: String, words: Vec<String>) -> Option<Output> {
        self.rooms.exec(pod, container, words).await
    }

    /// What the server of a database on a node says of itself and of the others.
    pub async fn status(&self, node: &str, database: Database) -> Option<String> {
        let words = ["ovn-appctl", "-t", database.control(), "cluster/status", database.schema()];
        let output = self.exec(node, &words).await.filter(|output| output.code == 0)?;
        String::from_utf8(output.stdout).ok()
    }

    /// Where a node's `/etc/origin/ovn` lies on this machine, whether it is there or not.
    pub fn directory(&self, node: &str) -> Option<PathBuf> {
        self.disks.on_host(node, "/etc/origin/ovn")
    }

    /// Stops what runs in the pod on a node in its tracks, or lets it go on.
    pub fn suspend(&self, node: &str, suspended: bool) {
        if let Some(pod) = self.pod(node) {
            self.backend.suspend(&pod, suspended);
        }
    }

    /// Ends one server on a node as a crash would.
    pub fn crash(&self, node: &str, database: Database) {
        if let Some(pod) = self.pod(node) {
            self.backend.crash(&pod, database);
        }
    }

    /// Deletes the pod on a node at once, as whoever has no patience; its replica set makes another one.
    pub fn kill(&self, node: &str) {
        let removal = Removal { grace_seconds: Some(0), ..Removal::default() };
        if let Some(pod) = self.pod(node)
            && let Err(error) = self.store.delete_with(&PODS, Some(NAMESPACE), &pod, &removal)
        {
            tracing::debug!(%error, pod, "a pod was gone already");
        }
    }

    /// Takes the pod on a node off the network, or gives it back; commands in it still run. A real server stands still instead.
    pub fn cut(&self, node: &str, cut: bool) {
        let Some(pod) = self.pod(node) else { return };
        match &self.model {
            Some(model) => model.cut(&pod, cut),
            None => self.backend.suspend(&pod, cut),
        }
    }

    /// Lets the servers on a node answer no command, or answer again; they go on otherwise. A real server stands still instead.
    pub fn hang(&self, node: &str, hangs: bool) {
        let Some(pod) = self.pod(node) else { return };
        match &self.model {
            Some(model) => Database::BOTH.into_iter().for_each(|database| model.hang(&pod, database, hangs)),
            None => self.backend.suspend(&pod, hangs),
        }
    }

    /// Takes a node out of both databases and in again, as another actor would; its servers have other ids then. Models only.
    pub fn rejoin(&self, node: &str) {
        if let (Some(pod), Some(model)) = (self.pod(node), &self.model) {
            model.rejoin(&pod);
        }
    }

    /// The model, if the servers are no real ones.
    pub fn model(&self) -> Option<&Modelled> {
        self.model.as_ref()
    }

    /// Every command that took a server out of a database, or tried to.
    pub fn kicks(&self) -> Vec<Kick> {
        self.rooms.kicks()
    }

    /// How many of them were accepted, by database and by the server as it was named.
    pub fn accepted_kicks(&self) -> BTreeMap<(Database, String), usize> {
        let mut accepted = BTreeMap::new();
        for kick in self.kicks().into_iter().filter(|kick| kick.answer.code == 0) {
            *accepted.entry((kick.database, kick.server)).or_default() += 1;
        }
        accepted
    }
}
