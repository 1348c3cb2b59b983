use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::form::{check_same, labelled, not_moved};
use super::wave::{CanaryNode, OWNER, Wave, collection, owner_of};
use crate::cluster::{Cluster, Query};
use crate::condition::{Reason, Verdict, configuring, not_ready};
use crate::ids::{NodeName, PoolName, RenderedConfig};
use crate::machine_health::changed_meanwhile;
use crate::requests::{ASSUMED, patch_line};
use crate::snapshot::{Snapshot, membership};
use crate::views::{MachineConfigPool, Node, View as _};
use crate::wait::{Wait, wait_for};

/// Finds out whether a wave can be given back without a reboot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadWave {
    /// The wave.
    pub wave: Wave,
}

/// How a wave stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaveState {
    /// There is no such pool, and no node has its label.
    Gone,
    /// Its nodes can go back without a reboot.
    Movable {
        /// The pool's uid; none if the pool is gone and only labels are left.
        uid: Option<String>,
        /// The wave as it is now: the nodes that are left, in the boots that they are in.
        wave: Wave,
    },
    /// Giving it back would reboot nodes or break them; a person decides when.
    Owed {
        /// Why, and how.
        why: String,
    },
}

impl Activity for ReadWave {
    const NAME: ActivityName = ActivityName::new("read-wave");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = WaveState;

    fn summary(&self) -> String {
        format!("look whether pool {} can be given back without a reboot", self.wave.pool)
    }

    fn assumed(&self) -> Option<WaveState> {
        // The uid fits no pool: a deletion that relies on it is refused.
        Some(WaveState::Movable { uid: Some(String::new()), wave: self.wave.clone() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<WaveState, ActivityError> {
        look(cx.world(), &self.wave, &owner_of(cx.attempt().run)).await
    }
}

async fn look(cluster: &Cluster, wave: &Wave, owner: &str) -> Result<WaveState, ActivityError> {
    let pools: Vec<MachineConfigPool> = cluster.list(&Query::default()).await?;
    let nodes: Vec<Node> = cluster.list(&Query::default()).await?;
    Ok(judge(&pools, &nodes, wave, owner))
}

fn judge(pools: &[MachineConfigPool], nodes: &[Node], wave: &Wave, owner: &str) -> WaveState {
    let inside: Vec<&Node> = nodes.iter().filter(|node| node.has_label(&wave.label)).collect();
    let current = Wave { nodes: inside.iter().map(|node| as_it_is(node)).collect(), ..wave.clone() };
    let Some(pool) = pools.iter().find(|pool| pool.name() == wave.pool.as_str()) else {
        // Without the pool the label puts its bearer nowhere, and goes without effect.
        return if inside.is_empty() { WaveState::Gone } else { WaveState::Movable { uid: None, wave: current } };
    };
    let why = match pool.annotation(OWNER) {
        Some(by) if by == owner => stays(pool, &inside, wave, pools, nodes),
        Some(_) | None => return WaveState::Owed { why: format!("pool {} is no longer this run's own", wave.pool) },
    };
    match why {
        Some(why) => WaveState::Owed { why: format!("{why}; {}", wave.by_hand()) },
        None => WaveState::Movable { uid: Some(pool.uid_text().to_owned()), wave: current },
    }
}

fn as_it_is(node: &Node) -> CanaryNode {
    let boot_id = node.status.node_info.boot_id.clone();
    CanaryNode { name: NodeName::new(node.name()), boot_id, rendered: RenderedConfig::new(node.current_config()) }
}

/// Why the nodes of a wave must stay where they are, if they must.
fn stays(pool: &MachineConfigPool, inside: &[&Node], wave: &Wave, pools: &[MachineConfigPool], nodes: &[Node]) -> Option<String> {
    if inside.is_empty() {
        return None;
    }
    let Some(source) = pools.iter().find(|pool| pool.name() == wave.source.as_str()) else {
        return Some(format!("pool {} no longer exists", wave.source));
    };
    let own: BTreeSet<&str> = wave.nodes.iter().map(|node| node.name.as_str()).collect();
    if let Some(stray) = inside.iter().find(|node| !own.contains(node.name())) {
        return Some(format!("node {} is in pool {} and not of the wave", stray.name(), wave.pool));
    }
    if source.spec.paused {
        // The nodes would keep a configuration that is deleted with the pool, and be degraded from then on.
        return Some(format!("pool {} is paused and would not take its nodes back", wave.source));
    }
    if let Err(differs) = check_same(pool, source) {
        return Some(differs);
    }
    unsettled(inside, &pool.spec.configuration.name).or_else(|| full(source, nodes, pools))
}

fn unsettled(inside: &[&Node], target: &str) -> Option<String> {
    let reason = inside.iter().find_map(|node| {
        let behind =
            || Reason::waiting(format!("node {}", node.name()), format!("is at {}, not {target}", node.current_config()));
        let cordoned = || Reason::waiting(format!("node {}", node.name()), "is cordoned, and no pool takes a cordoned node");
        let trouble = not_ready(node).or_else(|| configuring(node));
        let trouble = trouble.or_else(|| (node.current_config() != target).then(behind));
        trouble.or_else(|| node.spec.unschedulable.then(cordoned))
    });
    reason.map(|reason| reason.to_string())
}

/// Nodes that are cordoned or not ready use up what a pool may have down at once, and then it takes no other node.
fn full(source: &MachineConfigPool, nodes: &[Node], pools: &[MachineConfigPool]) -> Option<String> {
    let is_in = |node: &&Node| membership(node, pools.iter()).is_some_and(|pool| pool.name() == source.name());
    let members: Vec<&Node> = nodes.iter().filter(is_in).collect();
    let away: Vec<&str> =
        members.iter().filter(|node| node.spec.unschedulable || not_ready(node).is_some()).map(|node| node.name()).collect();
    let allowed = source.at_once(members.len());
    (away.len() >= allowed).then(|| {
        let pool = source.name();
        format!(
            "pool {pool} takes no node while {} of it are cordoned or not ready, of {allowed} at once: {}",
            away.len(),
            away.join(", ")
        )
    })
}

/// Takes the label off the nodes of a wave, if that reboots none of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UnlabelWave {
    /// The wave.
    pub wave: Wave,
}

/// Nodes that a wave's label was taken off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WaveUnlabelled {
    /// The nodes.
    pub nodes: Vec<NodeName>,
}

impl Activity for UnlabelWave {
    const NAME: ActivityName = ActivityName::new("unlabel-wave");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = WaveUnlabelled;

