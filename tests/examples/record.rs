//! Records histories for the corpus, on simulated clusters and paused time: `cargo run -p windlass-tests --example record DIR`.
#![expect(clippy::print_stdout, reason = "it says what it recorded")]

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tokio::sync::Notify;
use windlass_activities::{Cluster, Settings};
use windlass_engine::control::{Request, What, record_offline_with};
use windlass_engine::journal::{DiskJournal, Journal, JournalOptions, JournalReader};
use windlass_engine::{
    ActivityError, AttemptHook, AttemptInfo, Before, Event, Json, NewEvent, OpenRun, ParkReason, Record, Registry,
};
use windlass_sim::faults::{ApiFault, Effect, FaultScript, Faults, Match, When};
use windlass_sim::shape::{Credentials, CredentialsMode};
use windlass_sim::{ClusterShape, Scenario};
use windlass_tests::{Stage, on_paused_time};

/// A run on its way into the corpus.
struct Take<'a> {
    stage: Stage,
    dir: &'a Path,
}

/// Tells when an activity of that name begins for the nth time.
struct TellAt {
    activity: &'static str,
    left: std::sync::atomic::AtomicUsize,
    reached: Notify,
}

impl AttemptHook for TellAt {
    fn before(&self, info: &AttemptInfo) -> Before {
        if info.activity == self.activity && self.left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1 {
            self.reached.notify_one();
        }
        Before::Proceed
    }
}

/// Loses the reply to the request for an update, and the API with it, for good.
struct GoneAtRequest(Faults);

impl AttemptHook for GoneAtRequest {
    fn after(&self, info: &AttemptInfo, result: Result<Json, ActivityError>) -> Result<Json, ActivityError> {
        if info.activity != "request-update" {
            return result;
        }
        let gone = ApiFault { on: Match::default(), when: When::default(), effect: Effect::Outage };
        self.0.add(FaultScript { api: vec![gone] });
        Err(ActivityError::unknown("connection-lost", "the connection broke before an answer came"))
    }
}

impl<'a> Take<'a> {
    fn new(dir: &'a Path, workflow: &'static str, shape: ClusterShape) -> Self {
        Self { stage: Stage::new(workflow, shape, Scenario::default()), dir }
    }

    fn open(&self) -> anyhow::Result<DiskJournal> {
        Ok(DiskJournal::open(self.dir, self.stage.clock(), JournalOptions::default())?)
    }

