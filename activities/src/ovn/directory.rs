//! The directory of the databases on a node's disk: looked at, and moved aside; never deleted.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::Cluster;
use crate::ids::NodeName;

/// Where Kube-OVN keeps its databases on a node.
pub const DIRECTORY: &str = "/etc/origin/ovn";

/// How a node's disk is reached.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostAccess {
    /// A short-lived pod that is pinned to the node and mounts the directory above.
    Pod {
        /// Its image; it must have `ovsdb-tool`. The image of ovn-central has.
        image: String,
    },
    /// The system's `ssh`, which must not ask for anything.
    Ssh {
        /// Who logs in: `root`, `core`.
        user: String,
    },
}

/// Lists what a database of an earlier membership left on a node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LookAtDirectory {
    /// The node.
    pub node: NodeName,
    /// Its address.
    pub address: IpAddr,
    /// How its disk is reached.
    pub access: HostAccess,
}

/// What lies in a directory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DirectoryFound {
    /// The names of database files, headers and copies of them; empty if a new member can begin there.
    pub stale: Vec<String>,
    /// The raft address that each database file belongs to, as far as it tells.
    pub belongs_to: Vec<String>,
}

impl Activity for LookAtDirectory {
    const NAME: ActivityName = ActivityName::new("look-at-ovn-directory");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = DirectoryFound;

    fn summary(&self) -> String {
        format!("look at {DIRECTORY} on {}", self.node)
    }

    fn assumed(&self) -> Option<DirectoryFound> {
        Some(DirectoryFound { stale: Vec::new(), belongs_to: Vec::new() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<DirectoryFound, ActivityError> {
        let _ = (self, cx);
        Err(ActivityError::permanent("unbuilt", "not built yet"))
    }
}

/// Moves the directory of the databases aside on a node that is a member of neither any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MoveDirectoryAside {
    /// The node.
    pub node: NodeName,
    /// Its address, which must be in neither database.
    pub address: IpAddr,
    /// How its disk is reached.
    pub access: HostAccess,
    /// What the new name ends in: the run and the step, so that a repeat is known.
    pub marker: String,
}

/// That a directory is aside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DirectoryMoved {
    /// Where it is now; none if there was nothing.
    pub to: Option<String>,
    /// Whether it was so already.
    pub already: bool,
}

impl Activity for MoveDirectoryAside {
    const NAME: ActivityName = ActivityName::new("move-ovn-directory-aside");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = DirectoryMoved;

    fn summary(&self) -> String {
        format!("move {DIRECTORY} on {} aside", self.node)
    }

    fn assumed(&self) -> Option<DirectoryMoved> {
        Some(DirectoryMoved { to: None, already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<DirectoryMoved, ActivityError> {
        let _ = (self, cx);
        Err(ActivityError::permanent("unbuilt", "not built yet"))
    }
}
