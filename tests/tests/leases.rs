//! Two laptops and one cluster: whoever holds its lease drives it, and nothing of anybody else reaches it.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::ServiceExt as _;
use windlass_activities::lease::{self, Claim, Held, Holder, LeaseError, Release, Taking};
use windlass_activities::views::MachineConfigPool;
use windlass_activities::{Cluster, Patch, Settings};
use windlass_engine::{ActivityError, Clock, Event, Registry, RunId, Timestamp, Until, Worker, WorkerOptions};
use windlass_sim::faults::{ApiFault, Effect, Match, When};
use windlass_sim::store::resources::{LEASES, MACHINECONFIGPOOLS};
use windlass_sim::{ClusterShape, FaultScript, Rng, Scenario, Sim, SimClock};
use windlass_tests::{Ending, Stage, seeds};

/// The cluster's time on a machine whose clock goes wrong.
struct Skewed {
    clock: SimClock,
    ahead: TimeDelta,
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        (self.clock.now() + self.ahead).into()
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.clock.sleep_until(at.to_datetime() - self.ahead))
    }
}

type Surprise = Box<dyn FnOnce() + Send>;

/// One laptop: a connection of its own that can break, a clock of its own, a journal.
struct Laptop {
    cluster: Arc<Cluster>,
    claim: Claim,
    offline: Arc<AtomicBool>,
    /// Happens when the next look at the lease has been answered, before the laptop has read the answer.
    surprise: Arc<Mutex<Option<Surprise>>>,
}

impl Laptop {
    async fn new(sim: &Sim, who: &str, skew_hours: i64) -> Self {
        let (offline, surprise) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None::<Surprise>)));
        let (switch, hook, service) = (offline.clone(), surprise.clone(), sim.service());
        let network = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let (switch, hook, service) = (switch.clone(), hook.clone(), service.clone());
            async move {
                if switch.load(Ordering::Acquire) {
                    return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
                }
                let is_look = request.method() == "GET" && request.uri().path().ends_with("/leases/windlass");
                let answer = service.oneshot(request).await.map_err(std::io::Error::other);
                let surprise = hook.lock().expect("no panic").take_if(|_| is_look);
                if let Some(surprise) = surprise {
                    surprise();
                }
                answer
            }
        });
        let clock = Skewed { clock: sim.clock().clone(), ahead: TimeDelta::hours(skew_hours) };
        let settings = Settings::simulated(Arc::new(clock));
        let client = kube::Client::new(network, "default");
        let cluster = Arc::new(Cluster::from_client(client, settings).await.expect("the cluster is there"));
        let (user, host) = who.split_once('@').expect("user@host");
        let holder = Holder { home: format!("{host}.1"), journal: format!("journal-of-{user}"), start: "s1".to_owned() };
        Self { cluster, claim: Claim { holder, who: who.to_owned(), pid: 4242 }, offline, surprise }
    }

    async fn take(&self, taking: &Taking, adopting: &[RunId]) -> Result<Held, LeaseError> {
        lease::take(&self.cluster, &self.claim, taking, adopting, &|_| ()).await
    }

    async fn start(&self) -> Result<Held, LeaseError> {
        self.take(&Taking::Free, &[]).await
    }

    async fn adopt(&self, force: bool, runs: &[RunId]) -> Result<Held, LeaseError> {
        self.take(&Taking::Over { reason: "laptop lost".to_owned(), force }, runs).await
    }

    /// A write to the cluster.
    async fn write(&self, note: &str) -> Result<(), ActivityError> {
        write(&self.cluster, note).await
    }

    fn surprise(&self, surprise: impl FnOnce() + Send + 'static) {
        *self.surprise.lock().expect("no panic") = Some(Box::new(surprise));
    }
}

async fn write(cluster: &Cluster, note: &str) -> Result<(), ActivityError> {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"note": note}}}));
    Ok(cluster.patch::<MachineConfigPool>(None, "worker", &patch).await.map(drop)?)
}

fn calm() -> Sim {
    let epoch = DateTime::from_timestamp(1_772_431_200, 0).expect("a time");
    Sim::start(ClusterShape::default(), Scenario::calm(), SimClock::new(epoch, 1.0)).expect("the shape can be built")
}

/// The notes that reached the cluster, in order.
fn notes(sim: &Sim) -> Vec<String> {
    let pools = sim.audit().records().into_iter().filter(|record| record.path.contains(MACHINECONFIGPOOLS.plural));
    pools.filter_map(|record| record.body["metadata"]["annotations"]["note"].as_str().map(str::to_owned)).collect()
}