    fn summary(&self) -> String {
        format!("take the label {} off {} nodes", self.wave.label, self.wave.nodes.len())
    }

    fn requests(&self) -> Vec<String> {
        self.wave.nodes.iter().map(|node| patch_line::<Node>(None, node.name.as_str(), &labelled(&self.wave, false))).collect()
    }

    fn assumed(&self) -> Option<WaveUnlabelled> {
        Some(WaveUnlabelled { nodes: self.wave.nodes.iter().map(|node| node.name.clone()).collect() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<WaveUnlabelled, ActivityError> {
        let mut nodes = Vec::new();
        match look(cx.world(), &self.wave, &owner_of(cx.attempt().run)).await? {
            WaveState::Gone => {}
            WaveState::Owed { why } => return Err(ActivityError::permanent("would-reboot", why)),
            WaveState::Movable { wave, .. } => {
                for node in wave.nodes {
                    let patch = labelled(&self.wave, false);
                    match cx.world().patch::<Node>(None, node.name.as_str(), &patch).await {
                        Err(error) if error.is_not_found() => {}
                        outcome => drop(outcome?),
                    }
                    nodes.push(node.name);
                }
            }
        }
        Ok(WaveUnlabelled { nodes })
    }
}

/// Waits until the nodes of a wave are back in the pool that they came from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitWaveDissolved {
    /// The wave as it was right before its label was taken off.
    pub wave: Wave,
}

/// That the nodes of a wave are back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Dissolved {
    /// What was seen.
    pub evidence: String,
    /// Nodes that rebooted on the way; none should.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rebooted: Vec<NodeName>,
}

impl Activity for AwaitWaveDissolved {
    const NAME: ActivityName = ActivityName::new("await-wave-dissolved");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Dissolved;

