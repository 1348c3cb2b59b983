//! Daemon sets, deployments, their pods and their disruption budgets.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::config::namespace;
use super::shape::{NetworkPlugin, PodRequests};
use super::{Draft, Plan, awkward};
use crate::clock::rfc3339;
use crate::store::resources::{DAEMONSETS, DEPLOYMENTS, PDBS, PODS, REPLICASETS};

/// Daemon sets of the platform beside the network's own: namespace and name.
const DAEMONS: [(&str, &str); 5] = [
    ("openshift-cluster-node-tuning-operator", "tuned"),
    ("openshift-dns", "dns-default"),
    ("openshift-machine-config-operator", "machine-config-daemon"),
    ("openshift-monitoring", "node-exporter"),
    ("openshift-multus", "multus"),
];

/// All daemon sets of a platform with this network.
fn daemons(plugin: NetworkPlugin) -> impl Iterator<Item = (&'static str, &'static str)> {
    DAEMONS.into_iter().chain([plugin.daemon_set()])
}

/// Static pods of a control-plane node: namespace and prefix of the name.
const STATIC_PODS: [(&str, &str); 4] = [
    ("openshift-etcd", "etcd"),
    ("openshift-kube-apiserver", "kube-apiserver"),
    ("openshift-kube-controller-manager", "kube-controller-manager"),
    ("openshift-kube-scheduler", "openshift-kube-scheduler"),
];

/// A deployment with its budget.
pub(crate) struct Workload {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) replicas: usize,
    /// The role of the nodes that it runs on.
    pub(crate) role: String,
    /// Seconds that its pods take to end.
    pub(crate) grace: u64,
    /// What each pod asks for.
    pub(crate) requests: PodRequests,
    /// `spec` of its budget without the selector, when it has one.
    pub(crate) budget: Option<Value>,
}

pub(super) fn drafts(plan: &mut Plan<'_>) -> Vec<Draft> {
    let nodes = nodes_by_role(plan);
    let compact = plan.shape.workers() == 0;
    let mut all = vec![];
    for (ns, name) in daemons(plan.shape.network) {
        all.push(daemon_set(ns, name, nodes.iter().map(|(_, n)| n.len()).sum()));
        for node in nodes.iter().flat_map(|(_, nodes)| nodes) {
            let pod = daemon_pod(plan, ns, name, node);
            all.push(pod);
        }
    }
    let masters = nodes.iter().filter(|(role, _)| role == "master").flat_map(|(_, n)| n);
    all.extend(masters.flat_map(|node| STATIC_PODS.map(|(ns, name)| static_pod(plan, ns, name, node))));
    for workload in workloads(plan) {
        if !workload.namespace.starts_with("openshift-") {
            all.push(namespace(&workload.namespace));
        }
        let candidates: Vec<&String> =
            nodes.iter().filter(|(role, _)| role_runs_on(&workload.role, role, compact)).flat_map(|(_, n)| n).collect();
        all.extend(deployment_drafts(plan, &workload, &candidates));
    }
    let homes: Vec<&String> =
        nodes.iter().filter(|(role, _)| role_runs_on("worker", role, compact)).flat_map(|(_, n)| n).collect();
    all.extend(awkward::drafts(plan, &homes));
    // Several applications share a namespace.
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|d| d.resource != crate::store::resources::NAMESPACES || seen.insert(super::json::name(&d.object).to_owned()));
    all
}

/// Whether pods for `wanted` run on nodes of pool `pool`: a custom pool's nodes are workers, too, and so is the control plane of a
/// `compact` cluster.
fn role_runs_on(wanted: &str, pool: &str, compact: bool) -> bool {
    wanted == pool || (wanted == "worker" && (pool != "master" || compact))
}

fn nodes_by_role(plan: &Plan<'_>) -> Vec<(String, Vec<String>)> {
    let master = ("master".to_owned(), plan.shape.control_plane);
    let pools = std::iter::once(master).chain(plan.shape.pools.iter().map(|p| (p.name.clone(), p.nodes)));
    pools.map(|(pool, n)| (pool.clone(), (0..n).map(|i| format!("{pool}-{i}")).collect())).collect()
}

