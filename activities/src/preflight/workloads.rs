//! Checks of what runs on the cluster: budgets that no drain passes, APIs that the new release no longer has.

use std::collections::BTreeSet;

use super::{Check, Facts, Findings, Preflight};
use crate::release::Minor;
use crate::views::{Budget, Pod, View as _};

/// How many users of one API are named.
const NAMED_USERS: usize = 4;

/// No budget forbids every eviction (F1, F2), and no pod is under two of them: its eviction fails with a server error.
pub(super) fn budgets(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    for budget in &facts.budgets {
        let (name, status) = (full_name(budget), &budget.status);
        let counts = format!(
            "{} of {} pods are healthy and {} must be",
            status.current_healthy, status.expected_pods, status.desired_healthy
        );
        if budget.blocks_for_ever() {
            found.blocking.push(format!("budget {name} never allows a disruption: {counts}"));
        } else if budget.blocks_now() {
            found.worrying.push(format!("budget {name} allows no disruption now: {counts}"));
        }
    }
    found.blocking.extend(doubled(&facts.budgets, &facts.pods));
    found.fine.push(format!("{} budgets, each allows a disruption", facts.budgets.len()));
    found.judge(
        "budgets",
        "disruption budgets let nodes drain",
        "have the owner add a replica or loosen the budget for the time of the update",
    )
}

/// Two budgets on one pod make every eviction of it fail with a server error.
fn doubled(budgets: &[Budget], pods: &[Pod]) -> BTreeSet<String> {
    let on = |pod: &Pod| -> Vec<String> {
        let same = budgets.iter().filter(|budget| budget.namespace_name() == pod.namespace_name());
        same.filter(|budget| budget.covers(pod.metadata.labels.as_ref())).map(full_name).collect()
    };
    let crowded = pods.iter().map(on).filter(|names| names.len() > 1);
    crowded.map(|names| format!("budgets {} are on the same pods: no eviction passes", names.join(" and "))).collect()
}

fn full_name(budget: &Budget) -> String {
    format!("{}/{}", budget.namespace_name(), budget.name())
}

/// Nobody uses an API that goes away in either hop (F19).
pub(super) fn removed_apis(facts: &Facts, plan: &Preflight) -> Check {
    let mut found = Findings::default();
    let here = facts.version.completed().and_then(|entry| entry.version.parse().ok()).map(|version| Minor::of(&version));
    let (from, to) = (here.map_or(0, Minor::kubernetes), plan.last_hop().kubernetes());
    for api in &facts.request_counts {
        let gone = api.removed_in_minor().filter(|minor| *minor > from && *minor <= to);
        let (Some(minor), 1..) = (gone, api.status.request_count) else { continue };
        let users: Vec<&str> = api.users().into_iter().take(NAMED_USERS).collect();
        let by = if users.is_empty() { String::new() } else { format!(" by {}", users.join(", ")) };
        let count = api.status.request_count;
        found.worrying.push(format!("{} was used {count} times in a day{by} and is gone in Kubernetes 1.{minor}", api.name()));
    }
    found.fine.push(format!("none of those removed up to Kubernetes 1.{to} was used in the last day"));
    found.judge(
        "removed-apis",
        "no API is used that the update removes",
        "have the named clients moved to the newer version of the API before that hop",
    )
}