fn lease_of(sim: &Sim) -> Value {
    sim.store().get(&LEASES, Some("windlass"), "windlass").map(|lease| (*lease).clone()).unwrap_or_default()
}

/// Somebody else takes the lease, however they do it.
fn seize(sim: &windlass_sim::Store, holder: &str) {
    let edit = |lease: &mut Value| {
        lease["spec"]["holderIdentity"] = json!(holder);
        lease["spec"]["leaseTransitions"] = json!(lease["spec"]["leaseTransitions"].as_i64().unwrap_or(0) + 1);
        lease["metadata"]["annotations"]["windlass.dev/who"] = json!("bo@laptop-2");
    };
    sim.modify(&LEASES, Some("windlass"), "windlass", edit).expect("the lease is there");
}

fn run(number: u8) -> RunId {
    RunId::from_bytes([number; 16])
}

fn sleep(seconds: u64) -> tokio::time::Sleep {
    tokio::time::sleep(Duration::from_secs(seconds))
}

/// Whatever the clocks of both show. Seen to fail with the renewal's time compared with our own clock (a holder who lives was
/// ousted by a laptop two hours ahead, one who was gone was waited for by a laptop two hours behind), and without renewals.
#[tokio::test(start_paused = true)]
async fn a_second_worker_is_refused_while_the_first_lives_and_not_for_longer() {
    for (of_ana, of_bo) in [(0, 0), (-2, 0), (2, 0), (0, -2), (0, 2), (-2, 2), (2, -2)] {
        let what = format!("clocks {of_ana} h and {of_bo} h off");
        let sim = calm();
        let (ana, bo) = (Laptop::new(&sim, "ana@laptop-1", of_ana).await, Laptop::new(&sim, "bo@laptop-2", of_bo).await);
        let held = ana.start().await.expect("nobody holds it");
        assert_eq!(held.epoch(), 1);
        sleep(100).await;
        let error = bo.start().await.err().expect("ana lives");
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("cluster {} is driven by ana@laptop-1 (windlass pid 4242, since ", sim.cluster_id())),
            "{text}"
        );
        assert!(matches!(bo.adopt(false, &[run(1)]).await, Err(LeaseError::Driven { .. })), "{what}");
        ana.write("ana").await.expect("it is ana's");
        // Her process is killed.
        drop(held);
        let began = Instant::now();
        let held = bo.start().await.expect("ana is gone");
        let took = began.elapsed().as_secs();
        assert!((60 + 90..60 + 90 + 20).contains(&took), "{what}: {took} s");
        assert_eq!(held.epoch(), 2);
        bo.write("bo").await.expect("it is bo's");
        assert!(ana.write("late").await.is_err_and(|error| error.code == ActivityError::FENCED), "{what}");
        assert_eq!(notes(&sim), ["ana", "bo"], "{what}");
    }
}

/// Seen to fail with the look at the lease after the sending, and with the fence left out; so were five others here.
#[tokio::test(start_paused = true)]
async fn nothing_of_a_worker_that_was_ousted_reaches_the_cluster() {
    let sim = calm();
    let (ana, bo) = (Laptop::new(&sim, "ana@laptop-1", 0).await, Laptop::new(&sim, "bo@laptop-2", 0).await);
    let of_ana = ana.start().await.expect("nobody holds it");
    ana.write("before").await.expect("it is ana's");
    seize(sim.store(), "laptop-2.1/journal-of-bo/s0");
    let error = ana.write("after").await.expect_err("it is no longer ana's");
    assert_eq!(error.code, ActivityError::FENCED);
    assert!(error.message.contains("is now driven by bo@laptop-2"), "{error}");
    assert!(of_ana.lost().borrow().is_some());
    // Once lost it stays lost, whatever the lease says then.
    seize(sim.store(), &ana.claim.holder.to_string());
    assert!(ana.write("again").await.is_err());
    assert!(matches!(of_ana.release().await, Ok(Release::Lost(_))));
    assert_eq!(notes(&sim), ["before"]);
    drop(bo);
}

/// Two connections of one process: the older hold must not write with the younger's right, nor after a restored backup.
/// Seen to fail with the epoch left out of the comparison.
#[tokio::test(start_paused = true)]
async fn an_older_epoch_of_the_same_holder_is_refused() {
    let sim = calm();
    let (first, second) = (Laptop::new(&sim, "ana@laptop-1", 0).await, Laptop::new(&sim, "ana@laptop-1", 0).await);
    let of_first = first.start().await.expect("nobody holds it");
    let of_second = second.start().await.expect("it is the same journal");
    assert_eq!((of_first.epoch(), of_second.epoch()), (1, 2));
    assert!(first.write("first").await.is_err());
    second.write("second").await.expect("it holds the younger epoch");
    assert_eq!(notes(&sim), ["second"]);
}

