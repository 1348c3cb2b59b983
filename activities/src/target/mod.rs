//! What to update to: the newest, a version, one with accepted risks, a digest; and from which update service.
//!
//! Sources: the ClusterVersion API (`availableUpdates`, `conditionalUpdates`, `desiredUpdate`), the update graph's format, and
//! the vendor's procedures for conditional and disconnected updates.

mod choose;
mod disconnected;
mod offers;
mod resolve;
mod risks;
mod upstream;

pub use disconnected::{CheckDisconnected, Disconnected, DisconnectedFinding};
pub use resolve::{ResolveTarget, Risk, Target, Wanted};
pub use risks::{CheckRisks, RisksChecked};
pub use upstream::{SetUpstream, UpstreamSet};

use std::sync::Arc;

use windlass_engine::Registry;

use crate::cluster::Cluster;

/// Registers the activities of this family.
pub(crate) fn register(registry: Registry, cluster: &Arc<Cluster>) -> Registry {
    registry
        .activity::<CheckDisconnected>(cluster)
        .activity::<CheckRisks>(cluster)
        .activity::<ResolveTarget>(cluster)
        .activity::<SetUpstream>(cluster)
}
