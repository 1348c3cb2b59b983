//! OVN's two databases: their names, files, sockets and ports, as Kube-OVN lays them out.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of OVN's two databases; each is a raft of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Database {
    /// What the network should be.
    Northbound,
    /// What it is made into for the nodes.
    Southbound,
}

impl Database {
    /// Both, in the order in which they are changed.
    pub const BOTH: [Self; 2] = [Self::Northbound, Self::Southbound];

    /// The schema's name, as the server knows it: `OVN_Northbound`.
    pub fn schema(self) -> &'static str {
        match self {
            Self::Northbound => "OVN_Northbound",
            Self::Southbound => "OVN_Southbound",
        }
    }

    /// The control socket in the pod.
    pub fn control(self) -> &'static str {
        match self {
            Self::Northbound => "/var/run/ovn/ovnnb_db.ctl",
            Self::Southbound => "/var/run/ovn/ovnsb_db.ctl",
        }
    }

    /// The data socket in the pod.
    pub fn socket(self) -> &'static str {
        match self {
            Self::Northbound => "/var/run/ovn/ovnnb_db.sock",
            Self::Southbound => "/var/run/ovn/ovnsb_db.sock",
        }
    }

    /// The database's file in its directory.
    pub fn file(self) -> &'static str {
        match self {
            Self::Northbound => "ovnnb_db.db",
            Self::Southbound => "ovnsb_db.db",
        }
    }

    /// The port on which members talk to each other.
    pub fn raft_port(self) -> u16 {
        match self {
            Self::Northbound => 6643,
            Self::Southbound => 6644,
        }
    }

    /// The port on which clients are served.
    pub fn client_port(self) -> u16 {
        match self {
            Self::Northbound => 6641,
            Self::Southbound => 6642,
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Northbound => "northbound",
            Self::Southbound => "southbound",
        })
    }
}
