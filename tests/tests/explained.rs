//! Waits on a simulated cluster that gets stuck: within a minute of a fact being visible the wait names it.

#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use serde_json::Value;
use windlass_activities::pool::AwaitPool;
use windlass_activities::release::Release;
use windlass_activities::update::{AwaitControlPlane, ReadUpdateState, RequestUpdate};
use windlass_activities::{Cluster, Settings};
use windlass_engine::{Activity, ActivityContext, Attempt, Clock, CommandId, RunId, Timestamp, TokioClock};
use windlass_sim::scenario::{Refusal, When, WorldFault};
use windlass_sim::store::resources::{CLUSTEROPERATORS, CLUSTERVERSIONS, MACHINECONFIGPOOLS, MACHINES, NODES};
use windlass_sim::{ClusterShape, Scenario, Sim, SimClock};

/// How soon a fact must be told.
const SOON: TimeDelta = TimeDelta::seconds(60);
/// How long a scenario may take to show its fact.
const PATIENCE: Duration = Duration::from_secs(12 * 3600);

type Told = Arc<Mutex<Vec<(DateTime<Utc>, String)>>>;

struct Bench {
    sim: Sim,
    clock: Arc<dyn Clock>,
    cluster: Arc<Cluster>,
    told: Told,
}

impl Bench {
    async fn new(world: Vec<WorldFault>) -> Self {
        let epoch = Utc.with_ymd_and_hms(2026, 3, 2, 6, 0, 0).unwrap();
        let scenario = Scenario { world, ..Scenario::calm() };
        // A health check that deletes the machines of nodes that are away would be another story.
        let shape = ClusterShape { health_check_minutes: None, ..ClusterShape::default() };
        let sim = Sim::start(shape, scenario, SimClock::new(epoch, 1.0)).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(Timestamp::from(epoch)));
        let client = kube::Client::new(sim.service(), "default");
        let cluster = Arc::new(Cluster::from_client(client, Settings::simulated(clock.clone())).await.unwrap());
        Self { sim, clock, cluster, told: Told::default() }
    }

    fn context(&self) -> ActivityContext<Cluster> {
        let (told, clock) = (self.told.clone(), self.clock.clone());
        let note = move |text: String| told.lock().unwrap().push((clock.now().to_datetime(), text));
        let attempt = Attempt { run: RunId::from_bytes([7; 16]), command: CommandId(0), number: 1 };
        ActivityContext::new(self.cluster.clone(), attempt, self.clock.clone(), Arc::new(note))
    }

    /// When `fact` was first so, and when a text with `says` was first told; failures count as told.
    async fn watch<A: Activity<World = Cluster>>(
        &self,
        wait: A,
        fact: &dyn Fn(&Sim) -> bool,
        says: &str,
    ) -> (DateTime<Utc>, DateTime<Utc>) {
        let running = async {
            if let Err(error) = wait.run(self.context()).await {
                self.told.lock().unwrap().push((self.clock.now().to_datetime(), error.message));
            }
            std::future::pending::<()>().await;
        };
        let looking = async {
            let mut since = None;
            loop {
                since = since.or_else(|| fact(&self.sim).then(|| self.clock.now().to_datetime()));
                let said = self.told.lock().unwrap().iter().find(|(_, text)| text.contains(says)).map(|(at, _)| *at);
                if let (Some(since), Some(said)) = (since, said) {
                    return (since, said);
                }
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        };
        tokio::select! {
            () = running => unreachable!("it is pending"),
            times = tokio::time::timeout(PATIENCE, looking) => times.unwrap_or_else(|_| {
                let told = self.told.lock().unwrap();
                let tail: Vec<String> = told.iter().rev().take(8).map(|(at, text)| format!("{at} {text}")).collect();
                panic!("{says:?} was never told, or is no fact; last told:\n{}", tail.join("\n"))
            }),
        }
    }
}

fn check_times((visible, told): (DateTime<Utc>, DateTime<Utc>), says: &str) {
    let late = told - visible;
    assert!(late <= SOON, "{says:?} was visible at {visible} and told at {told}");
    // Told much before it is a fact would be a guess.
    assert!(late >= TimeDelta::seconds(-10), "{says:?} was told at {told}, before it was visible at {visible}");
}

fn paused(scenario: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(scenario);
}

/// A pool that rolls out because a machine config was added, while something else goes wrong.
fn rolling(faults: &[WorldFault], fact: impl Fn(&Sim) -> bool, says: &str) {
    paused(async {
        let mut world = vec![WorldFault::MachineConfigAdded { when: after(2.0), pool: "worker".into() }];
        world.extend_from_slice(faults);
        let bench = Bench::new(world).await;
        let was = bench.sim.store().get(&MACHINECONFIGPOOLS, None, "worker").unwrap();
        let was = was["spec"]["configuration"]["name"].as_str().unwrap().into();
        check_times(bench.watch(AwaitPool { pool: "worker".into(), was: Some(was) }, &fact, says).await, says);
    });
}

