//! What all of these tests begin with.

use std::fs;
use std::future::Future;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use windlass_engine::journal::{DiskJournal, Journal, JournalError, JournalOptions, ReplaySource};
use windlass_engine::{Clock, CommandId, Event, Json, NewEvent, Record, RunId, Timestamp};

/// A clock that stands still.
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000)
    }

    fn sleep_until(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

pub(crate) fn run(number: u8) -> RunId {
    RunId::from_bytes([number; 16])
}

/// An event whose content depends on its place.
pub(crate) fn event(run: RunId, seq: u64) -> NewEvent {
    let command = CommandId(u32::try_from(seq).unwrap());
    let event = match seq % 3 {
        1 => Event::SignalReceived { signal: format!("signal-{seq}"), payload: Json::of(&seq).unwrap(), by: "ada".to_owned() },
        2 => Event::TimerFired { command },
        _ => Event::ActivityCompleted { command, attempt: 1, output: Json::of(&[seq, seq]).unwrap(), evidence: None },
    };
    NewEvent { run, seq, at: Timestamp::from_micros(1_000 + i64::from(command.0)), event }
}

pub(crate) fn ending(run: RunId, seq: u64) -> NewEvent {
    NewEvent { event: Event::RunCompleted { output: Json::null() }, ..event(run, seq) }
}

pub(crate) fn open(dir: &Path) -> DiskJournal {
    try_open(dir, JournalOptions::default()).unwrap()
}

pub(crate) fn open_on_store(dir: &Path) -> DiskJournal {
    try_open(dir, JournalOptions { replay_from: ReplaySource::Store, ..small_segments() }).unwrap()
}

pub(crate) fn small_segments() -> JournalOptions {
    JournalOptions { segment_bytes: 1_000, ..JournalOptions::default() }
}

pub(crate) fn try_open(dir: &Path, options: JournalOptions) -> Result<DiskJournal, JournalError> {
    let clock: Arc<dyn Clock> = Arc::new(Still);
    DiskJournal::open(dir, &clock, options)
}

/// Two runs with so many events each, in commits of up to three events.
pub(crate) fn fill(journal: &mut dyn Journal, each: u64) {
    let events: Vec<NewEvent> = (1..=each).flat_map(|seq| [event(run(1), seq), event(run(2), seq)]).collect();
    let mut rest = events.as_slice();
    let mut size = 1;
    while !rest.is_empty() {
        let (commit, after) = rest.split_at(size.min(rest.len()));
        journal.append(commit).unwrap();
        (rest, size) = (after, size % 3 + 1);
    }
}

pub(crate) fn history(journal: &mut dyn Journal, run: RunId) -> Vec<Record> {
    let mut records = Vec::new();
    journal
        .replay(run, &mut |record| {
            records.push(record);
            ControlFlow::Continue(())
        })
        .unwrap();
    records
}

/// What a run's history should be, by place and event.
pub(crate) fn assert_history(journal: &mut dyn Journal, run: RunId, count: u64) {
    let found: Vec<NewEvent> =
        history(journal, run).into_iter().map(|Record { run, seq, at, event, .. }| NewEvent { run, seq, at, event }).collect();
    let expect: Vec<NewEvent> = (1..=count).map(|seq| event(run, seq)).collect();
    assert_eq!(found, expect);
}

pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Makes `to` an equal of `from`.
pub(crate) fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}

pub(crate) fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1 << (at % 8);
    fs::write(file, bytes).unwrap();
}

/// The length of a segment's header.
pub(crate) const HEADER: usize = 76;

/// For each segment: its file name, and where each of its records begins and which number it has. The header counts as a part
/// of the first one.
pub(crate) fn segments(dir: &Path) -> Vec<(String, Vec<(usize, u64)>)> {
    let mut next = 1;
    let mut segments = Vec::new();
    let mut names: Vec<_> = fs::read_dir(dir.join("log")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in names {
        let bytes = fs::read(dir.join("log").join(&name)).unwrap();
        let (mut at, mut records) = (HEADER, vec![(0, next)]);
        while at < bytes.len() {
            records.push((at, next));
            next += 1;
            at += 96 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        }
        segments.push((name.into_string().unwrap(), records));
    }
    segments
}
