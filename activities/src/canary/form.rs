use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::wave::Wave;
use crate::cluster::{Cluster, Patch};
use crate::condition::{Reason, Verdict, configuring, pool_rolled_out, pool_troubles};
use crate::ids::{NodeName, PoolName};
use crate::requests::{ASSUMED, patch_line};
use crate::snapshot::{Snapshot, membership};
use crate::views::{MachineConfigPool, Node, View as _};
use crate::wait::{Wait, wait_for};

/// What a pool rendered, without its own name: equal suffixes are equal contents, and then nodes move without a reboot.
pub(super) fn suffix<'a>(rendered: &'a str, pool: &str) -> &'a str {
    rendered.strip_prefix("rendered-").and_then(|rest| rest.strip_prefix(pool)?.strip_prefix('-')).unwrap_or(rendered)
}

/// Waits until the empty pool of a wave has rendered, and fails for good if that is not what its nodes have.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitWaveRendered {
    /// The wave.
    pub wave: Wave,
}

/// That nodes can move without a reboot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WaveRendered {
    /// What was seen.
    pub evidence: String,
}

impl Activity for AwaitWaveRendered {
    const NAME: ActivityName = ActivityName::new("await-wave-rendered");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = WaveRendered;

    fn summary(&self) -> String {
        format!("wait until pool {} has rendered the configuration of pool {}", self.wave.pool, self.wave.source)
    }

    fn assumed(&self) -> Option<WaveRendered> {
        Some(WaveRendered { evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<WaveRendered, ActivityError> {
        let seen = wait_for(&cx, Wait::default(), |snapshot| rendered(snapshot, &self.wave)).await?;
        Ok(WaveRendered { evidence: seen.evidence })
    }
}

fn rendered(snapshot: &Snapshot, wave: &Wave) -> Verdict {
    let (Some(pool), Some(source)) = (snapshot.pool(&wave.pool), snapshot.pool(&wave.source)) else {
        return Verdict::not_yet(Reason::waiting(format!("pool {}", wave.pool), "does not show yet"));
    };
    let mut reasons = pool_troubles(pool);
    let names = (pool.spec.configuration.name.as_str(), source.spec.configuration.name.as_str());
    if names.0.is_empty() || !pool.is_observed() {
        reasons.push(Reason::waiting(format!("pool {}", wave.pool), "has not rendered yet"));
    }
    if !reasons.is_empty() {
        return Verdict::from_reasons(reasons, String::new);
    }
    match check_same(pool, source) {
        Ok(same) => Verdict::Met { evidence: same },
        Err(message) => Verdict::Failed { code: "renders-differently", message },
    }
}

/// Whether nodes move between two pools without a reboot.
pub(super) fn check_same(pool: &MachineConfigPool, source: &MachineConfigPool) -> Result<String, String> {
    let (ours, theirs) = (&pool.spec.configuration.name, &source.spec.configuration.name);
    if suffix(ours, pool.name()) == suffix(theirs, source.name()) {
        return Ok(format!("{ours} has the same contents as {theirs}"));
    }
    Err(format!(
        "pool {} renders {ours} and pool {} renders {theirs}: the contents differ, so every node that moves would reboot; look for \
         machine configs, kubelet or runtime configs that select only one of the two",
        pool.name(),
        source.name()
    ))
}

/// Puts the nodes of a wave into its pool, by their label and nothing else.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LabelWave {
    /// The wave.
    pub wave: Wave,
}

/// Nodes that have a wave's label.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WaveLabelled {
    /// Those that had no such label before.
    pub labelled: Vec<NodeName>,
    /// Those that had it.
    pub already: Vec<NodeName>,
}

impl Activity for LabelWave {
    const NAME: ActivityName = ActivityName::new("label-wave");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = WaveLabelled;

    fn summary(&self) -> String {
        format!("label {} nodes {}", self.wave.nodes.len(), self.wave.label)
    }

    fn requests(&self) -> Vec<String> {
        self.wave.nodes.iter().map(|node| patch_line::<Node>(None, node.name.as_str(), &labelled(&self.wave, true))).collect()
    }