/// A control plane that is updated while something goes wrong.
fn updating(fault: WorldFault, fact: impl Fn(&Sim) -> bool, says: &str) {
    paused(async {
        let bench = Bench::new(vec![fault]).await;
        let document = bench.sim.update_document("eus-4.18");
        let nodes = document["nodes"].as_array().unwrap();
        let node =
            nodes.iter().find(|node| node["version"].as_str().is_some_and(|version| version.starts_with("4.17."))).unwrap();
        let version = node["version"].as_str().unwrap().parse().unwrap();
        let release = Release { version, image: node["payload"].as_str().unwrap().to_owned() };
        let seen = ReadUpdateState {}.run(bench.context()).await.unwrap();
        let request = RequestUpdate { release: release.clone(), seen, accepted_risks: Vec::new() };
        request.run(bench.context()).await.unwrap();
        check_times(bench.watch(AwaitControlPlane { release }, &fact, says).await, says);
    });
}

fn after(minutes: f64) -> When {
    When { update: None, after_minutes: minutes }
}

fn during(minutes: f64) -> When {
    When { update: Some(1), after_minutes: minutes }
}

fn nodes(sim: &Sim) -> Vec<Value> {
    sim.store().list(&NODES).iter().map(|node| Value::clone(node)).collect()
}

fn annotation<'a>(node: &'a Value, key: &str) -> &'a str {
    node["metadata"]["annotations"][format!("machineconfiguration.openshift.io/{key}")].as_str().unwrap_or_default()
}

fn is_draining(node: &Value) -> bool {
    annotation(node, "desiredDrain").starts_with("drain-")
        && annotation(node, "desiredDrain") != annotation(node, "lastAppliedDrain")
}

/// Whether a condition of an object has had a status for so many minutes.
fn lasts(object: &Value, kind: &str, status: &str, minutes: i64, sim: &Sim) -> bool {
    let conditions = object["status"]["conditions"].as_array().unwrap();
    let condition = conditions.iter().find(|condition| condition["type"] == kind && condition["status"] == status);
    let since = condition.and_then(|condition| condition["lastTransitionTime"].as_str()?.parse::<DateTime<Utc>>().ok());
    since.is_some_and(|since| sim.clock().now() - since >= TimeDelta::minutes(minutes))
}

#[test]
fn a_drain_that_a_budget_blocks() {
    let fault = WorldFault::DrainBlocked { when: after(0.0), node: "worker/0".into(), minutes: None };
    rolling(
        &[fault],
        |sim| nodes(sim).iter().any(|node| node["metadata"]["name"] == "worker-0" && is_draining(node)),
        "does not drain: ",
    );
}

#[test]
fn a_node_that_does_not_come_back() {
    let fault = WorldFault::NodeStuck { when: after(0.0), node: "worker/0".into(), minutes: None };
    let lost = |sim: &Sim| {
        nodes(sim).iter().any(|node| lasts(node, "Ready", "Unknown", 20, sim) || lasts(node, "Ready", "False", 20, sim))
    };
    rolling(&[fault], lost, "does not come back");
}

#[test]
fn a_cordon_of_somebody_else() {
    let fault = WorldFault::NodeCordoned { when: after(3.0), node: "worker/2".into(), minutes: None };
    let cordoned =
        |sim: &Sim| nodes(sim).iter().any(|node| node["metadata"]["name"] == "worker-2" && node["spec"]["unschedulable"] == true);
    rolling(&[fault], cordoned, "node worker-2 is cordoned, and not by the update");
}

#[test]
fn a_pod_that_does_not_end() {
    let fault = WorldFault::PodStuck { when: after(0.0), node: "worker/0".into(), minutes: None };
    let stuck = |sim: &Sim| {
        let pods = sim.store().list(&windlass_sim::store::resources::PODS);
        pods.iter().any(|pod| {
            let ends = pod["metadata"]["deletionTimestamp"].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
            ends.is_some_and(|ends| sim.clock().now() - ends >= TimeDelta::minutes(5))
        })
    };
    rolling(&[fault], stuck, "should have ended more than 5 min ago");
}

#[test]
fn a_machine_that_is_deleted() {
    let fault = WorldFault::MachineDeleted { when: after(4.0), node: "worker/0".into() };
    let deleted =
        |sim: &Sim| sim.store().list(&MACHINES).iter().any(|machine| !machine["metadata"]["deletionTimestamp"].is_null());
    rolling(&[fault], deleted, "is being deleted");
}

