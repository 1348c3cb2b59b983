//! From a change in a simulated cluster to the body of the next step, in real time, over HTTP on loopback:
//! `cargo bench -p windlass-tests --bench reaction`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;
use windlass_activities::condition::Verdict;
use windlass_activities::views::Node;
use windlass_activities::{Cluster, Connection, Patch, Settings, Wait, wait_for};
use windlass_engine::control::{Request, What};
use windlass_engine::journal::{DiskJournal, JournalOptions};
use windlass_engine::{
    Activity, ActivityContext, ActivityError, ActivityName, Clock, Effect, Json, Registry, RunId, SystemClock, Until, Worker,
    WorkerOptions, WorkflowContext, WorkflowResult,
};
use windlass_sim::{ClusterShape, Scenario, Sim, SimClock};

const ROUNDS: u32 = 41;

/// Long enough that the wait of the round has begun and the cluster is quiet.
const LULL: Duration = Duration::from_millis(150);

/// Waits until some node is cordoned, or none is.
#[derive(Clone, Serialize, Deserialize)]
struct AwaitCordon {
    cordoned: bool,
}

impl Activity for AwaitCordon {
    const NAME: ActivityName = ActivityName::new("await-cordon");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = String;

    fn summary(&self) -> String {
        "wait for a cordon".to_owned()
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<String, ActivityError> {
        let seen = wait_for(&cx, Wait::default(), |snapshot| {
            let cordoned = snapshot.nodes.values().any(|node| node.spec.unschedulable);
            if cordoned == self.cordoned {
                return Verdict::Met { evidence: format!("cordoned: {cordoned}") };
            }
            Verdict::NotYet { reasons: Vec::new() }
        });
        Ok(seen.await?.evidence)
    }
}

/// The next step: says when its body began.
#[derive(Clone, Serialize, Deserialize)]
struct Arrive {}

impl Activity for Arrive {
    const NAME: ActivityName = ActivityName::new("arrive");
    const EFFECT: Effect = Effect::Observe;
    type World = mpsc::UnboundedSender<Instant>;
    type Output = ();

    fn summary(&self) -> String {
        "arrive".to_owned()
    }

    async fn run(self, cx: ActivityContext<Self::World>) -> Result<(), ActivityError> {
        cx.world().send(Instant::now()).map_err(|e| ActivityError::permanent("nobody-measures", e.to_string()))
    }
}

async fn react(ctx: WorkflowContext, rounds: u32) -> WorkflowResult<()> {
    for round in 0..rounds {
        ctx.run(AwaitCordon { cordoned: round % 2 == 0 }).timeout(Duration::from_secs(60)).await?;
        ctx.run(Arrive {}).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // `cargo test --benches` only wants to know whether this still runs.
    let rounds = if std::env::args().any(|arg| arg == "--bench") { ROUNDS } else { 3 };
    let dir = tempfile::tempdir()?;
    let sim = Sim::start(ClusterShape::default(), Scenario::default(), SimClock::new(chrono::Utc::now(), 1.0))?;
    let server = sim.serve(&dir.path().join("cluster"), 0).await?;
    let connection = Connection { kubeconfig: Some(server.kubeconfig().to_owned()), ..Connection::default() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let cluster = Arc::new(Cluster::connect_with(&connection, Settings::simulated(clock.clone())).await?);
    let (arrive, mut arrivals) = mpsc::unbounded_channel();
    let registry =
        Registry::new().workflow("react", 1, react).activity::<AwaitCordon>(&cluster).activity::<Arrive>(&Arc::new(arrive));
    let journal = DiskJournal::open(&dir.path().join("journal"), &clock, JournalOptions::default())?;
    let options = WorkerOptions { until: Until::Ended, ..WorkerOptions::default() };
    let worker = Worker::new(Box::new(journal), registry, clock.clone(), options);
    let handle = worker.handle();
    let driven = tokio::spawn(worker.run());
    let what = What::Start {
        workflow: "react".to_owned(),
        revision: 1,
        build: "bench".to_owned(),
        input: Json::of(&rounds)?,
        cluster: None,
        approvals: Vec::new(),
        plan: None,
    };
    handle.tell(Request { run: RunId::generate(clock.now()), by: "bench".to_owned(), reason: None, what }).await??;
    let mut times = Vec::new();
    for round in 0..rounds {
        tokio::time::sleep(LULL).await;
        let patch = Patch::Merge(json!({"spec": {"unschedulable": round % 2 == 0}}));
        let changed = Instant::now();
        cluster.patch::<Node>(None, "worker-0", &patch).await?;
        let arrived = arrivals.recv().await.ok_or_else(|| anyhow::anyhow!("the worker stopped"))?;
        times.push(arrived.saturating_duration_since(changed));
    }
    driven.await??;
    times.sort_unstable();
    let ms = |share: usize| times.get((times.len() - 1) * share / 100).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    let met = if ms(50) < 50.0 { "met" } else { "missed" };
    println!("reaction       change to next step: median {:.1} ms, p90 {:.1} ms | target 50 ms | {met}", ms(50), ms(90));
    Ok(())
}
