//! What to update to: the newest, a version, one with accepted risks, a digest; and from which update service.

use std::sync::Arc;

use windlass_engine::Registry;

use crate::cluster::Cluster;

/// Registers the activities of this family.
pub(crate) fn register(registry: Registry, _: &Arc<Cluster>) -> Registry {
    registry
}
