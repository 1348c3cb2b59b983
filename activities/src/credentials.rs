//! Cloud credentials: how the cluster's operators get them, and what must be prepared before a minor update.

use std::sync::Arc;

use windlass_engine::Registry;

use crate::cluster::Cluster;

/// Registers the activities of this family.
pub(crate) fn register(registry: Registry, _: &Arc<Cluster>) -> Registry {
    registry
}
