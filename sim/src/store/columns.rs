//! The columns that `oc get` and `kubectl get` show, per resource.

use serde_json::{Value, json};

use super::{Cell, Column};

const fn text(name: &'static str, at: &'static str) -> Column {
    Column { name, kind: "string", priority: 0, cell: Cell::At(at) }
}

const fn number(name: &'static str, at: &'static str) -> Column {
    Column { name, kind: "integer", priority: 0, cell: Cell::At(at) }
}

const fn status(name: &'static str, condition: &'static str) -> Column {
    Column { name, kind: "string", priority: 0, cell: Cell::Condition(condition, "status") }
}

const fn since(condition: &'static str) -> Column {
    Column { name: "Since", kind: "date", priority: 0, cell: Cell::Condition(condition, "lastTransitionTime") }
}

const fn computed(name: &'static str, cell: fn(&Value) -> Value) -> Column {
    Column { name, kind: "string", priority: 0, cell: Cell::Computed(cell) }
}

const fn wide(column: Column) -> Column {
    Column { priority: 1, ..column }
}

const NAME: Column = text("Name", "/metadata/name");
const AGE: Column = Column { name: "Age", kind: "date", priority: 0, cell: Cell::At("/metadata/creationTimestamp") };

pub(super) const DEFAULT: &[Column] = &[NAME, AGE];
pub(super) const NODES: &[Column] = &[
    NAME,
    computed("Status", node_status),
    computed("Roles", node_roles),
    AGE,
    text("Version", "/status/nodeInfo/kubeletVersion"),
    wide(computed("Internal-IP", |o| node_address(o, "InternalIP"))),
    wide(computed("External-IP", |o| node_address(o, "ExternalIP"))),
    wide(text("OS-Image", "/status/nodeInfo/osImage")),
    wide(text("Kernel-Version", "/status/nodeInfo/kernelVersion")),
    wide(text("Container-Runtime", "/status/nodeInfo/containerRuntimeVersion")),
];
pub(super) const PODS: &[Column] = &[
    NAME,
    computed("Ready", pod_ready),
    computed("Status", pod_status),
    computed("Restarts", pod_restarts),
    AGE,
    wide(computed("IP", |o| or_none(o.pointer("/status/podIP")))),
    wide(computed("Node", |o| or_none(o.pointer("/spec/nodeName")))),
    wide(computed("Nominated Node", |o| or_none(o.pointer("/status/nominatedNodeName")))),
    wide(computed("Readiness Gates", |_| json!("<none>"))),
];
pub(super) const NAMESPACES: &[Column] = &[NAME, text("Status", "/status/phase"), AGE];
pub(super) const CONFIGMAPS: &[Column] = &[NAME, computed("Data", count_data), AGE];
pub(super) const SECRETS: &[Column] = &[NAME, text("Type", "/type"), computed("Data", count_data), AGE];
pub(super) const SERVICES: &[Column] = &[
    NAME,
    text("Type", "/spec/type"),
    computed("Cluster-IP", |o| or_none(o.pointer("/spec/clusterIP"))),
    computed("External-IP", |_| json!("<none>")),
    computed("Port(s)", service_ports),
    AGE,
];
pub(super) const EVENTS: &[Column] = &[
    Column { name: "Last Seen", kind: "date", priority: 0, cell: Cell::At("/lastTimestamp") },
    text("Type", "/type"),
    text("Reason", "/reason"),
    computed("Object", event_object),
    text("Message", "/message"),
    wide(NAME),
];
pub(super) const DEPLOYMENTS: &[Column] = &[
    NAME,
    computed("Ready", ready_of_replicas),
    computed("Up-to-date", |o| or_zero(o, "/status/updatedReplicas")),
    computed("Available", |o| or_zero(o, "/status/availableReplicas")),
    AGE,
    wide(computed("Containers", |o| containers(o, "name"))),
    wide(computed("Images", |o| containers(o, "image"))),
    wide(computed("Selector", selector)),
];
pub(super) const REPLICASETS: &[Column] = &[
    NAME,
    computed("Desired", |o| or_zero(o, "/spec/replicas")),
    computed("Current", |o| or_zero(o, "/status/replicas")),
    computed("Ready", |o| or_zero(o, "/status/readyReplicas")),
    AGE,
];
pub(super) const DAEMONSETS: &[Column] = &[
    NAME,
    computed("Desired", |o| or_zero(o, "/status/desiredNumberScheduled")),
    computed("Current", |o| or_zero(o, "/status/currentNumberScheduled")),
    computed("Ready", |o| or_zero(o, "/status/numberReady")),
    computed("Up-to-date", |o| or_zero(o, "/status/updatedNumberScheduled")),
    computed("Available", |o| or_zero(o, "/status/numberAvailable")),
    computed("Node Selector", |o| labels(o.pointer("/spec/template/spec/nodeSelector"))),
    AGE,
];
pub(super) const STATEFULSETS: &[Column] = &[NAME, computed("Ready", ready_of_replicas), AGE];
pub(super) const PDBS: &[Column] = &[
    NAME,
    computed("Min Available", |o| or_na(o.pointer("/spec/minAvailable"))),
    computed("Max Unavailable", |o| or_na(o.pointer("/spec/maxUnavailable"))),
    computed("Allowed Disruptions", |o| or_zero(o, "/status/disruptionsAllowed")),
    AGE,
];
pub(super) const PERSISTENTVOLUMES: &[Column] = &[
    NAME,
    text("Capacity", "/spec/capacity/storage"),
    text("Reclaim Policy", "/spec/persistentVolumeReclaimPolicy"),
    text("Status", "/status/phase"),
    text("Claim", "/spec/claimRef/name"),
    text("StorageClass", "/spec/storageClassName"),
    AGE,
];
pub(super) const PERSISTENTVOLUMECLAIMS: &[Column] = &[
    NAME,
    text("Status", "/status/phase"),
    text("Volume", "/spec/volumeName"),
    text("Capacity", "/status/capacity/storage"),
    text("StorageClass", "/spec/storageClassName"),
    AGE,
];
pub(super) const LEASES: &[Column] = &[NAME, text("Holder", "/spec/holderIdentity"), AGE];
pub(super) const CERTIFICATESIGNINGREQUESTS: &[Column] = &[
    NAME,
    AGE,
    text("SignerName", "/spec/signerName"),
    text("Requestor", "/spec/username"),
    computed("RequestedDuration", |o| or_none(o.pointer("/spec/expirationSeconds"))),
    computed("Condition", csr_condition),
];
pub(super) const APIREQUESTCOUNTS: &[Column] = &[
    NAME,
    text("RemovedInRelease", "/status/removedInRelease"),
    number("RequestsInCurrentHour", "/status/currentHour/requestCount"),
    number("RequestsInLast24h", "/status/requestCount"),
];
pub(super) const CLUSTERVERSIONS: &[Column] = &[
    NAME,
    computed("Version", completed_version),
    status("Available", "Available"),
    status("Progressing", "Progressing"),
    since("Progressing"),
    Column { name: "Status", kind: "string", priority: 0, cell: Cell::Condition("Progressing", "message") },
];
pub(super) const CLUSTEROPERATORS: &[Column] = &[
    NAME,
    computed("Version", operator_version),
    status("Available", "Available"),
    status("Progressing", "Progressing"),
    status("Degraded", "Degraded"),
    since("Available"),
    computed("Message", operator_message),
];
pub(super) const MACHINECONFIGPOOLS: &[Column] = &[
    NAME,
    text("Config", "/status/configuration/name"),
    status("Updated", "Updated"),
    status("Updating", "Updating"),
    status("Degraded", "Degraded"),
    number("MachineCount", "/status/machineCount"),
    number("ReadyMachineCount", "/status/readyMachineCount"),
    number("UpdatedMachineCount", "/status/updatedMachineCount"),
    number("DegradedMachineCount", "/status/degradedMachineCount"),
    AGE,
];
pub(super) const MACHINECONFIGS: &[Column] = &[
    NAME,
    text("GeneratedByController", "/metadata/annotations/machineconfiguration.openshift.io~1generated-by-controller-version"),
    text("IgnitionVersion", "/spec/config/ignition/version"),
    AGE,
];
pub(super) const MACHINECONFIGNODES: &[Column] = &[
    NAME,
    text("PoolName", "/spec/pool/name"),
    text("DesiredConfig", "/spec/configVersion/desired"),
    text("CurrentConfig", "/status/configVersion/current"),
    status("Updated", "Updated"),
    AGE,
];
pub(super) const MACHINES: &[Column] = &[
    NAME,
    text("Phase", "/status/phase"),
    text("Type", "/metadata/labels/machine.openshift.io~1instance-type"),
    text("Region", "/metadata/labels/machine.openshift.io~1region"),
    text("Zone", "/metadata/labels/machine.openshift.io~1zone"),
    AGE,
    wide(text("Node", "/status/nodeRef/name")),
    wide(text("ProviderID", "/spec/providerID")),
    wide(text("State", "/metadata/annotations/machine.openshift.io~1instance-state")),
];
pub(super) const MACHINESETS: &[Column] = &[
    NAME,
    number("Desired", "/spec/replicas"),
    number("Current", "/status/replicas"),
    number("Ready", "/status/readyReplicas"),
    text("Available", "/status/availableReplicas"),
    AGE,
];
pub(super) const MACHINEHEALTHCHECKS: &[Column] = &[
    NAME,
    text("MaxUnhealthy", "/spec/maxUnhealthy"),
    number("ExpectedMachines", "/status/expectedMachines"),
    number("CurrentHealthy", "/status/currentHealthy"),
];
pub(super) const NODEHEALTHCHECKS: &[Column] = &[
    NAME,
    text("MinHealthy", "/spec/minHealthy"),
    number("ObservedNodes", "/status/observedNodes"),
    number("HealthyNodes", "/status/healthyNodes"),
    text("Phase", "/status/phase"),
    AGE,
];
pub(super) const CLUSTERSERVICEVERSIONS: &[Column] = &[
    NAME,
    text("Display", "/spec/displayName"),
    text("Version", "/spec/version"),
    text("Replaces", "/spec/replaces"),
    text("Phase", "/status/phase"),
];

