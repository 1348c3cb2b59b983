//! Which nodes will not drain, before the first of them reboots: one answer for each, with the pod and the budget.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::Timestamp;

use super::place::{Lack, Places};
use crate::ids::NodeName;
use crate::preflight::Facts;
use crate::views::{Budget, MachineConfigPool, Node, Pod, View as _};

/// How a node will drain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PredictedDrain {
    /// The node.
    pub node: NodeName,
    /// How many pods must be evicted.
    pub pods: usize,
    /// What stands in the way or is lost, the gravest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Blocker>,
    /// How many more there are than are listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
    /// How long the evictions take if nothing holds them.
    pub seconds: u64,
}

/// A pod that a drain does not get rid of, or should not without a person knowing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Blocker {
    /// The pod.
    pub pod: String,
    /// Its namespace.
    pub namespace: String,
    /// What is the matter.
    pub cause: BlockCause,
    /// The budget or budgets that hold it, without the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
    /// Whether the drain waits for it until a person does something.
    pub for_ever: bool,
}

/// What is the matter with a pod that should be evicted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockCause {
    /// Two budgets are on it: the eviction fails with a server error.
    SeveralBudgets,
    /// Its budget never allows an eviction.
    BudgetForbids,
    /// Its budget allows fewer evictions than there are pods without a place elsewhere.
    BudgetWithoutPlace,
    /// Its budget allows no eviction at the moment.
    BudgetShort,
    /// It is a virtual machine that can't be moved.
    VirtualMachine,
    /// It is being deleted and does not end.
    Terminating,
    /// Its volume is on this node.
    LocalVolume,
    /// Only this node is what it asks for.
    Pinned,
    /// The other nodes have no room for it.
    NoRoom,
    /// Nothing makes it anew: it is lost.
    Bare,
}

impl fmt::Display for BlockCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SeveralBudgets => "is under several budgets: no eviction passes",
            Self::BudgetForbids => "its budget never allows an eviction",
            Self::BudgetWithoutPlace => "its budget waits for replacements that have no other node to run on",
            Self::BudgetShort => "its budget allows no eviction now",
            Self::VirtualMachine => "is a virtual machine that can't be moved",
            Self::Terminating => "is being deleted and does not end",
            Self::LocalVolume => "its volume is on this node: it is down until the node is back",
            Self::Pinned => "only this node is what it asks for: it is down until the node is back",
            Self::NoRoom => "no other node has room for it",
            Self::Bare => "nothing makes it anew: it is lost",
        })
    }
}

impl PredictedDrain {
    /// Whether the drain will wait until a person does something.
    pub fn never_ends(&self) -> bool {
        self.blockers.iter().any(|blocker| blocker.for_ever)
    }
}

/// Listed a node; the rest is counted.
const LISTED: usize = 20;
/// A pod that was told to end and is still there so long after its grace does not end by itself.
const STUCK: Duration = Duration::from_secs(5 * 60);
/// What a pod gets to end if it does not say.
const GRACE_SECONDS: u64 = 30;
/// A replacement counts for its budget about so long after it was made.
const READY_SECONDS: u64 = 30;

/// Predicts the drain of every node, in the order of their names.
pub fn predict(facts: &Facts) -> Vec<PredictedDrain> {
    let look = Look::at(facts);
    let mut nodes: Vec<&Node> = facts.nodes.iter().collect();
    nodes.sort_by(|a, b| a.name().cmp(b.name()));
    nodes.into_iter().map(|node| look.drain(node)).collect()
}

/// The pods of the largest nodes that a pool may have down at once, which find no place on the others.
pub(crate) fn homeless<'a>(facts: &'a Facts, pool: &MachineConfigPool) -> Vec<(&'a Pod, Lack)> {
    let look = Look::at(facts);
    let members = facts.members(pool);
    let mut by_load: Vec<(i128, &str)> = members.iter().map(|node| (load(look.on(node)), node.name())).collect();
    by_load.sort_by(|a, b| b.cmp(a));
    let gone: BTreeSet<&str> = by_load.into_iter().take(pool.at_once(members.len())).map(|(_, name)| name).collect();
    let pods: Vec<&Pod> = gone.iter().flat_map(|name| look.by_node.get(name).into_iter().flatten().copied()).collect();
    look.places.lacking(&gone, &pods)
}

fn load(pods: &[&Pod]) -> i128 {
    pods.iter().map(|pod| pod.requests("memory")).sum()
}

/// The facts, arranged for one question a node.
struct Look<'a> {
    now: Timestamp,
    alone: bool,
    /// The pods that a drain must evict.
    by_node: BTreeMap<&'a str, Vec<&'a Pod>>,
    budgets: BTreeMap<&'a str, Vec<&'a Budget>>,
    /// Virtual machines that can't be moved, by namespace and name.
    fixed: BTreeSet<(&'a str, &'a str)>,
    places: Places<'a>,
}

impl<'a> Look<'a> {
    fn at(facts: &'a Facts) -> Self {
        let mut by_node: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
        for pod in facts.pods.iter().filter(|pod| pod.must_be_evicted()) {
            if let Some(node) = &pod.spec.node_name {
                by_node.entry(node).or_default().push(pod);
            }
        }
        let mut budgets: BTreeMap<&str, Vec<&Budget>> = BTreeMap::new();
        facts.budgets.iter().for_each(|budget| budgets.entry(budget.namespace_name()).or_default().push(budget));
        let fixed = facts
            .virtual_machines
            .all()
            .iter()
            .filter(|vm| vm.blocks_drain())
            .map(|vm| (vm.namespace_name(), vm.name()))
            .collect();
        let places = Places::new(&facts.nodes, &facts.pods, facts.volumes.all());
        Self { now: facts.now, alone: facts.nodes.len() < 2, by_node, budgets, fixed, places }
    }

