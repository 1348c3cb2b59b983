//! Every hazard that a simulated cluster can show, and what sees it: a preflight check before the run, or the words of a wait within
//! a minute of the moment at which it shows.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use windlass_activities::preflight::{CheckVerdict, Preflight};
use windlass_activities::release::ResolvePath;
use windlass_activities::{Cluster, Settings};
use windlass_engine::control::{Request, What};
use windlass_engine::journal::MemoryJournal;
use windlass_engine::{
    Activity, ActivityContext, ActivityError, Attempt, Clock, CommandId, Json, Registry, RunId, Timestamp, TokioClock, Until,
    Update, Worker, WorkerOptions,
};
use windlass_sim::hazards::{self, Hazard};
use windlass_sim::store::Resource;
use windlass_sim::store::resources::{CLUSTEROPERATORS, CLUSTERVERSIONS, MACHINECONFIGS, MACHINES, NODES, PODS};
use windlass_sim::{ClusterShape, Sim, SimClock};

/// What sees a hazard.
enum Sight {
    /// A check of the preflight, which at least warns; its id and a part of its evidence.
    Check(&'static str, &'static str),
    /// A check of the preflight, whatever it comes to: the cluster itself cannot tell; its id and a part of its evidence.
    Note(&'static str, &'static str),
    /// The way to the release cannot be found, and this is a part of the reason.
    NoWay(&'static str),
    /// The way avoids it: these are the versions on it.
    Way(&'static [&'static str]),
    /// Every part stands in the words of one wait, at most a minute after the moment at which there is something to see.
    Words(&'static [&'static str], fn(&Sim) -> bool),
}

use Sight::{Check, NoWay, Note, Way, Words};

/// What sees each.
const TABLE: &[(u8, Sight)] = &[
    (1, Words(&["node worker-0 does not drain", "budget legacy/till-worker-0"], |sim| drains(sim, "worker-0"))),
    (2, Check("budgets", "image-registry-extra")),
    (3, Check("nodes", "worker-1")),
    (4, Check("cordons", "worker-1")),
    (5, Check("certificates", "kube-apiserver-to-kubelet-signer ends in")),
    (6, Words(&["node master-0", "was rebooted 2 times"], |sim| rebooted(sim, "master-0", 2))),
    (7, Words(&["node worker-0 is not ready"], |sim| is_down(sim, "worker-0"))),
    (8, Check("images", "master-1")),
    (9, Check("signing-requests", "csr-worker-1")),
    (10, Check("nodes", "worker-1")),
    (11, Check("cordons", "worker-0")),
    (12, Check("nodes", "gpu-0 is in several custom pools")),
    (13, Words(&["pool master has moved its target again", "99-master-added"], |sim| has_config(sim, "99-master-added"))),
    (
        14,
        Words(&["is being deleted; it is node worker-1"], |sim| {
            any(sim, &MACHINES, |m| m["metadata"]["deletionTimestamp"].is_string())
        }),
    ),
    (15, Words(&["node worker-0", "legacy/ledger-worker-0"], |sim| is_overdue(sim, "ledger-worker-0"))),
    (18, Words(&["node worker-0 was uncordoned by somebody"], |sim| is_let_go(sim, "worker-0"))),
    (19, Check("removed-apis", "nightly")),
    (20, Check("upgradeable", "IncompatibleOperatorsInstalled")),
    (21, NoWay("no path leads")),
    (22, Way(&["4.17.11", "4.18.5"])),
    (23, Words(&["the update is refused so far"], |sim| version_says(sim, "ReleaseAccepted", "False"))),
    (25, Words(&["waiting on kube-apiserver"], |sim| version_waits(sim, "waiting on kube-apiserver"))),
    (26, Words(&["operator image-registry is degraded"], |sim| is_degraded_long(sim, "image-registry"))),
    (27, Check("upgradeable", "KubeletSkewUnsupported")),
    (28, Check("upgradeable", "PoolUpdating")),
    (29, Check("upgradeable", "MissingUpgradeableAnnotation")),
    (30, Check("upgradeable", "ClusterVersionOverridesSet")),
    (31, NoWay("no path leads")),
    (32, Check("etcd", "master-1")),
    (33, Note("etcd", "knows of no backup")),
    (35, Check("evictable", "virt-launcher-till-database")),
];

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

fn any(sim: &Sim, resource: &Resource, judge: fn(&Value) -> bool) -> bool {
    sim.store().list(resource).iter().any(|object| judge(object))
}

fn drains(sim: &Sim, node: &str) -> bool {
    let Some(node) = sim.store().get(&NODES, None, node) else { return false };
    let annotation = |key: &str| node["metadata"]["annotations"][format!("machineconfiguration.openshift.io/{key}")].clone();
    let wished = annotation("desiredDrain");
    wished.as_str().is_some_and(|wished| wished.starts_with("drain-")) && wished != annotation("lastAppliedDrain")
}

fn rebooted(sim: &Sim, node: &str, times: usize) -> bool {
    sim.reboot_counts().get(node).is_some_and(|count| *count >= times)
}