fn workloads(plan: &Plan<'_>) -> Vec<Workload> {
    let workers = if plan.shape.workers() == 0 { plan.shape.control_plane } else { plan.shape.workers() };
    let has_infra = plan.shape.pools.iter().any(|p| p.name == "infra" && p.nodes > 1);
    let infra = if has_infra { "infra" } else { "worker" };
    let two = workers.min(2);
    let platform = |ns: &str, name: &str, replicas: usize, role: &str, grace: u64, budget: Option<Value>| Workload {
        namespace: ns.into(),
        name: name.into(),
        replicas,
        role: role.into(),
        grace,
        requests: PodRequests::default(),
        budget: budget.filter(|_| replicas > 1),
    };
    let one_away = || Some(json!({ "maxUnavailable": 1 }));
    let masters = plan.shape.control_plane;
    let mut all = vec![
        platform("openshift-console", "console", masters.min(2), "master", 20, one_away()),
        platform("openshift-authentication", "oauth-openshift", masters.min(2), "master", 25, one_away()),
        platform("openshift-apiserver", "apiserver", masters.min(2), "master", 30, one_away()),
        platform("openshift-ingress", "router-default", two, infra, 45, Some(json!({ "maxUnavailable": "50%" }))),
        platform("openshift-image-registry", "image-registry", two, infra, 25, Some(json!({ "minAvailable": 1 }))),
        platform("openshift-monitoring", "thanos-querier", two, infra, 20, one_away()),
        platform("openshift-monitoring", "prometheus-adapter", two, infra, 10, Some(json!({ "minAvailable": 1 }))),
    ];
    // Applications of four replicas, two of them with a budget, until the nodes hold what the shape asks for.
    let pods = plan.shape.workloads_per_node * workers;
    for i in 0..pods.div_ceil(APP_REPLICAS) {
        let budget = match i % 4 {
            0 => Some(json!({ "minAvailable": 3 })),
            1 => Some(json!({ "maxUnavailable": "25%" })),
            _ => None,
        };
        all.push(Workload {
            namespace: format!("shop-{}", i / 4),
            name: ["web", "api", "cart", "search"][i % 4].into(),
            replicas: APP_REPLICAS.min(pods - i * APP_REPLICAS),
            role: "worker".into(),
            grace: 10 + (i as u64 % 3) * 10,
            requests: plan.shape.pod_requests,
            budget,
        });
    }
    all.retain(|w| w.replicas > 0);
    all
}

const APP_REPLICAS: usize = 4;

fn daemon_set(ns: &str, name: &str, nodes: usize) -> Draft {
    let mut object = daemon_set_object(ns, name);
    object["status"] = json!({ "currentNumberScheduled": nodes, "desiredNumberScheduled": nodes, "numberAvailable": nodes, "numberMisscheduled": 0,
        "numberReady": nodes, "updatedNumberScheduled": nodes, "observedGeneration": 1 });
    Draft::new(DAEMONSETS, object)
}

/// A daemon set of the platform, without a status: on every node, a tenth of its pods exchanged at a time.
pub(crate) fn daemon_set_object(ns: &str, name: &str) -> Value {
    json!({
        "metadata": { "name": name, "namespace": ns, "labels": { "app": name } },
        "spec": { "selector": { "matchLabels": { "app": name } }, "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": "10%" } },
            "template": daemon_template(name) },
    })
}

fn daemon_template(name: &str) -> Value {
    json!({ "metadata": { "labels": { "app": name } }, "spec": { "containers": containers(name, PodRequests::default()), "tolerations": [{ "operator": "Exists" }] } })
}

fn daemon_pod(plan: &mut Plan<'_>, ns: &str, name: &str, node: &str) -> Draft {
    let mut pod = pod_object(ns, &format!("{name}-{}", plan.rng.suffix()), &json!({ "app": name }), name, 30);
    pod["metadata"]["labels"][REVISION_HASH] = json!(template_hash(&daemon_template(name)));
    pod["spec"]["tolerations"] = json!([{ "operator": "Exists" }]);
    start(&mut pod, node, &plan.ago(POD_AGE));
    Draft::new(PODS, pod).owned_by(&DAEMONSETS, ns, name).aged(POD_AGE)
}

/// A daemon set's pod on a node that joined.
pub(crate) fn daemon_pods(node: &str, plugin: NetworkPlugin) -> Vec<(&'static str, Value)> {
    let pod = |(ns, name): (&'static str, &'static str)| {
        let mut pod = pod_object(ns, "", &json!({ "app": name }), name, 30);
        pod["metadata"]["generateName"] = json!(format!("{name}-"));
        pod["metadata"]["labels"][REVISION_HASH] = json!(template_hash(&daemon_template(name)));
        pod["spec"]["tolerations"] = json!([{ "operator": "Exists" }]);
        pod["spec"]["nodeName"] = json!(node);
        (name, pod)
    };
    daemons(plugin).map(pod).collect()
}

