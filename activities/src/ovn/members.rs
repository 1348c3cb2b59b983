//! Waiting until the members of a database agree on who they are.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::Database;
use crate::cluster::Cluster;

/// Waits until the members of a database are exactly these, all of them alive, caught up and of one mind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitMembers {
    /// The database.
    pub database: Database,
    /// The cluster that it must be; a server that founded one of its own is an error.
    pub cluster: Uuid,
    /// Their addresses.
    pub members: Vec<IpAddr>,
}

/// That the members agree.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MembersAgree {
    /// What was seen: leader, term, how far each is.
    pub evidence: String,
}

impl Activity for AwaitMembers {
    const NAME: ActivityName = ActivityName::new("await-ovn-members");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = MembersAgree;

    fn summary(&self) -> String {
        {
            let members: Vec<String> = self.members.iter().map(ToString::to_string).collect();
            format!("wait until the members of the {} database are {}", self.database, members.join(", "))
        }
    }

    fn assumed(&self) -> Option<MembersAgree> {
        Some(MembersAgree { evidence: crate::requests::ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<MembersAgree, ActivityError> {
        let _ = (self, cx);
        Err(ActivityError::permanent("unbuilt", "not built yet"))
    }
}
