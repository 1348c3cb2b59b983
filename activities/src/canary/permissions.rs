use windlass_engine::Activity as _;

use super::{
    AwaitWaveDissolved, AwaitWaveFormed, AwaitWaveHealthy, AwaitWaveRendered, ChooseWaves, CordonNode, CreateWavePool,
    DeleteWavePool, DrainNode, LabelWave, ReadWave, UncordonNode, UnlabelWave,
};
use crate::rbac::{Permission, WAIT, on};

const MACHINE_CONFIG: &str = "machineconfiguration.openshift.io";
const POOLS: &str = "machineconfigpools";

const LOOK: [Permission; 3] = [on("list", MACHINE_CONFIG, POOLS), on("list", "", "nodes"), on("list", "", "pods")];
const NODE: [Permission; 2] = [on("get", "", "nodes"), on("patch", "", "nodes")];
const CREATE: [Permission; 2] = [on("get", MACHINE_CONFIG, POOLS), on("create", MACHINE_CONFIG, POOLS)];
const DELETE: [Permission; 2] = [on("get", MACHINE_CONFIG, POOLS), on("delete", MACHINE_CONFIG, POOLS)];
const DRAIN: [Permission; 4] = [
    on("get", "", "nodes"),
    on("list", "", "pods"),
    on("list", "policy", "poddisruptionbudgets"),
    on("create", "", "pods/eviction"),
];

/// The permissions that an activity of this family needs.
pub(crate) fn needed_by(activity: &str) -> Option<Vec<Permission>> {
    let table: [(_, &[&[Permission]]); 13] = [
        (ChooseWaves::NAME, &[&LOOK]),
        (CreateWavePool::NAME, &[&CREATE]),
        (AwaitWaveRendered::NAME, &[&WAIT]),
        (LabelWave::NAME, &[&NODE]),
        (AwaitWaveFormed::NAME, &[&WAIT]),
        (AwaitWaveHealthy::NAME, &[&WAIT]),
        (ReadWave::NAME, &[&LOOK]),
        (UnlabelWave::NAME, &[&LOOK, &NODE]),
        (AwaitWaveDissolved::NAME, &[&WAIT]),
        (DeleteWavePool::NAME, &[&LOOK, &DELETE]),
        (CordonNode::NAME, &[&NODE]),
        (UncordonNode::NAME, &[&NODE]),
        (DrainNode::NAME, &[&DRAIN]),
    ];
    let (_, permissions) = table.into_iter().find(|(name, _)| name.as_str() == activity)?;
    Some(permissions.concat())
}
