//! Nodes, the machines under them, and the health checks that watch them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::graph::Release;
use super::json::{Said, set_condition};
use super::shape::{ClusterShape, NodeSize};
use super::{Draft, Plan, pools};
use crate::clock::rfc3339;
use crate::rng::Rng;
use crate::store::resources::{MACHINEHEALTHCHECKS, MACHINES, MACHINESETS, NODEHEALTHCHECKS, NODES};

/// Prefix of the machine-config operator's annotations.
pub(crate) const MCO: &str = "machineconfiguration.openshift.io/";
/// The namespace of machines.
pub(crate) const MACHINE_API: &str = "openshift-machine-api";
/// The annotation whose presence pauses a health check.
pub const HEALTH_CHECK_PAUSED: &str = "cluster.x-k8s.io/paused";
/// Keeps a machine until its node is gone.
pub(crate) const MACHINE_FINALIZER: &str = "machine.machine.openshift.io";

const REGION: &str = "us-east-2";
const ZONES: [&str; 3] = ["us-east-2a", "us-east-2b", "us-east-2c"];

/// One node to be.
pub(crate) struct NodePlan<'a> {
    pub(crate) name: &'a str,
    pub(crate) pool: &'a str,
    pub(crate) index: usize,
    pub(crate) machine: &'a str,
    pub(crate) config: &'a str,
    pub(crate) release: &'a Release,
    pub(crate) now: DateTime<Utc>,
    pub(crate) shape: &'a ClusterShape,
}

/// The key of one of the machine-config operator's annotations.
pub(crate) fn mco(key: &str) -> String {
    format!("{MCO}{key}")
}

/// The zone of the nth node of a pool.
pub(crate) fn zone(index: usize) -> &'static str {
    ZONES[index % ZONES.len()]
}

/// The machine set of a pool in a zone.
pub(crate) fn machine_set(infra: &str, pool: &str, zone: &str) -> String {
    format!("{infra}-{pool}-{zone}")
}

pub(super) fn drafts(plan: &mut Plan<'_>) -> Vec<Draft> {
    let mut all = vec![];
    let master = std::iter::once(("master".to_owned(), plan.shape.control_plane));
    let pools: Vec<(String, usize)> = master.chain(plan.shape.pools.iter().map(|p| (p.name.clone(), p.nodes))).collect();
    for (pool, count) in pools {
        all.extend(machine_sets(plan, &pool, count));
        let config = pools::initial_rendered(plan, &pool);
        for index in 0..count {
            let name = format!("{pool}-{index}");
            let set = machine_set(&plan.infra, &pool, zone(index));
            let machine =
                if pool == "master" { format!("{}-master-{index}", plan.infra) } else { format!("{set}-{}", plan.rng.suffix()) };
            let node = NodePlan {
                name: &name,
                pool: &pool,
                index,
                machine: &machine,
                config: &config,
                release: &plan.release,
                now: plan.now,
                shape: plan.shape,
            };
            let machine = Draft::new(MACHINES, machine_object(&node));
            all.push(if pool == "master" { machine } else { machine.owned_by(&MACHINESETS, MACHINE_API, &set) });
            let object = node_object(&node, &mut plan.rng);
            // The order in which nodes joined is the order in which they are updated.
            let joined = i64::try_from(index).unwrap_or(0) * 7;
            all.push(Draft::new(NODES, object).aged(super::CLUSTER_AGE - TimeDelta::minutes(joined)));
        }
    }
    all.extend(health_checks(plan));
    all
}

fn machine_sets(plan: &Plan<'_>, pool: &str, count: usize) -> Vec<Draft> {
    if pool == "master" {
        return vec![];
    }
    let set = |(position, zone): (usize, &&str)| {
        let replicas = (0..count).filter(|i| i % ZONES.len() == position).count();
        let name = machine_set(&plan.infra, pool, zone);
        let labels = json!({ "machine.openshift.io/cluster-api-machineset": name });
        Draft::new(
            MACHINESETS,
            json!({
                "metadata": { "name": name, "namespace": MACHINE_API,
                    "labels": { "machine.openshift.io/cluster-api-cluster": plan.infra } },
                "spec": { "replicas": replicas, "selector": { "matchLabels": labels }, "template": { "metadata": { "labels": labels } } },
                "status": { "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
                    "fullyLabeledReplicas": replicas, "observedGeneration": 1 },
            }),
        )
    };
    ZONES.iter().enumerate().map(set).collect()
}

