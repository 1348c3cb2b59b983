//! Where a migration stands that somebody began by hand: read from one picture of the cluster, judged by a pure function, and refused
//! where it can't be told.

mod decide;
mod picture;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::NetworkPlugin;
use super::reboot::Boots;
use crate::cluster::Cluster;
use crate::pool::PoolState;

/// Finds out how far a migration has come, whoever made its steps; changes nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InferStep {
    /// The plugin that it leads away from.
    pub from: NetworkPlugin,
    /// The plugin that it leads to.
    pub to: NetworkPlugin,
}

/// How far a migration has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It is asked for, and not every node is prepared.
    Preparing,
    /// Every node is prepared.
    Prepared,
    /// The plugin is switched, and not every node has rebooted since.
    Switched,
    /// Every node has rebooted since the switch.
    Rebooted,
    /// The migration is ended, and something of the old plugin is left.
    CleanedInPart,
    /// Nothing is left to do.
    Done,
}

/// What was found, with all that it rests on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Inferred {
    /// How far it has come; none if that can't be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// What was seen, one line each.
    pub evidence: Vec<String>,
    /// Why nobody should go on, and what to do instead, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<String>,
    /// What is done and will not be done again, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<String>,
    /// What would be done next, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
    /// The pools with nodes whose target does not prepare them yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unrendered: Vec<PoolState>,
    /// The other pools with nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rendered: Vec<PoolState>,
    /// The nodes that have not rebooted since the switch, with the boots that they are in; empty before it.
    pub left: Boots,
    /// The old plugin's namespace: its uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_namespace: Option<String>,
}

impl Inferred {
    /// Whether a person who agreed to this would agree to `later`, too: the same step, with no node more to reboot.
    pub fn covers(&self, later: &Self) -> bool {
        let known = |boot| self.left.all().any(|agreed| agreed == boot);
        self.step == later.step && later.refusals.is_empty() && later.left.all().all(known)
    }
}

impl Activity for InferStep {
    const NAME: ActivityName = ActivityName::new("infer-network-step");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Inferred;

    fn summary(&self) -> String {
        format!("find out how far the migration from {} to {} has come", self.from, self.to)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Inferred, ActivityError> {
        let picture = picture::take(&cx, self.from, self.to).await?;
        Ok(decide::decide(&picture))
    }
}
