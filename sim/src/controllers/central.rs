//! The kubelets' part in ovn-central: containers are started, probed, and started again when they end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::hosts::Host;
use super::mirror::{News, Pod, PodKey};
use super::{Controller, Cx, earlier};
use crate::clock::rfc3339;
use crate::kube_ovn::disks::Disks;
use crate::kube_ovn::objects::{CENTRAL, NAMESPACE};
use crate::kube_ovn::{Backend, Database, Health, Member};
use crate::store::resources::PODS;
use crate::world::json::{label, text};
use crate::world::nodes::address_of;
use crate::world::workloads::mark_ready;

/// How often a container is looked at while something goes on; a real readiness probe is slower.
const LOOKS_EVERY: TimeDelta = TimeDelta::seconds(2);
/// How often one is probed that is as it should be.
const PROBES_EVERY: TimeDelta = TimeDelta::seconds(15);
/// How long a probe must fail before a pod that was ready is not: three times in a row.
const FAILS_FOR: TimeDelta = TimeDelta::seconds(45);
/// How long a kubelet waits before it starts a container again: twice as long each time.
const FIRST_BACK_OFF: TimeDelta = TimeDelta::seconds(10);
/// The longest it waits.
const LONGEST_BACK_OFF: TimeDelta = TimeDelta::seconds(300);

/// The containers of ovn-central.
pub(super) struct Central {
    backend: Arc<dyn Backend>,
    disks: Arc<Disks>,
    version: String,
    containers: BTreeMap<PodKey, Container>,
}

/// One container.
struct Container {
    member: Member,
    restarts: u64,
    /// When it is started again.
    back_at: Option<DateTime<Utc>>,
    suspended: bool,
    /// Whether it was ready when it was last shown.
    ready: bool,
    /// Since when its probe fails, while it still counts as ready.
    failing: Option<DateTime<Utc>>,
    /// Whether its node is off.
    is_off: bool,
}

impl Container {
    fn new(member: Member, ready: bool) -> Self {
        Self { member, restarts: 0, back_at: None, suspended: false, ready, failing: None, is_off: false }
    }
}

impl Central {
    pub(super) fn new(backend: Arc<dyn Backend>, disks: Arc<Disks>, version: String) -> Self {
        Self { backend, disks, version, containers: BTreeMap::new() }
    }

    /// What a pod's container is started with; none if its environment tells nothing.
    fn member(&self, cx: &Cx<'_>, key: &PodKey, pod: &Pod) -> Option<Member> {
        let node = cx.mirror.nodes.get(&pod.node)?;
        Some(Member {
            pod: key.1.clone(),
            node: pod.node.clone(),
            address: address_of(node).parse().ok()?,
            node_ips: node_ips(&pod.object),
            directory: self.disks.on_host(&pod.node, "/etc/origin/ovn")?,
            version: self.version.clone(),
        })
    }

    /// Starts the containers of new pods, and ends those of pods that go.
    fn follow_pods(&mut self, cx: &Cx<'_>) {
        let wanted: BTreeSet<PodKey> = cx
            .mirror
            .pods_in(NAMESPACE)
            .filter(|(_, pod)| is_central(&pod.object) && !pod.terminating && pod.object["status"]["phase"] == "Running")
            .map(|(key, _)| key.clone())
            .collect();
        let gone: Vec<PodKey> = self.containers.keys().filter(|key| !wanted.contains(*key)).cloned().collect();
        for key in gone {
            self.containers.remove(&key);
            self.backend.stop(&key.1);
        }
        for key in wanted.into_iter().filter(|key| !self.containers.contains_key(key)).collect::<Vec<_>>() {
            let Some(pod) = cx.mirror.pod(&key) else { continue };
            let (Some(member), ready) = (self.member(cx, &key, pod), pod.ready) else { continue };
            self.backend.start(member.clone());
            self.containers.insert(key, Container::new(member, ready));
        }
    }

    /// Lets containers stand still where a kubelet is silent, and end where a node is off.
    fn follow_hosts(&mut self, cx: &Cx<'_>) {
        for container in self.containers.values_mut() {
            let host = cx.shared.hosts.get(&container.member.node);
            let off = matches!(host, Some(Host::Down(outage)) if outage.is_off());
            let silent = matches!(host, Some(Host::Down(outage)) if !outage.is_off());
            if off && !container.is_off {
                if matches!(host, Some(Host::Down(outage)) if outage.is_unpowered()) {
                    for database in Database::BOTH {
                        self.backend.crash(&container.member.pod, database);
                    }
                }
                self.backend.stop(&container.member.pod);
            } else if container.is_off && !off {
                container.restarts += 1;
                self.backend.start(container.member.clone());
            }
            container.is_off = off;
            if silent != container.suspended {
                self.backend.suspend(&container.member.pod, silent);
                container.suspended = silent;
            }
        }
    }

