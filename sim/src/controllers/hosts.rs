//! The hardware under the nodes and the kubelets on it.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::disruptions::{ScriptedReboot, differ_by_script};
use super::ledger::{ApiOutage, Reboot};
use super::mirror::{Mirror, News};
use super::{Controller, Cx, Shared, earlier, minutes};
use crate::rng::Rng;
use crate::store::Preconditions;
use crate::store::resources::{MACHINECONFIGS, NODENETWORKCONFIGURATIONPOLICIES, NODENETWORKSTATES, NODES, PODS};
use crate::world::graph::Release;
use crate::world::json::{Said, annotation, label, set_condition, text};
use crate::world::network::Network;
use crate::world::nodes::{beat, install, kubelet_conditions, mco};
use crate::world::pools::prepared_for;
use crate::world::shape::NetworkPlugin;
use crate::world::workloads::{is_probed, mark_ready};

/// How long the control plane waits for a silent kubelet before it calls the node NotReady (`node-monitor-grace-period`).
const GRACE: TimeDelta = TimeDelta::seconds(40);
/// How long pods tolerate an unreachable node.
const TOLERATION: TimeDelta = TimeDelta::seconds(300);
/// How long clients find no API when the control-plane node that they talked to reboots.
const FAILOVER: TimeDelta = TimeDelta::seconds(150);
/// How long a host takes to end what runs on it, before its kernel starts anew.
const SHUTDOWN: TimeDelta = TimeDelta::seconds(30);
/// The label of control-plane nodes.
const MASTER: &str = "node-role.kubernetes.io/master";
/// The spread of reboot times.
const SIGMA: f64 = 0.3;

/// The state of one node's hardware.
#[derive(Clone, Debug, Default)]
pub(super) enum Host {
    /// The kubelet speaks.
    #[default]
    Up,
    /// The kubelet is silent.
    Down(Outage),
    /// The kubelet speaks, and finds no pod network that its host is prepared for; only another boot can help.
    Stranded,
    /// The kubelet speaks and waits for the pod network.
    Starting {
        /// When it is ready.
        ready_at: DateTime<Utc>,
    },
}

/// Why and until when a kubelet is silent.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    since: DateTime<Utc>,
    back_at: Option<DateTime<Utc>>,
    cause: Cause,
    /// Whether the scenario has it boot.
    scripted: bool,
    shown: bool,
    evicted: bool,
}

/// Why a kubelet is silent.
#[derive(Clone, Debug)]
enum Cause {
    /// Nobody knows; what runs on its node stands still.
    Silence,
    /// Its node boots into this release.
    Reboot(Release),
    /// Its node has no power.
    NoPower,
}

impl Outage {
    fn new(since: DateTime<Utc>, back_at: Option<DateTime<Utc>>) -> Self {
        Self { since, back_at, cause: Cause::Silence, scripted: false, shown: false, evicted: false }
    }

    /// Whether what ran on the node has ended, and is not only silent.
    pub(super) fn is_off(&self) -> bool {
        !matches!(self.cause, Cause::Silence)
    }

    /// Whether nobody told what ran there to end.
    pub(super) fn is_unpowered(&self) -> bool {
        matches!(self.cause, Cause::NoPower)
    }

    fn due(&self) -> Option<DateTime<Utc>> {
        let shows = (!self.shown).then(|| self.since + GRACE);
        let evicts = (!self.evicted).then(|| self.since + GRACE + TOLERATION);
        earlier(self.back_at, earlier(shows, evicts))
    }
}

impl Shared {
    /// Reboots a node into a release.
    pub(super) fn reboot(&mut self, node: &str, release: Release, now: DateTime<Utc>, rng: &mut Rng) {
        let usual = minutes(rng.lognormal(self.shape.timing.reboot_minutes, SIGMA));
        let back_at = match self.board.reboot(node, now) {
            ScriptedReboot::AsUsual => Some(now + usual),
            ScriptedReboot::BackAt(at) => Some(at),
            ScriptedReboot::Never => None,
        };
        self.silence(node, Outage { cause: Cause::Reboot(release), ..Outage::new(now, back_at) });
    }

    /// Silences a node's kubelet until `back_at`.
    pub(super) fn fall_silent(&mut self, node: &str, now: DateTime<Utc>, back_at: Option<DateTime<Utc>>) {
        self.silence(node, Outage::new(now, back_at));
    }

    /// Takes a node's power away until `back_at`.
    pub(super) fn lose_power(&mut self, node: &str, now: DateTime<Utc>, back_at: Option<DateTime<Utc>>) {
        self.silence(node, Outage { cause: Cause::NoPower, ..Outage::new(now, back_at) });
        self.wake("central");
    }

