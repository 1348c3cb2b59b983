//! A long history is printed as it is read: a hundred thousand events in the memory of a thousand.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use windlass_engine::journal::{DiskJournal, Journal, JournalOptions};
use windlass_engine::{Clock, CommandId, Effect, Event, Json, NewEvent, RunId, SystemClock, Timestamp};

/// What a longer history may take more: chance, not growth; the whole of it would be some 30 MiB.
const SLACK_KIB: u64 = 4 << 10;

fn journal_of(dir: &Path, steps: u32) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut journal = DiskJournal::open(dir, &clock, JournalOptions::default()).unwrap();
    let run = RunId::from_bytes([7; 16]);
    let started = Event::RunStarted {
        workflow: "eus-update".to_owned(),
        revision: 1,
        build: "test".to_owned(),
        input: Json::null(),
        cluster: None,
        by: "ana".to_owned(),
    };
    let events = std::iter::once(started).chain((0..steps).flat_map(step));
    let at = Timestamp::from_micros(1_700_000_000_000_000);
    let events: Vec<NewEvent> = (1..).zip(events).map(|(seq, event)| NewEvent { run, seq, at, event }).collect();
    events.chunks(4_096).for_each(|commit| journal.append(commit).unwrap());
    // Nobody needs the store, so nobody waits for it.
    std::mem::forget(journal);
}

fn step(number: u32) -> [Event; 2] {
    let (command, summary) = (CommandId(number), format!("step {number} of many, each with a summary of some length"));
    let scheduled = Event::ActivityScheduled {
        command,
        activity: "pause-pool".to_owned(),
        class: Effect::Declare,
        input: Json::null(),
        summary,
        site: "workflows/src/eus_update.rs:1".to_owned(),
        approval: None,
    };
    [scheduled, Event::ActivityCompleted { command, attempt: 1, output: Json::null(), evidence: None }]
}

/// The most memory that `history` had taken when it was nearly through, and how much it printed.
fn history_of(dir: &Path, steps: u32) -> (u64, usize) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_windlass"))
        .args(["history", "-o", "json", "--journal"])
        .arg(dir)
        .env_clear()
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // What is left is more than a pipe holds, so that it is still alive.
    let most = steps as usize * 2 - 700;
    let read = lines.by_ref().take(most).map(Result::unwrap).count();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    let rest = lines.map(Result::unwrap).count();
    assert!(child.wait().unwrap().success());
    (peak, read + rest)
}

// Seen to fail with the records collected before they are printed.
#[test]
fn a_long_history_takes_no_more_memory_than_a_short_one() {
    let dir = tempfile::tempdir().unwrap();
    let [short, long] = [1_000, 50_000].map(|steps| {
        let journal = dir.path().join(steps.to_string());
        journal_of(&journal, steps);
        let (peak, lines) = history_of(&journal, steps);
        assert_eq!(lines, steps as usize * 2 + 1);
        peak
    });
    assert!(long < short + SLACK_KIB, "{short} KiB for 2001 events, {long} KiB for 100001");
}
