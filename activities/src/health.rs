//! Probes of the user's own: alerts, HTTP addresses, commands. What must be well before the next nodes follow.

use std::sync::Arc;

use windlass_engine::Registry;

use crate::cluster::Cluster;

/// Registers the activities of this family.
pub(crate) fn register(registry: Registry, _: &Arc<Cluster>) -> Registry {
    registry
}