/// Seen to fail with the takeover not waiting: the write landed after the new owner had begun.
#[tokio::test(start_paused = true)]
async fn a_takeover_waits_until_the_last_write_of_the_other_has_landed() {
    let sim = calm();
    let (ana, bo) = (Laptop::new(&sim, "ana@laptop-1", 0).await, Laptop::new(&sim, "bo@laptop-2", 0).await);
    let held = ana.start().await.expect("nobody holds it");
    let slow = Match { resource: Some(MACHINECONFIGPOOLS.qualified()), ..Match::default() };
    let once = When { times: Some(1), ..When::default() };
    sim.faults().add(FaultScript { api: vec![ApiFault { on: slow, when: once, effect: Effect::Delay { seconds: 29.0 } }] });
    let cluster = ana.cluster.clone();
    let writing = tokio::spawn(async move { write(&cluster, "ana").await });
    sleep(1).await;
    let began = Instant::now();
    let of_bo = bo.adopt(true, &[]).await.expect("by force");
    assert_eq!(notes(&sim), ["ana"], "it was on its way and must be there before bo begins");
    assert_eq!(began.elapsed().as_secs(), 90);
    assert!(writing.await.expect("no panic").is_ok());
    assert!(held.lost().borrow().is_some(), "the renewals find out, without a write");
    assert_eq!(of_bo.epoch(), 2);
}

