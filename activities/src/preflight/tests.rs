use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::condition::fixtures::{at, healthy};
use crate::views::{Status, TlsSecret};

mod catalogue;
mod catalogue_rest;
mod reading;

fn facts() -> Facts {
    let snapshot = healthy();
    let mut facts = Facts {
        now: at(0),
        version: snapshot.version().unwrap().clone(),
        operators: snapshot.operators.values().map(|object| Arc::unwrap_or_clone(object.clone())).collect(),
        pools: snapshot.pools.values().map(|object| Arc::unwrap_or_clone(object.clone())).collect(),
        nodes: snapshot.nodes.values().map(|object| Arc::unwrap_or_clone(object.clone())).collect(),
        ..Facts::default()
    };
    facts.signers = vec![signer("2026-12-01T00:00:00Z")];
    facts
}

fn signer(ends: &str) -> TlsSecret {
    serde_json::from_value(json!({"metadata": {
        "name": "kube-apiserver-to-kubelet-signer",
        "annotations": {"auth.openshift.io/certificate-not-after": ends}
    }}))
    .unwrap()
}

fn budget(name: &str, allowed: i32, healthy: i32, desired: i32, expected: i32) -> crate::views::Budget {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": "cart"}}},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": expected}
    }))
    .unwrap()
}

/// Changes a healthy cluster and compares the one check that is then not `pass`.
fn check(edit: impl FnOnce(&mut Facts), expect: &[&str]) {
    let mut facts = facts();
    edit(&mut facts);
    let report = judge(&facts, &Preflight::new("4.18".parse().unwrap(), 14));
    let loud = report.checks.iter().filter(|check| check.verdict != CheckVerdict::Pass);
    let shown: Vec<String> = loud.map(|check| format!("{} {}: {}", check.verdict, check.id, check.evidence.join("; "))).collect();
    assert_eq!(shown, expect);
    assert_eq!(report.refuse_blocked().is_err(), expect.iter().any(|line| line.starts_with("block")));
}

#[test]
fn a_healthy_cluster_passes() {
    check(|_| {}, &[]);
}

#[test]
fn each_fact_has_its_check() {
    check(|facts| facts.version.status.conditions[1].status = Status::True, &["block version: Progressing: no reason given"]);
    check(
        |facts| facts.version.status.history[0].state = crate::views::HistoryState::Partial,
        &["block version: the update to 4.16.20 is not completed"],
    );
    check(|facts| facts.pools[1].spec.paused = true, &["block pools: pool worker is paused already"]);
    check(
        |facts| facts.pools[1].spec.configuration.name = "rendered-worker-r1".to_owned(),
        &["block pools: pool worker is moving to rendered-worker-r1: 2 of 2 nodes updated"],
    );
    check(
        |facts| facts.nodes[4].status.conditions[0].status = Status::False,
        &["block nodes: node worker-1 is not ready: kubelet is posting ready status (since 2026-03-01 10:00:00Z)"],
    );
    check(
        |facts| facts.nodes[4].spec.unschedulable = true,
        &[
            "warn cordons: node worker-1 is cordoned by somebody; pool worker may have 1 away and 1 are: its update will not begin",
        ],
    );
    check(
        |facts| facts.operators[1].status.conditions[0].status = Status::False,
        &["block operators: !! operator dns is not available: all is well (since 2026-03-01 10:00:00Z)"],
    );
    check(
        |facts| facts.clock_skew = std::time::Duration::from_secs(61),
        &["warn clock: this machine's clock and the cluster's are 61 s apart"],
    );
}

#[test]
fn an_objection_blocks_unless_it_only_asks_for_an_acknowledgement() {
    let objection = |reason: &'static str| {
        move |facts: &mut Facts| {
            facts.version.status.conditions.push(crate::views::Condition {
                reason: reason.to_owned(),
                ..crate::condition::fixtures::condition("Upgradeable", Status::False, "think first")
            });
        }
    };
    check(objection("AdminAckRequired"), &["warn upgradeable: think first"]);
    check(objection("MissingUpgradeableAnnotation"), &["warn upgradeable: think first"]);
    check(objection("ClusterVersionOverridesSet"), &["block upgradeable: ClusterVersionOverridesSet: think first"]);
    check(
        |facts| drop(facts.gates.insert("ack-4.16-x".to_owned(), "Read this.".to_owned())),
        &["warn acknowledgements: ack-4.16-x: Read this."],
    );
}

