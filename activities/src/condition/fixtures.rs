//! A small healthy cluster to change in tests: three control-plane nodes, two workers, four operators, two pools.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use windlass_engine::Timestamp;

use crate::release::Release;
use crate::snapshot::Snapshot;
use crate::views::{
    ClusterOperator, ClusterVersion, Condition, MachineConfigPool, Node, OperandVersion, PublishedRelease, Status, View,
};

/// 2026-03-01 12:00:00Z plus so many minutes.
pub(crate) fn at(minutes: i64) -> Timestamp {
    Timestamp::from_micros(1_772_366_400_000_000 + minutes * 60_000_000)
}

pub(crate) fn condition(kind: &str, status: Status, message: &str) -> Condition {
    let since = Some(at(-120).to_datetime());
    Condition { kind: kind.to_owned(), status, reason: String::new(), message: message.to_owned(), last_transition_time: since }
}

pub(crate) fn release(version: &str) -> Release {
    Release { version: version.parse().unwrap(), image: format!("registry.example.com/release@sha256:{version}") }
}

pub(crate) fn offer(version: &str, channels: &[&str]) -> PublishedRelease {
    let channels = channels.iter().map(|&name| name.to_owned()).collect();
    PublishedRelease { version: version.to_owned(), image: release(version).image, channels, architecture: None }
}

pub(crate) fn healthy() -> Snapshot {
    let operators = ["authentication", "dns", "etcd", "machine-config"].map(healthy_operator);
    let nodes =
        [("master-0", "master"), ("master-1", "master"), ("master-2", "master"), ("worker-0", "worker"), ("worker-1", "worker")];
    let mut snapshot = Snapshot {
        now: at(0),
        versions: by_name([healthy_version()]),
        operators: by_name(operators),
        pools: by_name([healthy_pool("master", 3), healthy_pool("worker", 2)]),
        nodes: by_name(nodes.map(|(name, role)| healthy_node(name, role))),
        ..Snapshot::default()
    };
    snapshot.watches.all_mut().into_iter().for_each(|watch| watch.as_of = Some(at(0)));
    snapshot
}

pub(crate) fn by_name<K: View, const N: usize>(objects: [K; N]) -> Arc<BTreeMap<String, Arc<K>>> {
    Arc::new(objects.into_iter().map(|object| (object.name().to_owned(), Arc::new(object))).collect())
}

fn healthy_version() -> ClusterVersion {
    let release = release("4.16.20");
    serde_json::from_value(json!({
        "metadata": {"name": "version", "generation": 3, "resourceVersion": "700"},
        "spec": {"channel": "stable-4.16", "clusterID": "5a2c0f6e-0000-4000-8000-000000000001"},
        "status": {
            "observedGeneration": 3,
            "desired": {"version": "4.16.20", "image": release.image, "channels": ["eus-4.16", "eus-4.18", "stable-4.16"]},
            "history": [{"state": "Completed", "startedTime": "2026-02-01T10:00:00Z", "completionTime": "2026-02-01T11:00:00Z",
                "version": "4.16.20", "image": release.image, "verified": true}],
            "availableUpdates": null,
            "conditions": [
                {"type": "Available", "status": "True", "lastTransitionTime": "2026-03-01T10:00:00Z"},
                {"type": "Progressing", "status": "False", "lastTransitionTime": "2026-03-01T10:00:00Z"},
                {"type": "Failing", "status": "False", "lastTransitionTime": "2026-03-01T10:00:00Z"},
                {"type": "ReleaseAccepted", "status": "True", "lastTransitionTime": "2026-03-01T10:00:00Z"},
                {"type": "RetrievedUpdates", "status": "True", "lastTransitionTime": "2026-03-01T10:00:00Z"}
            ]
        }
    }))
    .unwrap()
}

fn healthy_operator(name: &str) -> ClusterOperator {
    let mut operator = ClusterOperator::default();
    operator.metadata.name = Some(name.to_owned());
    operator.status.versions = vec![OperandVersion { name: "operator".to_owned(), version: "4.16.20".to_owned() }];
    operator.status.conditions = vec![
        condition("Available", Status::True, "all is well"),
        condition("Progressing", Status::False, "all is well"),
        condition("Degraded", Status::False, "all is well"),
    ];
    operator
}

