//! Conditions on a cluster: pure functions over one snapshot that say met, failed, or why not yet.
//!
//! A condition never believes a status that is older than the wish it answers: generation, target and observed
//! generation are compared first. Sources: the ClusterVersion, ClusterOperator and MachineConfigPool APIs, and the
//! thresholds of `oc adm upgrade status`.

mod asides;
mod control_plane;
mod evictions;
mod nodes;
mod operators;
mod pools;
mod updates;
mod verdict;

pub use asides::{Asides, merged};
pub use control_plane::control_plane_done;
pub use evictions::{Evictions, evictions, namespaces_left};
pub(crate) use nodes::{configuring, not_ready};
pub use nodes::{drains_blocked, nodes_healthy};
pub use operators::{operator_troubles, operators_healthy};
pub use pools::{others_paused, pool_paused, pool_rolled_out, pool_troubles};
pub use updates::updates_retrieved;
pub use verdict::{Concern, Reason, Verdict};

#[cfg(test)]
pub(crate) mod fixtures;
