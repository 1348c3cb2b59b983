//! The alerts that fire in the cluster as it is now: the platform's own rules, as far as operators of an update look at them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::json::{annotation, condition, name, namespace, text, time};
use super::nodes::mco;
use super::shape::AlertShape;
use crate::clock::rfc3339;
use crate::store::Store;
use crate::store::resources::{CLUSTEROPERATORS, CLUSTERVERSIONS, NODES, PDBS};

/// An alert whose condition holds.
struct Alert {
    name: &'static str,
    severity: &'static str,
    /// Since when its condition holds.
    since: DateTime<Utc>,
    /// How long the condition has to hold until it fires.
    hold: TimeDelta,
    labels: Vec<(&'static str, String)>,
    summary: String,
}

/// Every alert that is pending or firing, as `/api/v1/alerts` lists it.
pub(crate) fn standing(store: &Store, extra: &[AlertShape]) -> Vec<Value> {
    let now = store.clock().now();
    let mut all = vec![watchdog(store)];
    all.extend(store.list(&CLUSTEROPERATORS).iter().flat_map(|o| of_operator(o)));
    all.extend(store.list(&NODES).iter().flat_map(|n| of_node(n)));
    all.extend(store.list(&PDBS).iter().filter_map(|b| of_budget(b)));
    all.extend(store.get(&CLUSTERVERSIONS, None, "version").iter().filter_map(|v| not_upgradeable(v)));
    let mut listed: Vec<Value> = all.iter().map(|a| a.to_value(now)).collect();
    listed.extend(extra.iter().filter_map(|a| scripted(a, store.clock().epoch(), now)));
    listed
}

impl Alert {
    fn to_value(&self, now: DateTime<Utc>) -> Value {
        let mut labels: Map<String, Value> = self.labels.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        labels.insert("alertname".into(), json!(self.name));
        labels.insert("severity".into(), json!(self.severity));
        let state = if now - self.since >= self.hold { "firing" } else { "pending" };
        let annotations = json!({ "summary": self.summary });
        json!({ "labels": labels, "annotations": annotations, "state": state, "activeAt": rfc3339(self.since), "value": "1e+00" })
    }
}

/// Always fires, so that silence can be told from health.
fn watchdog(store: &Store) -> Alert {
    Alert {
        name: "Watchdog",
        severity: "none",
        since: store.clock().epoch(),
        hold: TimeDelta::zero(),
        labels: vec![("namespace", "openshift-monitoring".into())],
        summary: "An alert that should always be firing to certify that Alertmanager is working properly.".into(),
    }
}

/// Since when a condition has this status.
fn holds(object: &Value, kind: &str, status: &str) -> Option<DateTime<Utc>> {
    condition(object, kind).filter(|c| c["status"] == status).and_then(|c| time(c, "/lastTransitionTime"))
}

fn of_operator(operator: &Value) -> Vec<Alert> {
    let of = |kind: &str, status: &str, alert: (&'static str, &'static str), minutes: i64, what: &str| {
        let since = holds(operator, kind, status)?;
        let reason = condition(operator, kind).map_or("", |c| text(c, "/reason"));
        Some(Alert {
            name: alert.0,
            severity: alert.1,
            since,
            hold: TimeDelta::minutes(minutes),
            labels: vec![
                ("namespace", "openshift-cluster-version".into()),
                ("name", name(operator).into()),
                ("reason", reason.into()),
            ],
            summary: format!("Cluster operator {} has been {what} for {minutes} minutes.", name(operator)),
        })
    };
    let down = of("Available", "False", ("ClusterOperatorDown", "critical"), 10, "unavailable");
    let degraded = of("Degraded", "True", ("ClusterOperatorDegraded", "warning"), 30, "degraded");
    down.into_iter().chain(degraded).collect()
}

fn of_node(node: &Value) -> Vec<Alert> {
    let labels = |key: &'static str| vec![(key, name(node).to_owned())];
    let mut all = vec![];
    let silent = holds(node, "Ready", "Unknown").or_else(|| holds(node, "Ready", "False"));
    all.extend(silent.map(|since| Alert {
        name: "KubeNodeNotReady",
        severity: "warning",
        since,
        hold: TimeDelta::minutes(15),
        labels: labels("node"),
        summary: "Node is not ready.".into(),
    }));
    let reason = annotation(node, &mco("reason"));
    if annotation(node, &mco("state")) == "Degraded" && reason.starts_with("failed to drain") {
        all.push(Alert {
            name: "MCCDrainError",
            severity: "warning",
            since: cordoned_at(node).unwrap_or(DateTime::UNIX_EPOCH) + TimeDelta::hours(1),
            hold: TimeDelta::zero(),
            labels: vec![("namespace", "openshift-machine-config-operator".into()), ("exported_node", name(node).into())],
            summary: "Drain failed on a node, updates may be blocked. For more details check MachineConfigController pod logs."
                .into(),
        });
    }
    all
}

/// When the cordon that a drain begins with was put on a node.
fn cordoned_at(node: &Value) -> Option<DateTime<Utc>> {
    let taints = node["spec"]["taints"].as_array()?;
    taints.iter().find(|t| t["key"] == "node.kubernetes.io/unschedulable").and_then(|t| time(t, "/timeAdded"))
}

fn of_budget(budget: &Value) -> Option<Alert> {
    let count = |key: &str| budget["status"][key].as_u64().unwrap_or(0);
    let (expected, healthy, desired) = (count("expectedPods"), count("currentHealthy"), count("desiredHealthy"));
    let since = holds(budget, "DisruptionAllowed", "False").filter(|_| expected > 0)?;
    let (alert, severity, minutes, what) = if healthy < desired {
        ("PodDisruptionBudgetLimit", "critical", 15, "below the minimum that its disruption budget allows")
    } else {
        ("PodDisruptionBudgetAtLimit", "warning", 60, "at the minimum that its disruption budget allows")
    };
    Some(Alert {
        name: alert,
        severity,
        since,
        hold: TimeDelta::minutes(minutes),
        labels: vec![("namespace", namespace(budget).into()), ("poddisruptionbudget", name(budget).into())],
        summary: format!("The number of healthy pods is {what}."),
    })
}

fn not_upgradeable(version: &Value) -> Option<Alert> {
    let since = holds(version, "Upgradeable", "False")?;
    Some(Alert {
        name: "ClusterNotUpgradeable",
        severity: "info",
        since,
        hold: TimeDelta::minutes(60),
        labels: vec![("namespace", "openshift-cluster-version".into()), ("name", "version".into())],
        summary: "One or more cluster operators have been blocking minor version cluster upgrades for at least an hour.".into(),
    })
}

fn scripted(alert: &AlertShape, epoch: DateTime<Utc>, now: DateTime<Utc>) -> Option<Value> {
    let since = epoch + crate::clock::minutes(alert.from_minutes);
    let until = alert.minutes.map(|m| since + crate::clock::minutes(m));
    if now < since || until.is_some_and(|until| until <= now) {
        return None;
    }
    let mut labels = json!({ "alertname": alert.name, "severity": alert.severity });
    if !alert.namespace.is_empty() {
        labels["namespace"] = json!(alert.namespace);
    }
    let annotations = json!({ "summary": alert.summary });
    Some(json!({ "labels": labels, "annotations": annotations, "state": "firing", "activeAt": rfc3339(since), "value": "1e+00" }))
}
