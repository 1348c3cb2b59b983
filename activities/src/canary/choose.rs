use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::capacity::crowded;
use super::select::choose;
use super::spec::CanarySpec;
use super::wave::Wave;
use crate::cluster::{Cluster, Query};
use crate::ids::NodeName;
use crate::views::{MachineConfigPool, Node, Pod};

/// Chooses the nodes of each wave, and refuses waves that cannot be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChooseWaves {
    /// What is asked for.
    pub spec: CanarySpec,
}

/// The waves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Waves {
    /// Each with its nodes, in order.
    pub waves: Vec<Wave>,
    /// The nodes that stay in the pool.
    pub rest: Vec<NodeName>,
    /// What was looked at, one line each.
    pub evidence: Vec<String>,
}

impl Activity for ChooseWaves {
    const NAME: ActivityName = ActivityName::new("choose-waves");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Waves;

    fn summary(&self) -> String {
        let names: Vec<&str> = self.spec.waves.iter().map(|wave| wave.name.as_str()).collect();
        format!("choose the nodes of {} from pool {}", names.join(", "), self.spec.pool)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Waves, ActivityError> {
        let refuse = |cause: String| ActivityError::permanent("canary-refused", cause);
        self.spec.check().map_err(|error| refuse(error.to_string()))?;
        let pools: Vec<MachineConfigPool> = cx.world().list(&Query::default()).await?;
        let nodes: Vec<Node> = cx.world().list(&Query::default()).await?;
        let corrected = |problems: Vec<String>| refuse(format!("{}; correct that and plan again", problems.join("; ")));
        let waves = choose(&self.spec, &pools, &nodes).map_err(corrected)?;
        let pods: Vec<Pod> = cx.world().list(&Query::default()).await?;
        let crowded = crowded(&waves.waves, self.spec.on_failure, &nodes, &pods);
        if crowded.is_empty() { Ok(waves) } else { Err(corrected(crowded)) }
    }
}
