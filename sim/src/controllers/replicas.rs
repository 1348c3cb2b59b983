//! Replica sets and the scheduler: pods that were evicted come back on another node.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::deployments::Deployments;
use super::mirror::{News, Pod, PodKey};
use super::scheduler::Scheduler;
use super::{Controller, Cx, earlier};
use crate::clock::rfc3339;
use crate::rng::Rng;
use crate::store::Preconditions;
use crate::store::resources::{DEPLOYMENTS, PODS, REPLICASETS, STATEFULSETS};
use crate::world::json::{annotation, condition, name, namespace, text};
use crate::world::nodes::address_of;
use crate::world::workloads::{is_probed, mark_ready, pod_of, start_on};

/// Deployments, replica sets and the scheduler in one.
pub(super) struct Replicas {
    rng: Rng,
    /// Pods that were placed on a node: when they are ready.
    starting: BTreeMap<PodKey, DateTime<Utc>>,
    /// Pods for which no node was found.
    unplaced: BTreeSet<PodKey>,
    scheduler: Scheduler,
    deployments: Deployments,
}

impl Replicas {
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            rng,
            starting: BTreeMap::new(),
            unplaced: BTreeSet::new(),
            scheduler: Scheduler::default(),
            deployments: Deployments::default(),
        }
    }
}

impl Controller for Replicas {
    fn name(&self) -> &'static str {
        "replicas"
    }

    fn concerns(&self, news: &News) -> bool {
        !news.pods.is_empty()
            || news.of(&DEPLOYMENTS)
            || news.of(&REPLICASETS)
            || news.of(&STATEFULSETS)
            || (!news.nodes.is_empty() && !self.unplaced.is_empty())
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        self.scheduler.caught_up();
        let rollouts = self.deployments.follow(cx);
        let mut touched = cx.news.owners.clone();
        touched.extend(cx.news.keys(&REPLICASETS).cloned());
        touched.extend(cx.news.keys(&STATEFULSETS).cloned());
        for set in &touched {
            self.fill(cx, set);
            fill_stateful(cx, set);
        }
        for key in &cx.news.pods {
            self.notice(cx, key);
        }
        // What changed may have made room.
        if !cx.news.nodes.is_empty() || !cx.news.pods.is_empty() {
            for key in self.unplaced.clone() {
                self.place(cx, &key);
            }
        }
        self.start_due(cx);
        self.starting.values().fold(rollouts, |due, at| earlier(due, Some(*at)))
    }
}

