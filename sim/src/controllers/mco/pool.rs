//! Which nodes a pool has, which of them may be updated next, and what its status says.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::world::json::{Said, annotation, condition_is, cordoned, label, name, node_ready, selects, set_condition, text};
use crate::world::nodes::mco;
use crate::world::pools::spell_out_conditions;

/// The pools that select a node.
pub(super) fn pools_selecting<'a>(pools: &'a [Arc<Value>], node: &Value) -> Vec<&'a str> {
    // A pool without a selector selects nothing.
    let selecting = |p: &&Arc<Value>| {
        let selector = &p["spec"]["nodeSelector"];
        selector.is_object() && selects(selector, &node["metadata"]["labels"])
    };
    pools.iter().filter(selecting).map(|p| name(p)).collect()
}

/// The pool of a node: a custom pool wins over `worker`, and `master` over everything; a node that two custom pools select has none.
pub(super) fn pool_of<'a>(pools: &'a [Arc<Value>], node: &Value) -> Option<&'a str> {
    let selecting = pools_selecting(pools, node);
    if let Some(master) = selecting.iter().find(|p| **p == "master") {
        return Some(master);
    }
    let custom: Vec<&str> = selecting.iter().copied().filter(|p| *p != "worker").collect();
    match custom.as_slice() {
        [] => selecting.first().copied(),
        [one] => Some(one),
        [..] => None,
    }
}

/// The nodes of a pool.
pub(super) fn nodes_of<'a>(pools: &[Arc<Value>], pool: &str, nodes: &'a BTreeMap<String, Arc<Value>>) -> Vec<&'a Value> {
    nodes.values().map(|n| &**n).filter(|n| pool_of(pools, n) == Some(pool)).collect()
}

