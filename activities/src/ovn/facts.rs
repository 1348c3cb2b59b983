//! What is known of ovn-central: its objects, its pods, and the raft of each database as all of its servers together tell it.

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
    /// What is not as it should be, one line each; empty if all is well. A text that was not understood is here, too.
    pub troubles: Vec<String>,
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

    /// Whether all is as it should be: one leader, everybody with a vote follows it, nothing is being changed.
    pub fn is_whole(&self) -> bool {
        self.troubles.is_empty() && self.leader.is_some() && self.voters().all(Server::is_live)
    }
}

impl Server {
    /// Whether it takes part in decisions now.
    pub fn is_live(&self) -> bool {
        matches!(self.standing, Standing::Leader | Standing::Follower)
    }
}
