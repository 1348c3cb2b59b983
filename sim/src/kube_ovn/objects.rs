//! The objects of a Kube-OVN cluster that has been running for a while.

use std::net::Ipv4Addr;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::shape::KubeOvnShape;
use crate::store::resources::{DAEMONSETS, DEPLOYMENTS, NAMESPACES, NODES, PODS, REPLICASETS};
use crate::world::json::name;
use crate::world::nodes::{allocatable, capacity, kubelet_conditions};
use crate::world::workloads::{POD_AGE, REVISION_HASH, pod_of, revision_of, start_on, template_hash};
use crate::world::{CLUSTER_AGE, Draft, Plan};

/// Where Kube-OVN lives.
pub(crate) const NAMESPACE: &str = "kube-system";
/// The label of the nodes that ovn-central may run on.
pub(crate) const ROLE: &str = "kube-ovn/role";
/// The Deployment, its label `app` and its container.
pub(crate) const CENTRAL: &str = "ovn-central";
/// The labels that a leader gives its own pod, and that `kubectl ko` and the Services go by.
const LEADERS: [&str; 3] = ["ovn-nb-leader", "ovn-northd-leader", "ovn-sb-leader"];
/// The Kubernetes release.
pub(crate) const KUBELET: &str = "v1.31.4";

/// A Deployment or DaemonSet to be.
struct Part {
    name: &'static str,
    app: &'static str,
    template: Value,
}

/// Everything, in the order in which owners come before what they own.
pub(crate) fn drafts(plan: &mut Plan<'_>, kube_ovn: &KubeOvnShape) -> Vec<Draft> {
    let nodes = kube_ovn.nodes(plan.shape);
    let members = kube_ovn.member_nodes(plan.shape);
    let mut all: Vec<Draft> = ["default", "kube-node-lease", "kube-public", NAMESPACE].map(namespace).into();
    for (index, (node, address)) in nodes.iter().enumerate() {
        let joined = i64::try_from(index).unwrap_or(0) * 7;
        let object = node_object(plan, node, *address, members.iter().any(|(member, _)| member == node));
        all.push(Draft::new(NODES, object).aged(CLUSTER_AGE - TimeDelta::minutes(joined)));
    }
    let listed: Vec<String> = members.iter().map(|(_, address)| address.to_string()).collect();
    let listed = listed.join(",");
    let control_plane = nodes.iter().take(plan.shape.control_plane).cloned().collect::<Vec<_>>();
    all.extend(deployment(plan, &central(kube_ovn, &listed), (json!(0), json!(1)), &members));
    if let Some(last) = all.pop() {
        let labels: &[&str] = if kube_ovn.stale_leader_labels { &LEADERS } else { &[] };
        all.push(labels.iter().fold(last, |pod, label| pod.labelled(label, "true")));
    }
    let controller = client(kube_ovn, ("kube-ovn-controller", "kube-ovn-controller", "kube-ovn-controller"), &listed);
    all.extend(deployment(plan, &controller, (json!(0), json!("100%")), &control_plane));
    if kube_ovn.monitor {
        let monitor = client(kube_ovn, ("kube-ovn-monitor", "kube-ovn-monitor", "kube-ovn-monitor"), &listed);
        all.extend(deployment(plan, &monitor, (json!(1), json!(1)), control_plane.get(..1).unwrap_or_default()));
    }
    all.extend(daemons(plan, &vswitch(kube_ovn, &listed), &strategy(kube_ovn), &nodes));
    let cni = json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 0, "maxUnavailable": 1 } });
    all.extend(daemons(plan, &agent(kube_ovn), &cni, &nodes));
    all
}

fn strategy(kube_ovn: &KubeOvnShape) -> Value {
    if kube_ovn.is_on_delete() {
        return json!({ "type": "OnDelete" });
    }
    json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } })
}

fn namespace(name: &str) -> Draft {
    let object = json!({ "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
        "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" } });
    Draft::new(NAMESPACES, object)
}