    fn silence(&mut self, node: &str, outage: Outage) {
        // Where the only node is silent, nobody is left to notice.
        let alone = self.hosts.len() == 1;
        let outage = Outage { shown: alone, evicted: alone, ..outage };
        self.hosts.insert(node.to_owned(), Host::Down(outage));
        self.wake("kubelets");
    }

    /// Starts the reboots that nodes were told to make by themselves; a unit that names another boot does nothing.
    fn reboot_by_units(&mut self, cx_now: DateTime<Utc>, mirror: &Mirror, rng: &mut Rng) {
        for (node, unit) in self.units.take_due(cx_now) {
            let Some(object) = mirror.nodes.get(&node) else { continue };
            let is_up = matches!(self.hosts.get(&node), Some(Host::Up | Host::Starting { .. } | Host::Stranded));
            let boot_id = text(object, "/status/nodeInfo/bootID");
            if (is_up || unit.hard) && unit.boot_id.is_none_or(|named| named == boot_id) {
                let release = self.installed(object);
                self.reboot(&node, release, cx_now, rng);
            }
        }
    }

    /// The release that a node runs.
    fn installed(&self, node: &Value) -> Release {
        let kubelet = text(node, "/status/nodeInfo/kubeletVersion");
        let known = self.graph.releases.iter().find(|release| release.kubelet() == kubelet).cloned();
        known.unwrap_or_else(|| Release { version: self.shape.version.clone(), channels: vec![] })
    }

    /// Whether a node's kubelet speaks.
    pub(super) fn is_up(&self, node: &str) -> bool {
        matches!(self.hosts.get(node), Some(Host::Up))
    }
}

/// All kubelets, and the control plane's view of them.
pub(super) struct Kubelets {
    rng: Rng,
    /// Whether the API is away.
    api_away: bool,
}

impl Kubelets {
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, api_away: false }
    }

    /// Takes the API away while control-plane nodes reboot, where the shape says so, and brings it back.
    fn follow_api(&mut self, cx: &mut Cx<'_>) {
        let single = cx.shared.shape.control_plane == 1;
        let takes = single || cx.shared.shape.api_outage_on_master_reboot;
        let is_master = |node: &String| cx.mirror.nodes.get(node).is_some_and(|n| label(n, MASTER).is_some());
        let away = |host: &Host| match host {
            Host::Down(outage) => matches!(outage.cause, Cause::Reboot(_)) && (single || cx.now < outage.since + FAILOVER),
            Host::Starting { .. } => single,
            Host::Up | Host::Stranded => false,
        };
        let masters = || cx.shared.hosts.iter().filter(|(node, _)| is_master(node));
        // Without most of its members, etcd answers nobody.
        let down = masters().filter(|(_, host)| matches!(host, Host::Down(outage) if outage.is_off())).count();
        let away = (takes && masters().any(|(_, host)| away(host))) || down * 2 > masters().count();
        if away == self.api_away {
            return;
        }
        self.api_away = away;
        cx.shared.api.set_reachable(!away);
        let mut ledger = cx.shared.ledger();
        if away {
            ledger.api_outages.push(ApiOutage { from: cx.now, to: None });
        } else if let Some(last) = ledger.api_outages.last_mut() {
            last.to = Some(cx.now);
        }
    }

    fn step(&mut self, cx: &mut Cx<'_>, node: &str, host: Host) -> Host {
        let now = cx.now;
        match host {
            Host::Up => Host::Up,
            Host::Stranded => Host::Stranded,
            Host::Down(outage) if outage.back_at.is_some_and(|at| at <= now) => self.come_back(cx, node, &outage),
            Host::Down(mut outage) => {
                if !outage.shown && outage.since + GRACE <= now {
                    show_unreachable(cx, node);
                    outage.shown = true;
                }
                if !outage.evicted && outage.since + GRACE + TOLERATION <= now {
                    evict_all(cx, node);
                    outage.evicted = true;
                }
                Host::Down(outage)
            }
            Host::Starting { ready_at } if ready_at <= now => {
                show_ready(cx, node);
                Host::Up
            }
            Host::Starting { ready_at } => Host::Starting { ready_at },
        }
    }

    fn come_back(&mut self, cx: &mut Cx<'_>, node: &str, outage: &Outage) -> Host {
        let Cause::Reboot(release) = &outage.cause else {
            show_ready(cx, node);
            return Host::Up;
        };
        let (boot_id, now) = (self.rng.uuid().to_string(), cx.now);
        let fresh = cx.modify(&NODES, None, node, |n| {
            n["status"]["nodeInfo"]["bootID"] = json!(boot_id);
            install(n, release);
            let waiting = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady";
            kubelet_conditions(n, now);
            set_condition(n, "Ready", &Said::new("False", "KubeletNotReady", waiting), now);
            beat(n, now);
        });
        if let Some(fresh) = &fresh {
            let config = annotation(fresh, &mco("desiredConfig")).to_owned();
            let scripted = outage.scripted || for_added_config(cx, fresh);
            let reboot = Reboot { node: node.to_owned(), at: now, boot_id, config, version: release.version.clone(), scripted };
            cx.shared.ledger().reboots.push(reboot);
        }
        cx.shared.units.boot(node, outage.since + SHUTDOWN);
        let network = Network::read(cx.store);
        let config = fresh.as_deref().map_or("", |node| annotation(node, &mco("desiredConfig")));
        let prepared = cx.store.get(&MACHINECONFIGS, None, config).and_then(|config| prepared_for(&config));
        if cx.shared.board.boots_again(node) {
            let back_at = Some(now + minutes(cx.shared.shape.timing.reboot_minutes));
            let cause = Cause::Reboot(release.clone());
            return Host::Down(Outage { cause, scripted: true, ..Outage::new(now, back_at) });
        }
        // A host on its way to another plugin keeps what the present one needs.
        let leaves = network.prepared.is_some_and(|to| to != NetworkPlugin::Ovn);
        if network.running == NetworkPlugin::Ovn && !leaves && prepared.is_some_and(|found| found != NetworkPlugin::Ovn) {
            return Host::Stranded;
        }
        if network.running == NetworkPlugin::Ovn && is_held_by_policy(cx, node) {
            return Host::Stranded;
        }
        cx.shared.plugins.insert(node.to_owned(), network.running);
        Host::Starting { ready_at: cx.in_seconds(self.rng.range(20..50)) }
    }
}