impl Replicas {
    /// Creates the missing pods of a replica set, deletes surplus ones, and reports.
    fn fill(&mut self, cx: &Cx<'_>, set: &PodKey) {
        let Some(object) = cx.store.get(&REPLICASETS, Some(&set.0), &set.1) else { return };
        let wanted = object["spec"]["replicas"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let alive: Vec<(&PodKey, &Pod)> = cx.mirror.pods_of(set).filter(|(_, p)| !p.terminating).collect();
        for _ in alive.len()..wanted {
            let mut pod = pod_of(&object["spec"]["template"], &set.0, &format!("{}-{}", set.1, self.rng.suffix()));
            pod["metadata"]["ownerReferences"] = json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set.1,
                "uid": object["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true }]);
            cx.create(&PODS, pod);
        }
        for key in surplus(&alive, wanted) {
            if cx.store.delete(&PODS, Some(&key.0), &key.1, &Preconditions::default()).is_err() {
                tracing::debug!(pod = key.1, "a surplus pod was gone already");
            }
        }
        let ready = alive.iter().filter(|(_, p)| p.ready).count();
        report(cx, &object, alive.len().max(wanted), ready);
    }

    /// Looks at a pod that changed: places it when it is new, forgets it when it is gone.
    fn notice(&mut self, cx: &Cx<'_>, key: &PodKey) {
        match cx.mirror.pod(key) {
            None => {
                self.starting.remove(key);
                self.unplaced.remove(key);
            }
            Some(pod) if pod.terminating || pod.object["status"]["phase"] != "Pending" => {}
            Some(pod) if pod.node.is_empty() => self.place(cx, key),
            // Daemon sets' pods are made for their node.
            Some(_) if !self.starting.contains_key(key) => {
                self.starting.insert(key.clone(), cx.in_seconds(self.rng.range(6..20)));
            }
            Some(_) => {}
        }
    }

    fn place(&mut self, cx: &Cx<'_>, key: &PodKey) {
        let Some(pod) = cx.mirror.pod(key).filter(|p| p.node.is_empty() && !p.terminating) else {
            self.unplaced.remove(key);
            return;
        };
        match self.scheduler.choose(cx, &key.0, pod) {
            Ok(node) => {
                self.unplaced.remove(key);
                cx.modify(&PODS, Some(&key.0), &key.1, |p| p["spec"]["nodeName"] = json!(node));
            }
            Err(why) if self.unplaced.insert(key.clone()) => {
                cx.modify(&PODS, Some(&key.0), &key.1, |p| {
                    p["status"]["conditions"] = json!([{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                        "message": why, "lastTransitionTime": rfc3339(cx.now) }]);
                });
            }
            Err(_) => {}
        }
    }

    fn start_due(&mut self, cx: &Cx<'_>) {
        let due: Vec<PodKey> = self.starting.iter().filter(|(_, at)| **at <= cx.now).map(|(k, _)| k.clone()).collect();
        for key in due {
            let Some(pod) = cx.mirror.pod(&key).filter(|p| !p.terminating) else {
                self.starting.remove(&key);
                continue;
            };
            if !cx.shared.is_up(&pod.node) {
                self.starting.insert(key, cx.in_seconds(30));
                continue;
            }
            self.starting.remove(&key);
            let node = pod.node.clone();
            let address = cx.mirror.nodes.get(&node).map(|n| address_of(n).to_owned()).unwrap_or_default();
            cx.modify(&PODS, Some(&key.0), &key.1, |p| {
                start_on(p, &node, &address, &rfc3339(cx.now));
                if is_probed(p) {
                    mark_ready(p, false, cx.now);
                }
            });
        }
    }
}

/// Creates the missing pods of a stateful set, each under its own name, and reports.
fn fill_stateful(cx: &Cx<'_>, set: &PodKey) {
    let Some(object) = cx.store.get(&STATEFULSETS, Some(&set.0), &set.1) else { return };
    let wanted = object["spec"]["replicas"].as_u64().unwrap_or(0);
    let mut ready = 0;
    for ordinal in 0..wanted {
        let pod_name = format!("{}-{ordinal}", set.1);
        if let Some(pod) = cx.mirror.pod(&(set.0.clone(), pod_name.clone())) {
            // The name is free again when the old pod is gone.
            ready += usize::from(pod.ready && !pod.terminating);
            continue;
        }
        let mut pod = pod_of(&object["spec"]["template"], &set.0, &pod_name);
        pod["metadata"]["ownerReferences"] = json!([{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": set.1,
            "uid": object["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true }]);
        cx.create(&PODS, pod);
    }
    cx.modify(&STATEFULSETS, Some(&set.0), &set.1, |s| {
        s["status"]["replicas"] = json!(wanted);
        for key in ["readyReplicas", "availableReplicas"] {
            s["status"][key] = json!(ready);
        }
        s["status"]["observedGeneration"] = s["metadata"]["generation"].clone();
    });
}

/// Writes the counts of a set.
fn report(cx: &Cx<'_>, set: &Value, total: usize, ready: usize) {
    let ns = Some(namespace(set));
    let counts = |o: &mut Value| {
        o["status"]["replicas"] = json!(total);
        for key in ["readyReplicas", "availableReplicas"] {
            o["status"][key] = json!(ready);
        }
        o["status"]["observedGeneration"] = o["metadata"]["generation"].clone();
    };
    cx.modify(&REPLICASETS, ns, name(set), counts);
}

/// The pods that a set gives up first: those that do not run, are not ready, cost least to delete, share their node, or are newest.
fn surplus(alive: &[(&PodKey, &Pod)], wanted: usize) -> Vec<PodKey> {
    let together = |pod: &Pod| alive.iter().filter(|(_, other)| other.node == pod.node).count();
    let rank = |key: &PodKey, pod: &Pod| {
        let object = &pod.object;
        let cost: i64 = annotation(object, "controller.kubernetes.io/pod-deletion-cost").parse().unwrap_or(0);
        let since = condition(object, "Ready").map(|c| text(c, "/lastTransitionTime").to_owned()).unwrap_or_default();
        let restarts = object["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or(0);
        let running = object["status"]["phase"] == "Running";
        let worth = (!pod.node.is_empty(), running, pod.ready, cost, Reverse(together(pod)));
        (worth, Reverse(since), Reverse(restarts), Reverse(text(object, "/metadata/creationTimestamp").to_owned()), key.clone())
    };
    let mut ranked: Vec<_> = alive.iter().map(|(key, pod)| (rank(key, pod), (*key).clone())).collect();
    ranked.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    ranked.into_iter().take(alive.len().saturating_sub(wanted)).map(|(_, key)| key).collect()
}
