//! What must hold after a simulated maintenance, whatever went wrong in between.

mod kuryr;
mod network;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::Value;

use crate::audit::AuditRecord;
use crate::controllers::ledger::{Deleter, Ledger, MachineDeletion, Reboot};
use crate::sim::Sim;
use crate::store::Store;
use crate::store::resources::{CLUSTERVERSIONS, MACHINECONFIGPOOLS, MACHINEHEALTHCHECKS, NODEHEALTHCHECKS, NODES};
use crate::world::json::{condition_is, cordoned, has_annotation, label, name, text};
use crate::world::nodes::HEALTH_CHECK_PAUSED;
pub use kuryr::CloudBaseline;

/// A broken invariant, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was temporary before the maintenance began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    paused_pools: BTreeMap<String, bool>,
    paused_checks: BTreeSet<String>,
    pause_requests: BTreeMap<String, BTreeSet<String>>,
    roles: BTreeMap<String, BTreeSet<String>>,
    cordoned: BTreeSet<String>,
    control_plane: BTreeSet<String>,
    workers: BTreeSet<String>,
    version: String,
}

impl Baseline {
    /// Remembers the cluster as it is now.
    pub fn of(sim: &Sim) -> Self {
        let store = sim.store();
        let nodes = store.list(&NODES);
        let named = |master: bool| nodes.iter().filter(|n| is_master(n) == master).map(|n| name(n).to_owned()).collect();
        let version = store.get(&CLUSTERVERSIONS, None, "version");
        Self {
            paused_pools: paused_pools(store),
            paused_checks: paused_checks(store),
            pause_requests: pause_requests(store),
            roles: roles(&nodes),
            cordoned: cordoned_nodes(&nodes),
            control_plane: named(true),
            workers: named(false),
            version: version.map_or(String::new(), |v| text(&v, "/status/desired/version").to_owned()),
        }
    }

    /// Everything that an EUS-to-EUS update over these versions must have kept.
    pub fn check_update(&self, sim: &Sim, hops: &[&str]) -> Vec<Violation> {
        let (store, ledger, audit) = (sim.store(), sim.ledger(), sim.audit().records());
        let mut found = hops_requested_once(&audit, hops);
        found.extend(hops_completed(store, hops));
        for (nodes, times) in [(&self.control_plane, hops.len()), (&self.workers, 1)] {
            // A node that the scenario took away need not have come to its reboot.
            let (lost, kept): (BTreeSet<&String>, BTreeSet<&String>) = nodes.iter().partition(|node| ledger.lost(node));
            found.extend(rebooted(&ledger.reboots, &kept, times..=times));
            found.extend(rebooted(&ledger.reboots, &lost, 0..=times));
        }
        found.extend(self.check_given_back(sim));
        found.extend(no_machine_deleted(&ledger));
        found.extend(no_node_remediated(&ledger));
        found.extend(budgets_kept(&ledger));
        found
    }

    /// That everything temporary is as it was: also after a cancelled or failed maintenance.
    pub fn check_given_back(&self, sim: &Sim) -> Vec<Violation> {
        let mut found = vec![];
        let pools = paused_pools(sim.store());
        let (now, then): (BTreeSet<&String>, BTreeSet<&String>) = (pools.keys().collect(), self.paused_pools.keys().collect());
        found.extend(now.difference(&then).map(|pool| Violation(format!("pool {pool} is still there, and was not before"))));
        found.extend(then.difference(&now).map(|pool| Violation(format!("pool {pool} is gone, and was there before"))));
        if now == then && pools != self.paused_pools {
            found.push(Violation(format!("spec.paused of the pools is {pools:?}, and was {:?}", self.paused_pools)));
        }
        let checks = paused_checks(sim.store());
        if checks != self.paused_checks {
            found.push(Violation(format!("paused health checks are {checks:?}, and were {:?}", self.paused_checks)));
        }
        let requests = pause_requests(sim.store());
        if requests != self.pause_requests {
            found.push(Violation(format!("pause requests are {requests:?}, and were {:?}", self.pause_requests)));
        }
        let nodes = sim.store().list(&NODES);
        found.extend(self.check_roles(&nodes));
        found.extend(self.check_cordons(&nodes, &sim.audit().records()));
        found
    }

    /// That every node has the roles that it had.
    fn check_roles(&self, nodes: &[Arc<Value>]) -> Vec<Violation> {
        let now = roles(nodes);
        let changed = self.roles.iter().filter_map(|(node, then)| Some((node, then, now.get(node).filter(|now| *now != then)?)));
        changed.map(|(node, then, now)| Violation(format!("{node} has the roles {now:?}, and had {then:?}"))).collect()
    }

