//! `windlass check`: which runs this binary would go on with, found without a lock and without a change.

mod support;

use std::path::{Path, PathBuf};

use support::{Place, append, crafted, id, open};
use windlass_engine::journal::{Journal, JournalReader};
use windlass_engine::{Effect, Event, Json, NewEvent, RunId};

/// A run that an earlier build left in the middle of its way.
fn half_way() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/histories/eus-update-r1-half-way")
}

/// Takes a recorded run into the journal of a place.
fn bring(place: &Place, from: &Path) -> RunId {
    let mut journal = open(&place.journal());
    let records = JournalReader::open(from).expect("it is there").records().map(|record| record.expect("it is whole"));
    let events: Vec<NewEvent> =
        records.map(|record| NewEvent { run: record.run, seq: record.seq, at: record.at, event: record.event }).collect();
    journal.append(&events).expect("the journal takes it");
    Box::new(journal).close().expect("the journal closes");
    events[0].run
}

/// Every file below a folder with its bytes.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).expect("it can be read");
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

/// The places in the source move with every edit of the workflows.
fn without_lines(text: &str) -> String {
    let mut parts = text.split(".rs:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.extend([".rs:N", part.trim_start_matches(|c: char| c.is_ascii_digit())]);
    }
    out
}

/// Seen to fail with a check that takes the lock, and with one that looks at the first run only.
#[test]
fn every_open_run_is_replayed_and_nothing_is_touched() {
    let place = Place::new();
    crafted(&place.journal());
    let run = bring(&place, &half_way());
    let before = files(&place.journal());
    let said = place.windlass(&["check"]);
    assert_eq!(files(&place.journal()), before, "it must change nothing");
    assert_eq!(said.code, 3, "{}", said.whole());
    insta::assert_snapshot!("check", without_lines(&said.whole()));
    let held = open(&place.journal());
    assert_eq!(place.windlass(&["check"]).code, 3, "it needs no lock");
    drop(held);
    let said = place.windlass(&["check", &run.to_string()]);
    assert_eq!(said.code, 0, "{}", said.whole());
    insta::assert_snapshot!("check_one", said.whole());
}

/// Seen to fail with open activities not looked up.
#[test]
fn what_this_binary_lacks_is_named() {
    let place = Place::new();
    let run = bring(&place, &half_way());
    let started = |workflow: &str| Event::RunStarted {
        workflow: workflow.to_owned(),
        revision: 1,
        build: "0.0.9".to_owned(),
        input: Json::null(),
        cluster: None,
        by: "ana@bastion".to_owned(),
    };
    let mut journal = open(&place.journal());
    append(&mut journal, id(1), 1, vec![(0, started("ovn-migration"))]);
    append(
        &mut journal,
        id(2),
        1,
        vec![(1, started("ovn-migration")), (2, support::scheduled(0, "kick-server", Effect::Once, "kick"))],
    );
    Box::new(journal).close().expect("the journal closes");
    let said = place.windlass(&["check", "-o", "json"]);
    assert_eq!(said.code, 3, "{}", said.whole());
    let rows: serde_json::Value = serde_json::from_str(&said.out).expect("it is JSON");
    let row = |run: RunId| rows.as_array().into_iter().flatten().find(|row| row["run"] == run.to_string()).cloned();
    assert_eq!(row(run).map(|row| row["verdict"].clone()), Some("replays".into()));
    let lacks = |run| row(run).map(|row| (row["verdict"].clone(), row["lacks"].clone(), row["build"].clone()));
    let expect = |lacks: &[&str]| Some(("would_park".into(), serde_json::json!(lacks), "0.0.9".into()));
    assert_eq!(lacks(id(1)), expect(&["workflow ovn-migration"]));
    assert_eq!(lacks(id(2)), expect(&["workflow ovn-migration", "activity kick-server"]));
}

#[test]
fn without_an_open_run_all_is_well() {
    let place = Place::new();
    let done = vec![(0, support::started()), (1, Event::RunFailed { error: "enough".to_owned() })];
    append(&mut open(&place.journal()), id(1), 1, done);
    insta::assert_snapshot!("check_none", place.windlass(&["check"]).whole());
}