fn or_text(value: Option<&Value>, otherwise: &str) -> Value {
    match value {
        Some(Value::String(s)) if !s.is_empty() => json!(s),
        Some(Value::Number(n)) => json!(n.to_string()),
        Some(Value::Bool(b)) => json!(b.to_string()),
        Some(Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_)) | None => json!(otherwise),
    }
}

fn or_none(value: Option<&Value>) -> Value {
    or_text(value, "<none>")
}

fn or_na(value: Option<&Value>) -> Value {
    or_text(value, "N/A")
}

fn or_zero(object: &Value, at: &str) -> Value {
    or_text(object.pointer(at), "0")
}

fn items<'a>(object: &'a Value, at: &str) -> &'a [Value] {
    object.pointer(at).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn str_at<'a>(object: &'a Value, at: &str) -> &'a str {
    object.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

/// The condition of this type in an object's status.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    items(object, "/status/conditions").iter().find(|c| c["type"] == kind)
}

fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| c["status"] == "True")
}

fn node_status(node: &Value) -> Value {
    let mut states = vec![match condition(node, "Ready").map(|c| &c["status"]) {
        Some(status) if status == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }];
    if node.pointer("/spec/unschedulable") == Some(&Value::Bool(true)) {
        states.push("SchedulingDisabled");
    }
    json!(states.join(","))
}

