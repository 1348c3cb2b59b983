//! The objects of a simulated cluster that looks like a snapshot.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::Snapshot;
use crate::clock::rfc3339;
use crate::shape::NetworkPlugin;
use crate::store::resources::{DAEMONSETS, DEPLOYMENTS, MACHINES, MACHINESETS, NODES, PDBS, PODS, REPLICASETS};
use crate::store::{ApiError, Store};
use crate::world::config::{namespace, namespaces};
use crate::world::json::{self, annotation, condition_is, name, text, time};
use crate::world::nodes::{MACHINE_FINALIZER, NodePlan, mco, node_object};
use crate::world::operators::OPERATORS;
use crate::world::workloads::start;
use crate::world::{CLUSTER_AGE, Draft, Plan, overlays, pools};

impl Snapshot {
    /// Nodes, machines and workloads, in place of generated ones.
    pub(in crate::world) fn drafts(&self, plan: &mut Plan<'_>) -> Vec<Draft> {
        let mut all = self.new_namespaces();
        all.extend(self.machine_drafts());
        all.extend(self.node_drafts(plan));
        all.extend(self.workload_drafts());
        all.extend(self.of("PodDisruptionBudget").map(|budget| Draft::new(PDBS, budget.clone())));
        all.extend(self.pod_drafts(plan));
        all
    }

    /// Lays what else the snapshot has over the generated objects of the platform.
    pub(in crate::world) fn lay_over(&self, store: &Store) -> Result<(), ApiError> {
        let plain = [
            "Infrastructure",
            "ImageDigestMirrorSet",
            "CloudCredential",
            "MachineHealthCheck",
            "NodeHealthCheck",
            "ClusterServiceVersion",
            "APIRequestCount",
            "ConfigMap",
            "Secret",
        ];
        for object in self.objects.iter().filter(|object| plain.contains(&text(object, "/kind"))) {
            overlays::lay(store, object)?;
        }
        for operator in self.of("ClusterOperator").filter(|o| OPERATORS.iter().any(|known| known.name == name(o))) {
            lay_fields(store, operator, &["/status/conditions"])?;
        }
        for pool in self.of("MachineConfigPool") {
            // Its configuration is the simulated operator's own affair.
            let fields = ["/metadata/labels", "/metadata/annotations", "/spec/nodeSelector", "/spec/maxUnavailable"];
            lay_fields(store, pool, &fields)?;
        }
        let fields = ["/spec/clusterID", "/spec/overrides", "/status/history"];
        self.of("ClusterVersion").try_for_each(|version| lay_fields(store, version, &fields))
    }

    fn new_namespaces(&self) -> Vec<Draft> {
        let platform: BTreeSet<String> =
            namespaces(NetworkPlugin::default()).iter().map(|draft| name(&draft.object).to_owned()).collect();
        let used: BTreeSet<&str> = self.objects.iter().map(json::namespace).filter(|ns| !ns.is_empty()).collect();
        used.into_iter().filter(|ns| !platform.contains(*ns)).map(namespace).collect()
    }

    fn machine_drafts(&self) -> Vec<Draft> {
        let sets = self.of("MachineSet").map(|set| Draft::new(MACHINESETS, set.clone()));
        let machines = self.of("Machine").map(|machine| {
            let mut object = machine.clone();
            object["metadata"]["finalizers"] = json!([MACHINE_FINALIZER]);
            let draft = Draft::new(MACHINES, object);
            match text(machine, "/metadata/ownerReferences/0/kind") {
                "MachineSet" => {
                    draft.owned_by(&MACHINESETS, json::namespace(machine), text(machine, "/metadata/ownerReferences/0/name"))
                }
                _ => draft,
            }
        });
        sets.chain(machines).collect()
    }

    fn node_drafts(&self, plan: &mut Plan<'_>) -> Vec<Draft> {
        let mut all = vec![];
        for (pool, nodes) in self.nodes_by_pool() {
            let config = pools::initial_rendered(plan, &pool);
            for (index, node) in nodes.iter().enumerate() {
                let Some(real) = self.of("Node").find(|object| name(object) == node) else { continue };
                let machine = annotation(real, "machine.openshift.io/machine").rsplit('/').next().unwrap_or_default();
                let (release, now) = (&plan.release, plan.now);
                let made = NodePlan { name: node, pool: &pool, index, machine, config: &config, release, now, shape: plan.shape };
                let mut object = node_object(&made, &mut plan.rng);
                resemble(&mut object, real);
                let age = time(real, "/metadata/creationTimestamp").map_or(CLUSTER_AGE, |born| self.taken - born);
                all.push(Draft::new(NODES, object).aged(age));
            }
        }
        all
    }