    fn on(&self, node: &Node) -> &[&'a Pod] {
        self.by_node.get(node.name()).map(Vec::as_slice).unwrap_or_default()
    }

    fn drain(&self, node: &Node) -> PredictedDrain {
        let pods = self.on(node);
        // On a single node everything is down while it reboots, and there is nowhere to go.
        let lacking = if self.alone { Vec::new() } else { self.places.lacking(&BTreeSet::from([node.name()]), pods) };
        let mut found: Vec<Blocker> = pods.iter().filter_map(|pod| self.held(pod)).collect();
        found.extend(self.without_place(&lacking));
        found.extend(pods.iter().filter(|pod| !pod.has_controller()).map(|pod| blocker(pod, BlockCause::Bare, false)));
        found.sort_by(|a, b| (b.for_ever, a.cause, &a.namespace, &a.pod).cmp(&(a.for_ever, b.cause, &b.namespace, &b.pod)));
        let more = found.len().saturating_sub(LISTED);
        found.truncate(LISTED);
        let seconds = self.seconds(pods);
        PredictedDrain { node: NodeName::new(node.name()), pods: pods.len(), blockers: found, more, seconds }
    }

    /// What holds one pod whatever room there is.
    fn held(&self, pod: &Pod) -> Option<Blocker> {
        if let Some(told) = &pod.metadata.deletion_timestamp {
            // The timestamp is when its grace ends.
            let lasts = self.now.since(Timestamp::from_micros(told.0.as_microsecond())) > STUCK;
            return lasts.then(|| blocker(pod, BlockCause::Terminating, true));
        }
        if pod.is_owned_by("VirtualMachineInstance") {
            let fixed = machine_of(pod).is_some_and(|name| self.fixed.contains(&(pod.namespace_name(), name)));
            // A machine that can be moved is moved, whatever its budget says.
            return fixed.then(|| blocker(pod, BlockCause::VirtualMachine, true));
        }
        let budgets = self.budgets_on(pod);
        let (cause, for_ever) = match budgets.as_slice() {
            [one] if one.blocks_for_ever() => (BlockCause::BudgetForbids, true),
            [one] if one.blocks_now() => (BlockCause::BudgetShort, false),
            [] | [_] => return None,
            _ => (BlockCause::SeveralBudgets, true),
        };
        let names: Vec<&str> = budgets.iter().map(|budget| budget.name()).collect();
        Some(Blocker { budget: Some(names.join(", ")), ..blocker(pod, cause, for_ever) })
    }

    /// Pods without a place elsewhere; a budget that allows fewer of them never lets the last one go.
    fn without_place(&self, lacking: &[(&Pod, Lack)]) -> Vec<Blocker> {
        let mut under: BTreeMap<(&str, &str), i32> = BTreeMap::new();
        let one_budget = |pod: &Pod| match self.budgets_on(pod).as_slice() {
            [one] if !one.blocks_now() => Some(*one),
            _ => None,
        };
        for budget in lacking.iter().filter_map(|(pod, _)| one_budget(pod)) {
            *under.entry((budget.namespace_name(), budget.name())).or_default() += 1;
        }
        let describe = |(pod, lack): &(&Pod, Lack)| {
            let cause = match lack {
                Lack::Volume => BlockCause::LocalVolume,
                Lack::Node => BlockCause::Pinned,
                Lack::Room => BlockCause::NoRoom,
            };
            let holding = one_budget(pod).filter(|budget| {
                under
                    .get(&(budget.namespace_name(), budget.name()))
                    .is_some_and(|count| *count > budget.status.disruptions_allowed)
            });
            match holding {
                Some(budget) => {
                    Blocker { budget: Some(budget.name().to_owned()), ..blocker(pod, BlockCause::BudgetWithoutPlace, true) }
                }
                None => blocker(pod, cause, false),
            }
        };
        lacking.iter().map(describe).collect()
    }

    fn budgets_on(&self, pod: &Pod) -> Vec<&'a Budget> {
        let same = self.budgets.get(pod.namespace_name()).into_iter().flatten();
        same.filter(|budget| budget.covers(pod.metadata.labels.as_ref())).copied().collect()
    }

    /// All pods at once but where a budget lets them go only a few at a time.
    fn seconds(&self, pods: &[&Pod]) -> u64 {
        let mut rounds: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
        let mut longest = 0;
        for pod in pods {
            let grace = pod.spec.termination_grace_period_seconds.unwrap_or(GRACE_SECONDS);
            longest = longest.max(grace);
            if let [one] = self.budgets_on(pod).as_slice() {
                let (round, left) = rounds.entry((one.namespace_name(), one.name())).or_default();
                if *left == 0 {
                    *left = u64::try_from(one.status.disruptions_allowed).unwrap_or(0).max(1);
                    *round += grace + READY_SECONDS;
                }
                *left -= 1;
            }
        }
        rounds.values().map(|(seconds, _)| *seconds).chain([longest]).max().unwrap_or(0)
    }
}

fn blocker(pod: &Pod, cause: BlockCause, for_ever: bool) -> Blocker {
    Blocker { pod: pod.name().to_owned(), namespace: pod.namespace_name().to_owned(), cause, budget: None, for_ever }
}

/// The virtual machine that a launcher pod runs.
fn machine_of(pod: &Pod) -> Option<&str> {
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().find(|owner| owner.kind == "VirtualMachineInstance").map(|owner| owner.name.as_str())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests;
