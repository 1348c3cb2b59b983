//! Deployments: a replica set for each template, and pods moved from the old ones to the new one as the strategy lets them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::mirror::PodKey;
use super::{Cx, earlier};
use crate::store::resources::{DEPLOYMENTS, REPLICASETS};
use crate::world::json::{Said, annotate, annotation, name, namespace, set_condition, text};
use crate::world::workloads::{DESIRED_REPLICAS, REVISION, TEMPLATE_HASH, revision_of};

/// How long a rollout may stand still, unless the deployment says otherwise.
const DEADLINE_SECONDS: i64 = 600;

/// What is remembered of rollouts.
#[derive(Debug, Default)]
pub(super) struct Deployments {
    /// How far each was when it last got further, and when that was.
    progress: BTreeMap<PodKey, (Counts, DateTime<Utc>)>,
}

/// The counts of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    wanted: usize,
    total: usize,
    updated: usize,
    ready: usize,
}

/// A deployment with its replica sets.
struct Rollout<'a> {
    deployment: &'a Value,
    wanted: usize,
    surge: usize,
    unavailable: usize,
    current: Option<Arc<Value>>,
    old: Vec<Arc<Value>>,
}

impl Deployments {
    /// Brings every deployment further that changed, or whose sets did; says when to look again.
    pub(super) fn follow(&mut self, cx: &Cx<'_>) -> Option<DateTime<Utc>> {
        let mut touched: BTreeSet<PodKey> = cx.news.keys(&DEPLOYMENTS).cloned().collect();
        for (ns, set) in cx.news.keys(&REPLICASETS) {
            let Some(set) = cx.store.get(&REPLICASETS, Some(ns), set) else { continue };
            touched.insert((ns.clone(), text(&set, "/metadata/ownerReferences/0/name").to_owned()));
        }
        let stalled = self.progress.iter().filter(|(_, (_, since))| *since + TimeDelta::seconds(DEADLINE_SECONDS) <= cx.now);
        touched.extend(stalled.map(|(key, _)| key.clone()));
        for key in touched {
            let Some(deployment) = cx.store.get(&DEPLOYMENTS, Some(&key.0), &key.1) else {
                self.progress.remove(&key);
                continue;
            };
            let rollout = Rollout::read(cx, &deployment);
            let seen = rollout.advance(cx);
            self.report(cx, &key, &Rollout::read(cx, &deployment), seen);
        }
        let waiting = self.progress.values().map(|(_, since)| *since + TimeDelta::seconds(DEADLINE_SECONDS));
        waiting.filter(|at| *at > cx.now).fold(None, |due, at| earlier(due, Some(at)))
    }

