//! Disruption budgets: how many pods may be evicted now.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::mirror::{News, Pod};
use super::{Controller, Cx};
use crate::store::resources::{PDBS, REPLICASETS};
use crate::world::json::{Said, name, namespace, selects, set_condition};

/// The controller that keeps the status of every budget.
pub(super) struct Budgets;

impl Controller for Budgets {
    fn name(&self) -> &'static str {
        "budgets"
    }

    fn concerns(&self, news: &News) -> bool {
        !news.pods.is_empty() || news.of(&PDBS) || news.of(&REPLICASETS)
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        let sets = cx.news.keys(&PDBS).chain(cx.news.keys(&REPLICASETS));
        let touched: BTreeSet<&str> = cx.news.pods.iter().chain(sets).map(|(ns, _)| ns.as_str()).collect();
        let budgets = touched.into_iter().filter_map(|ns| cx.store.snapshot(&PDBS, Some(ns), None).ok());
        for budget in budgets.flat_map(|(_, budgets)| budgets) {
            let ns = namespace(&budget);
            let selector = &budget["spec"]["selector"];
            let pods: Vec<&Pod> = cx
                .mirror
                .pods_in(ns)
                .map(|(_, pod)| pod)
                .filter(|p| selects(selector, &p.object["metadata"]["labels"]))
                .collect();
            let healthy = pods.iter().filter(|p| p.ready && !p.terminating).count();
            let (expected, now) = (expected(cx, ns, &pods), cx.now);
            cx.modify(&PDBS, Some(ns), name(&budget), |b| apply(b, expected, healthy, now));
        }
        None
    }
}

/// The number of pods that should be there: what the owners of the selected pods ask for.
fn expected(cx: &Cx<'_>, ns: &str, pods: &[&Pod]) -> usize {
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    let mut orphans = 0;
    for pod in pods {
        match &pod.owner {
            Some((kind, owner)) if kind == "ReplicaSet" => {
                owners.entry(owner).or_insert_with(|| replicas(cx, ns, owner));
            }
            _ => orphans += 1,
        }
    }
    owners.values().sum::<usize>() + orphans
}

fn replicas(cx: &Cx<'_>, ns: &str, set: &str) -> usize {
    let set = cx.store.get(&REPLICASETS, Some(ns), set);
    set.and_then(|s| s["spec"]["replicas"].as_u64()).and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}

/// Writes the status of a budget when `expected` pods should be there and `healthy` are.
pub(crate) fn apply(budget: &mut Value, expected: usize, healthy: usize, now: DateTime<Utc>) {
    let desired = desired_healthy(&budget["spec"], expected);
    let allowed = if expected > 0 { healthy.saturating_sub(desired) } else { 0 };
    let generation = budget["metadata"]["generation"].as_u64().unwrap_or(1);
    let status = &mut budget["status"];
    // What the eviction API has just granted is settled by this count.
    *status = json!({ "conditions": status["conditions"], "currentHealthy": healthy, "desiredHealthy": desired,
        "disruptionsAllowed": allowed, "expectedPods": expected, "observedGeneration": generation });
    let (word, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    set_condition(budget, "DisruptionAllowed", &Said::new(word, reason, ""), now);
    if let Some(condition) = budget["status"]["conditions"].as_array_mut().and_then(|c| c.first_mut()) {
        condition["message"] = json!("");
    }
}

fn desired_healthy(spec: &Value, expected: usize) -> usize {
    match (&spec["minAvailable"], &spec["maxUnavailable"]) {
        (Value::Null, Value::Null) => expected.saturating_sub(1),
        (Value::Null, most) => expected.saturating_sub(scaled(most, expected)),
        (least, _) => scaled(least, expected),
    }
}

/// A count or a percentage, rounded up, as the disruption controller does.
fn scaled(value: &Value, of: usize) -> usize {
    if let Some(n) = value.as_u64() {
        return usize::try_from(n).unwrap_or(usize::MAX);
    }
    let percent = value.as_str().and_then(|s| s.trim_end_matches('%').parse::<usize>().ok()).unwrap_or(0);
    (of * percent).div_ceil(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spec: &Value, expected: usize, healthy: usize, desired: u64, allowed: u64) {
        let mut budget = json!({ "metadata": { "generation": 2 }, "spec": spec });
        apply(&mut budget, expected, healthy, DateTime::UNIX_EPOCH);
        let status = &budget["status"];
        let seen = (status["desiredHealthy"].as_u64(), status["disruptionsAllowed"].as_u64());
        assert_eq!(seen, (Some(desired), Some(allowed)), "{spec} {expected} {healthy}");
    }

    #[test]
    fn budgets_allow_what_they_say() {
        check(&json!({ "minAvailable": 1 }), 2, 2, 1, 1);
        check(&json!({ "minAvailable": 1 }), 1, 1, 1, 0);
        check(&json!({ "minAvailable": "100%" }), 3, 3, 3, 0);
        check(&json!({ "maxUnavailable": 0 }), 3, 3, 3, 0);
        check(&json!({ "maxUnavailable": "50%" }), 3, 3, 1, 2);
        check(&json!({ "maxUnavailable": 1 }), 3, 2, 2, 0);
        check(&json!({ "maxUnavailable": 1 }), 3, 1, 2, 0);
    }
}
