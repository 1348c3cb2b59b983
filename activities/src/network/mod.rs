//! The network plugin that connects a cluster's pods, and its exchange for another one: what stands in the way, the nodes prepared, the
//! plugin switched, every node told to reboot once, and what is left over removed.
//!
//! In the order of a migration: [`check`], [`backup`], [`policies`], [`operator`], [`prepared`], [`switch`], [`reboot`], [`remove`]. Of one that somebody else began: [`infer`].

pub mod backup;
pub mod check;
pub mod infer;
mod machines;
pub mod operator;
mod permissions;
mod plugin;
pub mod policies;
pub mod prepared;
pub mod reboot;
pub mod remove;
pub mod settings;
pub mod switch;

use std::sync::Arc;

use windlass_engine::Registry;

pub use plugin::NetworkPlugin;

pub(crate) use permissions::needed_by;

use crate::cluster::Cluster;

/// The name of both network objects.
const CLUSTER: &str = "cluster";

/// Registers the activities of this family, to work on `cluster`.
pub(crate) fn register(registry: Registry, cluster: &Arc<Cluster>) -> Registry {
    registry
        .activity::<backup::BackUpNetwork>(cluster)
        .activity::<check::CheckMigration>(cluster)
        .activity::<infer::InferStep>(cluster)
        .activity::<operator::AwaitNetworkOperator>(cluster)
        .activity::<operator::PrepareMigration>(cluster)
        .activity::<operator::EndMigration>(cluster)
        .activity::<policies::BackUpHostPolicies>(cluster)
        .activity::<policies::DeleteHostPolicy>(cluster)
        .activity::<prepared::CheckPrepared>(cluster)
        .activity::<reboot::ArmReboot>(cluster)
        .activity::<reboot::AwaitReboots>(cluster)
        .activity::<reboot::CheckLogins>(cluster)
        .activity::<reboot::ReadBoots>(cluster)
        .activity::<remove::AwaitNamespaceGone>(cluster)
        .activity::<remove::ClearPluginSettings>(cluster)
        .activity::<remove::DeleteNamespace>(cluster)
        .activity::<switch::AwaitMultus>(cluster)
        .activity::<switch::SwitchPlugin>(cluster)
}