fn is_down(sim: &Sim, node: &str) -> bool {
    let node = sim.store().get(&NODES, None, node);
    node.is_some_and(|node| condition(&node, "Ready").is_some_and(|ready| ready["status"] == "Unknown"))
}

fn has_config(sim: &Sim, prefix: &str) -> bool {
    let configs = sim.store().list(&MACHINECONFIGS);
    configs.iter().any(|config| config["metadata"]["name"].as_str().is_some_and(|name| name.starts_with(prefix)))
}

/// Whether a pod should have ended five minutes ago, which is when a slow one becomes a stuck one.
fn is_overdue(sim: &Sim, prefix: &str) -> bool {
    let now = sim.clock().now();
    sim.store().list(&PODS).iter().any(|pod| {
        let end = pod["metadata"]["deletionTimestamp"].as_str().and_then(|end| DateTime::parse_from_rfc3339(end).ok());
        let ours = pod["metadata"]["name"].as_str().is_some_and(|name| name.starts_with(prefix));
        ours && end.is_some_and(|end| now - end.to_utc() > TimeDelta::minutes(5))
    })
}

/// Whether an operator has been degraded for five minutes, which is when it is no passing matter.
fn is_degraded_long(sim: &Sim, operator: &str) -> bool {
    let operator = sim.store().get(&CLUSTEROPERATORS, None, operator);
    let degraded = operator.as_ref().and_then(|operator| condition(operator, "Degraded")).filter(|said| said["status"] == "True");
    let since = degraded.and_then(|said| DateTime::parse_from_rfc3339(said["lastTransitionTime"].as_str()?).ok());
    since.is_some_and(|since| sim.clock().now() - since.to_utc() > TimeDelta::minutes(5))
}

/// Whether a node whose drain has begun to empty it is open to pods.
fn is_let_go(sim: &Sim, node: &str) -> bool {
    let open = sim.store().get(&NODES, None, node).is_some_and(|node| node["spec"]["unschedulable"] != true);
    let applications = |pod: &Value| {
        pod["spec"]["nodeName"] == node && pod["metadata"]["namespace"].as_str().is_some_and(|ns| ns.starts_with("shop-"))
    };
    // Every node has eight of them before.
    open && drains(sim, node) && sim.store().list(&PODS).iter().filter(|pod| applications(pod)).count() < 4
}

fn version_says(sim: &Sim, kind: &str, status: &str) -> bool {
    let version = sim.store().get(&CLUSTERVERSIONS, None, "version");
    version.is_some_and(|version| condition(&version, kind).is_some_and(|said| said["status"] == status))
}

fn version_waits(sim: &Sim, part: &str) -> bool {
    let version = sim.store().get(&CLUSTERVERSIONS, None, "version");
    let said = version.as_ref().and_then(|version| condition(version, "Progressing"));
    said.and_then(|said| said["message"].as_str()).is_some_and(|message| message.contains(part))
}

/// How long trouble that is there from the start has been so when the preflight looks.
const SETTLING: Duration = Duration::from_secs(300);
/// How often the cluster is looked at for something to see.
const GLANCE: Duration = Duration::from_secs(1);
/// How long after that the words may come.
const SOON: Duration = Duration::from_secs(60);
/// By then every hazard has shown.
const LONG_ENOUGH: Duration = Duration::from_secs(16 * 3600);

/// A simulated cluster with one hazard, and everything that is needed to work on it.
struct Scene {
    sim: Arc<Sim>,
    cluster: Arc<Cluster>,
    clock: Arc<dyn Clock>,
}