    /// That a cordon is as it was wherever a client set or took one; those of the cluster itself are its own affair.
    fn check_cordons(&self, nodes: &[Arc<Value>], audit: &[AuditRecord]) -> Vec<Violation> {
        let now = cordoned_nodes(nodes);
        let changed = nodes.iter().map(|n| name(n)).filter(|n| now.contains(*n) != self.cordoned.contains(*n));
        let by_client = changed.filter(|node| last_cordon(audit, node) == Some(now.contains(*node)));
        by_client
            .map(|node| {
                let words = if now.contains(node) { "is cordoned, and was not" } else { "is not cordoned any more, and was" };
                Violation(format!("{node} {words} before"))
            })
            .collect()
    }

    /// The version that was reconciled.
    pub fn version(&self) -> &str {
        &self.version
    }
}

fn is_master(node: &Value) -> bool {
    label(node, "node-role.kubernetes.io/master").is_some()
}

fn roles(nodes: &[Arc<Value>]) -> BTreeMap<String, BTreeSet<String>> {
    let of = |node: &Value| -> BTreeSet<String> {
        let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
        labels.filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/")).map(str::to_owned).collect()
    };
    nodes.iter().map(|n| (name(n).to_owned(), of(n))).collect()
}

fn cordoned_nodes(nodes: &[Arc<Value>]) -> BTreeSet<String> {
    nodes.iter().filter(|n| cordoned(n)).map(|n| name(n).to_owned()).collect()
}

/// What the last client that cordoned or uncordoned a node left.
fn last_cordon(audit: &[AuditRecord], node: &str) -> Option<bool> {
    let path = format!("/api/v1/nodes/{node}");
    let of_node = |r: &&AuditRecord| (200..300).contains(&r.code) && r.path.split('?').next() == Some(path.as_str());
    audit.iter().rev().filter(of_node).filter(|r| !r.path.contains("dryRun=")).find_map(|r| cordon_in(&r.body))
}

/// Whether a write of a node cordons it, uncordons it, or neither: a merge patch or a JSON patch.
fn cordon_in(body: &Value) -> Option<bool> {
    match body.as_array() {
        None => body["spec"].get("unschedulable").map(|v| *v == true),
        Some(operations) => operations
            .iter()
            .filter(|op| op["op"] != "test" && text(op, "/path") == "/spec/unschedulable")
            .map(|op| op["op"] != "remove" && op["value"] == true)
            .next_back(),
    }
}

/// Who asked each NodeHealthCheck for a pause.
pub fn pause_requests(store: &Store) -> BTreeMap<String, BTreeSet<String>> {
    let of = |check: &Value| -> BTreeSet<String> {
        let requests = check["spec"]["pauseRequests"].as_array().into_iter().flatten();
        requests.filter_map(|r| r.as_str().map(str::to_owned)).collect()
    };
    store.list(&NODEHEALTHCHECKS).iter().map(|c| (name(c).to_owned(), of(c))).collect()
}

/// `spec.paused` of every pool.
pub fn paused_pools(store: &Store) -> BTreeMap<String, bool> {
    store.list(&MACHINECONFIGPOOLS).iter().map(|p| (name(p).to_owned(), p["spec"]["paused"] == true)).collect()
}

/// The machine health checks that are paused.
pub fn paused_checks(store: &Store) -> BTreeSet<String> {
    let checks = store.list(&MACHINEHEALTHCHECKS);
    checks.iter().filter(|c| has_annotation(c, HEALTH_CHECK_PAUSED)).map(|c| name(c).to_owned()).collect()
}

/// The targets that clients asked for, in order: the writes that changed `spec.desiredUpdate`.
pub fn requested_targets(audit: &[AuditRecord]) -> Vec<String> {
    let mut targets: Vec<String> = vec![];
    for record in audit.iter().filter(|r| (200..300).contains(&r.code) && r.path.contains("/clusterversions/version")) {
        if record.path.contains("dryRun=") {
            continue;
        }
        let Some(target) = target_of(&record.body) else { continue };
        if targets.last() != Some(&target) {
            targets.push(target);
        }
    }
    targets
}

/// The version (or the image) that a write asks for: a merge patch, an apply, an update or a JSON patch.
fn target_of(body: &Value) -> Option<String> {
    let named = |update: &Value| {
        let field = |key: &str| update[key].as_str().filter(|s| !s.is_empty()).map(str::to_owned);
        field("version").or_else(|| field("image"))
    };
    match body.as_array() {
        None => named(&body["spec"]["desiredUpdate"]),
        // A `test` operation names what is there, not what is asked for.
        Some(operations) => operations.iter().filter(|op| op["op"] != "test").find_map(|op| match text(op, "/path") {
            "/spec/desiredUpdate" => named(&op["value"]),
            "/spec/desiredUpdate/version" | "/spec/desiredUpdate/image" => op["value"].as_str().map(str::to_owned),
            _ => None,
        }),
    }
}

