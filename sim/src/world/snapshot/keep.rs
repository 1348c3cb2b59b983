//! What a snapshot keeps of each kind of object: a list of fields, so that nothing else can slip in.

use serde_json::{Map, Value, json};

use crate::world::json::{name, text};

/// A kind that a snapshot has, where it is served, and what is kept of it.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Group and version, as in `apiVersion`.
    pub api_version: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// Its name in paths.
    pub plural: &'static str,
    /// Which of its objects.
    pub scope: Reach,
    /// The fields beside name, namespace, labels and known annotations; `[]` is every entry of a list.
    fields: &'static [&'static str],
}

/// Which objects of a kind a snapshot reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    All,
    /// All of them, but without the rest of them in case they are copies by this label.
    Without(&'static str),
    /// Only these, by namespace and name.
    Named(&'static [(&'static str, &'static str)]),
    /// Only the metadata of these, by namespace and name: the rest never leaves the server.
    MetadataOf(&'static [(&'static str, &'static str)]),
}

/// Annotations that mean something to an update; each is a key, or the beginning of one.
const ANNOTATIONS: [&str; 12] = [
    "machineconfiguration.openshift.io/",
    "machine.openshift.io/machine",
    "cluster.x-k8s.io/paused",
    "olm.properties",
    "auth.openshift.io/certificate-not-",
    "kubernetes.io/config.mirror",
    "cloudcredential.openshift.io/upgradeable-to",
    "argocd.argoproj.io/tracking-id",
    "descheduler.alpha.kubernetes.io/evict",
    "cluster-autoscaler.kubernetes.io/safe-to-evict",
    "kubevirt.io/",
    "windlass/",
];

const CONDITIONS: [&str; 5] = [
    "status.conditions[].type",
    "status.conditions[].status",
    "status.conditions[].reason",
    "status.conditions[].message",
    "status.conditions[].lastTransitionTime",
];

/// A pod's specification, as far as scheduling and draining look at it.
const POD: [&str; 9] = [
    "nodeSelector",
    "tolerations",
    "terminationGracePeriodSeconds",
    "containers[].name",
    "containers[].resources.requests",
    "affinity.nodeAffinity",
    "affinity.podAntiAffinity",
    "volumes[].name",
    "priorityClassName",
];

const SIGNERS: [(&str, &str); 3] = [
    ("openshift-kube-apiserver-operator", "kube-apiserver-to-kubelet-signer"),
    ("openshift-kube-apiserver-operator", "loadbalancer-serving-signer"),
    ("openshift-kube-controller-manager-operator", "csr-signer-signer"),
];

const GATES: [(&str, &str); 2] = [("openshift-config-managed", "admin-gates"), ("openshift-config", "admin-acks")];

const fn kept(api_version: &'static str, kind: &'static str, plural: &'static str, fields: &'static [&'static str]) -> Kept {
    Kept { api_version, kind, plural, scope: Reach::All, fields }
}

const WORKLOAD: [&str; 4] = ["spec.replicas", "spec.selector", "spec.template.metadata.labels", "status.replicas"];

/// Every kind, in the order in which they are read.
pub const KINDS: [Kept; 21] = [
    kept(
        "config.openshift.io/v1",
        "ClusterVersion",
        "clusterversions",
        &[
            "spec.channel",
            "spec.clusterID",
            "spec.upstream",
            "spec.overrides",
            "status.desired.version",
            "status.desired.image",
            "status.desired.channels",
            "status.history[].state",
            "status.history[].startedTime",
            "status.history[].completionTime",
            "status.history[].version",
            "status.history[].image",
            "status.history[].verified",
        ],
    ),
    kept(
        "config.openshift.io/v1",
        "ClusterOperator",
        "clusteroperators",
        &["status.versions[].name", "status.versions[].version"],
    ),
    kept(
        "config.openshift.io/v1",
        "Infrastructure",
        "infrastructures",
        &[
            "status.infrastructureName",
            "status.platform",
            "status.platformStatus.type",
            "status.controlPlaneTopology",
            "status.infrastructureTopology",
        ],
    ),
    kept(
        "config.openshift.io/v1",
        "ImageDigestMirrorSet",
        "imagedigestmirrorsets",
        &["spec.imageDigestMirrors[].source", "spec.imageDigestMirrors[].mirrors"],
    ),
    kept("operator.openshift.io/v1", "CloudCredential", "cloudcredentials", &["spec.credentialsMode"]),
    kept(
        "machineconfiguration.openshift.io/v1",
        "MachineConfigPool",
        "machineconfigpools",
        &[
            "spec.paused",
            "spec.maxUnavailable",
            "spec.nodeSelector",
            "spec.machineConfigSelector",
            "spec.configuration.name",
            "status.configuration.name",
            "status.machineCount",
            "status.degradedMachineCount",
        ],
    ),
    kept(
        "v1",
        "Node",
        "nodes",
        &[
            "metadata.creationTimestamp",
            "spec.unschedulable",
            "spec.taints",
            "status.allocatable",
            "status.capacity",
            "status.nodeInfo.kubeletVersion",
            "status.nodeInfo.osImage",
            "status.nodeInfo.architecture",
        ],
    ),
    kept(
        "machine.openshift.io/v1beta1",
        "Machine",
        "machines",
        &["status.phase", "status.nodeRef.kind", "status.nodeRef.name", "metadata.ownerReferences"],
    ),
    kept("machine.openshift.io/v1beta1", "MachineSet", "machinesets", &["spec.replicas", "spec.selector"]),
    kept(
        "machine.openshift.io/v1beta1",
        "MachineHealthCheck",
        "machinehealthchecks",
        &["spec.selector", "spec.unhealthyConditions", "spec.maxUnhealthy", "spec.nodeStartupTimeout"],
    ),
    kept(
        "remediation.medik8s.io/v1alpha1",
        "NodeHealthCheck",
        "nodehealthchecks",
        &["spec.selector", "spec.pauseRequests", "spec.minHealthy", "spec.unhealthyConditions"],
    ),
    kept(
        "policy/v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        &[
            "spec.minAvailable",
            "spec.maxUnavailable",
            "spec.selector",
            "status.currentHealthy",
            "status.desiredHealthy",
            "status.disruptionsAllowed",
            "status.expectedPods",
        ],
    ),
    kept("apps/v1", "Deployment", "deployments", &WORKLOAD),
    kept("apps/v1", "ReplicaSet", "replicasets", &WORKLOAD),
    kept("apps/v1", "StatefulSet", "statefulsets", &WORKLOAD),
    kept("apps/v1", "DaemonSet", "daemonsets", &["spec.selector", "spec.template.metadata.labels"]),
    kept("v1", "Pod", "pods", &["metadata.ownerReferences", "spec.nodeName", "status.phase"]),
    Kept {
        scope: Reach::Without("olm.copiedFrom"),
        ..kept(
            "operators.coreos.com/v1alpha1",
            "ClusterServiceVersion",
            "clusterserviceversions",
            &["spec.displayName", "spec.version", "status.phase"],
        )
    },
    kept(
        "apiserver.openshift.io/v1",
        "APIRequestCount",
        "apirequestcounts",
        &[
            "status.removedInRelease",
            "status.requestCount",
            "status.last24h[].requestCount",
            "status.last24h[].byNode[].byUser[].username",
            "status.last24h[].byNode[].byUser[].userAgent",
            "status.last24h[].byNode[].byUser[].requestCount",
        ],
    ),
    Kept { scope: Reach::Named(&GATES), ..kept("v1", "ConfigMap", "configmaps", &["data"]) },
    Kept { scope: Reach::MetadataOf(&SIGNERS), ..kept("v1", "Secret", "secrets", &[]) },
];

impl Kept {
    /// The kind of an object.
    pub fn of(object: &Value) -> Option<&'static Self> {
        let (version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
        KINDS.iter().find(|kept| kept.api_version == version && kept.kind == kind)
    }

    /// The object without what is not kept; none if all of it may be left out.
    pub fn trim(&self, object: &Value) -> Option<Value> {
        if !self.matters(object) {
            return None;
        }
        let mut trimmed = json!({ "apiVersion": self.api_version, "kind": self.kind, "metadata": { "name": name(object) } });
        let metadata = &object["metadata"];
        if let Some(namespace) = metadata["namespace"].as_str() {
            trimmed["metadata"]["namespace"] = json!(namespace);
        }
        for (key, kept) in [("labels", labels(metadata)), ("annotations", annotations(metadata))] {
            if !kept.is_empty() {
                trimmed["metadata"][key] = kept.into();
            }
        }
        let conditions = matches!(self.kind, "ClusterVersion" | "ClusterOperator" | "MachineConfigPool" | "Node" | "Pod");
        let conditions = CONDITIONS.iter().filter(|_| conditions).copied();
        for path in self.fields.iter().copied().chain(conditions) {
            copy(object, &mut trimmed, path);
        }
        match self.kind {
            "Pod" => keep_pod(&object["spec"], &mut trimmed["spec"]),
            "Deployment" | "ReplicaSet" | "StatefulSet" => {
                keep_pod(&object["spec"]["template"]["spec"], &mut trimmed["spec"]["template"]["spec"]);
            }
            _ => {}
        }
        slim(&mut trimmed);
        Some(trimmed)
    }

    /// Whether an object says anything about an update: finished pods, idle replica sets and unused APIs do not.
    fn matters(&self, object: &Value) -> bool {
        match self.kind {
            "Pod" => !matches!(text(object, "/status/phase"), "Succeeded" | "Failed"),
            "ReplicaSet" => object["spec"]["replicas"].as_u64() != Some(0),
            "APIRequestCount" => {
                !text(object, "/status/removedInRelease").is_empty() && object["status"]["requestCount"].as_u64() > Some(0)
            }
            "ClusterServiceVersion" => object["metadata"]["labels"]["olm.copiedFrom"].is_null(),
            _ => true,
        }
    }
}

/// Labels select, so all of them are kept.
fn labels(metadata: &Value) -> Map<String, Value> {
    metadata["labels"].as_object().cloned().unwrap_or_default()
}

fn annotations(metadata: &Value) -> Map<String, Value> {
    let known = |key: &str| ANNOTATIONS.iter().any(|known| key.starts_with(known));
    let all = metadata["annotations"].as_object().into_iter().flatten();
    all.filter(|(key, _)| known(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Keeps what schedules a pod, and of each volume only what kind it is.
fn keep_pod(spec: &Value, kept: &mut Value) {
    for path in POD {
        copy(spec, kept, path);
    }
    let (Some(volumes), Some(kept)) = (spec["volumes"].as_array(), kept["volumes"].as_array_mut()) else { return };
    for (volume, kept) in volumes.iter().zip(kept) {
        for (kind, source) in volume.as_object().into_iter().flatten().filter(|(kind, _)| *kind != "name") {
            let claim = source.get("claimName").map(|claim| json!({ "claimName": claim }));
            kept[kind] = claim.unwrap_or_else(|| json!({}));
        }
    }
}

/// Leaves out what every object of its kind says: projected tokens, healthy conditions' words, empty lists.
fn slim(object: &mut Value) {
    for at in ["/spec/volumes", "/spec/template/spec/volumes"] {
        if let Some(volumes) = object.pointer_mut(at).and_then(Value::as_array_mut) {
            volumes.retain(|v| !["projected", "secret", "configMap", "downwardAPI"].iter().any(|kind| v.get(kind).is_some()));
        }
    }
    let is_pod = object["kind"] == "Pod";
    let conditions = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    if let Some(conditions) = conditions.filter(|_| is_pod) {
        conditions.retain(|condition| condition["type"] == "Ready");
        for condition in conditions.iter_mut().filter_map(Value::as_object_mut) {
            condition.remove("message");
        }
    }
    for owner in object.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(owner) = owner.as_object_mut() {
            owner.retain(|key, _| matches!(key.as_str(), "apiVersion" | "kind" | "name" | "controller"));
        }
    }
}

/// Copies the field at a dotted path, through every entry of a list where the path says `[]`.
fn copy(from: &Value, to: &mut Value, path: &str) {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let (key, each) = head.strip_suffix("[]").map_or((head, false), |key| (key, true));
    let Some(source) = from.get(key).filter(|value| !value.is_null()) else { return };
    let Some(rest) = rest else {
        to[key] = source.clone();
        return;
    };
    if !each {
        if to[key].is_null() {
            to[key] = json!({});
        }
        copy(source, &mut to[key], rest);
        return;
    }
    let Some(entries) = source.as_array() else { return };
    if !to[key].is_array() {
        to[key] = Value::Array(vec![json!({}); entries.len()]);
    }
    for (index, entry) in entries.iter().enumerate() {
        copy(entry, &mut to[key][index], rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(object: &Value, expect: Option<&Value>) {
        let kept = Kept::of(object).expect("a kind of snapshots");
        assert_eq!(kept.trim(object).as_ref(), expect, "{object}");
    }

    #[test]
    fn only_the_fields_on_the_list_are_kept() {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "web-1", "namespace": "shop", "uid": "u", "labels": { "app": "web" },
                "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{\"password\":\"hunter2\"}" },
                "managedFields": [{ "manager": "kubectl" }],
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "v", "controller": true }] },
            "spec": { "nodeName": "worker-0",
                "containers": [{ "name": "web", "image": "registry/web", "env": [{ "name": "TOKEN", "value": "hunter2" }],
                    "args": ["--password=hunter2"], "resources": { "requests": { "cpu": "1" }, "limits": { "cpu": "2" } } }],
                "volumes": [{ "name": "token", "secret": { "secretName": "hunter2" } },
                    { "name": "data", "persistentVolumeClaim": { "claimName": "data-0" } }] },
            "status": { "phase": "Running", "podIP": "10.1.2.3", "conditions": [
                { "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" },
                { "type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" }] },
        });
        let kept = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "web-1", "namespace": "shop", "labels": { "app": "web" },
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "controller": true }] },
            "spec": { "nodeName": "worker-0", "containers": [{ "name": "web", "resources": { "requests": { "cpu": "1" } } }],
                "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "data-0" } }] },
            "status": { "phase": "Running", "conditions": [
                { "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" }] },
        });
        check(&pod, Some(&kept));
    }

    #[test]
    fn what_says_nothing_of_an_update_is_left_out() {
        let pod =
            |phase: &str| json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" }, "status": { "phase": phase } });
        check(&pod("Succeeded"), None);
        let secret =
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s", "namespace": "n" }, "data": { "k": "v" } });
        let bare = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s", "namespace": "n" } });
        check(&secret, Some(&bare));
    }
}
