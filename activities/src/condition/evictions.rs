//! What keeps the last pods on a node that is being drained. Source: the eviction API, and the drain rules of the machine-config
//! operator, which says nothing for an hour and then retries for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_engine::Timestamp;

use super::{Concern, Reason};
use crate::ids::NodeName;
use crate::views::{Budget, Pod, View};

/// A drain that lasts longer is said to be slow even if nothing is found that holds it: most end within two to four minutes.
const SLOW_DRAIN: Duration = Duration::from_secs(10 * 60);

/// How long a pod may take beyond the time that it was given to end.
const STUCK: Duration = Duration::from_secs(5 * 60);

/// How many pods one line names.
const NAMED: usize = 3;

/// What was found on a node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Evictions {
    /// What holds the drain up, if anything does.
    pub reason: Option<Reason>,
    /// When a pod that is ending now would be ending for too long.
    pub look_again_at: Option<Timestamp>,
}

/// What of these pods and budgets keeps a node from draining since then.
pub fn evictions(node: &NodeName, since: Timestamp, pods: &[Pod], budgets: &[Budget], now: Timestamp) -> Evictions {
    let here = |pod: &&Pod| pod.spec.node_name.as_deref() == Some(node.as_str()) && pod.must_be_evicted();
    let left: Vec<&Pod> = pods.iter().filter(here).collect();
    let ending = left.iter().filter_map(|pod| deadline(pod));
    let look_again_at = ending.filter(|at| *at > now).min();
    let causes: Vec<String> = held(&left, budgets).into_iter().chain(stuck(&left, now)).collect();
    let subject = format!("node {node}");
    let reason = match (causes.as_slice(), left.as_slice()) {
        ([], []) => None,
        ([], [first, ..]) => (now.since(since) >= SLOW_DRAIN).then(|| {
            let what = format!("drains slowly: {} pods are left, among them {}", left.len(), full_name(*first));
            Reason::waiting(subject, what).since(Some(since)).graded(Concern::Slow)
        }),
        (causes, left) => {
            let count = if left.len() == 1 { "1 pod is left".to_owned() } else { format!("{} pods are left", left.len()) };
            let what = format!("does not drain: {count}, {}", causes.join(", "));
            Some(Reason::waiting(subject, what).since(Some(since)).graded(Concern::BlockedDrain(node.clone())))
        }
    };
    Evictions { reason, look_again_at }
}

/// The namespaces in which budgets may hold pods of a node.
pub fn namespaces_left<'a>(node: &NodeName, pods: &'a [Pod]) -> Vec<&'a str> {
    let here = |pod: &&Pod| pod.spec.node_name.as_deref() == Some(node.as_str()) && pod.must_be_evicted();
    let mut namespaces: Vec<&str> = pods.iter().filter(here).map(View::namespace_name).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    namespaces
}

/// Budgets that hold some of the pods; two on one pod make every eviction of it fail.
fn held(left: &[&Pod], budgets: &[Budget]) -> Vec<String> {
    let mut held: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for pod in left {
        let on_it = budgets.iter().filter(|budget| budget.namespace_name() == pod.namespace_name());
        let on_it: Vec<&Budget> = on_it.filter(|budget| budget.covers(pod.metadata.labels.as_ref())).collect();
        if on_it.len() > 1 || on_it.iter().any(|budget| budget.blocks_now()) {
            held.entry(on_it.iter().map(|budget| described(budget)).collect()).or_default().push(full_name(*pod));
        }
    }
    held.into_iter()
        .map(|(budgets, pods)| match budgets.as_slice() {
            [budget] => format!("budget {budget} allows no disruption of {}", named(&pods)),
            several => {
                format!("{} budgets ({}) are on {}, so that no eviction works", several.len(), several.join(", "), named(&pods))
            }
        })
        .collect()
}

fn described(budget: &Budget) -> String {
    let status = &budget.status;
    let lasting = if budget.blocks_for_ever() { ", which lasts until it or the number of replicas is changed" } else { "" };
    format!("{} ({} healthy, {} must stay{lasting})", full_name(budget), status.current_healthy, status.desired_healthy)
}

/// Pods that were told to end and do not.
fn stuck(left: &[&Pod], now: Timestamp) -> Option<String> {
    let late = |pod: &&&Pod| deadline(pod).is_some_and(|at| at <= now);
    let pods: Vec<String> = left
        .iter()
        .filter(late)
        .map(|pod| {
            let finalizers = pod.metadata.finalizers.as_deref().unwrap_or_default();
            let held = if finalizers.is_empty() { String::new() } else { format!(" (finalizers {})", finalizers.join(", ")) };
            format!("{}{held}", full_name(*pod))
        })
        .collect();
    let minutes = STUCK.as_secs() / 60;
    (!pods.is_empty()).then(|| format!("{} should have ended more than {minutes} min ago and is still there", named(&pods)))
}

/// When a pod that was told to end is stuck: the server's time of deletion has the pod's grace in it.
fn deadline(pod: &Pod) -> Option<Timestamp> {
    let ends = pod.metadata.deletion_timestamp.as_ref()?;
    Some(crate::views::timestamp(ends).plus(STUCK))
}

