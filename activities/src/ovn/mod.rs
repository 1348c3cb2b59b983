//! OVN's two databases and their raft: what the servers say of themselves, parsed strictly.

pub mod status;

pub use status::{Change, Connection, Election, Membership, Phase, RaftStatus, Role, Server, StatusError, Who};