fn node_roles(node: &Value) -> Value {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object);
    let roles: Vec<&str> = labels.into_iter().flatten().filter_map(|(k, _)| k.strip_prefix("node-role.kubernetes.io/")).collect();
    if roles.is_empty() { json!("<none>") } else { json!(roles.join(",")) }
}

fn node_address(node: &Value, kind: &str) -> Value {
    or_none(items(node, "/status/addresses").iter().find(|a| a["type"] == kind).map(|a| &a["address"]))
}

fn pod_ready(pod: &Value) -> Value {
    let ready = items(pod, "/status/containerStatuses").iter().filter(|c| c["ready"] == true).count();
    json!(format!("{ready}/{}", items(pod, "/spec/containers").len()))
}

fn pod_status(pod: &Value) -> Value {
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return json!("Terminating");
    }
    let waiting = items(pod, "/status/containerStatuses").iter().find_map(|c| c.pointer("/state/waiting/reason"));
    let phase = match str_at(pod, "/status/phase") {
        "Succeeded" => "Completed",
        "Failed" => "Error",
        other => other,
    };
    or_text(waiting.or(pod.pointer("/status/reason")), phase)
}

fn pod_restarts(pod: &Value) -> Value {
    let restarts = items(pod, "/status/containerStatuses").iter().filter_map(|c| c["restartCount"].as_u64()).sum::<u64>();
    json!(restarts.to_string())
}