fn node_object(plan: &mut Plan<'_>, node: &str, address: Ipv4Addr, member: bool) -> Value {
    let mut labels = json!({ "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": node });
    if node.starts_with("control-plane-") {
        labels["node-role.kubernetes.io/control-plane"] = json!("");
    }
    if member {
        labels[ROLE] = json!("master");
    }
    let mut object = json!({
        "metadata": { "name": node, "labels": labels },
        "spec": {},
        "status": {
            "addresses": [{ "type": "InternalIP", "address": address }, { "type": "Hostname", "address": node }],
            "capacity": capacity(plan.shape.node_size), "allocatable": allocatable(plan.shape.node_size),
            "daemonEndpoints": { "kubeletEndpoint": { "Port": 10250 } },
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux", "kernelVersion": "6.1.0-28-amd64",
                "containerRuntimeVersion": "containerd://1.7.24", "kubeProxyVersion": KUBELET, "kubeletVersion": KUBELET,
                "osImage": "Debian GNU/Linux 12 (bookworm)", "machineID": plan.rng.uuid().simple().to_string(),
                "systemUUID": plan.rng.uuid().to_string(), "bootID": plan.rng.uuid().to_string(),
            },
        },
    });
    kubelet_conditions(&mut object, plan.now);
    object
}

/// A template of one container on the host's network.
fn template(kube_ovn: &KubeOvnShape, (app, container): (&str, &str), env: &Value, mounts: &[(&str, &str, &str)]) -> Value {
    let volumes: Vec<Value> =
        mounts.iter().map(|(name, path, _)| json!({ "name": name, "hostPath": { "path": path } })).collect();
    let mounted: Vec<Value> = mounts.iter().map(|(name, _, at)| json!({ "name": name, "mountPath": at })).collect();
    json!({
        "metadata": { "labels": { "app": app, "component": "network", "type": "infra" } },
        "spec": {
            "hostNetwork": true, "priorityClassName": "system-cluster-critical", "serviceAccountName": "ovn",
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "nodeSelector": { "kubernetes.io/os": "linux" },
            "tolerations": [{ "effect": "NoSchedule", "operator": "Exists" }, { "effect": "NoExecute", "operator": "Exists" }],
            "containers": [{ "name": container, "image": kube_ovn.image(), "imagePullPolicy": "IfNotPresent", "env": env,
                "resources": { "requests": { "cpu": "200m", "memory": "200Mi" } }, "volumeMounts": mounted }],
            "volumes": volumes,
        },
    })
}

/// Servers that are told to end do so within seconds.
const GRACE_SECONDS: u64 = 5;

fn apart(template: &mut Value, app: &str) {
    template["spec"]["affinity"] = json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [
        { "labelSelector": { "matchLabels": { "app": app } }, "topologyKey": "kubernetes.io/hostname" }] } });
}

