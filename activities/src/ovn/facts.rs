//! What is known of ovn-central: its objects, its pods, and the raft of each database as all of its servers together tell it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Database;
use crate::ids::NodeName;

/// ovn-central as one look shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Central {
    /// Kube-OVN's version, from the tag of the image: `1.13.2`; none if the tag tells none.
    pub version: Option<semver::Version>,
    /// The image.
    pub image: String,
    /// `spec.replicas` of the Deployment.
    pub replicas: u32,
    /// `NODE_IPS` of the Deployment's template, in order.
    pub node_ips: Vec<IpAddr>,
    /// The nodes with the label `kube-ovn/role=master`, and those on which a pod of ovn-central is.
    pub nodes: Vec<CentralNode>,
    /// The pods of ovn-central, whatever state they are in.
    pub pods: Vec<CentralPod>,
    /// Both databases, northbound first.
    pub databases: Vec<Raft>,
}

/// A node that has to do with ovn-central.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CentralNode {
    /// Its name.
    pub name: NodeName,
    /// Its internal address.
    pub address: IpAddr,
    /// Whether it has the label `kube-ovn/role=master`.
    pub labelled: bool,
    /// Whether its kubelet says that it is ready.
    pub ready: bool,
}

/// A pod of ovn-central.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CentralPod {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The node it is on, if it is on one.
    pub node: Option<NodeName>,
    /// The node's address.
    pub address: Option<IpAddr>,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether it runs and is not being deleted.
    pub runs: bool,
}

/// The raft of one database.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Raft {
    /// Which.
    pub database: Database,
    /// The cluster's id; none if no member tells one.
    pub cluster: Option<Uuid>,
    /// The highest term that any member told.
    pub term: u64,
    /// The address of the leader, if one says that it is and nobody says otherwise.
    pub leader: Option<IpAddr>,
    /// After how long without a leader an election begins, in milliseconds.
    pub election_timer_ms: u64,
    /// The members: by the leader's list if there is a leader, else by every list that was told, and whoever else answered.
    pub servers: Vec<Server>,
    /// What is not as it should be; empty if all is well. A text that was not understood is here, too.
    pub troubles: Vec<Trouble>,
}

/// Something in a raft that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trouble {
    /// What sort of thing it is.
    pub kind: TroubleKind,
    /// The servers without which it would be gone; empty if it is about the raft as a whole.
    pub concerns: Vec<IpAddr>,
    /// One line with the evidence.
    pub text: String,
}

/// What sort of thing is not as it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// A server belongs to another cluster: it founded one of its own.
    Foreign,
    /// A server is being taken in or out, or the election timer is being changed.
    Changing,
    /// The leader works on entries; that passes.
    Busy,
    /// A server names other members than the leader does.
    Disagree,
    /// Anything else.
    Amiss,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A server of a raft.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Server {
    /// Its address, without the port.
    pub address: IpAddr,
    /// Its raft address as the members write it: `tcp:[172.18.0.5]:6643`.
    pub raft_address: String,
    /// Its full id, if it told it itself.
    pub id: Option<Uuid>,
    /// The first digits of its id, as others write it.
    pub short: String,
    /// The pod that it runs in, if it answered from one.
    pub pod: Option<String>,
    /// How it stands.
    pub standing: Standing,
    /// Whether the members list it: it has a vote.
    pub votes: bool,
    /// How many entries it is behind the leader; only the leader knows.
    pub behind: Option<u64>,
}

/// How a server of a raft stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It leads.
    Leader,
    /// It follows a leader.
    Follower,
    /// It seeks a leader, or to be one.
    Candidate,
    /// It asks to be taken in.
    Joining,
    /// It asks to be taken out.
    Leaving,
    /// It was taken out.
    Left,
    /// It has failed, or lost touch with the others.
    Down {
        /// What it says.
        says: String,
    },
    /// It does not answer.
    Silent {
        /// Why.
        why: String,
    },
}

const SILENT: &str = "does not answer";

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader => f.write_str("leads"),
            Self::Follower => f.write_str("follows"),
            Self::Candidate => f.write_str("seeks a leader"),
            Self::Joining => f.write_str("asks to be taken in"),
            Self::Leaving => f.write_str("asks to be taken out"),
            Self::Left => f.write_str("was taken out"),
            Self::Down { says } => f.write_str(says),
            Self::Silent { why } => write!(f, "{SILENT}: {why}"),
        }
    }
}

impl Trouble {
    /// Whether it would be gone without these servers.
    pub fn is_only_about(&self, servers: &[IpAddr]) -> bool {
        !self.concerns.is_empty() && self.concerns.iter().all(|server| servers.contains(server))
    }
}

impl Central {
    /// The raft of a database.
    pub fn raft(&self, database: Database) -> Option<&Raft> {
        self.databases.iter().find(|raft| raft.database == database)
    }
}

impl Raft {
    /// The servers that have a vote.
    pub fn voters(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(|server| server.votes)
    }

    /// The server at an address.
    pub fn at(&self, address: IpAddr) -> Option<&Server> {
        self.servers.iter().find(|server| server.address == address)
    }

    /// What it is in one line: cluster, term, leader, and how each server stands.
    pub fn in_words(&self) -> String {
        let cluster = self.cluster.map_or_else(|| "no cluster".to_owned(), |id| format!("cluster {id}"));
        let servers: Vec<String> = self.servers.iter().map(Server::in_words).collect();
        format!("{cluster}, term {}: {}", self.term, servers.join(", "))
    }

    /// Whether all is as it should be: one leader, everybody with a vote follows it, nothing is being changed.
    pub fn is_whole(&self) -> bool {
        self.troubles.is_empty() && self.leader.is_some() && self.voters().all(Server::is_live)
    }
}

impl Server {
    /// Its address and the first digits of its id: `172.18.0.5 (d64b)`.
    pub fn label(&self) -> String {
        if self.short.is_empty() { self.address.to_string() } else { format!("{} ({})", self.address, self.short) }
    }

    /// Address, id, and how it stands.
    pub fn in_words(&self) -> String {
        let behind =
            self.behind.filter(|behind| *behind > 0).map(|behind| format!(", {behind} entries behind")).unwrap_or_default();
        let vote = if self.votes { "" } else { ", no vote" };
        // Why is a trouble of the raft, with all that was said.
        let stands = if matches!(self.standing, Standing::Silent { .. }) { SILENT.to_owned() } else { self.standing.to_string() };
        format!("{} {stands}{behind}{vote}", self.label())
    }

    /// Whether it takes part in decisions now.
    pub fn is_live(&self) -> bool {
        matches!(self.standing, Standing::Leader | Standing::Follower)
    }
}
