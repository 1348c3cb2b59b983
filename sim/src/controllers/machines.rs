//! Machines: health checks that delete them, and machine sets that replace them.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::ledger::{Deleter, MachineDeletion};
use super::mirror::News;
use super::{Controller, Cx, earlier};
use crate::rng::Rng;
use crate::store::Preconditions;
use crate::store::resources::{DAEMONSETS, MACHINECONFIGPOOLS, MACHINEHEALTHCHECKS, MACHINES, MACHINESETS, NODES, PODS};
use crate::world::graph::Release;
use crate::world::json::{condition, has_annotation, name, namespace, node_ready, selects, text, time};
use crate::world::network::Network;
use crate::world::nodes::{HEALTH_CHECK_PAUSED, MACHINE_API, NodePlan, machine_object, node_object};
use crate::world::pools::RELEASE;
use crate::world::workloads::daemon_pods;

/// The machine-api controllers.
pub(super) struct Machines {
    rng: Rng,
    /// Machines that go away: when their instance is gone.
    leaving: BTreeMap<String, DateTime<Utc>>,
    /// Machines that come up: when their node joins.
    joining: BTreeMap<String, DateTime<Utc>>,
    /// Machines that a health check deleted.
    remediated: Vec<String>,
}

impl Machines {
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, leaving: BTreeMap::new(), joining: BTreeMap::new(), remediated: vec![] }
    }
}

impl Controller for Machines {
    fn name(&self) -> &'static str {
        "machines"
    }

    fn concerns(&self, news: &News) -> bool {
        !news.nodes.is_empty() || news.of(&MACHINES) || news.of(&MACHINEHEALTHCHECKS) || news.of(&MACHINESETS)
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        let machines = cx.store.list(&MACHINES);
        let check = self.check_health(cx, &machines.iter().map(|m| &**m).collect::<Vec<_>>());
        for machine in &machines {
            self.follow(cx, machine);
        }
        self.leave(cx);
        if cx.news.of(&MACHINES) || cx.news.of(&MACHINESETS) {
            self.replace(cx);
        }
        self.join(cx);
        self.leaving.values().chain(self.joining.values()).fold(check, |due, at| earlier(due, Some(*at)))
    }
}

impl Machines {
    /// Deletes machines whose node has been unhealthy for too long; returns when the next one will have been.
    fn check_health(&mut self, cx: &mut Cx<'_>, machines: &[&Value]) -> Option<DateTime<Utc>> {
        let mut due = None;
        for check in cx.store.list(&MACHINEHEALTHCHECKS) {
            if has_annotation(&check, HEALTH_CHECK_PAUSED) {
                continue;
            }
            let watched: Vec<&&Value> =
                machines.iter().filter(|m| selects(&check["spec"]["selector"], &m["metadata"]["labels"])).collect();
            let unhealthy: Vec<(&Value, DateTime<Utc>)> =
                watched.iter().filter_map(|m| Some((**m, unhealthy_from(cx, &check, m)?))).collect();
            if unhealthy.len() > most_unhealthy(&check, watched.len()) {
                // Too many at once looks like the network; the check waits until a person or time has helped.
                continue;
            }
            for (machine, at) in unhealthy {
                if at > cx.now {
                    due = earlier(due, Some(at));
                } else if cx.store.delete(&MACHINES, Some(MACHINE_API), name(machine), &Preconditions::default()).is_ok() {
                    self.remediated.push(name(machine).to_owned());
                }
            }
        }
        due
    }

    /// Notices machines that are being deleted.
    fn follow(&mut self, cx: &mut Cx<'_>, machine: &Value) {
        let machine_name = name(machine).to_owned();
        if !machine["metadata"]["deletionTimestamp"].is_string() || self.leaving.contains_key(&machine_name) {
            return;
        }
        let gone_at = cx.in_seconds(self.rng.range(60..150));
        let by = match (cx.shared.board.deleted(&machine_name), self.remediated.contains(&machine_name)) {
            (true, _) => Deleter::Scenario,
            (false, true) => Deleter::HealthCheck,
            (false, false) => Deleter::Client,
        };
        let node = text(machine, "/status/nodeRef/name").to_owned();
        cx.shared.ledger().machine_deletions.push(MachineDeletion { machine: machine_name.clone(), node, at: cx.now, by });
        cx.modify(&MACHINES, Some(MACHINE_API), &machine_name, |m| m["status"]["phase"] = json!("Deleting"));
        self.leaving.insert(machine_name, gone_at);
    }

