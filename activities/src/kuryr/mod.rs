//! What Kuryr leaves behind in the cloud, and in the cluster, once another plugin has taken over: found and written down by id before
//! anything that names it is deleted, then deleted in the order in which one thing needs another.
//!
//! Nothing is deleted by a name, a description or a filter: only by an id that was captured, and only if the object carries the tag of
//! this cluster when its turn comes.

pub mod capture;
pub mod delete;
pub mod detach;
pub mod finalizers;
mod inventory;
mod permissions;
pub mod ports;
pub mod sweep;

use std::sync::Arc;

use windlass_engine::Registry;

pub use inventory::{KuryrInventory, KuryrNet, KuryrRouter, KuryrTrunk, Named};
pub(crate) use permissions::needed_by;

use crate::cluster::Cluster;

/// Registers the activities of this family, to work on `cluster`.
pub(crate) fn register(registry: Registry, cluster: &Arc<Cluster>) -> Registry {
    registry
        .activity::<capture::CaptureKuryr>(cluster)
        .activity::<delete::DeleteCloudObject>(cluster)
        .activity::<detach::DetachSubnet>(cluster)
        .activity::<detach::RemoveSubPorts>(cluster)
        .activity::<finalizers::RemoveFinalizers>(cluster)
        .activity::<finalizers::DeleteGatewayService>(cluster)
        .activity::<ports::DeletePorts>(cluster)
        .activity::<sweep::SweepKuryr>(cluster)
}
