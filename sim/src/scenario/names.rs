//! The names in a scenario against the cluster that it is for.

use thiserror::Error;

use super::{Scenario, WorldFault};
use crate::world::graph::UpdateGraph;
use crate::world::operators::OPERATORS;
use crate::world::shape::ClusterShape;

/// A scenario that names what the cluster does not have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("let {thing} {name} go wrong: this cluster has none; it has {}", known.join(", "))]
pub struct UnknownName {
    thing: &'static str,
    name: String,
    known: Vec<String>,
}

/// A list in full would bury the message on a large cluster.
const SHOWN: usize = 12;

impl Scenario {
    /// The same scenario with every node by its own name; refuses one that names what a cluster of this shape does not have.
    pub fn resolved(mut self, shape: &ClusterShape) -> Result<Self, UnknownName> {
        let graph = shape.update_graph();
        for fault in &mut self.world {
            check(fault, shape, &graph)?;
            resolve_node(fault, shape);
        }
        Ok(self)
    }

    /// The same scenario without the faults that name what a cluster of this shape does not have.
    #[must_use]
    pub fn fitted(mut self, shape: &ClusterShape) -> Self {
        let graph = shape.update_graph();
        self.world.retain_mut(|fault| {
            let fits = check(fault, shape, &graph).is_ok();
            resolve_node(fault, shape);
            fits
        });
        self
    }
}

/// Writes `worker/0` as the first node of the pool is called.
fn resolve_node(fault: &mut WorldFault, shape: &ClusterShape) {
    if let Some(node) = fault.node_mut()
        && let Some(own) = shape.node_named(node)
    {
        *node = own;
    }
}

fn check(fault: &WorldFault, shape: &ClusterShape, graph: &UpdateGraph) -> Result<(), UnknownName> {
    let terms = fault.terms();
    if let Some(node) = terms.node
        && shape.node_named(node).is_none()
    {
        return Err(unknown("node", node, shape.nodes_by_pool().into_iter().flat_map(|(_, nodes)| nodes)));
    }
    if let Some(operator) = terms.operator
        && !OPERATORS.iter().any(|known| known.name == operator)
    {
        return Err(unknown("cluster operator", operator, OPERATORS.iter().map(|o| o.name.to_owned())));
    }
    if let Some(pool) = terms.pool
        && !shape.nodes_by_pool().iter().any(|(known, _)| known == pool)
    {
        return Err(unknown("pool", pool, shape.nodes_by_pool().into_iter().map(|(pool, _)| pool)));
    }
    for release in terms.releases.into_iter().flatten() {
        let family = format!("{release}.");
        if !graph.releases.iter().any(|known| known.version == release || known.version.starts_with(&family)) {
            return Err(unknown("release", release, graph.releases.iter().map(|r| r.version.clone())));
        }
    }
    Ok(())
}

/// What begins like the wrong name comes first, for that is what was meant.
fn unknown(thing: &'static str, name: &str, known: impl Iterator<Item = String>) -> UnknownName {
    let mut known: Vec<String> = known.collect();
    let alike = |candidate: &String| candidate.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).count();
    known.sort_by_key(|candidate| std::cmp::Reverse(alike(candidate)));
    if known.len() > SHOWN {
        let more = known.len() - SHOWN;
        known.truncate(SHOWN);
        known.push(format!("and {more} more"));
    }
    UnknownName { thing, name: name.to_owned(), known }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::When;

    fn check_one(fault: WorldFault, expect: Result<Option<&str>, &str>) {
        let scenario = Scenario { world: vec![fault], ..Scenario::default() };
        let seen = scenario.resolved(&ClusterShape::default());
        let seen = seen.map(|s| s.world[0].terms().node.map(str::to_owned)).map_err(|e| e.to_string());
        match (seen, expect) {
            (Ok(node), Ok(expected)) => assert_eq!(node.as_deref(), expected),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (seen, expected) => assert!(seen.is_ok() == expected.is_ok(), "{seen:?} / {expected:?}"),
        }
    }

    #[test]
    fn names_are_looked_up_before_anything_starts() {
        let when = When::default();
        let silent = |node: &str| WorldFault::NodeSilent { when, node: node.into(), minutes: None };
        check_one(silent("worker/1"), Ok(Some("worker-1")));
        check_one(silent("infra-0"), Ok(Some("infra-0")));
        check_one(silent("worker/9"), Err("node worker/9 go wrong: this cluster has none; it has worker-0, worker-1"));
        check_one(WorldFault::PoolPaused { when, pool: "gpu".into(), minutes: None }, Err("it has master, worker, infra"));
        let slow = |operator: &str| WorldFault::OperatorSlow { when, operator: operator.into(), minutes: 3.0 };
        check_one(slow("etcd"), Ok(None));
        check_one(slow("kube-api"), Err("it has kube-apiserver, "));
        let withdrawn = |to: &str| WorldFault::EdgeWithdrawn { when, from: "4.16.21".into(), to: to.into() };
        check_one(withdrawn("4.17"), Ok(None));
        check_one(withdrawn("4.19.1"), Err("release 4.19.1"));
    }

    #[test]
    fn a_built_in_scenario_leaves_out_what_does_not_fit() {
        let alone = ClusterShape::default().with_nodes("1+2").expect("a shape");
        let fitted = Scenario::harsh().fitted(&alone);
        assert!(fitted.world.len() < Scenario::harsh().world.len());
        assert!(fitted.resolved(&alone).is_ok());
    }
}
