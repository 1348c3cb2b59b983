//! Probes of the user's own: alerts, HTTP addresses, commands. What must be well before the next nodes follow.
//!
//! A specification holds references to secrets, a token's file and never a token: it stands in the journal as it is.

mod ask;
mod command;
mod http_probe;
mod probe;
mod prometheus;
mod spec;

use std::sync::Arc;

use windlass_engine::Registry;

use crate::cluster::Cluster;

pub use probe::{ProbeHealth, ProbesWell};
pub use spec::{CommandProbe, HealthProbes, HttpProbe, PrometheusProbe};

/// Registers the activities of this family.
pub(crate) fn register(registry: Registry, cluster: &Arc<Cluster>) -> Registry {
    registry.activity::<ProbeHealth>(cluster)
}
