//! Which pool each node is in, and which pools a change of nodes concerns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::pool::{pool_of, pools_selecting};
use crate::clock::rfc3339;
use crate::controllers::Cx;
use crate::store::resources::EVENTS;
use crate::world::json::name;

/// What is known of which nodes belong where.
#[derive(Debug, Default)]
pub(super) struct Membership {
    /// The pool that each node was in when it was looked at last; nothing before the first look.
    homes: Option<BTreeMap<String, String>>,
    /// Nodes that two pools claim.
    disputed: BTreeSet<String>,
}

impl Membership {
    /// Takes in which nodes moved, and returns the pools that they are in or were in; `reshaped` is whether pools themselves changed.
    pub(super) fn follow(&mut self, cx: &Cx<'_>, pools: &[Arc<Value>], reshaped: bool) -> BTreeSet<String> {
        let primed = self.homes.is_some();
        let homes = self.homes.get_or_insert_default();
        let mut touched = BTreeSet::new();
        let all = reshaped.then(|| cx.mirror.nodes.keys()).into_iter().flatten();
        for node in cx.news.nodes.iter().chain(all) {
            let object = cx.mirror.nodes.get(node);
            let home = object.and_then(|o| pool_of(pools, o)).map(str::to_owned);
            let before = match &home {
                Some(pool) => homes.insert(node.clone(), pool.clone()),
                None => homes.remove(node),
            };
            match object.map(|o| (o, custom_pools(pools, o))) {
                Some((object, claims @ 2..)) if home.is_none() => {
                    if self.disputed.insert(node.clone()) {
                        warn(cx, node, object, claims);
                    }
                }
                _ => _ = self.disputed.remove(node),
            }
            if cx.news.nodes.contains(node) || (primed && home != before) {
                touched.extend(home.into_iter().chain(before));
            }
        }
        if !primed {
            touched.extend(pools.iter().filter(|p| !counts(p, homes)).map(|p| name(p).to_owned()));
        }
        touched
    }
}

/// Whether a pool's status counts the nodes that it has.
fn counts(pool: &Value, homes: &BTreeMap<String, String>) -> bool {
    let members = homes.values().filter(|home| *home == name(pool)).count();
    pool["status"]["machineCount"].as_u64() == u64::try_from(members).ok()
}

fn custom_pools(pools: &[Arc<Value>], node: &Value) -> usize {
    pools_selecting(pools, node).into_iter().filter(|p| *p != "worker").count()
}

/// Leaves an event about a node that belongs to no pool because several claim it.
fn warn(cx: &Cx<'_>, node: &str, object: &Value, claims: usize) {
    let at = rfc3339(cx.now);
    let involved = json!({ "apiVersion": "v1", "kind": "Node", "name": node, "uid": object["metadata"]["uid"] });
    cx.create(
        &EVENTS,
        json!({
            "metadata": { "generateName": format!("{node}."), "namespace": "default" }, "involvedObject": involved,
            "type": "Warning", "reason": "FailedToFindPool", "count": 1, "firstTimestamp": at, "lastTimestamp": at,
            "message": format!("node {node} belongs to {claims} custom roles, cannot proceed with this Node"),
            "source": { "component": "machineconfigcontroller-nodecontroller" },
        }),
    );
}