fn central(kube_ovn: &KubeOvnShape, listed: &str) -> Part {
    let field =
        |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": path } } });
    let env = json!([
        { "name": "ENABLE_SSL", "value": "false" },
        { "name": "NODE_IPS", "value": listed },
        field("POD_IP", "status.podIP"),
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        { "name": "OVN_LEADER_PROBE_INTERVAL", "value": "5" },
    ]);
    let mounts = [("host-run-ovn", "/run/ovn", "/var/run/ovn"), ("host-config-ovn", "/etc/origin/ovn", "/etc/ovn")];
    let mut template = template(kube_ovn, (CENTRAL, CENTRAL), &env, &mounts);
    apart(&mut template, CENTRAL);
    template["spec"]["nodeSelector"][ROLE] = json!("master");
    let container = &mut template["spec"]["containers"][0];
    container["command"] = json!(["bash", "/kube-ovn/start-db.sh"]);
    container["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
    container["readinessProbe"] =
        json!({ "exec": { "command": ["bash", "/kube-ovn/ovn-healthcheck.sh"] }, "periodSeconds": 15, "timeoutSeconds": 45 });
    Part { name: CENTRAL, app: CENTRAL, template }
}

/// A Deployment that is told where the databases are.
fn client(kube_ovn: &KubeOvnShape, (name, app, container): (&'static str, &'static str, &str), listed: &str) -> Part {
    let env = json!([{ "name": "ENABLE_SSL", "value": "false" }, { "name": "OVN_DB_IPS", "value": listed }]);
    let mut template = template(kube_ovn, (app, container), &env, &[("kube-ovn-log", "/var/log/kube-ovn", "/var/log/kube-ovn")]);
    apart(&mut template, app);
    Part { name, app, template }
}

fn vswitch(kube_ovn: &KubeOvnShape, listed: &str) -> Part {
    let env = json!([{ "name": "ENABLE_SSL", "value": "false" }, { "name": "HW_OFFLOAD", "value": "false" },
        { "name": "OVN_DB_IPS", "value": listed }]);
    let mounts = [
        ("host-config-openvswitch", "/etc/origin/openvswitch", "/etc/openvswitch"),
        ("host-config-ovn", "/etc/origin/ovn", "/etc/ovn"),
    ];
    Part { name: "ovs-ovn", app: "ovs", template: template(kube_ovn, ("ovs", "openvswitch"), &env, &mounts) }
}

fn agent(kube_ovn: &KubeOvnShape) -> Part {
    let env = json!([{ "name": "ENABLE_SSL", "value": "false" }]);
    let template = template(kube_ovn, ("kube-ovn-cni", "cni-server"), &env, &[]);
    Part { name: "kube-ovn-cni", app: "kube-ovn-cni", template }
}

/// A Deployment, its replica set and its pods, one on each of these nodes.
fn deployment(
    plan: &mut Plan<'_>,
    part: &Part,
    (surge, unavailable): (Value, Value),
    nodes: &[(String, Ipv4Addr)],
) -> Vec<Draft> {
    let Part { name: deployment, app, template } = part;
    let replicas = nodes.len();
    let selector = json!({ "matchLabels": { "app": app } });
    let counts =
        json!({ "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas, "observedGeneration": 1 });
    let mut status = counts.clone();
    status["updatedReplicas"] = json!(replicas);
    let object = json!({
        "metadata": { "name": deployment, "namespace": NAMESPACE, "labels": { "app": app },
            "annotations": { "deployment.kubernetes.io/revision": "1" } },
        "spec": { "replicas": replicas, "selector": selector, "template": template, "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable } } },
        "status": status,
    });
    let set = revision_of(&object, &counts, 1);
    let set_name = name(&set).to_owned();
    let hashed = set["spec"]["template"].clone();
    let mut all =
        vec![Draft::new(DEPLOYMENTS, object), Draft::new(REPLICASETS, set).owned_by(&DEPLOYMENTS, NAMESPACE, deployment)];
    for (node, address) in nodes {
        let mut pod = pod_of(&hashed, NAMESPACE, &format!("{set_name}-{}", plan.rng.suffix()));
        start_on(&mut pod, node, &address.to_string(), &plan.ago(POD_AGE));
        all.push(Draft::new(PODS, pod).owned_by(&REPLICASETS, NAMESPACE, &set_name).aged(POD_AGE));
    }
    all
}

/// A DaemonSet with its pods, one on every node.
fn daemons(plan: &mut Plan<'_>, part: &Part, strategy: &Value, nodes: &[(String, Ipv4Addr)]) -> Vec<Draft> {
    let Part { name: set, app, template } = part;
    let count = nodes.len();
    let object = json!({
        "metadata": { "name": set, "namespace": NAMESPACE, "labels": { "app": app } },
        "spec": { "selector": { "matchLabels": { "app": app } }, "template": template, "updateStrategy": strategy,
            "revisionHistoryLimit": 10 },
        "status": { "currentNumberScheduled": count, "desiredNumberScheduled": count, "numberAvailable": count,
            "numberMisscheduled": 0, "numberReady": count, "updatedNumberScheduled": count, "observedGeneration": 1 },
    });
    let mut hashed = template.clone();
    hashed["metadata"]["labels"][REVISION_HASH] = json!(template_hash(template));
    let mut all = vec![Draft::new(DAEMONSETS, object)];
    for (node, address) in nodes {
        let mut pod = pod_of(&hashed, NAMESPACE, &format!("{set}-{}", plan.rng.suffix()));
        start_on(&mut pod, node, &address.to_string(), &plan.ago(POD_AGE));
        all.push(Draft::new(PODS, pod).owned_by(&DAEMONSETS, NAMESPACE, set).aged(POD_AGE));
    }
    all
}
