//! What of a snapshot a simulated cluster does not have, or has otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Kept, Snapshot, told};
use crate::world::json::{condition_is, name, text};
use crate::world::operators::OPERATORS;
use crate::world::pools::ROLE;

impl Snapshot {
    /// Everything that a rehearsal will do otherwise than the real cluster, for people; one line each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> =
            self.unread.iter().map(|what| format!("the snapshot lacks what could not be read: {what}")).collect();
        if self.graph.is_none() {
            notes.push("the update service's answers are made up from the version".to_owned());
        }
        notes.extend(self.foreign());
        notes.extend(self.version());
        notes.extend(self.operators());
        notes.extend(self.pools());
        notes.extend(self.nodes());
        notes.extend(self.workloads());
        notes
    }

    fn foreign(&self) -> Option<String> {
        let foreign: BTreeSet<&str> = self.objects.iter().filter(|o| Kept::of(o).is_none()).map(|o| text(o, "/kind")).collect();
        (!foreign.is_empty()).then(|| format!("kinds that are not simulated are left out: {}", joined(foreign)))
    }

    fn version(&self) -> Vec<String> {
        let Some(version) = self.one("ClusterVersion") else { return vec![] };
        let mut notes = vec![];
        if condition_is(version, "Progressing", "True") {
            notes.push(format!(
                "an update was under way; the rehearsal begins with {} in place",
                text(version, "/status/desired/version")
            ));
        }
        if !text(version, "/spec/upstream").is_empty() {
            notes.push("the cluster asks an update server of its own, which is not simulated".to_owned());
        }
        notes
    }

    fn operators(&self) -> Vec<String> {
        let here: BTreeSet<&str> = self.of("ClusterOperator").map(name).collect();
        let known: BTreeSet<&str> = OPERATORS.iter().map(|operator| operator.name).collect();
        let (more, fewer): (Vec<&str>, Vec<&str>) =
            (here.difference(&known).copied().collect(), known.difference(&here).copied().collect());
        let mut notes = vec![];
        if !more.is_empty() {
            notes.push(format!("cluster operators that are not simulated are left out: {}", more.join(", ")));
        }
        if !fewer.is_empty() && !here.is_empty() {
            notes.push(format!("cluster operators that the cluster lacks are simulated all the same: {}", fewer.join(", ")));
        }
        notes
    }

    fn pools(&self) -> Vec<String> {
        let mut notes = vec![];
        for pool in self.of("MachineConfigPool") {
            let pool_name = name(pool);
            let (wanted, has) = (text(pool, "/spec/configuration/name"), text(pool, "/status/configuration/name"));
            if wanted != has {
                notes.push(format!(
                    "pool {pool_name} was on its way to another configuration; the rehearsal begins with it settled"
                ));
            }
            let selector = &pool["spec"]["machineConfigSelector"];
            if !matches!(pool_name, "master" | "worker") && !selector.is_null() && !is_usual_selector(selector, pool_name) {
                notes.push(format!(
                    "pool {pool_name} selects machine configs by a rule of its own; simulated as worker's and its own"
                ));
            }
        }
        notes
    }

    fn nodes(&self) -> Vec<String> {
        let pools = self.nodes_by_pool();
        let placed: BTreeSet<&String> = pools.iter().flat_map(|(_, nodes)| nodes).collect();
        let homeless: Vec<&str> = self.of("Node").map(name).filter(|node| !placed.contains(&(*node).to_owned())).collect();
        let down: Vec<&str> = self.of("Node").filter(|n| !condition_is(n, "Ready", "True")).map(name).collect();
        let mut notes = vec![];
        if !homeless.is_empty() {
            notes.push(format!("nodes of no pool are left out: {}", homeless.join(", ")));
        }
        if !down.is_empty() {
            notes.push(format!("nodes that were not ready stay so until they are rebooted: {}", down.join(", ")));
        }
        notes
    }

    fn workloads(&self) -> Vec<String> {
        let mut notes = vec![];
        let sets = self.of("StatefulSet").count();
        if sets > 0 {
            notes.push(format!("{sets} stateful sets are simulated as replica sets: their pods come back without their order"));
        }
        let real: BTreeSet<&str> = self.of("Node").map(name).collect();
        let (mut lost, mut strange) = (vec![], BTreeMap::<&str, usize>::new());
        for pod in self.of("Pod") {
            if !real.contains(text(pod, "/spec/nodeName")) {
                lost.push(told(pod));
                continue;
            }
            let owner = text(pod, "/metadata/ownerReferences/0/kind");
            if !matches!(owner, "" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Node") {
                *strange.entry(owner).or_default() += 1;
            }
        }
        if let Some(first) = lost.first() {
            notes.push(format!("{} pods that are on no node are left out, among them {first}", lost.len()));
        }
        for (owner, pods) in strange {
            notes.push(format!("{pods} pods of {owner} objects do not come back once they are evicted"));
        }
        notes
    }
}

fn is_usual_selector(selector: &Value, pool: &str) -> bool {
    let values = selector.pointer("/matchExpressions/0/values").and_then(Value::as_array);
    let usual = values.is_some_and(|v| v.len() == 2 && v.iter().any(|r| r == "worker") && v.iter().any(|r| r == pool));
    usual && text(selector, "/matchExpressions/0/key") == ROLE && text(selector, "/matchExpressions/0/operator") == "In"
}

fn joined(words: BTreeSet<&str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}
