//! Canary pools: some nodes of a pool take the update first, watched, before the others follow.
//!
//! A wave is a custom pool that renders the same configuration as `worker`, so that nodes move into it and back out of it without
//! a reboot (procedures of the vendor's "Updating clusters", chapter 10). [`ChooseWaves`] says which nodes, [`CreateWavePool`]
//! and [`LabelWave`] move them, [`UnlabelWave`] and [`DeleteWavePool`] move them back, in the one order that leaves no node with a
//! configuration that was deleted. docs/canary.md has the whole of it.

mod capacity;
mod choose;
mod cordon;
mod dissolve;
mod evict;
mod form;
mod healthy;
mod permissions;
mod select;
mod selector;
mod spec;
mod wave;

use std::sync::Arc;

use windlass_engine::Registry;

use crate::cluster::Cluster;

pub use choose::{ChooseWaves, Waves};
pub use cordon::{CordonNode, NodeCordoned, NodeUncordoned, UncordonNode};
pub use dissolve::{
    AwaitWaveDissolved, DeleteWavePool, Dissolved, ReadWave, UnlabelWave, WavePoolDeleted, WaveState, WaveUnlabelled,
};
pub use evict::{DrainNode, NodeDrained};
pub use form::{AwaitWaveFormed, AwaitWaveRendered, LabelWave, WaveFormed, WaveLabelled, WaveRendered};
pub use healthy::{AwaitWaveHealthy, WaveHealthy};
pub(crate) use permissions::needed_by;
pub use spec::{CanarySpec, OnFailure, SpecError, WaveSelect, WaveSpec};
pub use wave::{CanaryNode, CreateWavePool, Wave, WavePool};

/// Registers the activities of this family.
pub(crate) fn register(registry: Registry, cluster: &Arc<Cluster>) -> Registry {
    registry
        .activity::<AwaitWaveDissolved>(cluster)
        .activity::<AwaitWaveFormed>(cluster)
        .activity::<AwaitWaveHealthy>(cluster)
        .activity::<AwaitWaveRendered>(cluster)
        .activity::<ChooseWaves>(cluster)
        .activity::<CordonNode>(cluster)
        .activity::<CreateWavePool>(cluster)
        .activity::<DeleteWavePool>(cluster)
        .activity::<DrainNode>(cluster)
        .activity::<LabelWave>(cluster)
        .activity::<ReadWave>(cluster)
        .activity::<UncordonNode>(cluster)
        .activity::<UnlabelWave>(cluster)
}
