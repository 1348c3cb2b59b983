use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::host::{Host, Place};
use super::{DIRECTORY, HostAccess, NAME as NAME_THERE};
use crate::cluster::Cluster;
use crate::ids::NodeName;

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
    // It reads, but a pod has to be made for it and deleted again.
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = DirectoryFound;

    fn summary(&self) -> String {
        format!("look at {DIRECTORY} on {}", self.node)
    }

    fn requests(&self) -> Vec<String> {
        self.access.requests(&self.node, self.address, &[])
    }

    fn assumed(&self) -> Option<DirectoryFound> {
        Some(DirectoryFound { stale: Vec::new(), belongs_to: Vec::new() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<DirectoryFound, ActivityError> {
        let place = Place { node: &self.node, address: self.address };
        place.check(cx.world(), &self.access).await?;
        let host = Host::new(&cx, place, &self.access)?;
        let found = found(&host, place).await;
        host.close(found).await
    }
}

async fn found(host: &Host<'_>, place: Place<'_>) -> Result<DirectoryFound, ActivityError> {
    host.open(place).await?;
    if !host.names("").await?.iter().any(|name| name == NAME_THERE) {
        return Ok(DirectoryFound { stale: Vec::new(), belongs_to: Vec::new() });
    }
    let mut stale = host.names(NAME_THERE).await?;
    stale.retain(|name| is_stale(name));
    stale.sort();
    let belongs_to = host.owners(&stale).await?;
    Ok(DirectoryFound { stale, belongs_to })
}

/// Whether the start script would take a file for a database, or for what it needs to come back to one.
pub(super) fn is_stale(name: &str) -> bool {
    name.starts_with("ovnnb_db.") || name.starts_with("ovnsb_db.")
}
