//! The engine against the disk and against its targets: `cargo bench -p windlass-engine --bench engine`.
//!
//! Plain measurement without a harness, one line a figure. Each is the median of a few rounds; a ratio is of two measurements
//! taken directly after one another, because machines drift.

#[path = "../tests/support/counting.rs"]
mod counting;

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use counting::Counting;
use serde::{Deserialize, Serialize};
use windlass_engine::control::{Request, What};
use windlass_engine::journal::{DiskJournal, Journal as _, JournalOptions};
use windlass_engine::{
    Activity, ActivityContext, ActivityError, ActivityName, Clock, Effect, Json, Registry, RunId, Scrutiny, SystemClock,
    Timestamp, Until, Worker, WorkerOptions, WorkflowContext, WorkflowResult, replay_with,
};

type Failure = Box<dyn Error>;

const ROUNDS: usize = 5;
const STEPS: u32 = 2_000;

/// What a step of one run writes: the result of the one and the intent of the next, with their headers.
const STEP_BYTES: usize = 470;

#[derive(Clone, Serialize, Deserialize)]
struct NoOp {
    index: u32,
}

impl Activity for NoOp {
    const NAME: ActivityName = ActivityName::new("no-op");
    const EFFECT: Effect = Effect::Observe;
    /// Whether to say when a body begins.
    type World = bool;
    type Output = String;

    fn summary(&self) -> String {
        String::new()
    }

    async fn run(self, cx: ActivityContext<bool>) -> Result<String, ActivityError> {
        if *cx.world() {
            println!("NEXT");
        }
        Ok(format!("{:062}", self.index))
    }
}

async fn steps(ctx: WorkflowContext, count: u32) -> WorkflowResult<()> {
    for index in 0..count {
        ctx.run(NoOp { index }).await?;
    }
    ctx.signal::<()>("go on").await?;
    ctx.run(NoOp { index: count }).await.map(drop)
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "resume", dir] => return resume_here(&runtime, Path::new(dir)),
        [_, "park", dir, runs] => return park_here(&runtime, Path::new(dir), runs.parse()?),
        _ => {}
    }
    // `cargo test --benches` only wants to know whether this still runs.
    let scale = if args.iter().any(|arg| arg == "--bench") { 1 } else { 100 };
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    sequential(&runtime, scratch.path(), STEPS / scale)?;
    for (runs, each, target) in [(1, 2_000, None), (10, 500, None), (100, 100, Some(30_000.0)), (1_000, 20, Some(25_000.0))] {
        fan(&runtime, scratch.path(), (runs * 10 / scale).clamp(1, runs), each / scale.min(10), target)?;
    }
    for (finished, target) in [(1_000, None), (10_000, Some(25.0)), (100_000, Some(200.0))] {
        resume(&runtime, scratch.path(), finished / scale, target)?;
    }
    parked(scratch.path(), 10_000 / scale)
}

/// One line of the report.
fn say(what: &str, figure: &str, target: Option<(&str, bool)>) {
    let target = target.map_or_else(String::new, |(target, met)| format!("{target}: {}", if met { "met" } else { "MISSED" }));
    println!("{what:<34} | {figure:<64} | {target}");
}

/// One run, step after step, beside a bare loop of 256 bytes, and beside one that writes as much as the run does.
fn sequential(runtime: &tokio::runtime::Runtime, scratch: &Path, steps: u32) -> Result<(), Failure> {
    let (mut small, mut alike, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let dir = tempfile::tempdir_in(scratch)?;
        let bare = bare_loop(dir.path(), steps, 256)?;
        let ours = drive(runtime, &dir.path().join("journal"), 1, steps)?.0;
        let same_bytes = bare_loop(dir.path(), steps, STEP_BYTES)?;
        small.push(bare.as_secs_f64() / ours.as_secs_f64());
        alike.push(same_bytes.as_secs_f64() / ours.as_secs_f64());
        rates.push(f64::from(steps) / ours.as_secs_f64());
    }
    let (ratio, lowest, highest) = spread(&mut small);
    let figure = format!("{ratio:.2} of bare 256 B ({lowest:.2} to {highest:.2}); {:.0} steps/s", spread(&mut rates).0);
    say("sequential steps", &figure, Some(("0.85", ratio >= 0.85)));
    let (ratio, lowest, highest) = spread(&mut alike);
    say("  beside as many bytes", &format!("{ratio:.2} of bare {STEP_BYTES} B ({lowest:.2} to {highest:.2})"), None);
    Ok(())
}