    /// Writes the counts and conditions of a deployment.
    fn report(&mut self, cx: &Cx<'_>, key: &PodKey, rollout: &Rollout<'_>, seen: bool) {
        let all = rollout.sets().map(|set| (status(set, "replicas"), status(set, "readyReplicas")));
        let (total, ready) = all.fold((0, 0), |(total, ready), (t, r)| (total + t, ready + r));
        let updated = rollout.current.as_ref().map_or(0, |set| status(set, "replicas"));
        let counts = Counts { wanted: rollout.wanted, total, updated, ready };
        let done =
            counts == Counts { wanted: rollout.wanted, total: rollout.wanted, updated: rollout.wanted, ready: rollout.wanted };
        let since = match self.progress.get(key) {
            Some((seen, since)) if *seen == counts => *since,
            Some(_) | None => cx.now,
        };
        if done {
            self.progress.remove(key);
        } else {
            self.progress.insert(key.clone(), (counts, since));
        }
        let late = !done && cx.now - since >= TimeDelta::seconds(DEADLINE_SECONDS);
        let progressing = progressing(rollout, done, late);
        let enough = ready + rollout.unavailable >= rollout.wanted;
        let available = if enough {
            Said::new("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            Said::new("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        let asked: usize = rollout.sets().map(|set| spec_replicas(set)).sum();
        cx.modify(&DEPLOYMENTS, Some(&key.0), &key.1, |d| {
            let counted =
                [("replicas", total), ("updatedReplicas", updated), ("readyReplicas", ready), ("availableReplicas", ready)];
            for (field, count) in counted {
                d["status"][field] = json!(count);
            }
            match asked.saturating_sub(ready) {
                0 => {
                    d["status"].as_object_mut().map(|status| status.remove("unavailableReplicas"));
                }
                missing => d["status"]["unavailableReplicas"] = json!(missing),
            }
            if seen {
                d["status"]["observedGeneration"] = d["metadata"]["generation"].clone();
            }
            set_condition(d, "Available", &available, cx.now);
            set_condition(d, "Progressing", &progressing, cx.now);
        });
    }
}

fn progressing(rollout: &Rollout<'_>, done: bool, late: bool) -> Said {
    let set = rollout.current.as_ref().map_or("", |set| name(set));
    if done {
        Said::new("True", "NewReplicaSetAvailable", format!("ReplicaSet \"{set}\" has successfully progressed."))
    } else if late {
        Said::new("False", "ProgressDeadlineExceeded", format!("ReplicaSet \"{set}\" has timed out progressing."))
    } else {
        Said::new("True", "ReplicaSetUpdated", format!("ReplicaSet \"{set}\" is progressing."))
    }
}

impl<'a> Rollout<'a> {
    fn read(cx: &Cx<'_>, deployment: &'a Value) -> Self {
        let wanted = number(&deployment["spec"]["replicas"]).unwrap_or(1);
        let strategy = &deployment["spec"]["strategy"]["rollingUpdate"];
        let surge = share(&strategy["maxSurge"], wanted, true);
        let unavailable = share(&strategy["maxUnavailable"], wanted, false);
        let owned = |set: &Arc<Value>| text(set, "/metadata/ownerReferences/0/name") == name(deployment);
        let sets = cx.store.snapshot(&REPLICASETS, Some(namespace(deployment)), None).map(|(_, sets)| sets).unwrap_or_default();
        let mut old: Vec<Arc<Value>> = sets.into_iter().filter(owned).collect();
        old.sort_by_key(|set| revision(set));
        let same = old.iter().rposition(|set| same_template(deployment, set));
        let current = same.map(|at| old.remove(at));
        let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable };
        Self { deployment, wanted, surge, unavailable, current, old }
    }

    fn sets(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.old.iter().chain(&self.current)
    }

    /// Takes the next step, and the news of it brings the one after; says whether the template was looked at, too.
    fn advance(&self, cx: &Cx<'_>) -> bool {
        if self.rescale(cx) {
            return false;
        }
        match &self.current {
            None => self.begin(cx),
            Some(current) if self.deployment["spec"]["strategy"]["type"] == "Recreate" => self.recreate(cx, current),
            Some(current) => {
                let target = self.new_size(current);
                if spec_replicas(current) == target {
                    self.shrink_old(cx, current);
                } else {
                    self.scale(cx, current, target);
                }
            }
        }
        true
    }

    /// Follows a change of the number of replicas before anything else; says whether it did.
    fn rescale(&self, cx: &Cx<'_>) -> bool {
        let noted = |set: &Arc<Value>| annotation(set, DESIRED_REPLICAS).parse::<usize>().ok();
        let active: Vec<&Arc<Value>> = self.sets().filter(|set| spec_replicas(set) > 0).collect();
        if !active.iter().any(|set| noted(set).is_some_and(|noted| noted != self.wanted)) {
            return false;
        }
        match active.as_slice() {
            [only] => self.scale(cx, only, self.wanted),
            several => {
                let total: usize = several.iter().map(|set| spec_replicas(set)).sum();
                let most = self.wanted + self.surge;
                let mut excess = total.saturating_sub(most);
                for set in several {
                    let size = spec_replicas(set);
                    let less = excess.min(size);
                    excess -= less;
                    self.scale(cx, set, size - less);
                }
            }
        }
        true
    }

    /// Makes the set of a new template.
    fn begin(&self, cx: &Cx<'_>) {
        let newest = self.old.iter().map(|set| revision(set)).max().unwrap_or(0);
        let status = json!({ "replicas": 0, "readyReplicas": 0, "availableReplicas": 0 });
        let mut set = revision_of(self.deployment, &status, newest + 1);
        let total: usize = self.old.iter().map(|set| spec_replicas(set)).sum();
        let room = (self.wanted + self.surge).saturating_sub(total);
        set["spec"]["replicas"] = json!(room.min(self.wanted));
        set["metadata"]["ownerReferences"] = json!([{ "apiVersion": "apps/v1", "kind": "Deployment", "name": name(self.deployment),
            "uid": self.deployment["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true }]);
        cx.create(&REPLICASETS, set);
        cx.modify(&DEPLOYMENTS, Some(namespace(self.deployment)), name(self.deployment), |d| {
            annotate(d, REVISION, &(newest + 1).to_string());
        });
    }

    fn recreate(&self, cx: &Cx<'_>, current: &Value) {
        let busy: Vec<&Arc<Value>> =
            self.old.iter().filter(|set| spec_replicas(set) > 0 || status(set, "replicas") > 0).collect();
        for set in &busy {
            self.scale(cx, set, 0);
        }
        if busy.is_empty() {
            self.scale(cx, current, self.wanted);
        }
    }

    /// How many pods the new set may have now.
    fn new_size(&self, current: &Value) -> usize {
        let size = spec_replicas(current);
        let total: usize = self.sets().map(|set| spec_replicas(set)).sum();
        let room = (self.wanted + self.surge).saturating_sub(total);
        if size >= self.wanted { self.wanted } else { size + room.min(self.wanted - size) }
    }

    /// Takes pods from the old sets: those that are not available first, then as many as may be missing.
    fn shrink_old(&self, cx: &Cx<'_>, current: &Value) {
        let total: usize = self.sets().map(|set| spec_replicas(set)).sum();
        let least = self.wanted.saturating_sub(self.unavailable);
        let unready = spec_replicas(current).saturating_sub(available(current));
        let mut most = total.saturating_sub(least).saturating_sub(unready);
        let mut sizes: Vec<(&Arc<Value>, usize)> = self.old.iter().map(|set| (set, spec_replicas(set))).collect();
        for (set, size) in &mut sizes {
            let ill = size.saturating_sub(available(set)).min(most);
            *size -= ill;
            most -= ill;
        }
        let mut spare = self.sets().map(|set| available(set)).sum::<usize>().saturating_sub(least).min(most);
        for (_, size) in &mut sizes {
            let less = spare.min(*size);
            *size -= less;
            spare -= less;
        }
        for (set, size) in sizes.into_iter().filter(|(set, size)| spec_replicas(set) != *size) {
            self.scale(cx, set, size);
        }
    }

    fn scale(&self, cx: &Cx<'_>, set: &Value, size: usize) {
        cx.modify(&REPLICASETS, Some(namespace(set)), name(set), |s| {
            s["spec"]["replicas"] = json!(size);
            annotate(s, DESIRED_REPLICAS, &self.wanted.to_string());
        });
    }
}

/// Whether a set's pods are made of what the deployment says now.
fn same_template(deployment: &Value, set: &Value) -> bool {
    let mut template = set["spec"]["template"].clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(TEMPLATE_HASH);
    }
    template == deployment["spec"]["template"]
}

fn revision(set: &Value) -> u64 {
    annotation(set, REVISION).parse().unwrap_or(0)
}

fn number(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|n| usize::try_from(n).ok())
}

fn spec_replicas(set: &Value) -> usize {
    number(&set["spec"]["replicas"]).unwrap_or(0)
}

fn status(set: &Value, field: &str) -> usize {
    number(&set["status"][field]).unwrap_or(0)
}

fn available(set: &Value) -> usize {
    status(set, "availableReplicas")
}

/// A number of pods, or a percentage of them; a quarter if nothing is said.
pub(super) fn share(value: &Value, of: usize, up: bool) -> usize {
    let percent = |percent: usize| if up { (of * percent).div_ceil(100) } else { of * percent / 100 };
    match value {
        Value::String(text) => percent(text.trim_end_matches('%').parse().unwrap_or(0)),
        Value::Number(_) => number(value).unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => percent(25),
    }
}