    async fn start(&self, input: &Value, approvals: &[&str], until: Option<(&'static str, usize)>) -> anyhow::Result<()> {
        let approvals: Vec<String> = approvals.iter().map(|gate| (*gate).to_owned()).collect();
        let first = self.stage.creation(input, &approvals)?;
        self.drive(Some(first), until).await
    }

    /// Drives the run as far as it goes, or drops the worker where an activity begins.
    async fn drive(&self, first: Option<Request>, until: Option<(&'static str, usize)>) -> anyhow::Result<()> {
        let (activity, nth) = until.unwrap_or(("", usize::MAX));
        let hook = Arc::new(TellAt { activity, left: nth.into(), reached: Notify::new() });
        tokio::select! {
            driven = self.stage.drive(Box::new(self.open()?), first, Some(hook.clone())) => driven,
            () = hook.reached.notified() => Ok(()),
        }
    }

    /// Tells the run something while no worker drives it.
    async fn tell(&self, what: What) -> anyhow::Result<()> {
        let client = kube::Client::new(self.stage.sim.service(), "default");
        let cluster = Cluster::from_client(client, Settings::simulated(self.stage.clock().clone())).await?;
        let registry = windlass_workflows::register(Registry::new(), &Arc::new(cluster));
        let (by, reason) = ("ana@bastion".to_owned(), Some("as agreed".to_owned()));
        let request = Request { run: self.stage.run_id(), by, reason, what };
        let mut journal = self.open()?;
        record_offline_with(&mut journal, &registry, &request, self.stage.clock().now())?.context("it is refused")?;
        Ok(Box::new(journal).close()?)
    }

    fn history(&self) -> anyhow::Result<Vec<Record>> {
        Ok(JournalReader::open(self.dir)?.records().collect::<Result<_, _>>()?)
    }

    /// The number of the open step whose activity has that name.
    fn step(&self, activity: &str) -> anyhow::Result<String> {
        let state = OpenRun::fold(&self.history()?).context("the run is on record")?;
        let found = state.open.keys().find(|command| state.activity(**command).is_some_and(|open| open.name == activity));
        Ok(found.with_context(|| format!("{activity} is not open: {:?}", state.open))?.0.to_string())
    }

    fn ends_with(&self, wanted: fn(&Event) -> bool) -> anyhow::Result<()> {
        let last = self.history()?.pop().context("it has events")?.event;
        ensure!(wanted(&last), "it ends with {last:?}");
        Ok(())
    }
}

fn input() -> Value {
    json!({"channel": "eus-4.18", "target": "4.18", "pause_days": 14})
}

const GATES: [&str; 4] = ["ack-hop-1", "ack-hop-2", "release-pool-infra", "release-pool-worker"];

async fn overrides(dir: &Path) -> anyhow::Result<()> {
    let take = Take::new(dir, "eus-update", ClusterShape::default());
    take.start(&input(), &GATES, Some(("await-control-plane", 1))).await?;
    let step = take.step("await-control-plane")?;
    take.tell(What::Pause).await?;
    take.tell(What::Note { text: "asked the network team".to_owned() }).await?;
    take.tell(What::SetTimeout { step: step.clone(), seconds: 6 * 3600 }).await?;
    take.tell(What::Unpause).await?;
    take.tell(What::Retry { step }).await?;
    take.drive(None, Some(("await-pool", 1))).await?;
    take.tell(What::Skip { step: take.step("await-pool")? }).await?;
    take.drive(None, Some(("await-pool", 1))).await?;
    let (evidence, step) = ("oc get mcp, CHG-4711".to_owned(), take.step("await-pool")?);
    take.tell(What::MarkDone { step, evidence, output: None }).await?;
    take.drive(None, None).await?;
    take.ends_with(|event| matches!(event, Event::RunCompleted { .. } | Event::RunFailed { .. }))
}

async fn cancelled(dir: &Path) -> anyhow::Result<()> {
    let take = Take::new(dir, "eus-update", ClusterShape::default());
    take.start(&input(), &GATES, Some(("await-control-plane", 1))).await?;
    take.tell(What::Cancel).await?;
    take.drive(None, None).await?;
    take.ends_with(|event| matches!(event, Event::RunCancelled { .. }))
}

async fn rejected(dir: &Path) -> anyhow::Result<()> {
    let take = Take::new(dir, "eus-update", ClusterShape::default());
    take.start(&input(), &GATES[..2], None).await?;
    take.ends_with(|event| matches!(event, Event::GateOpened { .. }))?;
    let state = OpenRun::fold(&take.history()?).context("the run is on record")?;
    let gate = state.open_gates().next().context("it waits at a gate")?.to_owned();
    take.tell(What::Reject { gate }).await?;
    take.drive(None, None).await?;
    take.ends_with(|event| matches!(event, Event::RunFailed { .. }))
}

async fn half_way(dir: &Path) -> anyhow::Result<()> {
    let take = Take::new(dir, "eus-update", ClusterShape::default());
    take.start(&input(), &GATES, Some(("await-control-plane", 2))).await
}

async fn in_doubt(dir: &Path) -> anyhow::Result<()> {
    let take = Take::new(dir, "eus-update", ClusterShape::default());
    let first = take.stage.creation(&input(), &GATES.map(str::to_owned))?;
    let hook = Arc::new(GoneAtRequest(take.stage.sim.faults().clone()));
    take.stage.drive(Box::new(take.open()?), Some(first), Some(hook)).await?;
    take.ends_with(|event| matches!(event, Event::RunParked { why: ParkReason::InDoubt { .. } }))
}

async fn adopted(dir: &Path) -> anyhow::Result<()> {
    let take = Take::new(dir, "eus-update", ClusterShape::default());
    take.start(&input(), &GATES, Some(("await-control-plane", 2))).await?;
    let (run, seq, at) = (take.stage.run_id(), take.history()?.len() as u64 + 1, take.stage.clock().now());
    let event = Event::RunAdopted {
        from: "the mirror in the cluster".to_owned(),
        host: "bastion-2".to_owned(),
        by: "ana@bastion-2".to_owned(),
        reason: Some("bastion is gone".to_owned()),
    };
    let mut journal = take.open()?;
    journal.append(&[NewEvent { run, seq, at, event }])?;
    Box::new(journal).close()?;
    take.drive(None, None).await?;
    take.ends_with(|event| matches!(event, Event::RunCompleted { .. }))
}

async fn drill(dir: &Path) -> anyhow::Result<()> {
    let take = Take::new(dir, "canary-drill", ClusterShape::default());
    let waves = json!([{"name": "canary", "select": {"percent": 10}}]);
    take.start(&json!({"spec": {"pool": "worker", "soak_minutes": 5, "waves": waves}}), &[], None).await?;
    take.ends_with(|event| matches!(event, Event::RunCompleted { .. }))
}

async fn credentials(dir: &Path) -> anyhow::Result<()> {
    let credentials = Credentials { mode: CredentialsMode::Manual, root_secret: false, ..Credentials::default() };
    let take = Take::new(dir, "eus-update", ClusterShape { credentials, ..ClusterShape::default() });
    let mut input = input();
    input["terms"] = json!({"credentials": {}});
    take.start(&input, &GATES, None).await?;
    for _ in 0..8 {
        let state = OpenRun::fold(&take.history()?).context("the run is on record")?;
        let gates: Vec<String> = state.open_gates().map(str::to_owned).collect();
        if gates.is_empty() {
            break;
        }
        for gate in gates {
            take.tell(What::Approve { gate, in_advance: false, seen: None, plan: None }).await?;
        }
        take.drive(None, None).await?;
    }
    take.ends_with(|event| matches!(event, Event::RunCompleted { .. } | Event::RunFailed { .. } | Event::RunCancelled { .. }))
}

/// Records one history into a folder.
type Recorder = fn(&Path) -> anyhow::Result<()>;

fn main() -> anyhow::Result<()> {
    let Some(folder) = std::env::args().nth(1) else { bail!("name the folder to record into") };
    let takes: [(&str, Recorder); 8] = [
        ("eus-update-r2-overrides", |dir| on_paused_time(overrides(dir))),
        ("eus-update-r2-cancelled", |dir| on_paused_time(cancelled(dir))),
        ("eus-update-r2-rejected", |dir| on_paused_time(rejected(dir))),
        ("eus-update-r2-second-hop-half-way", |dir| on_paused_time(half_way(dir))),
        ("eus-update-r2-in-doubt-half-way", |dir| on_paused_time(in_doubt(dir))),
        ("eus-update-r2-adopted", |dir| on_paused_time(adopted(dir))),
        ("eus-update-r2-credentials", |dir| on_paused_time(credentials(dir))),
        ("canary-drill-r1-calm", |dir| on_paused_time(drill(dir))),
    ];
    for (name, take) in takes {
        take(&Path::new(&folder).join(name)).context(name)?;
        println!("{name}");
    }
    Ok(())
}
