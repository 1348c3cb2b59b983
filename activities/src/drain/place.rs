//! Where pods find a place when nodes are gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::views::{Node, NodeSelector, PersistentVolume, Pod, Quantity, Status, Taint, View as _};

/// What is reckoned with, in the order of [`Amounts`].
const RESOURCES: [&str; 3] = ["cpu", "memory", "pods"];

/// Thousandths of cores, of bytes and of pods.
type Amounts = [i128; RESOURCES.len()];

/// The nodes of a cluster with what is free on each, and what ties pods to some of them.
pub(crate) struct Places<'a> {
    nodes: Vec<Place<'a>>,
    ties: BTreeMap<(&'a str, &'a str), &'a NodeSelector>,
}

struct Place<'a> {
    node: &'a Node,
    open: bool,
    free: Amounts,
}

/// Why a pod finds no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lack {
    /// Its volume is on this node.
    Volume,
    /// It asks for this node, or for what only this node has.
    Node,
    /// Nothing is wrong but that the others are full, cordoned or not ready.
    Room,
}

impl<'a> Places<'a> {
    /// Reckons what is free; a node that does not say what it has counts as endless.
    pub(crate) fn new(nodes: &'a [Node], pods: &'a [Pod], volumes: &'a [PersistentVolume]) -> Self {
        let mut used: BTreeMap<&str, Amounts> = BTreeMap::new();
        for pod in pods.iter().filter(|pod| !pod.has_ended()) {
            let sum = used.entry(pod.spec.node_name.as_deref().unwrap_or_default()).or_default();
            sum.iter_mut().zip(needs(pod)).for_each(|(sum, need)| *sum += need);
        }
        let place = |node: &'a Node| {
            let taken = used.get(node.name()).copied().unwrap_or_default();
            let mut free = allocatable(node);
            free.iter_mut().zip(taken).for_each(|(free, taken)| *free = free.saturating_sub(taken));
            Place { node, open: is_open(node), free }
        };
        let ties = volumes.iter().filter_map(|volume| Some((volume.claim()?, volume.tie()?))).collect();
        Self { nodes: nodes.iter().map(place).collect(), ties }
    }

    /// Which of these pods find no place while some nodes are gone, and why: the largest are placed first, each where it first fits.
    pub(crate) fn lacking<'p>(&self, gone: &BTreeSet<&str>, pods: &[&'p Pod]) -> Vec<(&'p Pod, Lack)> {
        let mut free: Vec<Amounts> = self.nodes.iter().map(|place| place.free).collect();
        let mut by_size: Vec<&Pod> = pods.to_vec();
        by_size.sort_by_key(|pod| (std::cmp::Reverse(needs(pod)), pod.namespace_name(), pod.name()));
        let mut lacking = Vec::new();
        for pod in by_size {
            let tie = self.tie(pod);
            let fit = self.nodes.iter().zip(&mut free).find(|(place, free)| {
                place.open
                    && !gone.contains(place.node.name())
                    && needs(pod).iter().zip(free.iter()).all(|(need, free)| need <= free)
                    && may_run(pod, place.node)
                    && tie.is_none_or(|tie| tie.selects(place.node.name(), place.node.metadata.labels.as_ref()))
            });
            match fit {
                Some((_, free)) => free.iter_mut().zip(needs(pod)).for_each(|(free, need)| *free -= need),
                None => lacking.push((pod, self.why(pod, tie))),
            }
        }
        lacking
    }

    /// Distinguishes what a pod is tied to from a mere lack of room.
    fn why(&self, pod: &Pod, tie: Option<&NodeSelector>) -> Lack {
        let elsewhere =
            || self.nodes.iter().map(|place| place.node).filter(|node| Some(node.name()) != pod.spec.node_name.as_deref());
        match tie {
            Some(tie) if !elsewhere().any(|node| tie.selects(node.name(), node.metadata.labels.as_ref())) => Lack::Volume,
            Some(_) | None if !elsewhere().any(|node| may_run(pod, node)) => Lack::Node,
            Some(_) | None => Lack::Room,
        }
    }

    fn tie(&self, pod: &Pod) -> Option<&'a NodeSelector> {
        let claims = pod.spec.volumes.iter().filter_map(|volume| volume.persistent_volume_claim.as_ref());
        claims.filter_map(|claim| self.ties.get(&(pod.namespace_name(), claim.claim_name.as_str()))).copied().next()
    }
}

fn needs(pod: &Pod) -> Amounts {
    [pod.requests("cpu"), pod.requests("memory"), 1000]
}

fn allocatable(node: &Node) -> Amounts {
    RESOURCES.map(|resource| node.status.allocatable.get(resource).and_then(Quantity::milli).unwrap_or(i128::MAX))
}

fn is_open(node: &Node) -> bool {
    use crate::views::Conditions as _;
    !node.spec.unschedulable && node.says("Ready") == Status::True
}

/// Whether a pod's selector, affinity and tolerations let it run on a node, room or not.
fn may_run(pod: &Pod, node: &Node) -> bool {
    let labels = node.metadata.labels.as_ref();
    let has = |(key, value): (&String, &String)| labels.and_then(|labels| labels.get(key)) == Some(value);
    // Cordons and passing pressure are taints, too; who is closed at the moment is judged apart.
    let keeps_away = |taint: &&Taint| {
        matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute") && !taint.key.starts_with("node.kubernetes.io/")
    };
    pod.spec.node_selector.iter().all(has)
        && pod.spec.affinity.node_affinity.required.selects(node.name(), labels)
        && node.spec.taints.iter().filter(keeps_away).all(|taint| pod.spec.tolerations.iter().any(|one| one.bears(taint)))
}
