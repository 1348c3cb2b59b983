//! What a person settles for a change of ovn-central's members, and what the plan pinned.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use windlass_activities::ovn::check::CentralReport;
use windlass_activities::ovn::directory::HostAccess;
use windlass_activities::ovn::{Database, list};
use windlass_activities::windows::Calendar;

/// The terms of a change. Everything absent is as it was before the term existed, so that old runs replay.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CentralTerms {
    /// How the disks of nodes are reached; by a short-lived pod with ovn-central's image if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<HostAccess>,
    /// Whether database files that lie on the joining node are moved aside; else they stop the run before anything is changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub move_stale: bool,
    /// When members may be changed; at any time if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<Calendar>,
    /// What the plan saw and a person agreed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned: Option<Pins>,
}

impl CentralTerms {
    /// Whether nothing was settled.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What must be as the plan saw it; leaders and terms may change at any time and are not among it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pins {
    /// The image of ovn-central.
    pub image: String,
    /// `NODE_IPS`.
    pub node_ips: Vec<IpAddr>,
    /// Each database: its cluster's id and its voters, in order of their addresses.
    pub databases: Vec<(Database, Option<Uuid>, Vec<IpAddr>)>,
    /// The servers that shall leave: the first digits of their ids.
    pub leaving: Vec<String>,
    /// The address that shall join.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joining: Option<IpAddr>,
}

impl Pins {
    /// What a look saw.
    pub fn of(report: &CentralReport) -> Self {
        let central = &report.central;
        let databases = central.databases.iter().map(|raft| {
            let mut voters: Vec<IpAddr> = raft.voters().map(|server| server.address).collect();
            voters.sort_unstable();
            (raft.database, raft.cluster, voters)
        });
        Self {
            image: central.image.clone(),
            node_ips: central.node_ips.clone(),
            databases: databases.collect(),
            leaving: report.leaving.iter().flat_map(|leaving| &leaving.servers).map(|server| server.short.clone()).collect(),
            joining: report.joining,
        }
    }

    /// What is otherwise now, one line each.
    pub fn moved(&self, now: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut differs = |what: &str, before: String, now: String| {
            if before != now {
                lines.push(format!("{what}: planned {before}, now {now}"));
            }
        };
        let joining = |pins: &Self| pins.joining.map_or_else(|| "none".to_owned(), |address| address.to_string());
        differs("the image", self.image.clone(), now.image.clone());
        differs("NODE_IPS", list(&self.node_ips), list(&now.node_ips));
        differs("the servers that leave", self.leaving.join(", "), now.leaving.join(", "));
        differs("the address that joins", joining(self), joining(now));
        for database in Database::BOTH {
            differs(&format!("the {database} database"), self.in_words(database), now.in_words(database));
        }
        lines
    }

    fn in_words(&self, database: Database) -> String {
        let found = self.databases.iter().find(|(known, ..)| *known == database);
        let Some((_, cluster, voters)) = found else { return "absent".to_owned() };
        let cluster = cluster.map_or_else(|| "no cluster".to_owned(), |cluster| format!("cluster {cluster}"));
        format!("{cluster} of {}", list(voters))
    }
}