/// Many runs at once: their rate, and how many share a sync.
fn fan(runtime: &tokio::runtime::Runtime, scratch: &Path, runs: u32, each: u32, target: Option<f64>) -> Result<(), Failure> {
    let (mut rates, mut syncs) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let dir = tempfile::tempdir_in(scratch)?;
        let (elapsed, synced) = drive(runtime, &dir.path().join("journal"), runs, each)?;
        rates.push(f64::from(runs * each) / elapsed.as_secs_f64());
        syncs = synced;
    }
    let (rate, lowest, highest) = spread(&mut rates);
    let grouped = f64::from(runs * each) / f64::from(syncs);
    let figure = format!("{rate:.0} steps/s ({lowest:.0} to {highest:.0}), {grouped:.1} steps a sync, two events a step");
    let wanted = target.map(|target| format!("{target:.0}"));
    say(
        &format!("{runs} runs of {each} steps"),
        &figure,
        wanted.as_deref().zip(target).map(|(text, target)| (text, rate >= target)),
    );
    Ok(())
}

/// From the start of a new process to the body of the step after so many finished ones.
fn resume(runtime: &tokio::runtime::Runtime, scratch: &Path, finished: u32, target: Option<f64>) -> Result<(), Failure> {
    let mut times = Vec::new();
    let (mut read, mut replayed) = (Vec::new(), Vec::new());
    let dir = tempfile::tempdir_in(scratch)?;
    let filled = dir.path().join("journal");
    drive(runtime, &filled, 1, finished)?;
    for round in 0..ROUNDS {
        let journal = dir.path().join(format!("copy-{round}"));
        copy(&filled, &journal)?;
        let begun = Instant::now();
        let mut child = Command::new(std::env::current_exe()?).arg("resume").arg(&journal).stdout(Stdio::piped()).spawn()?;
        let mut said = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut said)?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        child.wait()?;
        assert_eq!(said, "NEXT\n", "the child comes to its next step");
    }
    let mut journal = open(&filled, JournalOptions::default())?;
    let run = journal.runs()?.first().ok_or("no run")?.run;
    for _ in 0..ROUNDS {
        let mut history = Vec::new();
        let begun = Instant::now();
        journal.replay(run, &mut |record| {
            history.push(record);
            ControlFlow::Continue(())
        })?;
        let events = f64::from(u32::try_from(history.len())?);
        read.push(events / begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        replay_with(history, &registry(false), Scrutiny::Once)?;
        replayed.push(events / begun.elapsed().as_secs_f64());
    }
    let (time, lowest, highest) = spread(&mut times);
    let wanted = target.map(|target| format!("{target:.0} ms"));
    let figure = format!("{time:.1} ms to the next step ({lowest:.1} to {highest:.1})");
    say(
        &format!("resume of {finished} steps"),
        &figure,
        wanted.as_deref().zip(target).map(|(text, target)| (text, time < target)),
    );
    let (read, replayed) = (spread(&mut read).0, spread(&mut replayed).0);
    say("  replay", &format!("{replayed:.0} events/s, reading {read:.0} events/s"), Some(("500000 events/s", replayed >= 5e5)));
    Ok(())
}

/// What a run costs that waits: resident memory of a process with so many, less that before them.
fn parked(scratch: &Path, runs: u32) -> Result<(), Failure> {
    let dir = tempfile::tempdir_in(scratch)?;
    let mut child = Command::new(std::env::current_exe()?);
    child.arg("park").arg(dir.path().join("journal")).arg(runs.to_string());
    let each: f64 = String::from_utf8(child.output()?.stdout)?.trim().parse()?;
    say(&format!("{runs} parked runs"), &format!("{each:.1} KiB each"), Some(("20 KiB", each < 20.0)));
    Ok(())
}