#[test]
fn certificates_must_outlast_the_pause() {
    check(|facts| facts.signers = vec![signer("2026-06-01T00:00:00Z")], &[]);
    check(
        |facts| facts.signers = vec![signer("2026-04-01T12:00:00Z")],
        &["warn certificates: signer kube-apiserver-to-kubelet-signer ends in 31 days, on 2026-04-01"],
    );
    check(
        |facts| facts.signers = vec![signer("2026-03-20T12:00:00Z")],
        &[
            "block certificates: signer kube-apiserver-to-kubelet-signer ends in 19 days, on 2026-03-20; the pause may last 14 days",
        ],
    );
}

#[test]
fn a_budget_that_never_allows_a_disruption_blocks_and_a_short_one_warns() {
    check(|facts| facts.budgets = vec![budget("cart", 1, 3, 2, 3)], &[]);
    check(
        |facts| facts.budgets = vec![budget("cart", 0, 1, 1, 1)],
        &["block budgets: budget shop/cart never allows a disruption: 1 of 1 pods are healthy and 1 must be"],
    );
    check(
        |facts| facts.budgets = vec![budget("cart", 0, 2, 2, 3)],
        &["warn budgets: budget shop/cart allows no disruption now: 2 of 3 pods are healthy and 2 must be"],
    );
    check(|facts| facts.budgets = vec![budget("cart", 0, 0, 0, 0)], &[]);
    check(
        |facts| {
            facts.budgets = vec![budget("a", 1, 2, 1, 2), budget("b", 1, 2, 1, 2)];
            facts.pods = vec![
                serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "shop", "labels": {"app": "cart"}}}))
                    .unwrap(),
            ];
        },
        &["block budgets: budgets shop/a and shop/b are on the same pods: no eviction passes"],
    );
}

#[test]
fn an_api_is_named_if_it_goes_away_within_the_two_hops_and_is_used() {
    let used = |release: &str, count: i64| {
        let api = serde_json::from_value(json!({
            "metadata": {"name": "flowschemas.v1beta3.flowcontrol.apiserver.k8s.io"},
            "status": {"removedInRelease": release, "requestCount": count,
                "last24h": [{"byNode": [{"byUser": [{"username": "ci-robot"}]}]}]}
        }));
        let api: crate::views::ApiRequestCount = api.unwrap();
        move |facts: &mut Facts| facts.request_counts = vec![api]
    };
    let named = |minor: u64| {
        format!(
            "warn removed-apis: flowschemas.v1beta3.flowcontrol.apiserver.k8s.io was used 9 times in a day by ci-robot and is \
             gone in Kubernetes 1.{minor}"
        )
    };
    check(used("1.29", 9), &[]);
    check(used("1.30", 9), &[named(30).as_str()]);
    check(used("1.31", 9), &[named(31).as_str()]);
    check(used("1.31", 0), &[]);
    check(used("1.32", 9), &[]);
    check(used("", 9), &[]);
}

#[test]
fn a_health_check_that_stays_paused_is_named() {
    let health_check = |annotations: serde_json::Value| {
        move |facts: &mut Facts| {
            let found = serde_json::from_value(json!({"metadata": {"name": "workers", "annotations": annotations}})).unwrap();
            facts.health_checks = vec![found];
        }
    };
    check(health_check(json!({})), &[]);
    check(health_check(json!({"cluster.x-k8s.io/paused": ""})), &["warn health-checks: workers is paused already and stays so"]);
    check(
        health_check(json!({"cluster.x-k8s.io/paused": "windlass/7"})),
        &["warn health-checks: workers is still paused by run windlass/7"],
    );
}