/// Whether a policy of the hosts' network configures the interface of a host's default route, on which `br-ex` can't be made then.
fn is_held_by_policy(cx: &Cx<'_>, node: &str) -> bool {
    let Some(state) = cx.store.get(&NODENETWORKSTATES, None, node) else { return false };
    let routes = state.pointer("/status/currentState/routes/running").and_then(Value::as_array).into_iter().flatten();
    let over = routes.filter(|route| route["destination"] == "0.0.0.0/0").map(|route| text(route, "/next-hop-interface"));
    let over: Vec<&str> = over.collect();
    cx.store.list(&NODENETWORKCONFIGURATIONPOLICIES).iter().any(|policy| {
        let interfaces = policy.pointer("/spec/desiredState/interfaces").and_then(Value::as_array).into_iter().flatten();
        interfaces.into_iter().any(|interface| over.contains(&text(interface, "/name")))
    })
}

/// Whether a node rebooted for nothing but a machine config that the scenario added.
fn for_added_config(cx: &Cx<'_>, node: &Value) -> bool {
    let config = |key: &str| cx.store.get(&MACHINECONFIGS, None, annotation(node, &mco(key)));
    let (Some(old), Some(new)) = (config("currentConfig"), config("desiredConfig")) else { return false };
    differ_by_script(&old, &new)
}

impl Controller for Kubelets {
    fn name(&self) -> &'static str {
        "kubelets"
    }

    fn concerns(&self, news: &News) -> bool {
        // Pods that were placed on a node are started by it.
        !news.nodes.is_empty()
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        cx.shared.reboot_by_units(cx.now, cx.mirror, &mut self.rng);
        let busy: Vec<(String, Host)> =
            cx.shared.hosts.iter().filter(|(_, h)| !matches!(h, Host::Up)).map(|(n, h)| (n.clone(), h.clone())).collect();
        for (node, host) in busy {
            let next = self.step(cx, &node, host);
            cx.shared.hosts.insert(node, next);
        }
        for node in &cx.news.nodes {
            if !cx.mirror.nodes.contains_key(node) {
                cx.shared.hosts.remove(node);
                collect_pods(cx, node);
            } else if !cx.shared.hosts.contains_key(node) {
                cx.shared.hosts.insert(node.clone(), Host::Up);
            }
        }
        let is_off = |host: &Host| matches!(host, Host::Down(outage) if outage.is_off());
        cx.shared.units.note_off(cx.shared.hosts.iter().filter(|(_, h)| is_off(h)).map(|(node, _)| node.clone()).collect());
        self.follow_api(cx);
        let failover = |outage: &Outage| Some(outage.since + FAILOVER).filter(|at| self.api_away && *at > cx.now);
        cx.shared.hosts.values().fold(cx.shared.units.next_due(), |next, host| match host {
            Host::Up | Host::Stranded => next,
            Host::Down(outage) => earlier(next, earlier(outage.due(), failover(outage))),
            Host::Starting { ready_at } => earlier(next, Some(*ready_at)),
        })
    }
}

