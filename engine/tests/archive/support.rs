//! A journal to export from, a key to sign with, and exports as text.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use windlass_engine::archive::{Archive, Export, ExportError, Exported, ReadError, Redactor, export, read};
use windlass_engine::journal::{DiskJournal, Journal, JournalOptions, JournalReader};
use windlass_engine::{ActivityError, Clock, CommandId, Effect, Event, Json, NewEvent, Record, RunId, SystemClock, Timestamp};

pub(crate) fn run(number: u8) -> RunId {
    RunId::from_bytes([number; 16])
}

pub(crate) fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

pub(crate) fn public(key: &Ed25519KeyPair) -> String {
    BASE64.encode(key.public_key().as_ref())
}

pub(crate) fn sign(key: &Ed25519KeyPair, bytes: &[u8]) -> String {
    BASE64.encode(key.sign(bytes).as_ref())
}

pub(crate) fn started(input: &serde_json::Value) -> Event {
    Event::RunStarted {
        workflow: "call".to_owned(),
        revision: 1,
        build: "test".to_owned(),
        input: Json::of(input).unwrap(),
        cluster: None,
        by: "ada".to_owned(),
    }
}

pub(crate) fn scheduled(command: u32, input: &serde_json::Value, summary: &str) -> Event {
    Event::ActivityScheduled {
        command: CommandId(command),
        activity: "call".to_owned(),
        class: Effect::Declare,
        input: Json::of(input).unwrap(),
        summary: summary.to_owned(),
        site: "workflow.rs:7".to_owned(),
        approval: None,
    }
}

pub(crate) fn done(command: u32, output: &serde_json::Value) -> Event {
    Event::ActivityCompleted { command: CommandId(command), attempt: 1, output: Json::of(output).unwrap(), evidence: None }
}

pub(crate) fn failed(command: u32, message: &str) -> Event {
    let (error, due_at) = (ActivityError::transient("refused", message), Timestamp::from_micros(1_700_000_009_000_000));
    Event::ActivityRetryScheduled { command: CommandId(command), attempt: 1, error, due_at }
}

pub(crate) fn ended() -> Event {
    Event::RunCompleted { output: Json::null() }
}

pub(crate) fn open(dir: &Path) -> DiskJournal {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    DiskJournal::open(dir, &clock, JournalOptions::default()).unwrap()
}

/// A journal that has the events of run 1, and between them those of another run.
pub(crate) fn journal(events: Vec<Event>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    let new = |run, seq, event| {
        let at = Timestamp::from_micros(1_700_000_000_000_000 + i64::try_from(seq).unwrap());
        NewEvent { run, seq, at, event }
    };
    let mut other = 0;
    for (seq, event) in (1..).zip(events) {
        let mut commit = vec![new(run(1), seq, event)];
        if seq % 3 == 0 {
            other += 1;
            let event = Event::NoteAdded { by: "bo".to_owned(), text: "meanwhile".to_owned() };
            commit.insert(0, new(run(2), other, if other == 1 { started(&serde_json::Value::Null) } else { event }));
        }
        journal.append(&commit).unwrap();
    }
    Box::new(journal).close().unwrap();
    dir
}

/// An ordinary history of seven events.
pub(crate) fn ordinary() -> Vec<Event> {
    let input = serde_json::json!({"pool": "worker", "nodes": [1, 2.5, null, true]});
    vec![
        started(&input),
        scheduled(0, &input, "call the \"worker\", and wait …"),
        failed(0, "connection refused"),
        Event::ActivityStarted { command: CommandId(0), attempt: 2 },
        done(0, &serde_json::json!({"link": "x", "events": 3})),
        Event::NoteAdded { by: "ada".to_owned(), text: "fine".to_owned() },
        ended(),
    ]
}

pub(crate) fn try_export(dir: &Path, build: &str, redactor: Option<Redactor>) -> Result<(String, Exported), ExportError> {
    let key = key(1);
    let mut text = Vec::new();
    let signing = |bytes: &[u8]| sign(&key, bytes);
    let what = Export { run: run(1), build, journal: Some("j".to_owned()), key: public(&key), sign: &signing, redactor };
    let exported = export(&JournalReader::open(dir).unwrap(), what, &mut text)?;
    Ok((String::from_utf8(text).unwrap(), exported))
}

pub(crate) fn exported(dir: &Path) -> String {
    try_export(dir, "test", None).unwrap().0
}

/// What it says of itself, and its events.
pub(crate) fn read_back(bytes: &[u8]) -> Result<(Archive, Vec<Record>), ReadError> {
    let mut records = Vec::new();
    let archive = read(&mut &*bytes, &mut |record| records.push(record))?;
    Ok((archive, records))
}