    /// Carries how a container is to its pod; says when to look again.
    fn probe(&mut self, cx: &Cx<'_>, key: &PodKey) -> Option<DateTime<Utc>> {
        let container = self.containers.get_mut(key)?;
        if container.is_off || container.suspended {
            return None;
        }
        if let Some(at) = container.back_at.filter(|at| *at > cx.now) {
            return Some(at);
        }
        if container.back_at.take().is_some() {
            container.restarts += 1;
            self.backend.start(container.member.clone());
        }
        match self.backend.health(&key.1) {
            Health::Ready => {
                (container.ready, container.failing) = (true, None);
                show(cx, key, &Shown { ready: true, restarts: container.restarts, ended: None });
                Some(cx.now + PROBES_EVERY)
            }
            Health::Starting | Health::Unready(_) => {
                let since = *container.failing.get_or_insert(cx.now);
                container.ready &= cx.now - since < FAILS_FOR;
                show(cx, key, &Shown { ready: container.ready, restarts: container.restarts, ended: None });
                Some(cx.now + LOOKS_EVERY)
            }
            Health::Ended(said) => {
                let doubled = i32::try_from(1_u64 << container.restarts.min(5)).unwrap_or(i32::MAX);
                let wait = (FIRST_BACK_OFF * doubled).min(LONGEST_BACK_OFF);
                container.back_at = Some(cx.now + wait);
                (container.ready, container.failing) = (false, None);
                show(cx, key, &Shown { ready: false, restarts: container.restarts, ended: Some((said, wait)) });
                container.back_at
            }
        }
    }
}

impl Controller for Central {
    fn name(&self) -> &'static str {
        "central"
    }

    fn concerns(&self, news: &News) -> bool {
        news.pods.iter().any(|(ns, name)| ns == NAMESPACE && name.starts_with(CENTRAL)) || !news.nodes.is_empty()
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        self.follow_pods(cx);
        self.follow_hosts(cx);
        let keys: Vec<PodKey> = self.containers.keys().cloned().collect();
        keys.iter().fold(None, |due, key| earlier(due, self.probe(cx, key)))
    }
}

/// Whether a pod is one of ovn-central.
pub(super) fn is_central(pod: &Value) -> bool {
    label(pod, "app") == Some(CENTRAL) && text(pod, "/metadata/namespace") == NAMESPACE
}

/// `NODE_IPS` of a pod's container.
fn node_ips(pod: &Value) -> Vec<Ipv4Addr> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let env = containers.filter(|c| c["name"] == CENTRAL).flat_map(|c| c["env"].as_array().into_iter().flatten());
    let value = env.filter(|e| e["name"] == "NODE_IPS").find_map(|e| e["value"].as_str()).unwrap_or_default();
    value.split(',').filter_map(|ip| ip.trim().parse().ok()).collect()
}

/// What a pod's status says of its container.
struct Shown {
    ready: bool,
    restarts: u64,
    /// What it said when it ended, and how long until it is started again.
    ended: Option<(String, TimeDelta)>,
}

fn show(cx: &Cx<'_>, (ns, name): &PodKey, shown: &Shown) {
    let uid = cx.mirror.pod(&(ns.clone(), name.clone())).map(|pod| text(&pod.object, "/metadata/uid").to_owned());
    cx.modify(&PODS, Some(ns), name, |pod| {
        mark_ready(pod, shown.ready, cx.now);
        let Some(status) = pod["status"]["containerStatuses"].get_mut(0) else { return };
        let fresh = status["restartCount"] != shown.restarts;
        status["restartCount"] = json!(shown.restarts);
        match &shown.ended {
            None if fresh || status["state"]["running"].is_null() => {
                status["state"] = json!({ "running": { "startedAt": rfc3339(cx.now) } });
                status["started"] = json!(true);
            }
            None => {}
            Some((said, wait)) => {
                let held = format!(
                    "back-off {}s restarting failed container={CENTRAL} pod={name}_{ns}({})",
                    wait.num_seconds(),
                    uid.unwrap_or_default()
                );
                status["started"] = json!(false);
                status["state"] = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": held } });
                status["lastState"] = json!({ "terminated": { "exitCode": 1, "reason": "Error", "message": said,
                    "finishedAt": rfc3339(cx.now) } });
            }
        }
    });
}
