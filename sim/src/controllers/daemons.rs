//! DaemonSets: one pod on every node that lets it in, and new pods for old ones as the strategy lets them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::deployments::share;
use super::mirror::{News, Pod, PodKey};
use super::scheduler::admits;
use super::{Controller, Cx};
use crate::rng::Rng;
use crate::store::Preconditions;
use crate::store::resources::{DAEMONSETS, PODS};
use crate::world::json::{label, name, namespace, text};
use crate::world::workloads::{REVISION_HASH, pod_of, template_hash};

/// The DaemonSet controller.
pub(super) struct Daemons {
    rng: Rng,
    /// Nothing to do, for as long as nobody changes a set.
    asleep: bool,
}

impl Daemons {
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, asleep: false }
    }

    /// For a cluster whose sets are all rolled out, and may stay so for ever.
    pub(super) fn asleep(rng: Rng) -> Self {
        Self { rng, asleep: true }
    }
}

/// The pods of a set on one node.
#[derive(Default)]
struct Here<'a> {
    old: Vec<(&'a PodKey, &'a Pod)>,
    new: Vec<(&'a PodKey, &'a Pod)>,
    ending: usize,
}

impl Here<'_> {
    fn is_empty(&self) -> bool {
        self.old.is_empty() && self.new.is_empty() && self.ending == 0
    }

    fn has_ready(&self) -> bool {
        self.old.iter().chain(&self.new).any(|(_, pod)| pod.ready)
    }
}

impl Controller for Daemons {
    fn name(&self) -> &'static str {
        "daemons"
    }

    fn concerns(&self, news: &News) -> bool {
        if self.asleep {
            return news.of(&DAEMONSETS);
        }
        news.of(&DAEMONSETS) || !news.nodes.is_empty() || !news.owners.is_empty()
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        let sets = cx.store.list(&DAEMONSETS);
        self.asleep &= sets.iter().all(|set| set["metadata"]["generation"] == set["status"]["observedGeneration"]);
        if self.asleep {
            return None;
        }
        for set in sets {
            let key = (namespace(&set).to_owned(), name(&set).to_owned());
            let touched = cx.news.owners.contains(&key) || cx.news.keys(&DAEMONSETS).any(|k| *k == key);
            if touched || !cx.news.nodes.is_empty() {
                self.follow(cx, &set, &key);
            }
        }
        None
    }
}

impl Daemons {
    fn follow(&mut self, cx: &Cx<'_>, set: &Value, key: &PodKey) {
        let hash = template_hash(&set["spec"]["template"]);
        let pattern = pod_of(&set["spec"]["template"], &key.0, "");
        let mut nodes: BTreeMap<&str, Here<'_>> = cx
            .mirror
            .nodes
            .iter()
            .filter(|(_, node)| admits(node, &pattern))
            .map(|(node, _)| (node.as_str(), Here::default()))
            .collect();
        let mut strays = vec![];
        for (pod_key, pod) in cx.mirror.pods_of(key) {
            match nodes.get_mut(pod.node.as_str()) {
                None if !pod.terminating => strays.push(pod_key.clone()),
                None => {}
                Some(here) if pod.terminating => here.ending += 1,
                Some(here) if label(&pod.object, REVISION_HASH) == Some(&hash) => here.new.push((pod_key, pod)),
                Some(here) => here.old.push((pod_key, pod)),
            }
        }
        for pod in &strays {
            delete(cx, pod);
        }
        report(cx, set, &nodes);
        let missing: Vec<&str> = nodes.iter().filter(|(_, here)| here.is_empty()).map(|(node, _)| *node).collect();
        for node in &missing {
            self.create(cx, set, &hash, node);
        }
        if missing.is_empty() && text(set, "/spec/updateStrategy/type") != "OnDelete" {
            self.roll(cx, set, &hash, &nodes);
        }
    }

    /// Exchanges old pods for new ones, as many at a time as the strategy lets it.
    fn roll(&mut self, cx: &Cx<'_>, set: &Value, hash: &str, nodes: &BTreeMap<&str, Here<'_>>) {
        let strategy = &set["spec"]["updateStrategy"]["rollingUpdate"];
        let set_to = |field: &str, unset: usize| {
            let value = &strategy[field];
            if value.is_null() { unset } else { share(value, nodes.len(), true) }
        };
        let surge = set_to("maxSurge", 0);
        if surge > 0 {
            let mut free = surge.saturating_sub(nodes.values().filter(|h| !h.old.is_empty() && !h.new.is_empty()).count());
            for (node, here) in nodes.iter().filter(|(_, here)| !here.old.is_empty()) {
                if here.new.iter().any(|(_, pod)| pod.ready) {
                    here.old.iter().for_each(|(pod, _)| delete(cx, pod));
                } else if here.new.is_empty() && free > 0 {
                    free -= 1;
                    self.create(cx, set, hash, node);
                }
            }
            return;
        }
        let most = set_to("maxUnavailable", 1).max(1);
        let mut free = most.saturating_sub(nodes.values().filter(|here| !here.has_ready()).count());
        for here in nodes.values().filter(|here| !here.old.is_empty()) {
            if here.has_ready() && free == 0 {
                continue;
            }
            free -= usize::from(here.has_ready());
            here.old.iter().for_each(|(pod, _)| delete(cx, pod));
        }
    }

    fn create(&mut self, cx: &Cx<'_>, set: &Value, hash: &str, node: &str) {
        let mut pod = pod_of(&set["spec"]["template"], namespace(set), &format!("{}-{}", name(set), self.rng.suffix()));
        pod["metadata"]["labels"][REVISION_HASH] = json!(hash);
        pod["metadata"]["ownerReferences"] = json!([{ "apiVersion": "apps/v1", "kind": "DaemonSet", "name": name(set),
            "uid": set["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true }]);
        pod["spec"]["nodeName"] = json!(node);
        cx.create(&PODS, pod);
    }
}

fn delete(cx: &Cx<'_>, (ns, name): &PodKey) {
    if cx.store.delete(&PODS, Some(ns), name, &Preconditions::default()).is_err() {
        tracing::debug!(ns, name, "a daemon's pod was gone already");
    }
}

fn report(cx: &Cx<'_>, set: &Value, nodes: &BTreeMap<&str, Here<'_>>) {
    let count = |counts: &dyn Fn(&Here<'_>) -> bool| nodes.values().filter(|here| counts(here)).count();
    let there = count(&|here| !here.old.is_empty() || !here.new.is_empty());
    let ready = count(&|here| here.has_ready());
    let updated = count(&|here| here.old.is_empty() && !here.new.is_empty());
    cx.modify(&DAEMONSETS, Some(namespace(set)), name(set), |s| {
        for (field, value) in [
            ("desiredNumberScheduled", nodes.len()),
            ("currentNumberScheduled", there),
            ("numberReady", ready),
            ("numberAvailable", ready),
            ("updatedNumberScheduled", updated),
            ("numberMisscheduled", 0),
        ] {
            s["status"][field] = json!(value);
        }
        match nodes.len() - ready {
            0 => {
                s["status"].as_object_mut().map(|status| status.remove("numberUnavailable"));
            }
            missing => s["status"]["numberUnavailable"] = json!(missing),
        }
        s["status"]["observedGeneration"] = s["metadata"]["generation"].clone();
    });
}
