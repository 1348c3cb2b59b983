//! Why a node does not drain: the pods that are still on it, and the budgets that hold them.

use std::collections::BTreeMap;
use std::fmt;

use crate::cluster::{Cluster, Query};
use crate::error::CallError;
use crate::ids::NodeName;
use crate::views::{Budget, Pod, View as _};

/// What keeps a node from draining.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockedDrain {
    /// The node.
    pub node: NodeName,
    /// Pods that a drain has to evict and that are still there.
    pub left: usize,
    /// Budgets that hold some of them, each with those pods.
    pub held: Vec<HeldPods>,
    /// Pods that are being deleted and do not end.
    pub terminating: Vec<String>,
}

/// Pods on a node that one or more budgets hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldPods {
    /// The budgets, as `namespace/name`; two on one pod make every eviction fail.
    pub budgets: Vec<String>,
    /// The pods, as `namespace/name`.
    pub pods: Vec<String>,
}

/// How many pods one line names.
const NAMED: usize = 3;

impl fmt::Display for BlockedDrain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pods are left on node {}", self.left, self.node)?;
        for held in &self.held {
            let pods = named(&held.pods);
            match held.budgets.as_slice() {
                [budget] => write!(f, ", budget {budget} allows no disruption of {pods}")?,
                several => write!(f, ", {} budgets ({}) are on {pods}", several.len(), several.join(", "))?,
            }
        }
        if !self.terminating.is_empty() {
            write!(f, ", {} end too slowly", named(&self.terminating))?;
        }
        Ok(())
    }
}

fn named(pods: &[String]) -> String {
    let first = pods.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if pods.len() > NAMED { format!("{first} and {} more", pods.len() - NAMED) } else { first }
}

/// Looks at the pods of one node and the budgets of their namespaces.
pub async fn explain_blocked_drain(cluster: &Cluster, node: &NodeName) -> Result<BlockedDrain, CallError> {
    let pods: Vec<Pod> = cluster.list(&Query { fields: Some(format!("spec.nodeName={node}")), ..Query::default() }).await?;
    let budgets: Vec<Budget> = cluster.list(&Query::default()).await?;
    Ok(blocked(node, &pods, &budgets))
}

/// What of these pods and budgets keeps the node from draining.
pub fn blocked(node: &NodeName, pods: &[Pod], budgets: &[Budget]) -> BlockedDrain {
    let here = |pod: &&Pod| pod.spec.node_name.as_deref() == Some(node.as_str()) && pod.must_be_evicted();
    let left: Vec<&Pod> = pods.iter().filter(here).collect();
    let mut held: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for pod in &left {
        let on_it: Vec<&Budget> = budgets
            .iter()
            .filter(|budget| budget.namespace_name() == pod.namespace_name())
            .filter(|budget| budget.covers(pod.metadata.labels.as_ref()))
            .collect();
        if on_it.len() > 1 || on_it.iter().any(|budget| budget.blocks_now()) {
            let names = on_it.iter().map(|budget| full_name(*budget)).collect();
            held.entry(names).or_default().push(full_name(*pod));
        }
    }
    let terminating = left.iter().filter(|pod| pod.metadata.deletion_timestamp.is_some());
    BlockedDrain {
        node: node.clone(),
        left: left.len(),
        held: held.into_iter().map(|(budgets, pods)| HeldPods { budgets, pods }).collect(),
        terminating: terminating.map(|pod| full_name(*pod)).collect(),
    }
}

fn full_name<K: crate::views::View>(object: &K) -> String {
    format!("{}/{}", object.namespace_name(), object.name())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, app: &str, owner: &str) -> Pod {
        let owners = json!([{"apiVersion": "apps/v1", "kind": owner, "name": app, "uid": "u"}]);
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "shop", "labels": {"app": app}, "ownerReferences": owners},
            "spec": {"nodeName": "worker-0"}, "status": {"phase": "Running"}
        }))
        .unwrap()
    }

    fn budget(name: &str, app: &str, allowed: i32) -> Budget {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": app}}},
            "status": {"disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}
        }))
        .unwrap()
    }

    #[test]
    fn the_budget_and_the_pod_are_named() {
        let check = |pods: &[Pod], budgets: &[Budget], expect: &str| {
            assert_eq!(blocked(&NodeName::new("worker-0"), pods, budgets).to_string(), expect);
        };
        let cart = || pod("cart-1", "cart", "ReplicaSet");
        check(&[cart()], &[budget("cart", "cart", 1)], "1 pods are left on node worker-0");
        check(
            &[cart(), pod("log-1", "log", "DaemonSet")],
            &[budget("cart", "cart", 0), budget("other", "other", 0)],
            "1 pods are left on node worker-0, budget shop/cart allows no disruption of shop/cart-1",
        );
        check(
            &[cart()],
            &[budget("a", "cart", 1), budget("b", "cart", 1)],
            "1 pods are left on node worker-0, 2 budgets (shop/a, shop/b) are on shop/cart-1",
        );
        let mut ending = cart();
        ending.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-03-01T12:00:00Z")).unwrap());
        check(&[ending], &[], "1 pods are left on node worker-0, shop/cart-1 end too slowly");
    }
}
