//! NodeHealthChecks: nodes that stay unhealthy are rebooted, unless somebody asked for a pause.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::ledger::Remediation as Remediated;
use super::machines::duration;
use super::mirror::News;
use super::{Controller, Cx, earlier};
use crate::clock::rfc3339;
use crate::rng::Rng;
use crate::store::resources::{MACHINECONFIGS, NODEHEALTHCHECKS};
use crate::world::graph::Release;
use crate::world::json::{annotation, condition, name, node_ready, selects, text, time};
use crate::world::nodes::mco;
use crate::world::pools::RELEASE;

/// The controller behind NodeHealthChecks.
pub(super) struct Remediation {
    rng: Rng,
    /// Nodes that are being remediated, and since when.
    in_flight: BTreeMap<String, DateTime<Utc>>,
}

impl Remediation {
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, in_flight: BTreeMap::new() }
    }
}

impl Controller for Remediation {
    fn name(&self) -> &'static str {
        "remediation"
    }

    fn concerns(&self, news: &News) -> bool {
        !news.nodes.is_empty() || news.of(&NODEHEALTHCHECKS)
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        self.in_flight.retain(|node, _| cx.mirror.nodes.get(node).is_some_and(|n| !node_ready(n)));
        let mut due = None;
        for check in cx.store.list(&NODEHEALTHCHECKS) {
            due = earlier(due, self.follow(cx, &check));
        }
        due
    }
}

impl Remediation {
    /// Remediates what a check finds unhealthy for long enough; returns when to look again.
    fn follow(&mut self, cx: &mut Cx<'_>, check: &Value) -> Option<DateTime<Utc>> {
        let watched: Vec<(String, Arc<Value>)> = cx
            .mirror
            .nodes
            .iter()
            .filter(|(_, n)| selects(&check["spec"]["selector"], &n["metadata"]["labels"]))
            .map(|(name, n)| (name.clone(), n.clone()))
            .collect();
        let healthy = watched.iter().filter(|(_, n)| node_ready(n)).count();
        let paused = check["spec"]["pauseRequests"].as_array().is_some_and(|requests| !requests.is_empty());
        let mut due = None;
        if !paused && healthy >= least_healthy(check, watched.len()) {
            for (node, object) in &watched {
                match unhealthy_from(check, object).filter(|_| !self.in_flight.contains_key(node)) {
                    Some(at) if at <= cx.now => self.remediate(cx, name(check), node, object),
                    later => due = earlier(due, later),
                }
            }
        }
        self.report(cx, check, paused, &watched, healthy);
        due
    }

    fn remediate(&mut self, cx: &mut Cx<'_>, check: &str, node: &str, object: &Value) {
        let config = annotation(object, &mco("desiredConfig"));
        let Some(rendered) = cx.store.get(&MACHINECONFIGS, None, config) else { return };
        let version = annotation(&rendered, RELEASE).to_owned();
        let release = cx.shared.graph.release(&version).cloned().unwrap_or(Release { version, channels: vec![] });
        self.in_flight.insert(node.to_owned(), cx.now);
        cx.shared.ledger().remediations.push(Remediated { check: check.to_owned(), node: node.to_owned(), at: cx.now });
        cx.shared.reboot(node, release, cx.now, &mut self.rng);
    }

    fn report(&self, cx: &Cx<'_>, check: &Value, paused: bool, watched: &[(String, Arc<Value>)], healthy: usize) {
        let in_flight: BTreeMap<&String, String> = watched
            .iter()
            .filter_map(|(node, _)| self.in_flight.get_key_value(node))
            .map(|(node, since)| (node, rfc3339(*since)))
            .collect();
        let phase = match (paused, in_flight.is_empty()) {
            (true, _) => "Paused",
            (false, true) => "Enabled",
            (false, false) => "Remediating",
        };
        cx.modify(&NODEHEALTHCHECKS, None, name(check), |c| {
            c["status"]["observedNodes"] = json!(watched.len());
            c["status"]["healthyNodes"] = json!(healthy);
            c["status"]["inFlightRemediations"] = json!(in_flight);
            c["status"]["phase"] = json!(phase);
        });
    }
}

/// When a node counts as unhealthy; none as long as no condition says so.
fn unhealthy_from(check: &Value, node: &Value) -> Option<DateTime<Utc>> {
    let rules = check["spec"]["unhealthyConditions"].as_array()?;
    let matching = rules.iter().filter_map(|rule| {
        let seen = condition(node, text(rule, "/type")).filter(|c| c["status"] == rule["status"])?;
        Some(time(seen, "/lastTransitionTime")? + duration(text(rule, "/duration")))
    });
    matching.min()
}

/// The nodes that must be healthy for anything to be remediated: `spec.minHealthy`, a count or a percentage.
fn least_healthy(check: &Value, nodes: usize) -> usize {
    match &check["spec"]["minHealthy"] {
        Value::Number(n) => n.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
        Value::String(s) => s.trim_end_matches('%').parse::<usize>().map_or(0, |p| (nodes * p).div_ceil(100)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_number_of_healthy_nodes_is_rounded_up() {
        for (least, nodes, expected) in [(json!("51%"), 4, 3), (json!("100%"), 4, 4), (json!(2), 4, 2), (Value::Null, 4, 0)] {
            assert_eq!(least_healthy(&json!({ "spec": { "minHealthy": least } }), nodes), expected, "{least}");
        }
    }
}