/// How many nodes of a pool of this size may be unavailable: at least one.
pub(super) fn max_unavailable(pool: &Value, size: usize) -> usize {
    let limit = match &pool["spec"]["maxUnavailable"] {
        Value::Number(n) => n.as_u64().and_then(|n| usize::try_from(n).ok()),
        Value::String(s) => {
            s.trim_end_matches('%').parse::<usize>().ok().map(|p| if s.ends_with('%') { size * p / 100 } else { p })
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    limit.unwrap_or(1).max(1)
}

fn done(node: &Value) -> bool {
    annotation(node, &mco("state")) == "Done"
        && annotation(node, &mco("currentConfig")) == annotation(node, &mco("desiredConfig"))
}

fn available(node: &Value) -> bool {
    node_ready(node) && !cordoned(node) && done(node)
}

fn updated(node: &Value, target: &str) -> bool {
    done(node) && annotation(node, &mco("currentConfig")) == target
}

/// The nodes to update next: by zone, then oldest first, within the budget that cordoned and NotReady nodes eat, too.
pub(super) fn candidates(nodes: &[&Value], target: &str, allowed: usize, busy: impl Fn(&str) -> bool) -> Vec<String> {
    let unavailable = nodes.iter().filter(|n| busy(name(n)) || !available(n)).count();
    let mut waiting: Vec<&&Value> =
        nodes.iter().filter(|n| !busy(name(n)) && available(n) && annotation(n, &mco("desiredConfig")) != target).collect();
    waiting.sort_by_key(|n| {
        (label(n, "topology.kubernetes.io/zone").unwrap_or_default(), text(n, "/metadata/creationTimestamp"), name(n))
    });
    waiting.into_iter().take(allowed.saturating_sub(unavailable)).map(|n| name(n).to_owned()).collect()
}

/// Writes what a pool says of its nodes.
pub(super) fn write_status(pool: &mut Value, nodes: &[&Value], now: DateTime<Utc>) {
    let target = text(pool, "/spec/configuration/name").to_owned();
    let paused = pool["spec"]["paused"] == true;
    let count = |f: &dyn Fn(&Value) -> bool| nodes.iter().filter(|n| f(n)).count();
    let updated_count = count(&|n| updated(n, &target));
    let ready = count(&|n| updated(n, &target) && node_ready(n) && !cordoned(n));
    let unavailable = count(&|n| !available(n));
    let failing: Vec<&&Value> = nodes.iter().filter(|n| annotation(n, &mco("state")) == "Degraded").collect();
    let settled = updated_count == nodes.len() && ready == nodes.len() && unavailable == 0;
    let generation = pool["metadata"]["generation"].clone();
    let status = &mut pool["status"];
    status["machineCount"] = json!(nodes.len());
    status["updatedMachineCount"] = json!(updated_count);
    status["readyMachineCount"] = json!(ready);
    status["unavailableMachineCount"] = json!(unavailable);
    status["degradedMachineCount"] = json!(failing.len());
    status["observedGeneration"] = generation;
    if settled {
        status["configuration"] = json!({ "name": target });
    }
    let (is_updated, is_updating) = match (settled, paused) {
        (true, _) => (Said::new("True", "", format!("All nodes are updated with MachineConfig {target}")), Said::no()),
        (false, true) => (Said::no(), Said::new("False", "", format!("Pool is paused; will not update to {target}"))),
        (false, false) => (Said::no(), Said::new("True", "", format!("All nodes are updating to MachineConfig {target}"))),
    };
    let reports: Vec<String> =
        failing.iter().map(|n| format!("Node {} is reporting: \"{}\"", name(n), annotation(n, &mco("reason")))).collect();
    let node_degraded = if failing.is_empty() {
        Said::no()
    } else {
        let reason = format!("{} nodes are reporting degraded status on sync", failing.len());
        Said::new("True", reason, reports.join(", "))
    };
    for (kind, said) in [("Updated", is_updated), ("Updating", is_updating), ("NodeDegraded", node_degraded)] {
        set_condition(pool, kind, &said, now);
    }
    show_degraded(pool, now);
    spell_out_conditions(pool);
}

/// Writes the condition that sums up why a pool is degraded.
pub(super) fn show_degraded(pool: &mut Value, now: DateTime<Utc>) {
    let degraded = ["RenderDegraded", "NodeDegraded"].iter().any(|kind| condition_is(pool, kind, "True"));
    set_condition(pool, "Degraded", &if degraded { Said::yes() } else { Said::no() }, now);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, zone: &str, config: &str, ready: bool, cordoned: bool) -> Value {
        json!({
            "metadata": { "name": name, "creationTimestamp": "2025-01-01T00:00:00Z", "labels": { "topology.kubernetes.io/zone": zone },
                "annotations": { mco("currentConfig"): config, mco("desiredConfig"): config, mco("state"): "Done" } },
            "spec": { "unschedulable": cordoned },
            "status": { "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "Unknown" } }] },
        })
    }

    fn check(nodes: &[Value], allowed: usize, expected: &[&str]) {
        let nodes: Vec<&Value> = nodes.iter().collect();
        assert_eq!(candidates(&nodes, "r1", allowed, |_| false), expected);
    }

    #[test]
    fn unavailable_nodes_eat_the_budget_and_zones_come_in_order() {
        let fresh = |name, zone| node(name, zone, "r0", true, false);
        check(&[fresh("b", "2"), fresh("a", "2"), fresh("c", "1")], 1, &["c"]);
        check(&[fresh("b", "2"), fresh("a", "2"), fresh("c", "1")], 2, &["c", "a"]);
        check(&[fresh("a", "1"), node("b", "1", "r0", true, true)], 1, &[]);
        check(&[fresh("a", "1"), node("b", "1", "r1", false, false)], 1, &[]);
        check(&[fresh("a", "1"), node("b", "1", "r1", true, false)], 1, &["a"]);
    }

    #[test]
    fn a_node_is_in_one_pool_or_in_none() {
        let pool =
            |name: &str, selector: Value| Arc::new(json!({ "metadata": { "name": name }, "spec": { "nodeSelector": selector } }));
        let role = |role: &str| json!({ "matchLabels": { role: "" } });
        let mut pools: Vec<Arc<Value>> = ["master", "worker", "canary", "gpu"].iter().map(|p| pool(p, role(p))).collect();
        pools.push(pool("unfinished", Value::Null));
        for (labels, expected) in [
            (&["worker"][..], Some("worker")),
            (&["worker", "canary"], Some("canary")),
            (&["canary"], Some("canary")),
            (&["worker", "canary", "gpu"], None),
            (&["master", "worker", "canary", "gpu"], Some("master")),
            (&[], None),
        ] {
            let labels_of: serde_json::Map<String, Value> = labels.iter().map(|l| ((*l).to_owned(), json!(""))).collect();
            assert_eq!(pool_of(&pools, &json!({ "metadata": { "labels": labels_of } })), expected, "{labels:?}");
        }
    }

    #[test]
    fn limits_are_counts_or_percentages_and_never_none() {
        for (limit, size, expected) in [
            (json!(null), 6, 1),
            (json!(0), 6, 1),
            (json!(2), 6, 2),
            (json!("10%"), 100, 10),
            (json!("10%"), 6, 1),
            (json!("50%"), 6, 3),
        ] {
            assert_eq!(max_unavailable(&json!({ "spec": { "maxUnavailable": limit } }), size), expected, "{limit} of {size}");
        }
    }

    #[test]
    fn a_paused_pool_is_neither_updated_nor_updating() {
        let (old, new) = (node("a", "1", "r0", true, false), node("b", "1", "r1", true, false));
        let mut pool = json!({ "metadata": { "generation": 3 }, "spec": { "paused": true, "configuration": { "name": "r1" } },
            "status": { "configuration": { "name": "r0" } } });
        write_status(&mut pool, &[&old, &new], DateTime::UNIX_EPOCH);
        assert!(condition_is(&pool, "Updated", "False") && condition_is(&pool, "Updating", "False"));
        assert_eq!(pool["status"]["configuration"]["name"], "r0");
        pool["spec"]["paused"] = json!(false);
        write_status(&mut pool, &[&old, &new], DateTime::UNIX_EPOCH);
        assert!(condition_is(&pool, "Updated", "False") && condition_is(&pool, "Updating", "True"));
        write_status(&mut pool, &[&new], DateTime::UNIX_EPOCH);
        assert!(condition_is(&pool, "Updated", "True") && condition_is(&pool, "Updating", "False"));
        assert_eq!(pool["status"]["configuration"]["name"], "r1");
    }
}