fn named(pods: &[String]) -> String {
    let first = pods.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if pods.len() > NAMED { format!("{first} and {} more", pods.len() - NAMED) } else { first }
}

fn full_name<K: View>(object: &K) -> String {
    format!("{}/{}", object.namespace_name(), object.name())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixtures::at;
    use super::*;

    fn pod(name: &str, app: &str, owner: &str) -> Pod {
        let owners = json!([{"apiVersion": "apps/v1", "kind": owner, "name": app, "uid": "u"}]);
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "shop", "labels": {"app": app}, "ownerReferences": owners},
            "spec": {"nodeName": "worker-0"}, "status": {"phase": "Running"}
        }))
        .unwrap()
    }

    fn ending(name: &str, minutes_ago: i64, finalizers: &[&str]) -> Pod {
        let mut pod = pod(name, "cart", "ReplicaSet");
        let at = json!(at(-minutes_ago).to_datetime().to_rfc3339());
        pod.metadata.deletion_timestamp = Some(serde_json::from_value(at).unwrap());
        pod.metadata.finalizers = Some(finalizers.iter().map(|&name| name.to_owned()).collect());
        pod
    }

    fn budget(name: &str, allowed: i32, healthy: i32) -> Budget {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "cart"}}},
            "status": {"disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": 2, "expectedPods": 3}
        }))
        .unwrap()
    }

    fn look(pods: &[Pod], budgets: &[Budget], minutes: i64) -> Evictions {
        evictions(&NodeName::new("worker-0"), at(-minutes), pods, budgets, at(0))
    }

    #[test]
    fn the_budget_and_the_pod_are_named_from_the_first_minute_on() {
        let check = |pods: &[Pod], budgets: &[Budget], minutes: i64, expect: &[&str]| {
            let reason = look(pods, budgets, minutes).reason;
            assert_eq!(reason.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
        };
        let cart = || pod("cart-1", "cart", "ReplicaSet");
        check(&[cart(), pod("log-1", "log", "DaemonSet")], &[budget("cart", 1, 3)], 1, &[]);
        check(&[], &[budget("cart", 0, 2)], 30, &[]);
        check(
            &[cart(), pod("log-1", "log", "DaemonSet")],
            &[budget("cart", 0, 2)],
            1,
            &[
                "!! node worker-0 does not drain: 1 pod is left, budget shop/cart (2 healthy, 2 must stay) allows no disruption of \
               shop/cart-1 (since 2026-03-01 11:59:00Z)",
            ],
        );
        check(
            &[cart()],
            &[budget("cart", 0, 3)],
            1,
            &[
                "!! node worker-0 does not drain: 1 pod is left, budget shop/cart (3 healthy, 2 must stay, which lasts until it or the \
               number of replicas is changed) allows no disruption of shop/cart-1 (since 2026-03-01 11:59:00Z)",
            ],
        );
        check(
            &[cart()],
            &[budget("a", 1, 3), budget("b", 1, 3)],
            1,
            &[
                "!! node worker-0 does not drain: 1 pod is left, 2 budgets (shop/a (3 healthy, 2 must stay), shop/b (3 healthy, 2 must \
               stay)) are on shop/cart-1, so that no eviction works (since 2026-03-01 11:59:00Z)",
            ],
        );
        let many: Vec<Pod> = (1..=5).map(|number| pod(&format!("cart-{number}"), "cart", "ReplicaSet")).collect();
        let told = look(&many, &[budget("cart", 0, 2)], 1).reason.unwrap().what;
        assert!(told.contains("5 pods are left") && told.contains("shop/cart-3 and 2 more"), "{told}");
        check(&[cart()], &[], 9, &[]);
        check(
            &[cart()],
            &[],
            11,
            &["slow: node worker-0 drains slowly: 1 pods are left, among them shop/cart-1 (since 2026-03-01 11:49:00Z)"],
        );
    }

    #[test]
    fn a_pod_that_does_not_end_is_named_with_its_finalizers() {
        let check = |pod: Pod, expect: Option<&str>, again: Option<Timestamp>| {
            let found = look(&[pod], &[], 8);
            assert_eq!(found.reason.map(|reason| reason.what).as_deref(), expect);
            assert_eq!(found.look_again_at, again);
        };
        check(ending("cart-1", 4, &[]), None, Some(at(1)));
        check(
            ending("cart-1", 6, &["example.com/hold"]),
            Some(
                "does not drain: 1 pod is left, shop/cart-1 (finalizers example.com/hold) should have ended more than 5 min ago and \
                 is still there",
            ),
            None,
        );
    }

    #[test]
    fn only_namespaces_of_pods_that_are_left_matter() {
        let mut other = pod("a", "a", "ReplicaSet");
        other.metadata.namespace = Some("bank".to_owned());
        let mut elsewhere = pod("b", "b", "ReplicaSet");
        elsewhere.spec.node_name = Some("worker-1".to_owned());
        let pods = [pod("cart-1", "cart", "ReplicaSet"), other, elsewhere, pod("cart-2", "cart", "ReplicaSet")];
        assert_eq!(namespaces_left(&NodeName::new("worker-0"), &pods), ["bank", "shop"]);
    }
}
