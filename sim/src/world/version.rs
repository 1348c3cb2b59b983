//! The ClusterVersion and the cluster operators.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::graph::Release;
use super::json::{Said, set_condition};
use super::operators::{OPERATORS, Operator};
use super::{CLUSTER_AGE, Draft, Plan};
use crate::store::resources::{CLUSTEROPERATORS, CLUSTERVERSIONS};

/// How long the installed release has been running.
const RELEASE_AGE: TimeDelta = TimeDelta::days(38);
/// The revision of static pods when the simulation starts.
pub(crate) const STATIC_REVISION: u64 = 11;

pub(super) fn drafts(plan: &mut Plan<'_>) -> Vec<Draft> {
    let version = Draft::new(CLUSTERVERSIONS, cluster_version(plan));
    let operators = OPERATORS.iter().map(|op| Draft::new(CLUSTEROPERATORS, cluster_operator(plan, op)));
    std::iter::once(version).chain(operators.map(|d| d.owned_by(&CLUSTERVERSIONS, "", "version"))).collect()
}

fn cluster_version(plan: &mut Plan<'_>) -> Value {
    let channel = plan.shape.channel.clone();
    let mut spec = json!({ "channel": channel, "clusterID": plan.rng.uuid().to_string() });
    if plan.shape.overrides {
        spec["overrides"] = json!([{ "group": "apps", "kind": "Deployment", "namespace": "openshift-network-operator", "name": "network-operator", "unmanaged": true }]);
    }
    let mut object = json!({
        "metadata": { "name": "version" },
        "spec": spec,
        "status": {
            "availableUpdates": null,
            "capabilities": { "enabledCapabilities": CAPABILITIES, "knownCapabilities": CAPABILITIES },
            "desired": plan.release.to_value(),
            "history": history(plan),
            "observedGeneration": 1,
            "versionHash": version_hash(&plan.release),
        },
    });
    let version = &plan.release.version;
    let installed = plan.now - CLUSTER_AGE;
    let applied = plan.now - RELEASE_AGE;
    for (kind, said, since) in [
        ("RetrievedUpdates", Said::yes(), installed),
        ("ImplicitlyEnabledCapabilities", Said::new("False", "AsExpected", "Capabilities match configured spec"), installed),
        ("ReleaseAccepted", Said::new("True", "PayloadLoaded", payload_loaded(&plan.release)), applied),
        ("Available", Said::new("True", "", format!("Done applying {version}")), installed),
        ("Failing", Said::no(), installed),
        ("Progressing", Said::new("False", "", format!("Cluster version is {version}")), applied),
    ] {
        set_condition(&mut object, kind, &said, since);
    }
    object
}

/// The message of ReleaseAccepted once a release is loaded.
pub(crate) fn payload_loaded(release: &Release) -> String {
    format!("Payload loaded version=\"{}\" image=\"{}\" architecture=\"amd64\"", release.version, release.image())
}

/// `status.versionHash`.
pub(crate) fn version_hash(release: &Release) -> String {
    let hash = blake3::hash(release.image().as_bytes()).to_hex();
    format!("{}=", &hash[..11])
}

const CAPABILITIES: [&str; 14] = [
    "Build",
    "CSISnapshot",
    "CloudControllerManager",
    "CloudCredential",
    "Console",
    "DeploymentConfig",
    "ImageRegistry",
    "Ingress",
    "Insights",
    "MachineAPI",
    "NodeTuning",
    "OperatorLifecycleManager",
    "Storage",
    "marketplace",
];

fn history(plan: &Plan<'_>) -> Value {
    let entry = |release: &Release, age: TimeDelta, verified: bool| {
        json!({ "state": "Completed", "startedTime": plan.ago(age), "completionTime": plan.ago(age - TimeDelta::minutes(64)),
            "version": release.version, "image": release.image(), "verified": verified })
    };
    let older = plan
        .graph
        .releases
        .iter()
        .filter(|r| r.semver() < plan.release.semver() && r.semver().minor == plan.release.semver().minor);
    let mut all = vec![entry(&plan.release, RELEASE_AGE, true)];
    all.extend(older.max_by_key(|r| r.semver()).map(|first| entry(first, CLUSTER_AGE, false)));
    Value::Array(all)
}

fn cluster_operator(plan: &Plan<'_>, op: &Operator) -> Value {
    let version = &plan.release.version;
    let [available, progressing, degraded] = op.healthy(version, plan.shape.control_plane, STATIC_REVISION);
    let mut object = json!({
        "metadata": { "name": op.name, "annotations": {
            "exclude.release.openshift.io/internal-openshift-hosted": "true",
            "include.release.openshift.io/self-managed-high-availability": "true",
            "include.release.openshift.io/single-node-developer": "true",
        } },
        "spec": {},
        "status": {
            "extension": null,
            "relatedObjects": op.related(),
            "versions": op.versions(version, &plan.release.kubelet()),
        },
    });
    let objection = plan.shape.not_upgradeable.iter().find(|o| o.operator == op.name);
    let upgradeable = match objection {
        Some(o) => Said::new("False", &o.reason, &o.message),
        None => Said::new("True", "AsExpected", "All is well"),
    };
    for (kind, said) in [
        ("Degraded", Said::new("False", "AsExpected", degraded)),
        ("Progressing", Said::new("False", "AsExpected", progressing)),
        ("Available", Said::new("True", "AsExpected", available)),
        ("Upgradeable", upgradeable),
    ] {
        set_condition(&mut object, kind, &said, plan.now - RELEASE_AGE);
    }
    object
}
