//! ovn-central, where Kube-OVN runs OVN's two databases, each a raft of its own: read from every member, judged by one guard, changed
//! one step at a time. The order of an exchange of a member: [`check`], [`directory`], [`backup`], [`kick`], [`members`], [`label`],
//! [`central`], [`clients`].

pub mod backup;
pub mod central;
pub mod check;
pub mod clients;
mod database;
pub mod directory;
mod facts;
#[cfg(test)]
pub(crate) mod fixtures;
mod guard;
pub mod kick;
pub mod label;
mod look;
pub mod members;
mod permissions;
mod raft;
mod rollout;
pub mod status;
mod template;

use std::net::IpAddr;
use std::sync::Arc;

use windlass_engine::Registry;

pub use database::Database;
pub use facts::{Central, CentralNode, CentralPod, Raft, Server, Standing, Trouble, TroubleKind};
pub use guard::{Act, Evidence, Refusal, allow};
pub use status::{Change, Connection, Election, Membership, Phase, RaftStatus, Role, StatusError, Who};

pub(crate) use permissions::needed_by;

use crate::cluster::Cluster;

/// Where Kube-OVN lives.
pub const NAMESPACE: &str = "kube-system";

/// A hash in hexadecimal digits.
pub(crate) fn hex(digest: &ring::digest::Digest) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// Registers the activities of this family, to work on `cluster`.
pub(crate) fn register(registry: Registry, cluster: &Arc<Cluster>) -> Registry {
    registry
        .activity::<backup::BackUpDatabase>(cluster)
        .activity::<central::AwaitCentralRollout>(cluster)
        .activity::<central::RemoveCentralPod>(cluster)
        .activity::<central::SetCentralMembers>(cluster)
        .activity::<check::CheckCentral>(cluster)
        .activity::<clients::AwaitClient>(cluster)
        .activity::<clients::ListClients>(cluster)
        .activity::<clients::ListStalePods>(cluster)
        .activity::<clients::RestartOvsPod>(cluster)
        .activity::<clients::SetDatabaseAddresses>(cluster)
        .activity::<directory::LookAtDirectory>(cluster)
        .activity::<directory::MoveDirectoryAside>(cluster)
        .activity::<directory::SweepHostPods>(cluster)
        .activity::<kick::KickServer>(cluster)
        .activity::<label::LabelNode>(cluster)
        .activity::<members::AwaitMembers>(cluster)
}

/// Addresses as `NODE_IPS` has them: `172.18.0.3,172.18.0.4`.
pub fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
