//! Deadlines that come from the cluster: certificates, pause ages, the vendor's limit on paused pools.

use std::sync::Arc;

use windlass_engine::Registry;

use crate::cluster::Cluster;

/// Registers the activities of this family.
pub(crate) fn register(registry: Registry, _: &Arc<Cluster>) -> Registry {
    registry
}
