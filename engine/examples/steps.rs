//! Puts the engine beside its peers: sequential steps, many workflows at once, and the resume of a long run.
//!
//! `steps MODE DIR A B` with the modes `seq`, `fan`, `fill`, `resume`; each prints `RESULT {json}`. See docs/performance.md.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use windlass_engine::control::{Request, What};
use windlass_engine::journal::{DiskJournal, Journal as _, JournalOptions};
use windlass_engine::{
    Activity, ActivityContext, ActivityError, ActivityName, Clock, Effect, Json, Registry, RunId, SystemClock, Until, Worker,
    WorkerHandle, WorkerOptions, WorkflowContext, WorkflowResult,
};

/// Counts the step bodies and when each began.
#[derive(Default)]
struct Bodies {
    count: AtomicU64,
    last: Mutex<Option<Instant>>,
    gaps_us: Mutex<Vec<u32>>,
    announce: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct NoOp {
    index: u32,
}

/// Exactly 64 bytes of JSON, the index in it.
#[derive(Serialize, Deserialize)]
struct Padded {
    i: String,
    p: String,
}

const PADDING: usize = 64 - r#"{"i":"00000042","p":""}"#.len();

impl Activity for NoOp {
    const NAME: ActivityName = ActivityName::new("no-op");
    const EFFECT: Effect = Effect::Observe;
    type World = Bodies;
    type Output = Padded;

    fn summary(&self) -> String {
        String::new()
    }

    async fn run(self, cx: ActivityContext<Bodies>) -> Result<Padded, ActivityError> {
        let bodies = cx.world();
        if bodies.announce && bodies.count.load(Ordering::Relaxed) == 0 {
            say("NEXT");
        }
        bodies.count.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        if let (Ok(mut last), Ok(mut gaps)) = (bodies.last.lock(), bodies.gaps_us.lock())
            && let Some(before) = last.replace(now)
        {
            gaps.push(u32::try_from((now - before).as_micros()).unwrap_or(u32::MAX));
        }
        Ok(Padded { i: format!("{:08}", self.index), p: "x".repeat(PADDING) })
    }
}

#[derive(Serialize, Deserialize)]
struct Input {
    steps: u32,
    then_wait: bool,
}

async fn steps(ctx: WorkflowContext, input: Input) -> WorkflowResult<u32> {
    for index in 0..input.steps {
        ctx.run(NoOp { index }).await?;
    }
    if input.then_wait {
        ctx.signal::<()>("go").await?;
        ctx.run(NoOp { index: input.steps }).await?;
    }
    Ok(input.steps)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize| args.get(i).and_then(|a| a.parse::<u32>().ok()).unwrap_or(0);
    let (Some(mode), Some(dir)) = (args.get(1), args.get(2).map(Path::new)) else {
        return Err("usage: steps seq|fan|fill|resume DIR A B".into());
    };
    match mode.as_str() {
        "seq" => measure(dir, 1, number(3)).await,
        "fan" => measure(dir, number(3), number(4)).await,
        "fill" => fill(dir, number(3)).await,
        "resume" => resume(dir).await,
        other => Err(format!("unknown mode {other}").into()),
    }
}

fn worker(journal: DiskJournal, bodies: &Arc<Bodies>, until: Until) -> Worker {
    let registry = Registry::new().workflow("steps", 1, steps).activity::<NoOp>(bodies);
    Worker::new(Box::new(journal), registry, Arc::new(SystemClock), WorkerOptions { until, ..WorkerOptions::default() })
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn open(dir: &Path) -> Result<DiskJournal, Box<dyn Error>> {
    Ok(DiskJournal::open(dir, &clock(), JournalOptions::default())?)
}

async fn start(handle: &WorkerHandle, input: &Input) -> Result<RunId, Box<dyn Error>> {
    let run = RunId::generate(SystemClock.now());
    let what = What::Start {
        workflow: "steps".to_owned(),
        revision: 1,
        build: "bench".to_owned(),
        input: Json::of(input)?,
        cluster: None,
        approvals: Vec::new(),
        plan: None,
    };
    handle.tell(Request { run, by: "bench".to_owned(), reason: None, what }).await??;
    Ok(run)
}

async fn measure(dir: &Path, workflows: u32, steps: u32) -> Result<(), Box<dyn Error>> {
    let bodies = Arc::new(Bodies::default());
    let worker = worker(open(dir)?, &bodies, Until::Ended);
    let handle = worker.handle();
    let (t0, begun) = (unix_now(), Instant::now());
    let starts = futures::future::join_all(
        (0..workflows).map(|_| async { start(&handle, &Input { steps, then_wait: false }).await.map(drop) }),
    );
    let driven = async { (worker.run().await, begun.elapsed().as_secs_f64(), unix_now()) };
    let (started, (report, secs, t1)) = futures::future::join(starts, driven).await;
    started.into_iter().collect::<Result<Vec<()>, _>>()?;
    report?;
    result(&bodies, u64::from(workflows) * u64::from(steps), secs, t0, t1);
    Ok(())
}

async fn fill(dir: &Path, steps: u32) -> Result<(), Box<dyn Error>> {
    let bodies = Arc::new(Bodies::default());
    let worker = worker(open(dir)?, &bodies, Until::Stopped);
    let handle = worker.handle();
    let mut updates = handle.watch();
    tokio::spawn(worker.run());
    start(&handle, &Input { steps, then_wait: true }).await?;
    loop {
        if let Ok(windlass_engine::Update::Recorded(record)) = updates.recv().await
            && matches!(record.event, windlass_engine::Event::SignalAwaited { .. })
        {
            say("PARKED");
            std::future::pending::<()>().await;
        }
    }
}

async fn resume(dir: &Path) -> Result<(), Box<dyn Error>> {
    let (t0, begun) = (unix_now(), Instant::now());
    let bodies = Arc::new(Bodies { announce: true, ..Bodies::default() });
    let mut journal = open(dir)?;
    let run = journal.runs()?.first().ok_or("nothing to resume")?.run;
    let worker = worker(journal, &bodies, Until::Ended);
    let handle = worker.handle();
    let what = What::Signal { signal: "go".to_owned(), payload: Json::null() };
    let told = handle.tell(Request { run, by: "bench".to_owned(), reason: None, what });
    let (told, report) = futures::future::join(told, worker.run()).await;
    told??;
    report?;
    let (secs, t1) = (begun.elapsed().as_secs_f64(), unix_now());
    // The one body after the signal is new; whatever else ran, ran again.
    result(&bodies, bodies.count.load(Ordering::Relaxed).saturating_sub(1), secs, t0, t1);
    Ok(())
}

fn result(bodies: &Bodies, steps: u64, secs: f64, t0: f64, t1: f64) {
    let mut gaps = bodies.gaps_us.lock().map(|mut g| std::mem::take(&mut *g)).unwrap_or_default();
    gaps.sort_unstable();
    let at = |share: usize| gaps.get(gaps.len().saturating_sub(1) * share / 100).copied().unwrap_or(0);
    let (p50, p99, peak) = (at(50), at(99), peak_kb());
    say(&format!(
        r#"RESULT {{"steps":{steps},"secs":{secs:.6},"t0":{t0:.6},"t1":{t1:.6},"p50_us":{p50},"p99_us":{p99},"peak_kb":{peak}}}"#
    ));
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever measures has gone; there is nobody left to tell.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}