    fn assumed(&self) -> Option<WaveLabelled> {
        let already = self.wave.nodes.iter().map(|node| node.name.clone()).collect();
        Some(WaveLabelled { labelled: Vec::new(), already })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<WaveLabelled, ActivityError> {
        let wave = &self.wave;
        let mut outcome = WaveLabelled { labelled: Vec::new(), already: Vec::new() };
        for chosen in &wave.nodes {
            let node: Node = cx.world().must_get(None, chosen.name.as_str()).await?;
            if node.has_label(&wave.label) {
                outcome.already.push(chosen.name.clone());
                continue;
            }
            if node.status.node_info.boot_id != chosen.boot_id {
                let message = format!("node {} has rebooted since it was chosen; look why, then start again", chosen.name);
                return Err(ActivityError::permanent("rebooted", message));
            }
            cx.world().patch::<Node>(None, chosen.name.as_str(), &labelled(wave, true)).await?;
            outcome.labelled.push(chosen.name.clone());
        }
        Ok(outcome)
    }
}

/// Puts a node into the pool of a wave, or takes it out.
pub(super) fn labelled(wave: &Wave, inside: bool) -> Patch {
    Patch::Merge(json!({"metadata": {"labels": {&wave.label: inside.then_some("")}}}))
}

/// Waits until the nodes of a wave are in its pool, and fails for good if one of them rebooted for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitWaveFormed {
    /// The wave.
    pub wave: Wave,
}

/// That a wave is formed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WaveFormed {
    /// What was seen.
    pub evidence: String,
}

impl Activity for AwaitWaveFormed {
    const NAME: ActivityName = ActivityName::new("await-wave-formed");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = WaveFormed;

    fn summary(&self) -> String {
        format!("wait until {} nodes are in pool {}, none of them rebooted", self.wave.nodes.len(), self.wave.pool)
    }

    fn assumed(&self) -> Option<WaveFormed> {
        Some(WaveFormed { evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<WaveFormed, ActivityError> {
        let seen = wait_for(&cx, Wait::default(), |snapshot| formed(snapshot, &self.wave)).await?;
        Ok(WaveFormed { evidence: seen.evidence })
    }
}

fn formed(snapshot: &Snapshot, wave: &Wave) -> Verdict {
    for chosen in &wave.nodes {
        let Some(node) = snapshot.nodes.get(chosen.name.as_str()) else {
            let message = format!("node {} of wave {} no longer exists; start again without it", chosen.name, wave.name);
            return Verdict::Failed { code: "not-found", message };
        };
        let boot = &node.status.node_info.boot_id;
        if *boot != chosen.boot_id || node.config_state() == "Rebooting" {
            let message = format!(
                "node {} rebooted while it was moved to pool {} (boot {} is now {boot}): the move was to cost no reboot",
                chosen.name, wave.pool, chosen.boot_id
            );
            return Verdict::Failed { code: "rebooted", message };
        }
    }
    let rolled_out = pool_rolled_out(snapshot, &wave.pool, None);
    if matches!(rolled_out, Verdict::Failed { .. }) {
        return rolled_out;
    }
    if let (Some(pool), Some(source)) = (snapshot.pool(&wave.pool), snapshot.pool(&wave.source))
        && let Err(message) = check_same(pool, source)
    {
        return Verdict::Failed { code: "renders-differently", message };
    }
    let mut reasons = rolled_out.reasons().to_vec();
    reasons.extend(wave.nodes.iter().filter_map(|chosen| not_moved(snapshot, &chosen.name, &wave.pool)));
    reasons.extend(miscounted(snapshot, wave));
    Verdict::from_reasons(reasons, || {
        format!("wave {}: {} nodes are in pool {}, each still in the boot it was in", wave.name, wave.nodes.len(), wave.pool)
    })
}

/// Why a node is not settled in a pool yet.
pub(super) fn not_moved(snapshot: &Snapshot, name: &NodeName, pool: &PoolName) -> Option<Reason> {
    let (node, pool) = (snapshot.nodes.get(name.as_str())?, snapshot.pool(pool)?);
    let subject = format!("node {name}");
    let is_in = membership(node, snapshot.pools.values().map(AsRef::as_ref));
    if is_in.is_none_or(|is_in| is_in.name() != pool.name()) {
        return Some(Reason::waiting(subject, format!("is not in pool {} yet", pool.name())));
    }
    let target = &pool.spec.configuration.name;
    let taken = node.current_config() == target && node.desired_config() == target;
    configuring(node).or_else(|| (!taken).then(|| Reason::waiting(subject, format!("has not taken {target} yet"))))
}

fn miscounted(snapshot: &Snapshot, wave: &Wave) -> Option<Reason> {
    let pool = snapshot.pool(&wave.pool)?;
    let count = usize::try_from(pool.status.machine_count).unwrap_or_default();
    let expected = wave.nodes.len();
    let stray = snapshot
        .nodes
        .values()
        .find(|node| node.has_label(&wave.label) && !wave.nodes.iter().any(|chosen| chosen.name.as_str() == node.name()));
    let what = match stray {
        Some(stray) => format!("has node {} in it, which is not of the wave; remove its label {}", stray.name(), wave.label),
        None if count != expected => format!("counts {count} nodes of {expected}"),
        None => return None,
    };
    Some(Reason::waiting(format!("pool {}", wave.pool), what))
}

#[cfg(test)]
pub(in crate::canary) mod tests;