    /// Removes machines whose instance is gone, and their nodes.
    fn leave(&mut self, cx: &Cx<'_>) {
        let gone: Vec<String> = self.leaving.iter().filter(|(_, at)| **at <= cx.now).map(|(m, _)| m.clone()).collect();
        for machine in gone {
            self.leaving.remove(&machine);
            let Some(object) = cx.store.get(&MACHINES, Some(MACHINE_API), &machine) else { continue };
            let node = text(&object, "/status/nodeRef/name");
            if !node.is_empty() && cx.store.delete(&NODES, None, node, &Preconditions::default()).is_err() {
                tracing::debug!(node, "the node of a deleted machine was gone already");
            }
            cx.modify(&MACHINES, Some(MACHINE_API), &machine, |m| m["metadata"]["finalizers"] = json!([]));
        }
    }

    /// Creates machines for sets that have too few.
    fn replace(&mut self, cx: &Cx<'_>) {
        let machines = cx.store.list(&MACHINES);
        for set in cx.store.list(&MACHINESETS) {
            let wanted = set["spec"]["replicas"].as_u64().unwrap_or(0);
            let selector = &set["spec"]["selector"];
            let alive = |m: &&std::sync::Arc<Value>| {
                selects(selector, &m["metadata"]["labels"]) && !m["metadata"]["deletionTimestamp"].is_string()
            };
            let have = machines.iter().filter(alive).count() as u64;
            for _ in have..wanted {
                self.provision(cx, &set);
            }
        }
    }