#[test]
fn a_pool_that_is_degraded_with_the_nodes_own_reason() {
    let fault =
        WorldFault::PoolDegraded { when: after(3.0), pool: "worker".into(), reason: "disk is on fire".into(), minutes: None };
    let degraded = |sim: &Sim| nodes(sim).iter().any(|node| annotation(node, "state") == "Degraded");
    rolling(&[fault], degraded, "disk is on fire");
}

#[test]
fn an_operator_that_stays_degraded() {
    let fault = WorldFault::OperatorDegraded {
        when: after(1.0),
        operator: "monitoring".into(),
        reason: "Failed".into(),
        message: "no room for Prometheus".into(),
        minutes: None,
    };
    let degraded = |sim: &Sim| {
        let operator = sim.store().get(&CLUSTEROPERATORS, None, "monitoring").unwrap();
        lasts(&operator, "Degraded", "True", 5, sim)
    };
    rolling(&[fault], degraded, "slow: operator monitoring is degraded: ");
}

#[test]
fn an_update_that_is_refused() {
    let fault = WorldFault::UpdateRefused { when: after(0.0), reason: Refusal::RetrievePayload, version: None, minutes: None };
    let refused = |sim: &Sim| {
        let version = sim.store().get(&CLUSTERVERSIONS, None, "version").unwrap();
        lasts(&version, "ReleaseAccepted", "False", 1, sim)
    };
    updating(fault, refused, "the cluster refuses the update to 4.17.");
}

#[test]
fn an_update_that_stands_still() {
    let fault = WorldFault::OperatorSlow { when: during(0.0), operator: "kube-apiserver".into(), minutes: 400.0 };
    let mut last = (String::new(), DateTime::<Utc>::MIN_UTC);
    let last = std::cell::RefCell::new(&mut last);
    let still = |sim: &Sim| {
        let version = sim.store().get(&CLUSTERVERSIONS, None, "version").unwrap();
        let conditions = version["status"]["conditions"].as_array().unwrap();
        let told = conditions.iter().find(|condition| condition["type"] == "Progressing" && condition["status"] == "True");
        let operators = sim.store().list(&CLUSTEROPERATORS);
        let versions: Vec<String> = operators.iter().map(|operator| operator["status"]["versions"].to_string()).collect();
        let told = format!("{} {versions:?}", told.map(|told| told["message"].to_string()).unwrap_or_default());
        let mut last = last.borrow_mut();
        if last.0 != told {
            **last = (told, sim.clock().now());
        }
        sim.clock().now() - last.1 >= TimeDelta::minutes(40)
    };
    updating(fault, still, "the update has not moved for 40 min");
}

#[test]
fn a_master_that_is_rebooted_twice() {
    let fault = WorldFault::NodeRebootsTwice { when: during(0.0), node: "master/0".into() };
    let twice = |sim: &Sim| sim.reboot_counts().get("master-0").copied().unwrap_or_default() > 1;
    updating(fault, twice, "was rebooted 2 times");
}

#[test]
fn somebody_who_uncordons_a_draining_node() {
    // A stuck pod keeps the drain open long enough to be interfered with.
    let stuck = WorldFault::PodStuck { when: after(0.0), node: "worker/0".into(), minutes: None };
    let uncordoned = WorldFault::NodeUncordoned { when: after(6.0), node: "worker/0".into() };
    let free = |sim: &Sim| {
        nodes(sim).iter().any(|node| is_draining(node) && node["spec"]["unschedulable"] != true && after_minutes(sim, 6))
    };
    rolling(&[stuck, uncordoned], free, "was uncordoned by somebody while it drains");
}

#[test]
fn a_machine_config_that_is_added_during_the_update() {
    let fault = WorldFault::MachineConfigAdded { when: during(55.0), pool: "master".into() };
    let seen = std::cell::RefCell::new(Vec::<String>::new());
    let moved = |sim: &Sim| {
        let pool = sim.store().get(&MACHINECONFIGPOOLS, None, "master").unwrap();
        let target = pool["spec"]["configuration"]["name"].as_str().unwrap().to_owned();
        let mut seen = seen.borrow_mut();
        if seen.last() != Some(&target) {
            seen.push(target);
        }
        seen.len() > 2
    };
    updating(fault, moved, "pool master has moved its target again");
}

fn after_minutes(sim: &Sim, minutes: i64) -> bool {
    sim.clock().now() - sim.clock().epoch() >= TimeDelta::minutes(minutes)
}