const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

fn show_unreachable(cx: &Cx<'_>, node: &str) {
    let now = cx.now;
    cx.modify(&NODES, None, node, |n| {
        let silent = Said::new("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.");
        for kind in ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"] {
            let heard = n["status"]["conditions"].as_array().and_then(|all| all.iter().find(|c| c["type"] == kind)).cloned();
            set_condition(n, kind, &silent, now);
            let fresh = n["status"]["conditions"].as_array_mut().and_then(|all| all.iter_mut().find(|c| c["type"] == kind));
            if let (Some(heard), Some(fresh)) = (heard, fresh) {
                fresh["lastHeartbeatTime"] = heard["lastHeartbeatTime"].clone();
            }
        }
        for effect in ["NoSchedule", "NoExecute"] {
            add_taint(n, UNREACHABLE, effect);
        }
    });
    mark_pods(cx, node, false);
}

fn show_ready(cx: &Cx<'_>, node: &str) {
    let now = cx.now;
    cx.modify(&NODES, None, node, |n| {
        remove_taints(n, UNREACHABLE);
        kubelet_conditions(n, now);
    });
    mark_pods(cx, node, true);
}

fn mark_pods(cx: &Cx<'_>, node: &str, ready: bool) {
    for ((ns, name), pod) in cx.mirror.pods_on(node) {
        // Whether a probe passes is found out by whoever probes.
        let shows = !ready || !is_probed(&pod.object);
        if shows && !pod.terminating && pod.ready != ready && pod.object["status"]["phase"] == "Running" {
            cx.modify(&PODS, Some(ns), name, |p| mark_ready(p, ready, cx.now));
        }
    }
}

/// Deletes what does not tolerate an unreachable node; the pods stay until their kubelet confirms, or their node is gone.
fn evict_all(cx: &Cx<'_>, node: &str) {
    for ((ns, name), pod) in cx.mirror.pods_on(node) {
        let leaves = pod.evictable() && !tolerates_for_ever(&pod.object);
        if leaves && !pod.terminating && cx.store.delete(&PODS, Some(ns), name, &Preconditions::default()).is_err() {
            tracing::debug!(ns, name, "a pod of an unreachable node was gone already");
        }
    }
}

/// Whether a pod stays bound to an unreachable node however long it is.
fn tolerates_for_ever(pod: &Value) -> bool {
    let fits = |given: &Value, wanted: &str| given.is_null() || given == wanted;
    let tolerations = pod["spec"]["tolerations"].as_array().into_iter().flatten();
    tolerations
        .filter(|one| one["tolerationSeconds"].is_null())
        .any(|one| fits(&one["key"], UNREACHABLE) && fits(&one["effect"], "NoExecute"))
}

/// Removes the pods of a node that is gone.
fn collect_pods(cx: &Cx<'_>, node: &str) {
    let removal = crate::store::Removal { grace_seconds: Some(0), ..Default::default() };
    for ((ns, name), _) in cx.mirror.pods_on(node) {
        if cx.store.delete_with(&PODS, Some(ns), name, &removal).is_err() {
            tracing::debug!(ns, name, "a pod of a removed node was gone already");
        }
    }
}

/// Adds a taint that is not there yet.
pub(super) fn add_taint(node: &mut Value, key: &str, effect: &str) {
    if !node["spec"]["taints"].is_array() {
        node["spec"]["taints"] = json!([]);
    }
    let Some(taints) = node["spec"]["taints"].as_array_mut() else { return };
    if !taints.iter().any(|t| t["key"] == key && t["effect"] == effect) {
        taints.push(json!({ "key": key, "effect": effect }));
    }
}

/// Removes all taints of a key, and the list with the last one.
pub(super) fn remove_taints(node: &mut Value, key: &str) {
    let Some(spec) = node["spec"].as_object_mut() else { return };
    let Some(taints) = spec.get_mut("taints").and_then(Value::as_array_mut) else { return };
    taints.retain(|t| t["key"] != key);
    if taints.is_empty() {
        spec.remove("taints");
    }
}