impl Scene {
    async fn set(hazard: &Hazard) -> Self {
        let mut shape = ClusterShape::default();
        (hazard.apply)(&mut shape);
        let scenario = (hazard.scenario)().resolved(&shape).expect("names of this cluster");
        let epoch = DateTime::from_timestamp(1_762_156_800, 0).unwrap_or_default();
        let sim = Arc::new(Sim::start(shape, scenario, SimClock::new(epoch, 1.0)).expect("a shape that can be built"));
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(Timestamp::from(epoch)));
        let client = kube::Client::new(sim.service(), "default");
        let cluster = Cluster::from_client(client, Settings::simulated(clock.clone())).await.expect("a cluster that answers");
        sim.clock().sleep(SETTLING).await;
        Self { sim, cluster: Arc::new(cluster), clock }
    }

    async fn look<A: Activity<World = Cluster>>(&self, input: Value) -> Result<A::Output, ActivityError> {
        let activity: A = serde_json::from_value(input).expect("an input");
        let attempt = Attempt { run: RunId::from_bytes([0; 16]), command: CommandId(0), number: 1 };
        activity.run(ActivityContext::new(self.cluster.clone(), attempt, self.clock.clone(), Arc::new(|_| {}))).await
    }

    /// Drives an update until the words were said, and says how long after there was something to see; else what was said instead.
    async fn hear(&self, parts: &[&str], visible: fn(&Sim) -> bool) -> Result<Duration, String> {
        let registry = windlass_workflows::register(Registry::new(), &self.cluster);
        let options = WorkerOptions { until: Until::Ended, ..WorkerOptions::default() };
        let revision = registry.revision("eus-update").expect("the workflow is registered");
        let worker = Worker::new(Box::new(MemoryJournal::new()), registry, self.clock.clone(), options);
        let handle = worker.handle();
        let mut updates = handle.watch();
        let working = tokio::spawn(worker.run());
        let input = Json::of(&json!({ "channel": "eus-4.18", "target": "4.18", "pause_days": 14 })).expect("an input");
        let approvals = ["ack-hop-1", "ack-hop-2", "release-pool-infra", "release-pool-worker"].map(str::to_owned).to_vec();
        let what = What::Start {
            workflow: "eus-update".to_owned(),
            revision,
            build: "test".to_owned(),
            input,
            cluster: None,
            approvals,
            plan: None,
        };
        let run = RunId::new(self.clock.now(), [7; 10]);
        let told = handle.tell(Request { run, by: "tester".to_owned(), reason: None, what }).await;
        told.expect("a worker").expect("a run");
        let glances = async {
            while !visible(&self.sim) {
                self.clock.sleep_until(self.clock.now().plus(GLANCE)).await;
            }
            self.clock.now()
        };
        tokio::pin!(glances);
        let deadline = self.clock.now().plus(LONG_ENOUGH);
        let (mut said, mut shown) = (String::new(), None);
        loop {
            let stands = parts.iter().all(|part| said.contains(part));
            if let (Some(shown), true) = (shown, stands) {
                working.abort();
                return Ok(self.clock.now().since(shown));
            }
            tokio::select! {
                biased;
                at = &mut glances, if shown.is_none() => shown = Some(at),
                update = updates.recv() => match update {
                    Ok(Update::Progress(progress)) => said = progress.text,
                    Ok(Update::Recorded(record)) if !record.event.ends_run() => {}
                    Ok(Update::Status { .. }) => {}
                    Ok(Update::Recorded(_)) | Err(_) => break,
                },
                () = self.clock.sleep_until(deadline) => break,
            }
        }
        working.abort();
        Err(format!("{}; at the end it says: {said}", if shown.is_some() { "not said" } else { "there was nothing to see" }))
    }
}

/// What is wrong with what sees a hazard; nothing if it is seen.
async fn miss(hazard: &Hazard, sight: &Sight) -> Option<String> {
    let scene = Scene::set(hazard).await;
    let preflight = json!({ "target": "4.18", "pause_days": 14 });
    let way = json!({ "channel": "eus-4.18", "target": "4.18" });
    match sight {
        Check(id, part) | Note(id, part) => {
            let report = scene.look::<Preflight>(preflight).await.expect("a preflight");
            let Some(check) = report.checks.iter().find(|check| check.id == *id) else { return Some(format!("no check {id}")) };
            let evidence = check.evidence.join("; ");
            let loud = check.verdict != CheckVerdict::Pass || matches!(sight, Note(..));
            let seen = loud && evidence.contains(part);
            (!seen).then(|| format!("{id} says {}: {evidence}", check.verdict))
        }
        NoWay(part) => match scene.look::<ResolvePath>(way).await {
            Ok(path) => Some(format!("there is a way: {path:?}")),
            Err(error) => (!error.message.contains(part)).then_some(error.message),
        },
        Way(versions) => {
            let path = scene.look::<ResolvePath>(way).await.expect("a way");
            let taken: Vec<String> =
                path.hops.iter().filter_map(|hop| hop.release.as_ref()).map(|release| release.version.to_string()).collect();
            (taken != *versions).then(|| taken.join(", "))
        }
        Words(parts, visible) => match scene.hear(parts, *visible).await {
            Ok(after) => (after > SOON).then(|| format!("said only {} s later", after.as_secs())),
            Err(instead) => Some(instead),
        },
    }
}

fn on_paused_time(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(future);
}

#[test]
fn every_hazard_is_seen() {
    let mut missed = Vec::new();
    for (number, sight) in TABLE {
        let hazard = hazards::numbered(*number).expect("a hazard of that number");
        on_paused_time(async {
            if let Some(why) = miss(hazard, sight).await {
                missed.push(format!("F{number} ({}): {why}", hazard.title));
            }
        });
    }
    assert!(missed.is_empty(), "not seen:\n{}", missed.join("\n"));
}

#[test]
fn nothing_is_seen_where_nothing_is_wrong() {
    let calm = Hazard { number: 0, title: "none", apply: |_| {}, scenario: windlass_sim::Scenario::calm };
    for (number, sight) in TABLE.iter().filter(|(_, sight)| matches!(sight, Check(..) | NoWay(_))) {
        on_paused_time(async {
            assert!(miss(&calm, sight).await.is_some(), "what sees F{number} sees it on a sound cluster, too");
        });
    }
}

#[test]
fn the_table_has_every_hazard() {
    let listed: Vec<u8> = TABLE.iter().map(|(number, _)| *number).collect();
    let shown: Vec<u8> = hazards::all().map(|hazard| hazard.number).collect();
    assert_eq!(listed, shown);
}