    fn provision(&mut self, cx: &Cx<'_>, set: &Value) {
        let machine = format!("{}-{}", name(set), self.rng.suffix());
        let (pool, zone) = pool_and_zone(cx, name(set));
        let Some(release) = initial_release(cx, &pool) else { return };
        let index = ["a", "b", "c"].iter().position(|z| zone.ends_with(z)).unwrap_or(0);
        let plan = NodePlan {
            name: "",
            pool: &pool,
            index,
            machine: &machine,
            config: "",
            release: &release.1,
            now: cx.now,
            shape: &cx.shared.shape,
        };
        let mut object = machine_object(&plan);
        object["status"] = json!({ "phase": "Provisioning" });
        object["metadata"]["ownerReferences"] = json!([{ "apiVersion": "machine.openshift.io/v1beta1", "kind": "MachineSet",
            "name": name(set), "uid": set["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true }]);
        if cx.create(&MACHINES, object).is_some() {
            self.joining.insert(machine, cx.in_seconds(self.rng.range(240..420)));
        }
    }

    /// Lets the nodes of new machines join, with the config that their pool has rolled out.
    fn join(&mut self, cx: &mut Cx<'_>) {
        let ready: Vec<String> = self.joining.iter().filter(|(_, at)| **at <= cx.now).map(|(m, _)| m.clone()).collect();
        for machine in ready {
            self.joining.remove(&machine);
            let Some(object) = cx.store.get(&MACHINES, Some(MACHINE_API), &machine) else { continue };
            let set = machine.rsplit_once('-').map_or("", |(set, _)| set);
            let (pool, zone) = pool_and_zone(cx, set);
            let Some((config, release)) = initial_release(cx, &pool) else { continue };
            let taken = cx.mirror.nodes.keys().filter_map(|n| n.strip_prefix(&format!("{pool}-"))?.parse::<usize>().ok());
            let number = taken.max().map_or(0, |n| n + 1);
            // The index chooses zone and address; the number only the name.
            let position = ["a", "b", "c"].iter().position(|z| zone.ends_with(z)).unwrap_or(0);
            let index = number - number % 3 + position;
            let node = format!("{pool}-{number}");
            let shape = &cx.shared.shape;
            let (config, release, now) = (config.as_str(), &release, cx.now);
            let plan = NodePlan { name: &node, pool: &pool, index, machine: &machine, config, release, now, shape };
            cx.create(&NODES, node_object(&plan, &mut self.rng));
            for (set, mut pod) in daemon_pods(&node, Network::read(cx.store).running) {
                let owner = cx.store.get(&DAEMONSETS, Some(namespace(&pod)), set);
                let uid = owner.map_or(Value::Null, |o| o["metadata"]["uid"].clone());
                pod["metadata"]["ownerReferences"] = json!([{ "apiVersion": "apps/v1", "kind": "DaemonSet", "name": set, "uid": uid, "controller": true,
                        "blockOwnerDeletion": true }]);
                cx.create(&PODS, pod);
            }
            cx.modify(&MACHINES, Some(MACHINE_API), name(&object), |m| {
                m["status"] = machine_object(&plan)["status"].clone();
            });
        }
    }
}

/// When a machine counts as unhealthy: now, later, or never as things are.
fn unhealthy_from(cx: &Cx<'_>, check: &Value, machine: &Value) -> Option<DateTime<Utc>> {
    if machine["metadata"]["deletionTimestamp"].is_string() {
        return None;
    }
    let node = cx.mirror.nodes.get(text(machine, "/status/nodeRef/name"))?;
    if node_ready(node) {
        return None;
    }
    let conditions = check["spec"]["unhealthyConditions"].as_array()?;
    let matching = conditions.iter().filter_map(|rule| {
        let seen = condition(node, text(rule, "/type"))?;
        let since = time(seen, "/lastTransitionTime")?;
        (seen["status"] == rule["status"]).then(|| since + duration(text(rule, "/timeout")))
    });
    matching.min()
}

fn most_unhealthy(check: &Value, machines: usize) -> usize {
    match &check["spec"]["maxUnhealthy"] {
        Value::Number(n) => n.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX),
        Value::String(s) => s.trim_end_matches('%').parse::<usize>().map_or(usize::MAX, |p| machines * p / 100),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => usize::MAX,
    }
}

/// Reads a duration as Go writes it: `300s`, `10m`, `1h30m`.
pub(super) fn duration(text: &str) -> TimeDelta {
    let (mut total, mut number) = (0.0, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() || c == '.' {
            number.push(c);
            continue;
        }
        let seconds = match c {
            'h' => 3600.0,
            'm' => 60.0,
            's' => 1.0,
            _ => 0.0,
        };
        total += number.parse::<f64>().unwrap_or(0.0) * seconds;
        number.clear();
    }
    super::minutes(total / 60.0)
}

/// The pool and the zone that a machine set serves, from its name `INFRA-POOL-ZONE`.
fn pool_and_zone(cx: &Cx<'_>, set: &str) -> (String, String) {
    let pools = cx.store.list(&MACHINECONFIGPOOLS);
    let found = pools.iter().find_map(|p| {
        let (_, zone) = set.split_once(&format!("-{}-us-", name(p)))?;
        Some((name(p).to_owned(), zone.to_owned()))
    });
    found.unwrap_or(("worker".to_owned(), String::new()))
}

/// The config and the release that a new node of a pool starts with.
fn initial_release(cx: &Cx<'_>, pool: &str) -> Option<(String, Release)> {
    let pool = cx.store.get(&MACHINECONFIGPOOLS, None, pool)?;
    let config = text(&pool, "/status/configuration/name").to_owned();
    let rendered = cx.store.get(&crate::store::resources::MACHINECONFIGS, None, &config)?;
    let version = rendered["metadata"]["annotations"][RELEASE].as_str()?;
    let release = cx.shared.graph.release(version).cloned();
    Some((config, release.unwrap_or_else(|| Release { version: version.to_owned(), channels: vec![] })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, seconds) in [("300s", 300), ("10m", 600), ("1h30m", 5400), ("0s", 0), ("", 0), ("1.5m", 90)] {
            assert_eq!(duration(text), TimeDelta::seconds(seconds), "{text}");
        }
    }
}