    fn workload_drafts(&self) -> Vec<Draft> {
        let deployments = self.of("Deployment").map(|object| Draft::new(DEPLOYMENTS, runnable(object)));
        let daemons = self.of("DaemonSet").map(|object| Draft::new(DAEMONSETS, object.clone()));
        let sets = self.of("ReplicaSet").map(|object| {
            let draft = Draft::new(REPLICASETS, runnable(object));
            match self.owner_of_set(object) {
                Some(deployment) => draft.owned_by(&DEPLOYMENTS, json::namespace(object), &deployment),
                None => draft,
            }
        });
        let stateful = self.of("StatefulSet").map(|object| {
            let mut set = runnable(object);
            set["kind"] = json!("ReplicaSet");
            Draft::new(REPLICASETS, set)
        });
        deployments.chain(daemons).chain(sets).chain(stateful).collect()
    }

    /// A replica set is called after its deployment and a digest.
    fn owner_of_set(&self, set: &Value) -> Option<String> {
        let (deployment, _) = name(set).rsplit_once('-')?;
        let owner = self.of("Deployment").find(|d| name(d) == deployment && json::namespace(d) == json::namespace(set))?;
        Some(name(owner).to_owned())
    }

    fn pod_drafts(&self, plan: &Plan<'_>) -> Vec<Draft> {
        let nodes: BTreeSet<&str> = self.of("Node").map(name).collect();
        let running = self.of("Pod").filter(|pod| nodes.contains(text(pod, "/spec/nodeName")));
        running.map(|pod| pod_draft(pod, plan)).collect()
    }
}

/// Lays some fields of an object over the generated one of its name, those that it has.
fn lay_fields(store: &Store, object: &Value, fields: &[&str]) -> Result<(), ApiError> {
    let mut known = json!({ "apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": { "name": name(object) } });
    for field in fields {
        let (part, key) = field.trim_start_matches('/').split_once('/').unwrap_or((field, ""));
        if let Some(value) = object.pointer(field).filter(|value| !value.is_null()) {
            known[part][key] = value.clone();
        }
    }
    overlays::lay(store, &known)
}

/// Gives a generated node what is known of the real one.
fn resemble(object: &mut Value, real: &Value) {
    object["metadata"]["labels"] = real["metadata"]["labels"].clone();
    for key in ["taints", "unschedulable"] {
        object["spec"].as_object_mut().map(|spec| spec.remove(key));
        if !real["spec"][key].is_null() {
            object["spec"][key] = real["spec"][key].clone();
        }
    }
    for key in ["allocatable", "capacity"] {
        if real["status"][key].is_object() {
            object["status"][key] = real["status"][key].clone();
        }
    }
    for key in ["kubeletVersion", "osImage", "architecture"] {
        if let Some(known) = real["status"]["nodeInfo"].get(key) {
            object["status"]["nodeInfo"][key] = known.clone();
        }
    }
    if real["status"]["conditions"].is_array() {
        object["status"]["conditions"] = real["status"]["conditions"].clone();
    }
    // A reason of its own is worth keeping; the rendered configurations are the simulated operator's.
    if annotation(real, &mco("state")) == "Degraded" {
        for key in ["state", "reason"] {
            json::annotate(object, &mco(key), annotation(real, &mco(key)));
        }
    }
}

/// A workload whose pods can be made again.
fn runnable(object: &Value) -> Value {
    let mut made = object.clone();
    let replicas = object["spec"]["replicas"].as_u64().unwrap_or(1);
    made["spec"]["replicas"] = json!(replicas);
    let template = &mut made["spec"]["template"]["spec"];
    if !template["containers"].is_array() {
        template["containers"] = json!([{ "name": "main" }]);
    }
    let ready = object["status"]["replicas"].as_u64().unwrap_or(replicas);
    made["status"] = json!({ "replicas": ready, "readyReplicas": ready, "availableReplicas": ready, "observedGeneration": 1 });
    made["metadata"].as_object_mut().map(|metadata| metadata.remove("ownerReferences"));
    made
}

fn pod_draft(pod: &Value, plan: &Plan<'_>) -> Draft {
    let mut made = pod.clone();
    let owner = (text(pod, "/metadata/ownerReferences/0/kind"), text(pod, "/metadata/ownerReferences/0/name"));
    made["metadata"].as_object_mut().map(|metadata| metadata.remove("ownerReferences"));
    if !made["spec"]["containers"].is_array() {
        made["spec"]["containers"] = json!([{ "name": "main" }]);
    }
    start(&mut made, text(pod, "/spec/nodeName"), &rfc3339(plan.now - CLUSTER_AGE));
    if !condition_is(pod, "Ready", "True") {
        crate::world::workloads::mark_ready(&mut made, false, plan.now - TimeDelta::hours(1));
    }
    let ns = json::namespace(pod);
    match owner {
        ("ReplicaSet" | "StatefulSet", set) => Draft::new(PODS, made).owned_by(&REPLICASETS, ns, set),
        ("DaemonSet", set) => Draft::new(PODS, made).owned_by(&DAEMONSETS, ns, set),
        ("" | "Node", _) => Draft::new(PODS, made),
        (kind, owner) => {
            made["metadata"]["ownerReferences"] = json!([{ "apiVersion": text(pod, "/metadata/ownerReferences/0/apiVersion"), "kind": kind, "name": owner, "uid": "", "controller": true }]);
            Draft::new(PODS, made)
        }
    }
}