/// A running machine.
pub(crate) fn machine_object(node: &NodePlan<'_>) -> Value {
    let role = if node.pool == "master" { "master" } else { "worker" };
    let mut labels = json!({
        "machine.openshift.io/cluster-api-machine-role": role,
        "machine.openshift.io/cluster-api-machine-type": role,
        "machine.openshift.io/region": REGION,
        "machine.openshift.io/zone": zone(node.index),
        "machine.openshift.io/instance-type": "m6i.2xlarge",
    });
    if role == "worker" {
        let set = node.machine.rsplit_once('-').map_or(node.machine, |(set, _)| set);
        labels["machine.openshift.io/cluster-api-machineset"] = json!(set);
    }
    json!({
        "metadata": { "name": node.machine, "namespace": MACHINE_API, "labels": labels, "finalizers": [MACHINE_FINALIZER],
            "annotations": { "machine.openshift.io/instance-state": "running" } },
        "spec": { "lifecycleHooks": {}, "metadata": {}, "providerID": format!("aws:///{}/{}", zone(node.index), node.machine) },
        "status": { "phase": "Running", "lastUpdated": rfc3339(node.now), "nodeRef": { "kind": "Node", "name": node.name },
            "addresses": [{ "type": "Hostname", "address": node.name }] },
    })
}

/// A node that is ready and at its target.
pub(crate) fn node_object(node: &NodePlan<'_>, rng: &mut Rng) -> Value {
    let uncordon = format!("uncordon-{}", node.config);
    let mut object = json!({
        "metadata": {
            "name": node.name,
            "labels": labels(node),
            "annotations": {
                "machine.openshift.io/machine": format!("{MACHINE_API}/{}", node.machine),
                mco("controlPlaneTopology"): node.shape.topology(),
                mco("currentConfig"): node.config, mco("desiredConfig"): node.config,
                mco("desiredDrain"): uncordon, mco("lastAppliedDrain"): uncordon,
                mco("lastSyncedControllerConfigResourceVersion"): "24893",
                mco("reason"): "", mco("state"): "Done",
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            },
        },
        "spec": { "providerID": format!("aws:///{}/{}", zone(node.index), node.machine) },
        "status": {
            "addresses": [
                { "type": "InternalIP", "address": address(node.pool, node.index) },
                { "type": "Hostname", "address": node.name },
            ],
            "capacity": capacity(node.shape.node_size),
            "allocatable": allocatable(node.shape.node_size),
            "daemonEndpoints": { "kubeletEndpoint": { "Port": 10250 } },
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux", "kernelVersion": "5.14.0-427.42.1.el9_4.x86_64",
                "containerRuntimeVersion": "cri-o://1.29.10-3.rhaos4.16.git319967e.el9", "kubeProxyVersion": "",
                "machineID": rng.uuid().simple().to_string(), "systemUUID": rng.uuid().to_string(), "bootID": rng.uuid().to_string(),
            },
        },
    });
    if node.pool == "master" && node.shape.workers() > 0 {
        object["spec"]["taints"] = json!([{ "key": "node-role.kubernetes.io/master", "effect": "NoSchedule" }]);
    }
    install(&mut object, node.release);
    kubelet_conditions(&mut object, node.now);
    object
}

/// MiB that the system keeps for itself.
const RESERVED_MIB: u64 = 1124;

pub(crate) fn capacity(size: NodeSize) -> Value {
    json!({ "cpu": size.cpus.to_string(), "ephemeral-storage": "125238252Ki", "memory": format!("{}Ki", size.memory_gib * 1024 * 1024),
        "pods": size.pods.to_string() })
}

pub(crate) fn allocatable(size: NodeSize) -> Value {
    let memory = (size.memory_gib * 1024).saturating_sub(RESERVED_MIB) * 1024;
    json!({ "cpu": format!("{}m", (size.cpus * 1000).saturating_sub(500)), "ephemeral-storage": "114345831029",
        "memory": format!("{memory}Ki"), "pods": size.pods.to_string() })
}

/// Makes a node run the kubelet and the operating system of a release.
pub(crate) fn install(node: &mut Value, release: &Release) {
    let info = &mut node["status"]["nodeInfo"];
    info["kubeletVersion"] = json!(release.kubelet());
    info["kubeProxyVersion"] = json!(release.kubelet());
    info["osImage"] = json!(release.os_image());
}

