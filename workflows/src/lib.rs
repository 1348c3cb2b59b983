//! The procedures: deterministic async functions, one a file, that read like the runbook they come from.
//!
//! Nothing here may look at a clock, at randomness, at the environment, or touch a cluster: whatever the outside has to say comes
//! through an activity and stands in the journal.

pub mod canary;
pub mod credentials;
pub mod eus_plan;
pub mod eus_update;
mod hold_still;
mod insist;
mod plan;

use std::sync::Arc;

use windlass_activities::Cluster;
use windlass_engine::Registry;

pub use plan::{Plan, PlannedStep};

/// The registered name of [`eus_update::eus_update`].
pub const EUS_UPDATE: &str = "eus-update";

/// The registered name of [`canary::canary_drill`].
pub const CANARY_DRILL: &str = "canary-drill";

/// Every workflow with its revision and what it does in one line.
pub const CATALOGUE: &[(&str, u32, &str)] =
    &[(EUS_UPDATE, 1, "from one EUS release to the next, with one reboot of each worker")];

/// Registers every workflow and the activities they use, which work on `cluster`.
pub fn register(registry: Registry, cluster: &Arc<Cluster>) -> Registry {
    let registry = windlass_activities::register(registry, cluster);
    let registry = registry.workflow(CANARY_DRILL, 1, canary::canary_drill);
    registry.workflow(EUS_UPDATE, 1, eus_update::eus_update)
}