fn static_pod(plan: &Plan<'_>, ns: &str, name: &str, node: &str) -> Draft {
    let mut pod = pod_object(ns, &format!("{name}-{node}"), &json!({ "app": name }), name, 30);
    pod["metadata"]["annotations"] = json!({ "kubernetes.io/config.mirror": "", "kubernetes.io/config.source": "file" });
    start(&mut pod, node, &plan.ago(POD_AGE));
    Draft::new(PODS, pod).aged(POD_AGE)
}

pub(crate) const POD_AGE: TimeDelta = TimeDelta::days(38);

/// The drafts of a deployment: itself, its replica set, its pods spread over `nodes`, its budget.
pub(super) fn deployment_drafts(plan: &mut Plan<'_>, workload: &Workload, nodes: &[&String]) -> Vec<Draft> {
    let ns = workload.namespace.as_str();
    let (deployment, set) = deployment_objects(workload);
    let set_name = super::json::name(&set).to_owned();
    let template = set["spec"]["template"].clone();
    let mut all =
        vec![Draft::new(DEPLOYMENTS, deployment), Draft::new(REPLICASETS, set).owned_by(&DEPLOYMENTS, ns, &workload.name)];
    let offset = usize::try_from(plan.rng.range(0..nodes.len().max(1) as u64)).unwrap_or(0);
    for i in 0..workload.replicas {
        let mut pod = pod_of(&template, ns, &format!("{set_name}-{}", plan.rng.suffix()));
        if !nodes.is_empty() {
            start(&mut pod, nodes[(offset + i) % nodes.len()], &plan.ago(POD_AGE));
        }
        all.push(Draft::new(PODS, pod).owned_by(&REPLICASETS, ns, &set_name).aged(POD_AGE));
    }
    all.extend(budget_object(workload, plan.now).map(|b| Draft::new(PDBS, b)));
    all
}