/// That each hop was asked for exactly once, in order, and nothing else was.
pub fn hops_requested_once(audit: &[AuditRecord], hops: &[&str]) -> Vec<Violation> {
    let targets = requested_targets(audit);
    if targets == hops {
        return vec![];
    }
    vec![Violation(format!("the updates asked for are {targets:?}, and should be {hops:?}"))]
}

/// That the cluster completed each hop, the last one last.
pub fn hops_completed(store: &Store, hops: &[&str]) -> Vec<Violation> {
    let version = store.get(&CLUSTERVERSIONS, None, "version");
    let history = version.as_ref().and_then(|v| v["status"]["history"].as_array());
    let newest: Vec<(&str, &str)> =
        history.into_iter().flatten().take(hops.len()).map(|h| (text(h, "/version"), text(h, "/state"))).collect();
    let expected: Vec<(&str, &str)> = hops.iter().rev().map(|hop| (*hop, "Completed")).collect();
    if newest == expected {
        return vec![];
    }
    vec![Violation(format!("the newest updates are {newest:?}, and should be {expected:?}"))]
}

/// That each of these nodes rebooted this often, each time with a new boot id; what the scenario rebooted does not count.
pub fn rebooted(reboots: &[Reboot], nodes: &BTreeSet<&String>, times: RangeInclusive<usize>) -> Vec<Violation> {
    let mut found = vec![];
    for node in nodes {
        let own: Vec<&Reboot> = reboots.iter().filter(|r| r.node == **node && !r.scripted).collect();
        let boots: BTreeSet<&str> = own.iter().map(|r| r.boot_id.as_str()).collect();
        if !times.contains(&own.len()) || boots.len() != own.len() {
            let when: Vec<String> = own.iter().map(|r| format!("{} into {}", r.at, r.config)).collect();
            let most = times.end();
            found.push(Violation(format!("{node} rebooted {} times ({}), and should {most} times", own.len(), when.join("; "))));
        }
    }
    found
}

/// That nobody but the scenario deleted a machine.
pub fn no_machine_deleted(ledger: &Ledger) -> Vec<Violation> {
    let sentence = |d: &MachineDeletion| {
        let who = match d.by {
            Deleter::Scenario => return None,
            Deleter::HealthCheck => "a health check",
            Deleter::Client => "somebody",
        };
        Some(Violation(format!("{who} deleted machine {} of node {} at {}", d.machine, d.node, d.at)))
    };
    ledger.machine_deletions.iter().filter_map(sentence).collect()
}

/// That no NodeHealthCheck had a node rebooted.
pub fn no_node_remediated(ledger: &Ledger) -> Vec<Violation> {
    let sentence = |r: &crate::controllers::ledger::Remediation| {
        Violation(format!("the health check {} had {} rebooted at {}", r.check, r.node, r.at))
    };
    ledger.remediations.iter().map(sentence).collect()
}

/// That no pool ever had more nodes out of service for an update than it allows.
pub fn budgets_kept(ledger: &Ledger) -> Vec<Violation> {
    let over = ledger.disruptions.iter().filter(|d| d.updating > d.allowed);
    over.map(|d| Violation(format!("pool {} updated {} nodes at once at {}, and allows {}", d.pool, d.updating, d.at, d.allowed)))
        .collect()
}

/// That every pool that is not paused is updated, and none is degraded.
pub fn pools_updated(store: &Store) -> Vec<Violation> {
    let pools = store.list(&MACHINECONFIGPOOLS);
    let behind = pools.iter().filter(|p| !condition_is(p, "Updated", "True") || condition_is(p, "Degraded", "True"));
    behind.map(|p| Violation(format!("pool {} is not updated: {}", name(p), p["status"]))).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;

    fn write(body: Value, code: u16) -> AuditRecord {
        AuditRecord {
            at: DateTime::UNIX_EPOCH,
            who: "admin".into(),
            verb: "patch".into(),
            path: "/apis/config.openshift.io/v1/clusterversions/version".into(),
            body,
            code,
        }
    }

    #[test]
    fn only_writes_that_change_the_target_count() {
        let merge = |v: &str| json!({ "spec": { "desiredUpdate": { "version": v, "image": "quay.io/x" } } });
        let audit = [
            write(json!({ "spec": { "channel": "eus-4.18" } }), 200),
            write(merge("4.17.11"), 409),
            write(merge("4.17.11"), 200),
            write(merge("4.17.11"), 200),
            write(
                json!([
                    { "op": "test", "path": "/spec/desiredUpdate/image", "value": "quay.io/x" },
                    { "op": "add", "path": "/spec/desiredUpdate", "value": { "version": "4.18.5" } },
                ]),
                200,
            ),
        ];
        assert_eq!(requested_targets(&audit), ["4.17.11", "4.18.5"]);
        assert!(hops_requested_once(&audit, &["4.17.11", "4.18.5"]).is_empty());
        assert_eq!(hops_requested_once(&audit[..3], &["4.17.11", "4.18.5"]).len(), 1);
    }
}
