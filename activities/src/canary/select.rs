//! Which nodes go into which wave. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::choose::Waves;
use super::selector::parse_selector;
use super::spec::{CanarySpec, WaveSelect, WaveSpec};
use super::wave::{CanaryNode, Wave};
use crate::condition::{configuring, not_ready, pool_troubles};
use crate::ids::{NodeName, RenderedConfig};
use crate::snapshot::membership;
use crate::views::{MachineConfigPool, Node, View};

const ZONE: &str = "topology.kubernetes.io/zone";
const MACHINE_TYPE: &str = "node.kubernetes.io/instance-type";

/// Chooses the nodes of every wave: those that are named first, then the shares, each spread over zones and machine types.
pub(super) fn choose(spec: &CanarySpec, pools: &[MachineConfigPool], nodes: &[Node]) -> Result<Waves, Vec<String>> {
    let mut problems = source_problems(spec, pools);
    problems.extend(spec.waves.iter().flat_map(|wave| name_problems(wave, pools, nodes)));
    let mut choice = Choice::new(spec, pools, nodes);
    for wave in &spec.waves {
        match &wave.select {
            WaveSelect::Nodes(names) => choice.take_named(wave, names),
            WaveSelect::Labels(selector) => choice.take_selected(wave, selector),
            WaveSelect::Percent(_) => {}
        }
    }
    for wave in &spec.waves {
        if let WaveSelect::Percent(share) = wave.select {
            choice.take_share(wave, share);
        }
    }
    problems.extend(choice.problems.iter().cloned());
    if problems.is_empty() { Ok(choice.waves()) } else { Err(problems) }
}

/// Nodes move without a reboot only from a pool that is at rest.
fn source_problems(spec: &CanarySpec, pools: &[MachineConfigPool]) -> Vec<String> {
    let name = &spec.pool;
    let Some(pool) = pools.iter().find(|pool| pool.name() == name.as_str()) else {
        return vec![format!("pool {name} does not exist")];
    };
    let mut problems: Vec<String> = pool_troubles(pool).iter().map(ToString::to_string).collect();
    if pool.spec.paused {
        problems.push(format!("pool {name} is paused; unpause it, its nodes would not move"));
    }
    let (target, rolled_out) = (&pool.spec.configuration.name, &pool.status.configuration.name);
    if target != rolled_out {
        problems.push(format!("pool {name} is moving from {rolled_out} to {target}; wait until it is updated"));
    }
    problems
}

fn name_problems(wave: &WaveSpec, pools: &[MachineConfigPool], nodes: &[Node]) -> Vec<String> {
    let (pool, label) = (wave.pool(), Wave::label_of(&wave.pool()));
    let taken = pools.iter().filter(|there| there.name() == pool.as_str());
    let taken = taken.map(|_| format!("pool {pool} exists already; give wave {} another name, or delete the pool", wave.name));
    let labelled = nodes.iter().filter(|node| node.has_label(&label));
    taken.chain(labelled.map(|node| format!("node {} has the label {label} already; remove it", node.name()))).collect()
}

struct Choice<'a> {
    spec: &'a CanarySpec,
    /// Every node, with the pool that it is in.
    all: BTreeMap<&'a str, (&'a Node, Option<&'a str>)>,
    /// The nodes of the source pool.
    members: BTreeMap<&'a str, &'a Node>,
    taken: BTreeMap<&'a str, &'a str>,
    evidence: Vec<String>,
    problems: Vec<String>,
}

impl<'a> Choice<'a> {
    fn new(spec: &'a CanarySpec, pools: &'a [MachineConfigPool], nodes: &'a [Node]) -> Self {
        let pool_of = |node: &Node| membership(node, pools.iter()).map(View::name);
        let all: BTreeMap<_, _> = nodes.iter().map(|node| (node.name(), (node, pool_of(node)))).collect();
        let own = all.iter().filter(|(_, (_, pool))| *pool == Some(spec.pool.as_str()));
        let members = own.map(|(name, (node, _))| (*name, *node)).collect();
        Self { spec, all, members, taken: BTreeMap::new(), evidence: Vec::new(), problems: Vec::new() }
    }

    fn take_named(&mut self, wave: &'a WaveSpec, names: &'a [NodeName]) {
        for name in names {
            let problem = match self.all.get(name.as_str()) {
                None => Some("does not exist".to_owned()),
                Some((node, _)) if node.is_control_plane() => Some("is part of the control plane".to_owned()),
                Some((_, Some(pool))) if *pool != self.spec.pool.as_str() => Some(format!("is in pool {pool} already")),
                Some((_, None)) => Some("is in no pool".to_owned()),
                Some((node, Some(_))) => unfit(node),
            };
            match problem {
                Some(problem) => self.problems.push(format!("wave {}: node {name} {problem}", wave.name)),
                None => self.take(wave, name.as_str()),
            }
        }
    }

    fn take_selected(&mut self, wave: &'a WaveSpec, selector: &str) {
        let Ok(parsed) = parse_selector(selector) else {
            self.problems.push(format!("wave {}: {selector:?} is no label selector", wave.name));
            return;
        };
        let selected: Vec<(&str, &Node)> = self.members.iter().map(|(name, node)| (*name, *node)).collect();
        let mut count = 0;
        for (name, node) in selected.into_iter().filter(|(_, node)| parsed.selects(node.metadata.labels.as_ref())) {
            if let Some(why) = unfit(node) {
                self.evidence.push(format!("wave {}: node {name} is left out: it {why}", wave.name));
            } else {
                count += 1;
                self.take(wave, name);
            }
        }
        if count == 0 {
            self.problems.push(format!("wave {}: {selector} selects no usable node of pool {}", wave.name, self.spec.pool));
        }
    }