fn count_data(object: &Value) -> Value {
    let len = |key: &str| object.get(key).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    json!((len("data") + len("binaryData")).to_string())
}

fn service_ports(service: &Value) -> Value {
    let ports = items(service, "/spec/ports").iter();
    let ports: Vec<String> =
        ports.map(|p| format!("{}/{}", p["port"].as_u64().unwrap_or(0), p["protocol"].as_str().unwrap_or("TCP"))).collect();
    if ports.is_empty() { json!("<none>") } else { json!(ports.join(",")) }
}

fn event_object(event: &Value) -> Value {
    let kind = str_at(event, "/involvedObject/kind").to_lowercase();
    json!(format!("{kind}/{}", str_at(event, "/involvedObject/name")))
}

fn ready_of_replicas(object: &Value) -> Value {
    let n = |at: &str| object.pointer(at).and_then(Value::as_u64).unwrap_or(0);
    json!(format!("{}/{}", n("/status/readyReplicas"), n("/spec/replicas")))
}

fn containers(object: &Value, field: &str) -> Value {
    let names = items(object, "/spec/template/spec/containers").iter().filter_map(|c| c[field].as_str());
    json!(names.collect::<Vec<_>>().join(","))
}

fn labels(map: Option<&Value>) -> Value {
    let pairs: Vec<String> = map
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
        .collect();
    if pairs.is_empty() { json!("<none>") } else { json!(pairs.join(",")) }
}

fn selector(object: &Value) -> Value {
    labels(object.pointer("/spec/selector/matchLabels"))
}

fn csr_condition(csr: &Value) -> Value {
    let mut states: Vec<&str> = items(csr, "/status/conditions").iter().filter_map(|c| c["type"].as_str()).collect();
    if states.is_empty() {
        states.push("Pending");
    }
    if csr.pointer("/status/certificate").is_some() {
        states.push("Issued");
    }
    json!(states.join(","))
}

fn completed_version(cv: &Value) -> Value {
    let completed = items(cv, "/status/history").iter().find(|h| h["state"] == "Completed");
    or_text(completed.map(|h| &h["version"]), "")
}

fn operator_version(co: &Value) -> Value {
    or_text(items(co, "/status/versions").iter().find(|v| v["name"] == "operator").map(|v| &v["version"]), "")
}

fn operator_message(co: &Value) -> Value {
    let told = |kind: &str| condition(co, kind).map(|c| &c["message"]);
    if condition(co, "Available").is_some_and(|c| c["status"] == "False") {
        or_text(told("Available"), "")
    } else if is_true(co, "Degraded") {
        or_text(told("Degraded"), "")
    } else if is_true(co, "Progressing") {
        or_text(told("Progressing"), "")
    } else {
        json!("")
    }
}
