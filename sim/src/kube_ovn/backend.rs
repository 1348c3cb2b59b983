//! What runs in a pod of ovn-central: two database servers and what their start script decides.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use futures::future::BoxFuture;

use crate::containers::Output;

/// One of OVN's two databases.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Database {
    /// `OVN_Northbound`, clients on 6641, raft on 6643.
    Northbound,
    /// `OVN_Southbound`, clients on 6642, raft on 6644.
    Southbound,
}

impl Database {
    /// Both, in the order in which the start script takes them.
    pub const BOTH: [Self; 2] = [Self::Northbound, Self::Southbound];

    /// The schema's name: `OVN_Northbound`.
    pub fn schema(self) -> &'static str {
        match self {
            Self::Northbound => "OVN_Northbound",
            Self::Southbound => "OVN_Southbound",
        }
    }

    /// The name of its files and sockets, without their endings: `ovnnb_db`.
    pub fn stem(self) -> &'static str {
        match self {
            Self::Northbound => "ovnnb_db",
            Self::Southbound => "ovnsb_db",
        }
    }

    /// Where clients are served.
    pub fn client_port(self) -> u16 {
        match self {
            Self::Northbound => 6641,
            Self::Southbound => 6642,
        }
    }

    /// Where members talk to each other.
    pub fn raft_port(self) -> u16 {
        match self {
            Self::Northbound => 6643,
            Self::Southbound => 6644,
        }
    }
}

/// How a pod of ovn-central is started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The pod's name; unique for ever.
    pub pod: String,
    /// The node it is on.
    pub node: String,
    /// The node's address, where the servers listen.
    pub address: Ipv4Addr,
    /// `NODE_IPS` of its environment, in order.
    pub node_ips: Vec<Ipv4Addr>,
    /// The node's `/etc/origin/ovn` on the disk of this machine; made by the start script if it is not there.
    pub directory: PathBuf,
    /// Kube-OVN's version: `1.13.2`.
    pub version: String,
}

/// How the container of a pod of ovn-central is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Health {
    /// Its servers are being started.
    Starting,
    /// The readiness probe passes: both servers are members that know a leader.
    Ready,
    /// It runs and the readiness probe does not pass, with its reason.
    Unready(String),
    /// The start script ended, with what it said; the kubelet starts it again.
    Ended(String),
}

/// Runs the pods of ovn-central. Nothing here waits: what was asked for shows in `health`.
pub trait Backend: Send + Sync + 'static {
    /// Starts a pod's servers as the start script of Kube-OVN would: with the files that are there; joined to a leader that one of
    /// `NODE_IPS` tells; as a cluster of its own if there is none and its address is the first; not at all if its address is not among them.
    fn start(&self, member: Member);

    /// Ends a pod's servers, as a kubelet that deletes the pod; their files stay.
    fn stop(&self, pod: &str);

    /// How a pod's container is; [`Health::Ended`] if it was never started.
    fn health(&self, pod: &str) -> Health;

    /// Stops a pod's servers in their tracks, or lets them go on: a host that hangs or is cut off.
    fn suspend(&self, pod: &str, suspended: bool);

    /// Ends one server of a pod as a crash would.
    fn crash(&self, pod: &str, database: Database);

    /// Runs a command in the pod's container: `ovn-appctl`, `ovs-appctl`, `ovsdb-client`, `ovsdb-tool`, `ovn-nbctl`, `ovn-sbctl`, with
    /// the pod's paths; `None` for any other command, or if nothing runs there.
    fn exec(&self, pod: &str, words: Vec<String>) -> BoxFuture<'static, Option<Output>>;
}