/// Seen to fail with the time in which the API was away counted against the holder.
#[tokio::test(start_paused = true)]
async fn after_an_outage_for_both_exactly_one_goes_on() {
    let sim = calm();
    let (ana, bo) = (Laptop::new(&sim, "ana@laptop-1", 0).await, Laptop::new(&sim, "bo@laptop-2", 0).await);
    let held = ana.start().await.expect("nobody holds it");
    sleep(16).await;
    let cluster = (bo.cluster.clone(), bo.claim.clone());
    let taking = tokio::spawn(async move { lease::take(&cluster.0, &cluster.1, &Taking::Free, &[], &|_| ()).await });
    sleep(1).await;
    for laptop in [&ana, &bo] {
        laptop.offline.store(true, Ordering::Release);
    }
    assert_eq!(ana.write("away").await.expect_err("the API is away").code, "unreachable");
    sleep(45).await;
    bo.offline.store(false, Ordering::Release);
    // The other way round is worse for ana: her network is back later.
    sleep(20).await;
    ana.offline.store(false, Ordering::Release);
    assert!(matches!(taking.await.expect("no panic"), Err(LeaseError::Driven { .. })), "ana lives");
    ana.write("ana").await.expect("it is still hers");
    assert_eq!((held.epoch(), notes(&sim)), (1, vec!["ana".to_owned()]));
    sleep(600).await;
    assert!(held.lost().borrow().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_can_not_be_read_stops_writes_and_nothing_else() {
    let sim = calm();
    let ana = Laptop::new(&sim, "ana@laptop-1", 0).await;
    let held = ana.start().await.expect("nobody holds it");
    let looks = Match { resource: Some(LEASES.qualified()), ..Match::default() };
    let busy = Effect::Status { code: 503, retry_after_seconds: None, applied: false };
    sim.faults().add(FaultScript { api: vec![ApiFault { on: looks, when: When::default(), effect: busy }] });
    let error = ana.write("unknown").await.expect_err("nobody knows whose it is");
    assert_eq!((error.code.as_str(), error.kind), ("unreachable", windlass_engine::FailureKind::Transient), "{error}");
    assert!(ana.cluster.get::<MachineConfigPool>(None, "worker").await.is_ok(), "reads need no lease");
    sleep(200).await;
    sim.faults().clear();
    ana.write("known").await.expect("it was hers all the time");
    assert!(held.lost().borrow().is_none());
    let empty = windlass_sim::store::Preconditions::default();
    sim.store().delete(&LEASES, Some("windlass"), "windlass", &empty).expect("it is there");
    assert_eq!(ana.write("deleted").await.expect_err("nobody holds it").code, ActivityError::FENCED);
    assert_eq!(notes(&sim), ["known"]);
}

/// Seen to fail with the clocks not compared after the look.
#[tokio::test(start_paused = true)]
async fn a_laptop_that_slept_between_look_and_write_looks_again() {
    for seized in [false, true] {
        let sim = calm();
        let ana = Laptop::new(&sim, "ana@laptop-1", 0).await;
        let held = ana.start().await.expect("nobody holds it");
        let (store, clock) = (sim.store().clone(), sim.clock().clone());
        ana.surprise(move || {
            // The answer is under way when the lid is closed. An hour later it is read.
            clock.jump(3_600_000);
            if seized {
                seize(&store, "laptop-2.1/journal-of-bo/s0");
            }
        });
        assert_eq!(ana.write("late").await.is_err(), seized);
        assert_eq!(notes(&sim).len(), usize::from(!seized));
        assert_eq!(held.lost().borrow().is_some(), seized);
    }
}

/// Also long after, when others have held the lease and given it back. Seen to fail with the mark not looked at.
#[tokio::test(start_paused = true)]
async fn a_run_that_went_on_elsewhere_stays_there() {
    let sim = calm();
    let [ana, bo, eve] = ["ana@laptop-1", "bo@laptop-2", "eve@laptop-3"];
    let (ana, bo, eve) = (Laptop::new(&sim, ana, 0).await, Laptop::new(&sim, bo, 0).await, Laptop::new(&sim, eve, 0).await);
    drop(ana.start().await.expect("nobody holds it"));
    let of_bo = bo.adopt(true, &[run(1)]).await.expect("by force");
    assert!(of_bo.adopted_elsewhere(run(1)).is_none(), "it is bo's own now");
    assert_eq!(of_bo.release().await.ok(), Some(Release::GivenBack));
    let of_eve = eve.start().await.expect("it was given back");
    assert_eq!(of_eve.release().await.ok(), Some(Release::GivenBack));
    sleep(3600 * 24 * 30).await;
    let began = Instant::now();
    let of_ana = ana.start().await.expect("it was given back");
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody is waited for");
    let adopter = of_ana.adopted_elsewhere(run(1)).expect("bo has it");
    assert_eq!((adopter.journal.as_str(), adopter.who.as_str()), ("journal-of-bo", "bo@laptop-2"));
    assert!(of_ana.adopted_elsewhere(run(2)).is_none());
    assert_eq!(of_ana.epoch(), 4);
    drop(of_ana);
    let again = ana.adopt(false, &[run(1)]).await.expect("her own");
    assert!(again.adopted_elsewhere(run(1)).is_none(), "taken back");
}

#[tokio::test(start_paused = true)]
async fn the_same_journal_comes_back_at_once_and_a_copy_of_it_does_not() {
    let sim = calm();
    let (ana, mut again) = (Laptop::new(&sim, "ana@laptop-1", 0).await, Laptop::new(&sim, "ana@laptop-1", 0).await);
    drop(ana.start().await.expect("nobody holds it"));
    again.claim.holder.start = "s2".to_owned();
    let began = Instant::now();
    let held = again.start().await.expect("the laptop was rebooted");
    assert_eq!((held.epoch(), began.elapsed()), (2, Duration::ZERO));
    let mut copy = Laptop::new(&sim, "ana@laptop-1", 0).await;
    copy.claim.holder.home = "laptop-2.1".to_owned();
    assert!(matches!(copy.start().await, Err(LeaseError::Driven { .. })), "the journal was copied");
}

/// Seen to fail with every lease given back.
#[tokio::test(start_paused = true)]
async fn a_lease_is_not_given_back_while_a_write_may_still_land() {
    let sim = calm();
    let ana = Laptop::new(&sim, "ana@laptop-1", 0).await;
    let cut = |effect| {
        let on = Match { resource: Some(MACHINECONFIGPOOLS.qualified()), ..Match::default() };
        FaultScript { api: vec![ApiFault { on, when: When { times: Some(1), ..When::default() }, effect }] }
    };
    for (effect, expect) in [
        (Effect::ResetBefore, Release::RunsOut),
        (Effect::ResetAfter, Release::RunsOut),
        (Effect::Status { code: 409, retry_after_seconds: None, applied: false }, Release::GivenBack),
    ] {
        let held = ana.start().await.expect("it is hers");
        sim.faults().add(cut(effect.clone()));
        assert!(ana.write("lost").await.is_err());
        assert_eq!(held.release().await.ok(), Some(expect), "{effect:?}");
    }
    let held = ana.start().await.expect("it is hers");
    sim.faults().add(cut(Effect::ResetBefore));
    assert!(ana.write("lost").await.is_err());
    sleep(90).await;
    assert_eq!(held.release().await.ok(), Some(Release::GivenBack));
    assert_eq!(lease_of(&sim)["spec"]["holderIdentity"], "");
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named() {
    let sim = calm();
    let ana = Laptop::new(&sim, "ana@laptop-1", 0).await;
    let on = Match { resource: Some(LEASES.qualified()), verbs: vec![windlass_sim::api::Verb::Create], ..Match::default() };
    sim.faults().add(FaultScript { api: vec![ApiFault { on, when: When::default(), effect: Effect::Forbidden }] });
    let error = ana.start().await.err().expect("she may not");
    assert_eq!(error.to_string(), "permission missing: create leases.coordination.k8s.io in namespace windlass");
}

/// Drives the stage's run with a laptop's connection, as far as it goes.
async fn drive(stage: &Stage, laptop: &Laptop, held: &Held, begins: bool) {
    let leave: BTreeSet<RunId> = [stage.run_id()].into_iter().filter(|run| held.adopted_elsewhere(*run).is_some()).collect();
    let options = WorkerOptions { until: Until::Settled, epoch: Some(held.epoch()), leave, ..WorkerOptions::default() };
    let registry = windlass_workflows::register(Registry::new(), &laptop.cluster);
    let worker = Worker::new(Box::new(stage.journal.reopen()), registry, stage.clock().clone(), options);
    let handle = worker.handle();
    let told = async {
        if begins {
            let approvals = ["ack-hop-1", "ack-hop-2", "release-pool-worker", "release-pool-infra"].map(str::to_owned);
            let input = json!({"channel": "eus-4.18", "target": "4.18", "pause_days": 60});
            let creation = stage.creation(&input, &approvals).expect("an input");
            handle.tell(creation).await.expect("the worker lives").expect("it is new");
        }
    };
    let ((), report) = futures::future::join(told, worker.run()).await;
    report.expect("the journal works");
}

/// A worker is ousted in the middle of an update; it stops, nothing fails, and the next one ends the update as if nothing had been.
/// Seen to fail with the worker trying a fenced attempt again: the run was parked.
#[tokio::test(start_paused = true)]
async fn an_ousted_worker_stops_and_its_successor_finishes() {
    let shape = ClusterShape::default();
    let calm = Stage::new("eus-update", shape.clone(), Scenario::calm());
    let ana = Laptop::new(&calm.sim, "ana@laptop-1", 0).await;
    drive(&calm, &ana, &ana.start().await.expect("nobody holds it"), true).await;
    assert_eq!(calm.ending(), Ending::Completed);
    let expect = effects(&calm);
    for seed in seeds(1) {
        let after = Rng::new(seed).range(1..expect.len() as u64);
        let stage = Stage::new("eus-update", shape.clone(), Scenario::calm());
        let (ana, bo) = (Laptop::new(&stage.sim, "ana@laptop-1", 0).await, Laptop::new(&stage.sim, "bo@laptop-2", 0).await);
        let of_ana = ana.start().await.expect("nobody holds it");
        let (adopting, run) = (Arc::new(bo), stage.run_id());
        let (bo, service) = (adopting.clone(), stage.sim.service());
        let taking = tokio::spawn(async move {
            let mut reading = service.audit().reading();
            let written =
                || service.audit().records().iter().filter(|record| is_effect(&record.path, record.code)).count() as u64;
            reading.wait_for(|_| written() >= after).await.expect("the audit lives");
            adopting.adopt(true, &[run]).await
        });
        drive(&stage, &ana, &of_ana, true).await;
        assert!(of_ana.lost().borrow().is_some(), "after {after} writes");
        let blamed =
            |event: &Event| matches!(event, Event::ActivityFailed { .. } | Event::RunParked { .. } | Event::RunFailed { .. });
        assert!(
            !stage.history().iter().any(|record| blamed(&record.event)),
            "after {after} writes: {:?}",
            stage.history().last()
        );
        let of_bo = taking.await.expect("no panic").expect("by force");
        drive(&stage, &bo, &of_bo, false).await;
        assert_eq!((stage.ending(), effects(&stage)), (Ending::Completed, expect.clone()), "after {after} writes");
        let epochs: Vec<u64> = stage.history().iter().filter_map(|record| epoch(&record.event)).collect();
        assert_eq!(epochs.last(), Some(&2), "after {after} writes");
    }
}

fn epoch(event: &Event) -> Option<u64> {
    if let Event::RunResumed { epoch, .. } = event { *epoch } else { None }
}

/// What is no effect on what the run is about: leases come and go.
fn is_effect(path: &str, code: u16) -> bool {
    code < 300
        && !path.contains("/coordination.k8s.io/")
        && !path.contains("selfsubjectaccessreview")
        && !path.starts_with("/api/v1/namespaces?")
}

fn effects(stage: &Stage) -> Vec<String> {
    let own = |effect: &&String| !effect.contains("/coordination.k8s.io/") && !effect.contains("/api/v1/namespaces?");
    stage.effects().iter().filter(own).cloned().collect()
}