/// A deployment and its replica set, all replicas available.
pub(crate) fn deployment_objects(workload: &Workload) -> (Value, Value) {
    let Workload { namespace, name, replicas, role, grace, requests, .. } = workload;
    let labels = json!({ "app": name });
    let mut spec = json!({ "containers": containers(name, *requests), "terminationGracePeriodSeconds": grace,
        "nodeSelector": { format!("node-role.kubernetes.io/{role}"): "" } });
    if role == "master" {
        spec["tolerations"] = json!([{ "key": "node-role.kubernetes.io/master", "operator": "Exists" }]);
    }
    let status =
        json!({ "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas, "observedGeneration": 1 });
    let mut deployment = json!({
        "metadata": { "name": name, "namespace": namespace, "labels": labels, "annotations": { "deployment.kubernetes.io/revision": "1" } },
        "spec": { "replicas": replicas, "selector": { "matchLabels": labels }, "template": { "metadata": { "labels": labels }, "spec": spec } },
        "status": status,
    });
    deployment["status"]["updatedReplicas"] = json!(replicas);
    let hash = &blake3::hash(format!("{namespace}/{name}").as_bytes()).to_hex()[..9];
    let mut set = deployment.clone();
    set["metadata"] = json!({ "name": format!("{name}-{hash}"), "namespace": namespace, "labels": labels });
    set["status"] = status;
    (deployment, set)
}

/// The budget of a workload, its status filled in.
pub(crate) fn budget_object(workload: &Workload, now: DateTime<Utc>) -> Option<Value> {
    let mut spec = workload.budget.clone()?;
    spec["selector"] = json!({ "matchLabels": { "app": workload.name } });
    let mut object = json!({ "metadata": { "name": workload.name, "namespace": workload.namespace }, "spec": spec });
    crate::controllers::budgets::apply(&mut object, workload.replicas, workload.replicas, now);
    Some(object)
}

fn containers(name: &str, requests: PodRequests) -> Value {
    let requests = json!({ "cpu": format!("{}m", requests.cpu_millis), "memory": format!("{}Mi", requests.memory_mib) });
    json!([{ "name": name, "image": format!("quay.io/harbour/{name}:1.0"), "resources": { "requests": requests } }])
}

/// A pending pod of one container.
pub(super) fn pod_object(ns: &str, name: &str, labels: &Value, container: &str, grace: u64) -> Value {
    let spec = json!({ "containers": containers(container, PodRequests::default()), "terminationGracePeriodSeconds": grace, "restartPolicy": "Always" });
    json!({ "metadata": { "name": name, "namespace": ns, "labels": labels }, "spec": spec, "status": { "phase": "Pending" } })
}

/// A pending pod of a template.
pub(crate) fn pod_of(template: &Value, ns: &str, name: &str) -> Value {
    let mut spec = template["spec"].clone();
    spec["restartPolicy"] = json!("Always");
    json!({ "metadata": { "name": name, "namespace": ns, "labels": template["metadata"]["labels"] }, "spec": spec,
        "status": { "phase": "Pending" } })
}

/// The replica set of a deployment's template as it is now, not owned by it yet.
pub(crate) fn revision_of(deployment: &Value, status: &Value, revision: u64) -> Value {
    let template = &deployment["spec"]["template"];
    let hash = template_hash(template);
    let mut hashed = template.clone();
    hashed["metadata"]["labels"][TEMPLATE_HASH] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][TEMPLATE_HASH] = json!(hash);
    json!({
        "metadata": { "name": format!("{}-{hash}", super::json::name(deployment)), "namespace": super::json::namespace(deployment),
            "labels": hashed["metadata"]["labels"],
            "annotations": { DESIRED_REPLICAS: deployment["spec"]["replicas"].to_string(), REVISION: revision.to_string() } },
        "spec": { "replicas": deployment["spec"]["replicas"], "selector": selector, "template": hashed },
        "status": status,
    })
}

/// The label that tells the pods of one template from those of another.
pub(crate) const TEMPLATE_HASH: &str = "pod-template-hash";
/// The label that tells the pods of one template of a DaemonSet from those of another.
pub(crate) const REVISION_HASH: &str = "controller-revision-hash";
/// How many replicas the deployment asked for when its set was last scaled.
pub(crate) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// Which of a deployment's templates a set has, counted from 1.
pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";

/// Ten characters that differ between templates.
pub(crate) fn template_hash(template: &Value) -> String {
    blake3::hash(template.to_string().as_bytes()).to_hex()[..10].to_owned()
}

/// Makes a pod run on a node of this address since `at`; on the host's network, the address is the pod's, too.
pub(crate) fn start_on(pod: &mut Value, node: &str, address: &str, at: &str) {
    start(pod, node, at);
    pod["status"]["hostIP"] = json!(address);
    if pod["spec"]["hostNetwork"] == true {
        pod["status"]["podIP"] = json!(address);
    }
}

/// Makes a pod run on a node since `at`.
pub(crate) fn start(pod: &mut Value, node: &str, at: &str) {
    pod["spec"]["nodeName"] = json!(node);
    let name = pod["spec"]["containers"][0]["name"].clone();
    let image = pod["spec"]["containers"][0]["image"].clone();
    let condition = |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": at });
    let conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"].map(condition);
    pod["status"] = json!({
        "phase": "Running", "startTime": at, "hostIP": "10.0.0.1", "podIP": "10.128.0.1", "qosClass": "Burstable",
        "conditions": conditions,
        "containerStatuses": [{ "name": name, "image": image, "imageID": "", "ready": true, "started": true, "restartCount": 0,
            "state": { "running": { "startedAt": at } } }],
    });
}

/// Whether a pod is ready only when a probe in it passes.
pub(crate) fn is_probed(pod: &Value) -> bool {
    pod["spec"]["containers"].as_array().is_some_and(|all| all.iter().any(|c| !c["readinessProbe"].is_null()))
}

/// Marks a pod ready or not ready; says since when with `at`.
pub(crate) fn mark_ready(pod: &mut Value, ready: bool, at: DateTime<Utc>) {
    let status = if ready { "True" } else { "False" };
    for condition in pod["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if matches!(condition["type"].as_str(), Some("Ready" | "ContainersReady")) && condition["status"] != status {
            condition["status"] = json!(status);
            condition["lastTransitionTime"] = json!(rfc3339(at));
        }
    }
    for container in pod["status"]["containerStatuses"].as_array_mut().into_iter().flatten() {
        if ready && container["ready"] == false {
            container["restartCount"] = json!(container["restartCount"].as_u64().unwrap_or(0) + 1);
        }
        container["ready"] = json!(ready);
    }
}
