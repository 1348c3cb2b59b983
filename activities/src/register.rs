//! The list of every activity, for the registry of a binary.

use std::sync::Arc;

use windlass_engine::Registry;

use crate::admin_ack::{AcknowledgeGate, ReadGates};
use crate::channel::{AwaitUpdatesRetrieved, SetChannel};
use crate::cluster::Cluster;
use crate::machine_health::{ListHealthChecks, PauseHealthCheck, ResumeHealthCheck};
use crate::pool::{AwaitPool, ListPools, PausePool, ReleasePool, ReturnPool};
use crate::preflight::Preflight;
use crate::release::{ResolveHop, ResolvePath};
use crate::update::{AwaitControlPlane, ReadUpdateState, RequestUpdate};
use crate::verify::{CheckHealth, FinalVerification};

/// Registers every activity, to work on `cluster`.
pub fn register(registry: Registry, cluster: &Arc<Cluster>) -> Registry {
    let families = [
        crate::canary::register,
        crate::credentials::register,
        crate::deadline::register,
        crate::estimate::register,
        crate::health::register,
        crate::kuryr::register,
        crate::network::register,
        crate::ovn::register,
        crate::target::register,
        crate::windows::register,
    ];
    let registry = families.iter().fold(registry, |registry, family| family(registry, cluster));
    registry
        .activity::<AcknowledgeGate>(cluster)
        .activity::<AwaitControlPlane>(cluster)
        .activity::<AwaitPool>(cluster)
        .activity::<AwaitUpdatesRetrieved>(cluster)
        .activity::<CheckHealth>(cluster)
        .activity::<FinalVerification>(cluster)
        .activity::<ListHealthChecks>(cluster)
        .activity::<ListPools>(cluster)
        .activity::<PauseHealthCheck>(cluster)
        .activity::<PausePool>(cluster)
        .activity::<Preflight>(cluster)
        .activity::<ReadGates>(cluster)
        .activity::<ReadUpdateState>(cluster)
        .activity::<ReleasePool>(cluster)
        .activity::<RequestUpdate>(cluster)
        .activity::<ResolveHop>(cluster)
        .activity::<ResolvePath>(cluster)
        .activity::<ResumeHealthCheck>(cluster)
        .activity::<ReturnPool>(cluster)
        .activity::<SetChannel>(cluster)
}
