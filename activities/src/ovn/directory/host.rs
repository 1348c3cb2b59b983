//! A node's disk, however it is reached: opened only if the node is the one that is meant, and closed on every ending.

use std::net::IpAddr;

use windlass_engine::{ActivityContext, ActivityError};

use super::pod::HostPod;
use super::ssh;
use super::{HostAccess, NAME, PARENT};
use crate::cluster::Cluster;
use crate::exec::{Ended, Purpose};
use crate::ids::NodeName;
use crate::ovn::Database;
use crate::ssh::Ssh;
use crate::views::Node;

/// A node whose disk is needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) node: &'a NodeName,
    pub(super) address: IpAddr,
}

/// A node's disk.
pub(super) enum Host<'a> {
    Pod(HostPod<'a>),
    Ssh(Ssh<'a>),
}

impl<'a> Host<'a> {
    /// Nothing is reached yet.
    pub(super) fn new(cx: &'a ActivityContext<Cluster>, place: Place<'a>, access: &'a HostAccess) -> Result<Self, ActivityError> {
        Ok(match access {
            HostAccess::Pod { image } => Self::Pod(HostPod::new(cx, place, image)),
            HostAccess::Ssh { user } => Self::Ssh(Ssh::new(cx.world(), place.address, user)?),
        })
    }

    /// Reaches the node and makes sure that it is the one at the address.
    pub(super) async fn open(&self, place: Place<'_>) -> Result<(), ActivityError> {
        match self {
            Self::Pod(pod) => pod.open().await,
            Self::Ssh(ssh) => ssh::check(ssh, place).await,
        }
    }

    /// Leaves nothing behind on the cluster, however the work ended.
    pub(super) async fn close<T>(self, outcome: Result<T, ActivityError>) -> Result<T, ActivityError> {
        match self {
            Self::Pod(pod) => pod.close(outcome).await,
            Self::Ssh(_) => outcome,
        }
    }

    /// Runs a command there; no shell of ours reads it.
    pub(super) async fn command(&self, words: &[&str], purpose: Purpose) -> Result<Ended, ActivityError> {
        match self {
            Self::Pod(pod) => pod.command(words, purpose).await,
            Self::Ssh(ssh) => ssh.command(words, purpose).await,
        }
    }

    /// A path in [`PARENT`] as it is called there.
    pub(super) fn path(&self, name: &str) -> String {
        let parent = match self {
            Self::Pod(_) => HostPod::MOUNTED,
            Self::Ssh(_) => PARENT,
        };
        if name.is_empty() { parent.to_owned() } else { format!("{parent}/{name}") }
    }

    /// The names in a directory in [`PARENT`], which itself may be missing.
    pub(super) async fn names(&self, directory: &str) -> Result<Vec<String>, ActivityError> {
        let path = self.path(directory);
        let listed = self.command(&["ls", "-1A", &path], Purpose::Look).await?;
        if listed.code == 0 {
            return Ok(String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect());
        }
        if matches!(self, Self::Ssh(_)) && self.command(&["test", "-e", &path], Purpose::Look).await?.code == 1 {
            return Ok(Vec::new());
        }
        Err(ActivityError::transient("not-listed", format!("{path} can't be listed: {}", listed.in_words())))
    }

    /// The raft addresses that the database files in the directory were made for, as far as they tell.
    pub(super) async fn owners(&self, names: &[String]) -> Result<Vec<String>, ActivityError> {
        let mut owners = Vec::new();
        for database in Database::BOTH.into_iter().filter(|database| names.iter().any(|name| name == database.file())) {
            let file = self.path(&format!("{NAME}/{}", database.file()));
            let told = self.command(&["ovsdb-tool", "db-local-address", &file], Purpose::Look).await?;
            if told.code == 0 {
                owners.push(String::from_utf8_lossy(&told.stdout).trim().to_owned());
            }
        }
        Ok(owners)
    }
}

impl Place<'_> {
    /// Whether the cluster knows the node by this address.
    pub(super) async fn check(self, cluster: &Cluster, access: &HostAccess) -> Result<(), ActivityError> {
        let node: Option<Node> = cluster.get(None, self.node.as_str()).await?;
        match (access, node) {
            (_, Some(node)) if !node.internal_addresses().any(|address| address == self.address) => {
                let has: Vec<String> = node.internal_addresses().map(|address| address.to_string()).collect();
                Err(self.wrong(&format!("the cluster knows it at {}", has.join(", "))))
            }
            (HostAccess::Pod { .. }, None) => Err(self.wrong("the cluster has no such node")),
            // A node that has left the cluster may still be reached by its address, which it is asked for.
            (HostAccess::Pod { .. }, Some(_)) | (HostAccess::Ssh { .. }, _) => Ok(()),
        }
    }

    /// Nothing may be done to a host that is not the one that is meant.
    pub(super) fn wrong(self, why: &str) -> ActivityError {
        let message = format!("node {} is not the host at {}: {why}; nothing was touched; plan again", self.node, self.address);
        ActivityError::permanent("wrong-host", message)
    }
}
