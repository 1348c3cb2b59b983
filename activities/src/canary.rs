//! Canary pools: some nodes of a pool take the update first, watched, before the others follow.

use std::sync::Arc;

use windlass_engine::Registry;

use crate::cluster::Cluster;

/// Registers the activities of this family.
pub(crate) fn register(registry: Registry, _: &Arc<Cluster>) -> Registry {
    registry
}
