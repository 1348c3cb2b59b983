//! Where Kube-OVN keeps OVN's two databases in a pod.

use std::net::Ipv4Addr;

use super::Database;

impl Database {
    /// The database's file in its directory.
    pub fn file(self) -> &'static str {
        match self {
            Self::Northbound => "ovnnb_db.db",
            Self::Southbound => "ovnsb_db.db",
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

    /// The raft address of a server on a host: `tcp:[172.18.0.3]:6643`.
    pub fn raft_address(self, host: Ipv4Addr) -> String {
        format!("tcp:[{host}]:{}", self.raft_port())
    }
}
