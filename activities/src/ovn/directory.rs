//! The directory of the databases on a node's disk: looked at, and moved aside; never deleted.

mod aside;
mod host;
mod look;
mod pod;
mod ssh;
mod sweep;

pub use aside::{DirectoryMoved, MoveDirectoryAside};
pub use look::{DirectoryFound, LookAtDirectory};
pub use sweep::{HostPodsSwept, SweepHostPods};

use std::net::IpAddr;

use kube::Resource as _;
use serde::{Deserialize, Serialize};

use super::NAMESPACE;
use crate::ids::NodeName;
use crate::views::Pod;

/// Where Kube-OVN keeps its databases on a node.
pub const DIRECTORY: &str = "/etc/origin/ovn";

/// The directory in which it lies, and in which it is moved: a new name there is one step of the file system.
const PARENT: &str = "/etc/origin";
/// Its name there.
const NAME: &str = "ovn";

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

impl HostAccess {
    /// The requests of a plan, with the command that changes something, if there is one.
    fn requests(&self, node: &NodeName, address: IpAddr, act: &[&str]) -> Vec<String> {
        let act = (!act.is_empty()).then(|| act.join(" "));
        match self {
            Self::Pod { image } => {
                let pods = Pod::url_path(&(), Some(NAMESPACE));
                let made = format!("POST {pods} a pod of {image} on {node} that mounts {PARENT} and lives for minutes");
                let act = act.map(|act| format!("POST {pods}/…/exec on {node}, in words of the host: {act}"));
                [Some(made), act, Some(format!("DELETE {pods}/… with its uid"))].into_iter().flatten().collect()
            }
            Self::Ssh { user } => act.map(|act| format!("ssh {user}@{address} {act}")).into_iter().collect(),
        }
    }
}