fn resume_here(runtime: &tokio::runtime::Runtime, dir: &Path) -> Result<(), Failure> {
    let mut journal = open(dir, JournalOptions::default())?;
    let run = journal.runs()?.first().ok_or("nothing to resume")?.run;
    let worker = worker(journal, true, Until::Ended);
    let handle = worker.handle();
    let what = What::Signal { signal: "go on".to_owned(), payload: Json::null() };
    let told = handle.tell(Request { run, by: "bench".to_owned(), reason: None, what });
    let (told, report) = runtime.block_on(futures::future::join(told, worker.run()));
    told??;
    report?;
    Ok(())
}

fn park_here(runtime: &tokio::runtime::Runtime, dir: &Path, runs: u32) -> Result<(), Failure> {
    let worker = worker(open(dir, JournalOptions::default())?, false, Until::Stopped);
    let handle = worker.handle();
    let before = resident_kib()?;
    let measured = async {
        // One after the other, so that no queue of requests is measured.
        for number in 0..runs {
            handle.tell(start(number, 3)?).await??;
        }
        let after = resident_kib()?;
        handle.stop();
        Ok::<_, Failure>(after.saturating_sub(before))
    };
    let (grown, report) = runtime.block_on(futures::future::join(measured, worker.run()));
    report?;
    println!("{}", f64::from(grown?) / f64::from(runs));
    Ok(())
}

/// Runs workflows until they wait for their signal; how long that took, and how many syncs.
fn drive(runtime: &tokio::runtime::Runtime, dir: &Path, runs: u32, each: u32) -> Result<(Duration, u32), Failure> {
    let media = Counting::default();
    let journal = open(dir, JournalOptions { media: Arc::new(media.clone()), ..JournalOptions::default() })?;
    let worker = worker(journal, false, Until::Settled);
    let handle = worker.handle();
    let requests = (0..runs).map(|number| start(number, each)).collect::<Result<Vec<_>, _>>()?;
    let (opened, begun) = (media.so_far().1, Instant::now());
    let elapsed = runtime.block_on(async {
        let starts = futures::future::join_all(requests.into_iter().map(|request| handle.tell(request)));
        let (answers, report) = futures::future::join(starts, worker.run()).await;
        for answer in answers {
            answer??;
        }
        report?;
        Ok::<_, Failure>(begun.elapsed())
    })?;
    Ok((elapsed, u32::try_from(media.so_far().1 - opened)?))
}

fn open(dir: &Path, options: JournalOptions) -> Result<DiskJournal, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Ok(DiskJournal::open(dir, &clock, options)?)
}

fn worker(journal: DiskJournal, announce: bool, until: Until) -> Worker {
    let options = WorkerOptions { until, ..WorkerOptions::default() };
    Worker::new(Box::new(journal), registry(announce), Arc::new(SystemClock), options)
}

fn registry(announce: bool) -> Registry {
    Registry::new().workflow("steps", 1, steps).activity::<NoOp>(&Arc::new(announce))
}

fn start(number: u32, each: u32) -> Result<Request, serde_json::Error> {
    let mut entropy = [0; 10];
    entropy[..4].copy_from_slice(&number.to_be_bytes());
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
}

/// Appends so many bytes and syncs, so many times: what the disk can do.
fn bare_loop(dir: &Path, count: u32, bytes: usize) -> Result<Duration, Failure> {
    let mut file = OpenOptions::new().create(true).append(true).open(dir.join(format!("bare-{bytes}")))?;
    let block = vec![7_u8; bytes];
    let begun = Instant::now();
    for _ in 0..count {
        file.write_all(&block)?;
        file.sync_data()?;
    }
    Ok(begun.elapsed())
}

/// Copies the log; the store is made anew.
fn copy(journal: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(to.join("log"))?;
    for segment in std::fs::read_dir(journal.join("log"))? {
        let segment = segment?;
        std::fs::copy(segment.path(), to.join("log").join(segment.file_name()))?;
    }
    Ok(())
}

fn resident_kib() -> Result<u32, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse()?)
}

/// Median, lowest and highest.
fn spread(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}
