//! The wait for every node's other boot, through the time without an API.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::{Boot, looks};
use crate::cluster::Cluster;
use crate::condition::{Reason, Verdict};
use crate::requests::ASSUMED;
use crate::snapshot::Snapshot;
use crate::views::{Conditions as _, Status};
use crate::wait::{Wait, wait_for};

/// How many nodes are named in a line.
const NAMED: usize = 3;

/// Waits until every node is in another boot, and ready; the API may be away meanwhile.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitReboots {
    /// The nodes, and the boots that are to end.
    pub boots: Vec<Boot>,
    /// For how many minutes the API may be away at a time.
    pub outage_minutes: u32,
}

/// That every node has rebooted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rebooted {
    /// The boots that the nodes are in now.
    pub boots: Vec<Boot>,
    /// What was seen.
    pub evidence: String,
}

impl Activity for AwaitReboots {
    const NAME: ActivityName = ActivityName::new("await-reboots");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Rebooted;

    fn summary(&self) -> String {
        format!("wait until {} nodes have rebooted and are ready", self.boots.len())
    }

    fn assumed(&self) -> Option<Rebooted> {
        Some(Rebooted { boots: self.boots.clone(), evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Rebooted, ActivityError> {
        let outage_budget = Duration::from_secs(u64::from(self.outage_minutes) * 60);
        // Without a network nothing else is well, and nobody should have to read that.
        let wait = Wait { outage_budget, alone: true, told_elsewhere: true, ..Wait::default() };
        let seen = tokio::select! {
            seen = wait_for(&cx, wait, |snapshot| self.judge(snapshot)) => seen?,
            never = looks::tell(&cx, &self.boots, outage_budget) => match never {},
        };
        let boots = self.boots.iter().filter_map(|boot| {
            let node = seen.snapshot.nodes.get(boot.node.as_str())?;
            Some(Boot::of(node))
        });
        Ok(Rebooted { boots: boots.collect(), evidence: seen.evidence })
    }
}

impl AwaitReboots {
    fn judge(&self, snapshot: &Snapshot) -> Verdict {
        let mut waiting: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for boot in &self.boots {
            let name = boot.node.as_str();
            let what = match snapshot.nodes.get(name) {
                None => "not there",
                Some(node) if node.status.node_info.boot_id == boot.boot_id => "not rebooted yet",
                Some(node) if node.says("Ready") != Status::True => "rebooted and not ready",
                Some(_) => continue,
            };
            waiting.entry(what).or_default().push(name);
        }
        let reasons = waiting.into_iter().map(|(what, nodes)| {
            let names = nodes.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            let more = if nodes.len() > NAMED { ", …" } else { "" };
            Reason::waiting(format!("{} of {} nodes", nodes.len(), self.boots.len()), format!("{what}: {names}{more}"))
        });
        Verdict::from_reasons(reasons.collect(), || format!("{} nodes have rebooted and are ready", self.boots.len()))
    }
}