fn healthy_pool(name: &str, nodes: i32) -> MachineConfigPool {
    serde_json::from_value(json!({
        "metadata": {"name": name, "generation": 2},
        "spec": {
            "configuration": {"name": format!("rendered-{name}-r0")},
            "nodeSelector": {"matchLabels": {format!("node-role.kubernetes.io/{name}"): ""}}
        },
        "status": {
            "observedGeneration": 2, "configuration": {"name": format!("rendered-{name}-r0")},
            "machineCount": nodes, "updatedMachineCount": nodes, "readyMachineCount": nodes,
            "conditions": [
                {"type": "Updated", "status": "True", "lastTransitionTime": "2026-03-01T10:00:00Z"},
                {"type": "Updating", "status": "False", "lastTransitionTime": "2026-03-01T10:00:00Z"}
            ]
        }
    }))
    .unwrap()
}

fn healthy_node(name: &str, role: &str) -> Node {
    let rendered = format!("rendered-{role}-r0");
    serde_json::from_value(json!({
        "metadata": {
            "name": name,
            "labels": {format!("node-role.kubernetes.io/{role}"): ""},
            "annotations": {
                "machineconfiguration.openshift.io/currentConfig": rendered,
                "machineconfiguration.openshift.io/desiredConfig": rendered,
                "machineconfiguration.openshift.io/desiredDrain": format!("uncordon-{rendered}"),
                "machineconfiguration.openshift.io/lastAppliedDrain": format!("uncordon-{rendered}"),
                "machineconfiguration.openshift.io/reason": "",
                "machineconfiguration.openshift.io/state": "Done"
            }
        },
        "status": {
            "nodeInfo": {"bootID": "b0", "kubeletVersion": "v1.29.6+aba1e8d"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                "message": "kubelet is posting ready status", "lastTransitionTime": "2026-03-01T10:00:00Z"}]
        }
    }))
    .unwrap()
}

/// Brings the whole control plane to a release that began an hour ago.
pub(crate) fn updated_to(snapshot: &mut Snapshot, release: &Release) {
    let text = release.version.to_string();
    version(snapshot, |version| {
        version.spec.desired_update =
            Some(crate::views::DesiredUpdate { version: text.clone(), image: release.image.clone(), force: false });
        version.status.desired = PublishedRelease { version: text.clone(), image: release.image.clone(), ..Default::default() };
        let mut entry = version.status.history[0].clone();
        entry.started_time = Some(at(-60).to_datetime());
        entry.completion_time = Some(at(-1).to_datetime());
        (entry.version, entry.image) = (text.clone(), release.image.clone());
        version.status.history.insert(0, entry);
    });
    for name in snapshot.operators.keys().cloned().collect::<Vec<_>>() {
        operator(snapshot, &name, |operator| operator.status.versions[0].version.clone_from(&text));
    }
}

pub(crate) fn version(snapshot: &mut Snapshot, edit: impl FnOnce(&mut ClusterVersion)) {
    edit(Arc::make_mut(Arc::make_mut(&mut snapshot.versions).get_mut("version").unwrap()));
}

pub(crate) fn operator(snapshot: &mut Snapshot, name: &str, edit: impl FnOnce(&mut ClusterOperator)) {
    edit(Arc::make_mut(Arc::make_mut(&mut snapshot.operators).get_mut(name).unwrap()));
}

pub(crate) fn pool(snapshot: &mut Snapshot, name: &str, edit: impl FnOnce(&mut MachineConfigPool)) {
    edit(Arc::make_mut(Arc::make_mut(&mut snapshot.pools).get_mut(name).unwrap()));
}

pub(crate) fn node(snapshot: &mut Snapshot, name: &str, edit: impl FnOnce(&mut Node)) {
    edit(Arc::make_mut(Arc::make_mut(&mut snapshot.nodes).get_mut(name).unwrap()));
}