    fn summary(&self) -> String {
        format!("wait until {} nodes are back in pool {}", self.wave.nodes.len(), self.wave.source)
    }

    fn assumed(&self) -> Option<Dissolved> {
        Some(Dissolved { evidence: ASSUMED.to_owned(), rebooted: Vec::new() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Dissolved, ActivityError> {
        let seen = wait_for(&cx, Wait::default(), |snapshot| dissolved(snapshot, &self.wave)).await?;
        let rebooted = self.wave.nodes.iter().filter(|was| {
            seen.snapshot.nodes.get(was.name.as_str()).is_some_and(|node| node.status.node_info.boot_id != was.boot_id)
        });
        Ok(Dissolved { rebooted: rebooted.map(|node| node.name.clone()).collect(), evidence: seen.evidence })
    }
}

fn dissolved(snapshot: &Snapshot, wave: &Wave) -> Verdict {
    let mut reasons: Vec<Reason> = wave.nodes.iter().filter_map(|node| not_moved(snapshot, &node.name, &wave.source)).collect();
    if let Some(pool) = snapshot.pool(&wave.pool).filter(|pool| pool.status.machine_count > 0 || !pool.is_observed()) {
        let what = format!("still counts {} nodes", pool.status.machine_count);
        reasons.push(Reason::waiting(format!("pool {}", wave.pool), what));
    }
    Verdict::from_reasons(reasons, || format!("wave {}: {} nodes are back in pool {}", wave.name, wave.nodes.len(), wave.source))
}

/// Deletes the pool of a wave, once it is empty and no node holds on to what it rendered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeleteWavePool {
    /// The pool.
    pub pool: PoolName,
    /// Its uid; a pool of the same name with another one is left alone.
    pub uid: String,
}

/// That the pool is gone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WavePoolDeleted {
    /// Whether it was gone already.
    pub already: bool,
}

impl Activity for DeleteWavePool {
    const NAME: ActivityName = ActivityName::new("delete-wave-pool");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = WavePoolDeleted;

    fn summary(&self) -> String {
        format!("delete the empty pool {}", self.pool)
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("DELETE {}/{}", collection(), self.pool)]
    }

    fn assumed(&self) -> Option<WavePoolDeleted> {
        Some(WavePoolDeleted { already: true })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<WavePoolDeleted, ActivityError> {
        let there: Option<MachineConfigPool> = cx.world().get(None, self.pool.as_str()).await?;
        let Some(pool) = there else { return Ok(WavePoolDeleted { already: true }) };
        if pool.uid_text() != self.uid {
            let message = format!("pool {} is not the one that was looked at; find out who made it, then retry", self.pool);
            return Err(ActivityError::permanent("foreign", message));
        }
        let nodes: Vec<Node> = cx.world().list(&Query::default()).await?;
        if let Some(why) = in_use(&pool, &nodes) {
            return Err(ActivityError::permanent("in-use", why));
        }
        match cx.world().delete::<MachineConfigPool>(None, self.pool.as_str(), &self.uid).await {
            Ok(()) => Ok(WavePoolDeleted { already: false }),
            Err(error) if error.is_not_found() => Ok(WavePoolDeleted { already: true }),
            Err(error) => Err(changed_meanwhile(error)),
        }
    }
}

/// What a pool renders is deleted with it, and a node that has it is degraded from then on: "rendered-… not found".
fn in_use(pool: &MachineConfigPool, nodes: &[Node]) -> Option<String> {
    let name = pool.name();
    let label = Wave::label_of(&PoolName::new(name));
    let mine = format!("rendered-{name}-");
    let holds = |node: &&Node| {
        let holds = node.current_config().starts_with(&mine) || node.desired_config().starts_with(&mine);
        holds || node.has_label(&label)
    };
    let node = nodes.iter().find(holds);
    let node = node.map(|node| format!("pool {name} is still used by node {}; move it back first, then retry", node.name()));
    let count = pool.status.machine_count;
    node.or_else(|| (count > 0).then(|| format!("pool {name} still counts {count} nodes; wait until it is empty, then retry")))
}

#[cfg(test)]
mod tests;
