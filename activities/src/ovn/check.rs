//! Whether ovn-central is fit for a change of its members, before anything is changed.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::look::{LOOKS, PAUSE, look};
use super::{Central, Database};
use crate::cluster::Cluster;
use crate::ids::NodeName;

mod judge;
mod version;

/// Looks at ovn-central and judges whether its members may be changed so.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckCentral {
    /// The node that shall leave; a member whose node is gone, by its address.
    pub remove: Option<NodeName>,
    /// The node that shall join.
    pub add: Option<NodeName>,
    /// Whether the new one joins before the old one leaves.
    #[serde(default)]
    pub add_first: bool,
}

/// ovn-central before a change, and what speaks against it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CentralReport {
    /// As it was seen.
    pub central: Central,
    /// The member that shall leave.
    pub leaving: Option<Leaving>,
    /// The address of the node that shall join.
    pub joining: Option<IpAddr>,
    /// How many nodes the cluster has.
    #[serde(default)]
    pub nodes: u32,
    /// What forbids the change, one line each, with the evidence and what to do.
    pub blockers: Vec<String>,
    /// What a person should know; it stops nothing.
    pub warnings: Vec<String>,
}

/// The member that shall leave, in both databases.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leaving {
    /// Its node, or its address if that is gone.
    pub node: NodeName,
    /// Its address.
    pub address: IpAddr,
    /// Whether its node is gone from the cluster; it is named by its address then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// Its pod of ovn-central, if there is one.
    pub pod: Option<super::CentralPod>,
    /// What it is in each database, northbound first.
    pub servers: Vec<LeavingServer>,
}

impl Leaving {
    /// Its node and its address.
    pub fn in_words(&self) -> String {
        let Self { node, address, gone, .. } = self;
        if *gone { format!("{address} (its node is gone)") } else { format!("{node} ({address})") }
    }
}

/// A server that shall leave a database.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeavingServer {
    /// The database.
    pub database: Database,
    /// The cluster that it belongs to.
    pub cluster: Uuid,
    /// Its full id, if it told it.
    pub id: Option<Uuid>,
    /// The first digits of its id.
    pub short: String,
    /// Whether it leads.
    pub leads: bool,
}

impl Activity for CheckCentral {
    const NAME: ActivityName = ActivityName::new("check-ovn-central");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = CentralReport;

    fn summary(&self) -> String {
        "check ovn-central and both of its databases".to_owned()
    }

    fn assumed(&self) -> Option<CentralReport> {
        None
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<CentralReport, ActivityError> {
        let mut report = judge::judge(&self, &look(cx.world()).await?);
        for _ in 1..LOOKS {
            if report.blockers.is_empty() {
                break;
            }
            // A leader is busy for moments, and an election is over in seconds: what forbids it is believed if it stays.
            cx.progress(report.blockers.join("; "));
            cx.sleep(PAUSE).await;
            report = judge::judge(&self, &look(cx.world()).await?);
        }
        Ok(report)
    }
}
