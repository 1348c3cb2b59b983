//! The engine against the disk, as ratios taken in one run: `cargo bench -p windlass-engine --bench engine`.
//!
//! Plain measurement without a harness: each figure is the median of a few rounds, and each round measures the bare loop and
//! the engine directly after one another, because these machines drift.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use windlass_engine::control::{Request, What};
use windlass_engine::journal::{DiskJournal, Journal as _, JournalOptions};
use windlass_engine::{
    Activity, ActivityContext, ActivityError, ActivityName, Clock, Effect, Json, Record, Registry, RunId, SystemClock, Timestamp,
    Until, Worker, WorkerOptions, WorkflowContext, WorkflowResult, replay,
};

const ROUNDS: usize = 5;
const STEPS: u32 = 2_000;

#[derive(Clone, Serialize, Deserialize)]
struct NoOp {
    index: u32,
}

impl Activity for NoOp {
    const NAME: ActivityName = ActivityName::new("no-op");
    const EFFECT: Effect = Effect::Observe;
    type World = ();
    type Output = String;

    fn summary(&self) -> String {
        String::new()
    }

    async fn run(self, _: ActivityContext<()>) -> Result<String, ActivityError> {
        Ok(format!("{:062}", self.index))
    }
}

async fn steps(ctx: WorkflowContext, count: u32) -> WorkflowResult<()> {
    for index in 0..count {
        ctx.run(NoOp { index }).await?;
    }
    ctx.signal::<()>("end").await
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn registry() -> Registry {
    Registry::new().workflow("steps", 1, steps).activity::<NoOp>(&Arc::new(()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    sequential(&runtime)?;
    fan(&runtime)?;
    resume(&runtime)?;
    Ok(())
}

fn sequential(runtime: &tokio::runtime::Runtime) -> Result<(), Box<dyn Error>> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let dir = tempfile::tempdir_in(".")?;
        let bare = bare_loop(dir.path(), STEPS)?;
        let engine = drive(runtime, dir.path(), 1, STEPS)?;
        rounds.push((bare.as_secs_f64() / engine.as_secs_f64(), bare, engine));
    }
    let (ratio, bare, engine) = median(rounds);
    let rate = |d: Duration| f64::from(STEPS) / d.as_secs_f64();
    println!("sequential steps: {:.0}/s, bare append+fdatasync {:.0}/s, ratio {ratio:.2}", rate(engine), rate(bare));
    Ok(())
}

fn fan(runtime: &tokio::runtime::Runtime) -> Result<(), Box<dyn Error>> {
    for (runs, each) in [(100, 50), (1000, 20)] {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let dir = tempfile::tempdir_in(".")?;
            let bare = bare_loop(dir.path(), STEPS)?;
            let engine = drive(runtime, dir.path(), runs, each)?;
            rounds.push((f64::from(runs * each) / engine.as_secs_f64() / (f64::from(STEPS) / bare.as_secs_f64()), bare, engine));
        }
        let (ratio, _, engine) = median(rounds);
        let rate = f64::from(runs * each) / engine.as_secs_f64();
        println!(
            "{runs} runs of {each} steps at once: {rate:.0} steps/s ({:.0} events/s), {ratio:.1} x the bare loop",
            rate * 2.0
        );
    }
    Ok(())
}

fn resume(runtime: &tokio::runtime::Runtime) -> Result<(), Box<dyn Error>> {
    for count in [1_000, 10_000, 100_000] {
        let dir = tempfile::tempdir_in(".")?;
        drive(runtime, dir.path(), 1, count)?;
        let open = Instant::now();
        let mut journal = DiskJournal::open(&dir.path().join("journal"), &clock(), JournalOptions::default())?;
        let run = journal.runs()?[0].run;
        let opened = open.elapsed();
        let mut history: Vec<Record> = Vec::new();
        let read = Instant::now();
        journal.replay(run, &mut |record| {
            history.push(record);
            std::ops::ControlFlow::Continue(())
        })?;
        let read = read.elapsed();
        let events = f64::from(u32::try_from(history.len())?);
        let replaying = Instant::now();
        replay(history, &registry())?;
        let replayed = replaying.elapsed();
        println!(
            "resume of {count} finished steps: open {:.1} ms, read {:.1} ms, replay {:.1} ms ({:.0} events/s)",
            opened.as_secs_f64() * 1e3,
            read.as_secs_f64() * 1e3,
            replayed.as_secs_f64() * 1e3,
            events / replayed.as_secs_f64()
        );
    }
    Ok(())
}

/// Appends 256 bytes and syncs, so many times: what the disk can do.
fn bare_loop(dir: &Path, count: u32) -> Result<Duration, Box<dyn Error>> {
    let mut file = OpenOptions::new().create(true).append(true).open(dir.join("bare"))?;
    let block = [7_u8; 256];
    let begun = Instant::now();
    for _ in 0..count {
        file.write_all(&block)?;
        file.sync_data()?;
    }
    Ok(begun.elapsed())
}

/// Runs workflows until they wait for their last signal.
fn drive(runtime: &tokio::runtime::Runtime, dir: &Path, runs: u32, each: u32) -> Result<Duration, Box<dyn Error>> {
    let journal = DiskJournal::open(&dir.join("journal"), &clock(), JournalOptions::default())?;
    let options = WorkerOptions { until: Until::Settled, ..WorkerOptions::default() };
    let worker = Worker::new(Box::new(journal), registry(), Arc::new(SystemClock), options);
    let handle = worker.handle();
    let request = |index: u32| -> Result<Request, serde_json::Error> {
        let mut entropy = [0; 10];
        entropy[..4].copy_from_slice(&index.to_be_bytes());
        let what = What::Start {
            workflow: "steps".to_owned(),
            revision: 1,
            build: "bench".to_owned(),
            input: Json::of(&each)?,
            cluster: None,
            approvals: Vec::new(),
            plan: None,
        };
        Ok(Request { run: RunId::new(Timestamp::from_micros(1), entropy), by: "bench".to_owned(), reason: None, what })
    };
    let requests = (0..runs).map(request).collect::<Result<Vec<_>, _>>()?;
    let begun = Instant::now();
    let elapsed = runtime.block_on(async {
        let starts = futures::future::join_all(requests.into_iter().map(|request| handle.tell(request)));
        let (answers, report) = futures::future::join(starts, worker.run()).await;
        for answer in answers {
            answer??;
        }
        report?;
        Ok::<_, Box<dyn Error>>(begun.elapsed())
    })?;
    Ok(elapsed)
}

fn median(mut rounds: Vec<(f64, Duration, Duration)>) -> (f64, Duration, Duration) {
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    rounds[rounds.len() / 2]
}
