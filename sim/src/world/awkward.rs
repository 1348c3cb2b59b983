//! Pods that a drain has trouble with: nothing recreates them, they fit on one node alone, or their budget never allows it.

use serde_json::{Value, json};

use super::config::namespace;
use super::shape::PodRequests;
use super::workloads::{POD_AGE, Workload, deployment_drafts, pod_object, start};
use super::{Draft, Plan};
use crate::store::resources::{PDBS, PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, PODS, STATEFULSETS};

/// Pods without an owner.
const BARE: &str = "scratch";
/// Stateful sets on local disks.
const LOCAL: &str = "archive";
/// Deployments pinned to one node.
const PINNED: &str = "factory";
/// Single replicas under a budget.
const SINGLE: &str = "ledger";
/// Pods under two budgets.
const DOUBLE: &str = "treasury";
/// What a local volume holds.
const VOLUME_SIZE: &str = "50Gi";

/// All of them; the nth of each sort runs on the nth of `nodes`.
pub(super) fn drafts(plan: &mut Plan<'_>, nodes: &[&String]) -> Vec<Draft> {
    let shape = plan.shape;
    let on = |count: usize| nodes.iter().take(count).map(|n| n.as_str()).enumerate();
    let wanted = [
        (BARE, shape.bare_pods),
        (LOCAL, shape.local_volumes),
        (PINNED, shape.pinned_pods),
        (SINGLE, shape.single_replicas),
        (DOUBLE, shape.doubly_guarded),
    ];
    let mut all: Vec<Draft> = wanted.iter().filter(|(_, n)| *n > 0).map(|(ns, _)| namespace(ns)).collect();
    for (index, node) in on(shape.bare_pods) {
        all.push(bare_pod(plan, index, node));
    }
    for (index, node) in on(shape.local_volumes) {
        all.extend(local_set(plan, index, node));
    }
    for (index, node) in on(shape.pinned_pods) {
        all.extend(pinned(plan, index, node));
    }
    for (index, node) in on(shape.single_replicas) {
        let workload = one_replica(SINGLE, &format!("journal-{index}"), Some(json!({ "minAvailable": 1 })));
        all.extend(deployment_drafts(plan, &workload, &[&node.to_owned()]));
    }
    for (index, node) in on(shape.doubly_guarded) {
        all.extend(doubly_guarded(plan, index, node));
    }
    all
}

fn one_replica(ns: &str, name: &str, budget: Option<Value>) -> Workload {
    let (namespace, name, role) = (ns.to_owned(), name.to_owned(), "worker".to_owned());
    Workload { namespace, name, replicas: 1, role, grace: 20, requests: PodRequests::default(), budget }
}

fn bare_pod(plan: &Plan<'_>, index: usize, node: &str) -> Draft {
    let mut pod = pod_object(BARE, &format!("one-off-{index}"), &json!({ "app": "one-off" }), "one-off", 30);
    start(&mut pod, node, &plan.ago(POD_AGE));
    Draft::new(PODS, pod).aged(POD_AGE)
}

fn pinned(plan: &mut Plan<'_>, index: usize, node: &str) -> Vec<Draft> {
    let workload = one_replica(PINNED, &format!("press-{index}"), None);
    let mut drafts = deployment_drafts(plan, &workload, &[&node.to_owned()]);
    let selector = json!({ "kubernetes.io/hostname": node });
    for draft in &mut drafts {
        let spec = if draft.resource == PODS { "/spec" } else { "/spec/template/spec" };
        if let Some(spec) = draft.object.pointer_mut(spec) {
            spec["nodeSelector"] = selector.clone();
        }
    }
    drafts
}

fn doubly_guarded(plan: &mut Plan<'_>, index: usize, node: &str) -> Vec<Draft> {
    let workload =
        Workload { replicas: 2, ..one_replica(DOUBLE, &format!("vault-{index}"), Some(json!({ "maxUnavailable": 1 }))) };
    let mut drafts = deployment_drafts(plan, &workload, &[&node.to_owned()]);
    let second = drafts.iter().find(|d| d.resource == PDBS).map(|d| {
        let mut object = d.object.clone();
        object["metadata"]["name"] = json!(format!("{}-too", workload.name));
        Draft::new(PDBS, object)
    });
    drafts.extend(second);
    drafts
}

/// A stateful set of one pod whose volume is a directory of the node.
fn local_set(plan: &Plan<'_>, index: usize, node: &str) -> Vec<Draft> {
    let name = format!("shelf-{index}");
    let labels = json!({ "app": name });
    let claim = format!("data-{name}-0");
    let mut pod = pod_object(LOCAL, &format!("{name}-0"), &labels, "shelf", 30);
    pod["spec"]["volumes"] = json!([
        { "name": "data", "persistentVolumeClaim": { "claimName": claim } },
        { "name": "cache", "emptyDir": {} },
    ]);
    pod["spec"]["nodeSelector"] = json!({ "node-role.kubernetes.io/worker": "" });
    let set = json!({
        "metadata": { "name": name, "namespace": LOCAL, "labels": labels },
        "spec": { "replicas": 1, "serviceName": name, "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod["spec"] } },
        "status": { "replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "currentReplicas": 1, "updatedReplicas": 1,
            "observedGeneration": 1 },
    });
    start(&mut pod, node, &plan.ago(POD_AGE));
    let mut all = volume(&name, &claim, node);
    all.push(Draft::new(STATEFULSETS, set));
    all.push(Draft::new(PODS, pod).owned_by(&STATEFULSETS, LOCAL, &name).aged(POD_AGE));
    all
}

fn volume(name: &str, claim: &str, node: &str) -> Vec<Draft> {
    let volume = format!("local-{name}");
    let terms = json!([{ "matchExpressions": [{ "key": "kubernetes.io/hostname", "operator": "In", "values": [node] }] }]);
    vec![
        Draft::new(
            PERSISTENTVOLUMES,
            json!({
                "metadata": { "name": volume },
                "spec": { "capacity": { "storage": VOLUME_SIZE }, "accessModes": ["ReadWriteOnce"], "storageClassName": "local-disks",
                    "persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem", "local": { "path": format!("/mnt/{name}") },
                    "claimRef": { "kind": "PersistentVolumeClaim", "namespace": LOCAL, "name": claim },
                    "nodeAffinity": { "required": { "nodeSelectorTerms": terms } } },
                "status": { "phase": "Bound" },
            }),
        ),
        Draft::new(
            PERSISTENTVOLUMECLAIMS,
            json!({
                "metadata": { "name": claim, "namespace": LOCAL },
                "spec": { "accessModes": ["ReadWriteOnce"], "storageClassName": "local-disks", "volumeName": volume,
                    "resources": { "requests": { "storage": VOLUME_SIZE } } },
                "status": { "phase": "Bound", "capacity": { "storage": VOLUME_SIZE }, "accessModes": ["ReadWriteOnce"] },
            }),
        ),
    ]
}
