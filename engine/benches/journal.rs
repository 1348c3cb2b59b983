//! What the journal costs, as ratios to the bare disk taken in the same run: `cargo bench -p windlass-engine --bench journal`.

use std::fs::OpenOptions;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass_engine::journal::{DiskJournal, Journal, JournalOptions, JournalReader, ReplaySource};
use windlass_engine::{Clock, CommandId, Effect, Event, Json, NewEvent, RunId, SystemClock, Timestamp};

type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 7;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().collect();
    if let [_, mode, dir, events] = args.as_slice()
        && mode == "fill"
    {
        return fill_and_die(Path::new(dir), events.parse()?);
    }
    // `cargo test --benches` only wants to know whether this still runs.
    let scale: u16 = if args.iter().any(|arg| arg == "--bench") { 1 } else { 100 };
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    appends(scratch.path(), 7_000 / u32::from(scale))?;
    for events in [20_000, 200_000] {
        resumes(scratch.path(), events / u32::from(scale))?;
    }
    sparse(scratch.path(), 200 / scale)
}

/// Appends of two events against a bare loop that appends 256 bytes and syncs, in turns, so that both see the same disk.
fn appends(scratch: &Path, count: u32) -> Result<(), Failure> {
    let mut raw = OpenOptions::new().append(true).create(true).open(scratch.join("raw"))?;
    let mut journal = open(&scratch.join("appends"), ReplaySource::Cheapest)?;
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for i in 0..u64::from(count) {
        let begin = Instant::now();
        raw.write_all(&[7; 256])?;
        raw.sync_data()?;
        bare.push(begin.elapsed());
        let events = step(run(0), 2 * i + 1);
        let begin = Instant::now();
        journal.append(&events)?;
        ours.push(begin.elapsed());
    }
    let mean = |times: &[Duration]| times.iter().sum::<Duration>().as_secs_f64() * 1e6 / f64::from(count);
    let (bare_mean, ours_mean) = (mean(&bare), mean(&ours));
    let (bare, ours) = (median(&mut bare).as_secs_f64() * 1e6, median(&mut ours).as_secs_f64() * 1e6);
    println!(
        "append: bare {bare:.1} us, two events {ours:.1} us, ratio {:.2} (means: {:.2})",
        bare / ours,
        bare_mean / ours_mean
    );
    Ok(())
}

/// Opening after a kill, with the store unflushed, and replaying the one run that there is.
fn resumes(scratch: &Path, events: u32) -> Result<(), Failure> {
    for source in [ReplaySource::Log, ReplaySource::Store] {
        let (mut opens, mut replays) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let dir = scratch.join(format!("resume-{events}-{source:?}-{round}"));
            kill_after_filling(&dir, events)?;
            let begin = Instant::now();
            let mut journal = open(&dir, source)?;
            opens.push(begin.elapsed());
            let mut seen = 0;
            journal.replay(run(0), &mut |_| {
                seen += 1;
                ControlFlow::Continue(())
            })?;
            replays.push(begin.elapsed());
            assert_eq!(seen, events);
            std::mem::forget(journal);
            std::fs::remove_dir_all(dir)?;
        }
        let (open, replay) = (median(&mut opens), median(&mut replays));
        println!(
            "resume: {events} events, from {source:?}: open {:.1} ms, open and replay {:.1} ms, {:.0} ns an event",
            open.as_secs_f64() * 1e3,
            replay.as_secs_f64() * 1e3,
            replay.as_secs_f64() * 1e9 / f64::from(events)
        );
    }
    Ok(())
}

/// One of many runs, thin in the log: where the store earns its keep.
fn sparse(scratch: &Path, runs: u16) -> Result<(), Failure> {
    let dir = scratch.join("sparse");
    let mut journal = open(&dir, ReplaySource::Cheapest)?;
    for seq in (1..=500).step_by(2) {
        let events: Vec<NewEvent> = (0..runs).flat_map(|n| step(run(n), seq)).collect();
        journal.append(&events)?;
    }
    Box::new(journal).close()?;
    for source in [ReplaySource::Log, ReplaySource::Store] {
        let mut journal = open(&dir, source)?;
        journal.recovery();
        let mut times = Vec::new();
        for n in 0..runs.min(20) {
            let begin = Instant::now();
            journal.replay(run(n), &mut |_| ControlFlow::Continue(()))?;
            times.push(begin.elapsed());
        }
        let time = median(&mut times);
        println!("sparse: 500 events of 1 run in {runs}, from {source:?}: {:.2} ms", time.as_secs_f64() * 1e3);
    }
    let begin = Instant::now();
    let records = u32::try_from(JournalReader::open(&dir)?.records().count())?;
    println!("read: {records} records, {:.0} ns each", begin.elapsed().as_secs_f64() * 1e9 / f64::from(records));
    Ok(())
}

fn kill_after_filling(dir: &Path, events: u32) -> Result<(), Failure> {
    let status = Command::new(std::env::current_exe()?).arg("fill").arg(dir).arg(events.to_string()).status()?;
    assert!(!status.success(), "the filler dies by a signal");
    Ok(())
}

fn fill_and_die(dir: &Path, events: u64) -> Result<(), Failure> {
    let mut journal = open(dir, ReplaySource::Cheapest)?;
    let all: Vec<NewEvent> = (1..=events).step_by(2).flat_map(|seq| step(run(0), seq)).collect();
    for commit in all.chunks(100) {
        journal.append(commit)?;
    }
    std::process::abort()
}

fn open(dir: &Path, replay_from: ReplaySource) -> Result<DiskJournal, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Ok(DiskJournal::open(dir, &clock, JournalOptions { replay_from, ..JournalOptions::default() })?)
}

fn run(number: u16) -> RunId {
    let [high, low] = number.to_be_bytes();
    RunId::from_bytes([1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, high, low])
}

/// A step as the worker records it: its result of 64 bytes, and the intent of the next.
fn step(run: RunId, seq: u64) -> [NewEvent; 2] {
    let command = CommandId(u32::try_from(seq).unwrap_or(u32::MAX));
    let text = |value: String| Json::of(&value).unwrap_or_else(|_| Json::null());
    let completed = Event::ActivityCompleted { command, attempt: 1, output: text(format!("{seq:062}")), evidence: None };
    let scheduled = Event::ActivityScheduled {
        command,
        activity: "step".to_owned(),
        class: Effect::Observe,
        input: text(format!("{seq:08}")),
        summary: "a step".to_owned(),
        site: "engine/benches/journal.rs:1".to_owned(),
        approval: None,
    };
    let at = Timestamp::from_micros(1_700_000_000_000_000);
    [NewEvent { run, seq, at, event: completed }, NewEvent { run, seq: seq + 1, at, event: scheduled }]
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