    fn take(&mut self, wave: &'a WaveSpec, node: &'a str) {
        if let Some(other) = self.taken.insert(node, &wave.name) {
            self.problems.push(format!("node {node} is in both wave {other} and wave {}", wave.name));
        }
    }

    fn take_share(&mut self, wave: &'a WaveSpec, share: u8) {
        let count = (self.members.len() * usize::from(share)).div_ceil(100);
        let free: Vec<&'a Node> = self.members.values().copied().filter(|node| !self.taken.contains_key(node.name())).collect();
        let (fit, unfit): (Vec<&Node>, Vec<&Node>) = free.into_iter().partition(|node| unfit(node).is_none());
        if count == 0 || fit.len() < count {
            let problem = format!(
                "wave {}: {share}% of pool {} are {count} nodes, and {} are left that can be used{}",
                wave.name,
                self.spec.pool,
                fit.len(),
                unfit.first().map(|node| format!(" ({} cannot)", node.name())).unwrap_or_default(),
            );
            self.problems.push(problem);
            return;
        }
        for node in spread(&fit, count) {
            self.take(wave, node.name());
        }
    }

    fn waves(self) -> Waves {
        let waves: Vec<Wave> = self.spec.waves.iter().map(|wave| self.wave(wave)).collect();
        let mut evidence: Vec<String> = waves
            .iter()
            .map(|wave| {
                let names: Vec<&str> = wave.nodes.iter().map(|node| node.name.as_str()).collect();
                format!("wave {}: {} of {} nodes: {}", wave.name, names.len(), self.members.len(), names.join(", "))
            })
            .collect();
        evidence.extend(self.unseen_types());
        let rest = self.members.keys().filter(|name| !self.taken.contains_key(*name)).map(|name| NodeName::new(*name)).collect();
        evidence.extend(self.evidence);
        Waves { waves, rest, evidence }
    }

    fn wave(&self, wave: &WaveSpec) -> Wave {
        let own = self.taken.iter().filter(|(_, of)| **of == wave.name).filter_map(|(name, _)| self.members.get(name));
        let nodes = own.map(|node| CanaryNode {
            name: NodeName::new(node.name()),
            boot_id: node.status.node_info.boot_id.clone(),
            rendered: RenderedConfig::new(node.current_config()),
        });
        Wave {
            name: wave.name.clone(),
            pool: wave.pool(),
            source: self.spec.pool.clone(),
            label: Wave::label_of(&wave.pool()),
            max_unavailable: wave.max_unavailable.clone(),
            nodes: nodes.collect(),
        }
    }

    /// A release that does not boot on one type of machine is found only on such a machine.
    fn unseen_types(&self) -> Vec<String> {
        let Some(first) = self.spec.waves.first() else { return Vec::new() };
        let seen: BTreeSet<&str> = self
            .members
            .values()
            .filter(|node| self.taken.get(node.name()) == Some(&first.name.as_str()))
            .map(|node| label(node, MACHINE_TYPE))
            .collect();
        let all: BTreeSet<&str> = self.members.values().map(|node| label(node, MACHINE_TYPE)).collect();
        let unseen = all.difference(&seen).filter(|of| !of.is_empty());
        unseen.map(|of| format!("no machine of type {of} is in the first wave, {}", first.name)).collect()
    }
}

/// Why a node should not be moved now, if it should not.
fn unfit(node: &Node) -> Option<String> {
    let trouble = not_ready(node).or_else(|| configuring(node)).map(|reason| reason.what);
    trouble.or_else(|| node.spec.unschedulable.then(|| "is cordoned".to_owned()))
}

fn label<'a>(node: &'a Node, key: &str) -> &'a str {
    node.metadata.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str).unwrap_or_default()
}

/// Takes so many nodes, each from the zone and of the machine type that have given the fewest so far; among equals by name.
fn spread<'a>(nodes: &[&'a Node], count: usize) -> Vec<&'a Node> {
    let mut left: Vec<&'a Node> = nodes.to_vec();
    let (mut zones, mut types): (BTreeMap<&str, usize>, BTreeMap<&str, usize>) = (BTreeMap::new(), BTreeMap::new());
    let mut chosen = Vec::new();
    while chosen.len() < count {
        let rank = |node: &Node| {
            let given = |counts: &BTreeMap<&str, usize>, key: &str| counts.get(label(node, key)).copied().unwrap_or_default();
            (given(&zones, ZONE), given(&types, MACHINE_TYPE), node.name().to_owned())
        };
        let Some(next) = left.iter().enumerate().min_by_key(|(_, node)| rank(node)).map(|(index, _)| index) else { break };
        let node = left.remove(next);
        *zones.entry(label(node, ZONE)).or_default() += 1;
        *types.entry(label(node, MACHINE_TYPE)).or_default() += 1;
        chosen.push(node);
    }
    chosen
}

#[cfg(test)]
mod tests;
