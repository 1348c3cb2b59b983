//! Taking a server out of a database's raft: done once, after the quorum guard has looked, and probed when in doubt.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, Probe};

use super::Database;
use crate::cluster::Cluster;

/// Takes one server out of a database's raft.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KickServer {
    /// The database.
    pub database: Database,
    /// The cluster that it must be.
    pub cluster: Uuid,
    /// The server's address.
    pub address: IpAddr,
    /// Its full id as the plan saw it; by its exact raft address if it never told one.
    pub id: Option<Uuid>,
    /// The first digits of its id.
    pub short: String,
    /// The addresses of all voters before, itself among them.
    pub voters: Vec<IpAddr>,
}

/// That a server was told to go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServerKicked {
    /// What the answering server said, or what was seen instead.
    pub evidence: String,
}

impl Activity for KickServer {
    const NAME: ActivityName = ActivityName::new("kick-ovn-server");
    const EFFECT: Effect = Effect::Once;
    type World = Cluster;
    type Output = ServerKicked;

    fn summary(&self) -> String {
        format!("take {} ({}) out of the {} database", self.address, self.short, self.database)
    }

    fn assumed(&self) -> Option<ServerKicked> {
        Some(ServerKicked { evidence: crate::requests::ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<ServerKicked, ActivityError> {
        let _ = (self, cx);
        Err(ActivityError::permanent("unbuilt", "not built yet"))
    }

    async fn probe(&self, cx: ActivityContext<Cluster>) -> Result<Probe<ServerKicked>, ActivityError> {
        let _ = cx;
        Ok(Probe::CannotTell("not built yet".to_owned()))
    }
}