/// The conditions of a node whose kubelet speaks.
pub(crate) fn kubelet_conditions(node: &mut Value, now: DateTime<Utc>) {
    for (kind, reason, message) in [
        ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ] {
        set_condition(node, kind, &Said::new("False", reason, message), now);
    }
    set_condition(node, "Ready", &Said::new("True", "KubeletReady", "kubelet is posting ready status"), now);
    beat(node, now);
}

/// Stamps the heartbeat of every condition.
pub(crate) fn beat(node: &mut Value, now: DateTime<Utc>) {
    for condition in node["status"]["conditions"].as_array_mut().into_iter().flatten() {
        condition["lastHeartbeatTime"] = json!(rfc3339(now));
    }
}

fn labels(node: &NodePlan<'_>) -> Value {
    let mut labels = json!({
        "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": node.name,
        "node.kubernetes.io/instance-type": "m6i.2xlarge", "node.openshift.io/os_id": "rhel",
        "topology.kubernetes.io/region": REGION, "topology.kubernetes.io/zone": zone(node.index),
    });
    let roles: &[&str] = match node.pool {
        // Without workers, the control plane takes their part.
        "master" if node.shape.workers() == 0 => &["control-plane", "master", "worker"],
        "master" => &["control-plane", "master"],
        "worker" => &["worker"],
        custom => &["worker", custom],
    };
    for role in roles {
        labels[format!("node-role.kubernetes.io/{role}")] = json!("");
    }
    labels
}

/// A node's internal address; empty if it tells none.
pub(crate) fn address_of(node: &Value) -> &str {
    let addresses = node["status"]["addresses"].as_array().into_iter().flatten();
    addresses.filter(|a| a["type"] == "InternalIP").find_map(|a| a["address"].as_str()).unwrap_or_default()
}

fn address(pool: &str, index: usize) -> String {
    let subnet = blake3::hash(pool.as_bytes()).as_bytes()[0] % 96;
    format!("10.0.{}.{}", usize::from(subnet) + index / 250, 4 + index % 250)
}

fn health_checks(plan: &Plan<'_>) -> Vec<Draft> {
    let mut all: Vec<Draft> = plan.shape.node_health_checks.then(node_health_check).into_iter().collect();
    let Some(minutes) = plan.shape.health_check_minutes else { return all };
    let timeout = format!("{}s", minutes * 60);
    let check = |name: &str, selector: Value, conditions: Value, most: &str, workers: usize| {
        let spec =
            json!({ "selector": selector, "unhealthyConditions": conditions, "maxUnhealthy": most, "nodeStartupTimeout": "10m" });
        let status = json!({ "expectedMachines": workers, "currentHealthy": workers, "remediationsAllowed": workers });
        Draft::new(
            MACHINEHEALTHCHECKS,
            json!({ "metadata": { "name": name, "namespace": MACHINE_API }, "spec": spec, "status": status }),
        )
    };
    let role = json!({ "matchLabels": { "machine.openshift.io/cluster-api-machine-role": "worker" } });
    let unready = ["False", "Unknown"].map(|status| json!({ "type": "Ready", "status": status, "timeout": timeout }));
    all.extend([
        check("worker-health", role, json!(unready), "40%", plan.shape.workers()),
        // Comes with the platform and watches spot instances only; it is never paused.
        check(
            "machine-api-termination-handler",
            json!({ "matchLabels": { "machine.openshift.io/interruptible-instance": "" } }),
            json!([{ "type": "Terminating", "status": "True", "timeout": "0s" }]),
            "100%",
            0,
        ),
    ]);
    all
}

fn node_health_check() -> Draft {
    let workers = json!({ "matchExpressions": [{ "key": "node-role.kubernetes.io/worker", "operator": "Exists" },
        { "key": "node-role.kubernetes.io/master", "operator": "DoesNotExist" }] });
    let unready = ["False", "Unknown"].map(|status| json!({ "type": "Ready", "status": status, "duration": "300s" }));
    let template = json!({ "apiVersion": "self-node-remediation.medik8s.io/v1alpha1", "kind": "SelfNodeRemediationTemplate",
        "namespace": "openshift-workload-availability", "name": "self-node-remediation-automatic-strategy-template" });
    let spec =
        json!({ "selector": workers, "unhealthyConditions": unready, "minHealthy": "51%", "remediationTemplate": template });
    Draft::new(
        NODEHEALTHCHECKS,
        json!({ "metadata": { "name": "worker-nodes" }, "spec": spec, "status": { "phase": "Enabled" } }),
    )
}
