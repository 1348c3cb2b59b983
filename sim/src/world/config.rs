//! Namespaces, configuration, credentials and certificates.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::graph::parse;
use super::operators::OPERATORS;
use super::shape::{NetworkPlugin, Platform};
use super::{Draft, Plan};
use crate::store::resources::{APIREQUESTCOUNTS, CLUSTERSERVICEVERSIONS, CONFIGMAPS, INFRASTRUCTURES, NAMESPACES, SECRETS};

/// The namespace and name of the signer that kubelets trust the API server by.
pub(crate) const SIGNER: (&str, &str) = ("openshift-kube-apiserver-operator", "kube-apiserver-to-kubelet-signer");
/// The ConfigMap that tells the machine-config operator its release.
pub(crate) const MCO_IMAGES: (&str, &str) = ("openshift-machine-config-operator", "machine-config-operator-images");
/// The ConfigMap of gates.
pub(crate) const ADMIN_GATES: (&str, &str) = ("openshift-config-managed", "admin-gates");
/// The ConfigMap of acknowledgements.
pub(crate) const ADMIN_ACKS: (&str, &str) = ("openshift-config", "admin-acks");
/// The days that a signer lives.
pub(crate) const SIGNER_LIFE_DAYS: i64 = 365;

pub(super) fn namespaces(network: NetworkPlugin) -> Vec<Draft> {
    // A plugin that does not connect the pods has none.
    let absent = |name: &str| NetworkPlugin::ALL.iter().any(|plugin| *plugin != network && plugin.daemon_set().0 == name);
    let platform = OPERATORS.iter().flat_map(|o| o.namespaces.iter().copied()).filter(|name| !absent(name));
    let others =
        ["default", "kube-system", "openshift", "openshift-config", "openshift-config-managed", "openshift-cluster-version"];
    let mut names: Vec<&str> = platform.chain(others).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(namespace).collect()
}

/// A namespace.
pub(super) fn namespace(name: &str) -> Draft {
    let labels = json!({ "kubernetes.io/metadata.name": name });
    let object = json!({ "metadata": { "name": name, "labels": labels }, "spec": { "finalizers": ["kubernetes"] },
        "status": { "phase": "Active" } });
    Draft::new(NAMESPACES, object)
}

pub(super) fn drafts(plan: &mut Plan<'_>) -> Vec<Draft> {
    let mut all = vec![infrastructure(plan), signer(plan), install_config()];
    all.extend(super::network::drafts(plan));
    all.extend(super::access::drafts(plan));
    all.push(config_map(MCO_IMAGES, &json!({ "releaseVersion": plan.release.version })));
    all.push(config_map(ADMIN_GATES, &gates(plan.shape, parse(&plan.release.version).minor)));
    all.push(config_map(ADMIN_ACKS, &json!({})));
    all.extend(plan.shape.removed_apis.iter().map(|api| {
        let status = json!({
            "removedInRelease": api.removed_in, "requestCount": api.requests,
            "currentHour": { "requestCount": api.requests / 24, "byNode": [] },
            "last24h": [{ "requestCount": api.requests, "byNode": [{ "nodeName": "master-0", "requestCount": api.requests,
                "byUser": [{ "username": api.user, "userAgent": "traffic-shaper/v0.3", "requestCount": api.requests,
                    "byVerb": [{ "verb": "list", "requestCount": api.requests }] }] }] }],
        });
        Draft::new(
            APIREQUESTCOUNTS,
            json!({ "metadata": { "name": api.name }, "spec": { "numberOfUsersToReport": 10 }, "status": status }),
        )
    }));
    for op in &plan.shape.installed_operators {
        let properties = op.max_openshift.iter().map(|max| json!({ "type": "olm.maxOpenShiftVersion", "value": max }));
        let properties = Value::Array(properties.collect()).to_string();
        all.push(namespace(&op.namespace));
        all.push(Draft::new(
            CLUSTERSERVICEVERSIONS,
            json!({
                "metadata": { "name": op.name, "namespace": op.namespace, "annotations": { "olm.properties": properties } },
                "spec": { "displayName": op.name, "version": op.name.split_once(".v").map_or("1.0.0", |(_, v)| v) },
                "status": { "phase": "Succeeded", "reason": "InstallSucceeded" },
            }),
        ));
    }
    all
}

/// `data` of the gates that a minor version's payload brings.
pub(crate) fn gates(shape: &super::shape::ClusterShape, minor: u64) -> Value {
    let pairs = shape.admin_gates.iter().filter(|g| g.minor == minor);
    Value::Object(pairs.map(|g| (g.key.clone(), json!(g.text))).collect())
}

fn config_map((namespace, name): (&str, &str), data: &Value) -> Draft {
    Draft::new(CONFIGMAPS, json!({ "metadata": { "name": name, "namespace": namespace }, "data": data }))
}

fn install_config() -> Draft {
    config_map(
        ("kube-system", "cluster-config-v1"),
        &json!({ "install-config": "metadata:\n  name: harbour\nnetworking:\n  machineNetwork:\n  - cidr: 10.0.0.0/16\n" }),
    )
}

fn infrastructure(plan: &Plan<'_>) -> Draft {
    let topology = plan.shape.topology();
    let platform = plan.shape.platform.name();
    let mut platform_status = json!({ "type": platform });
    let mut platform_spec = json!({ "type": platform });
    if plan.shape.platform == Platform::Aws {
        platform_status["aws"] = json!({ "region": "us-east-2" });
        platform_spec["aws"] = json!({});
    }
    let status = json!({
        "infrastructureName": plan.infra, "platform": platform, "platformStatus": platform_status,
        "controlPlaneTopology": topology, "infrastructureTopology": "HighlyAvailable", "cpuPartitioning": "None",
        "apiServerURL": "https://api.harbour.example.com:6443", "apiServerInternalURI": "https://api-int.harbour.example.com:6443",
        "etcdDiscoveryDomain": "",
    });
    let spec = json!({ "platformSpec": platform_spec, "cloudConfig": { "name": "" } });
    Draft::new(INFRASTRUCTURES, json!({ "metadata": { "name": "cluster" }, "spec": spec, "status": status }))
}

fn signer(plan: &Plan<'_>) -> Draft {
    let (namespace, name) = SIGNER;
    let annotations = signer_annotations(plan.now + TimeDelta::days(plan.shape.signer_days));
    let object = json!({
        "metadata": { "name": name, "namespace": namespace, "annotations": annotations },
        "type": "SecretTypeTLS", "data": { "tls.crt": "", "tls.key": "" },
    });
    Draft::new(SECRETS, object)
}

/// The annotations of a signer that ends at `end`.
pub(crate) fn signer_annotations(end: chrono::DateTime<chrono::Utc>) -> Value {
    let start = end - TimeDelta::days(SIGNER_LIFE_DAYS);
    json!({
        "auth.openshift.io/certificate-issuer": "openshift-kube-apiserver-operator_kube-apiserver-to-kubelet-signer",
        "auth.openshift.io/certificate-not-before": crate::clock::rfc3339(start),
        "auth.openshift.io/certificate-not-after": crate::clock::rfc3339(end),
    })
}
