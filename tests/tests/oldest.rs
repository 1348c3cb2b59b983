//! A run that the oldest recorded build began, killed half way, comes to its end under today's code.
//!
//! Beside the log of that run its cluster's audit was kept. The simulated cluster follows from its seed, its beginning and what
//! was written to it when, so the cluster of that moment is made again, and today's worker takes the run up on it.
#![expect(clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use windlass_engine::journal::{DiskJournal, Journal, JournalOptions, JournalReader};
use windlass_engine::{Event, Record};
use windlass_sim::audit::AuditRecord;
use windlass_sim::check::Baseline;
use windlass_sim::{ClusterShape, Scenario};
use windlass_tests::{Stage, on_paused_time};

/// How the cluster began.
#[derive(Deserialize)]
struct Began {
    at: DateTime<Utc>,
    seed: u64,
}

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("histories/eus-update-r1-half-way")
}

fn began() -> Began {
    let text = std::fs::read_to_string(kept().join("cluster.json")).expect("it is kept");
    serde_json::from_str(&text).expect("it says how the cluster began")
}

/// What the old worker wrote to its cluster, without what it only asked.
fn writes() -> Vec<AuditRecord> {
    let text = std::fs::read_to_string(kept().join("audit.jsonl")).expect("it is kept");
    let writes = text.lines().map(|line| serde_json::from_str::<AuditRecord>(line).expect("an audit record a line"));
    writes.filter(|write| write.code < 300 && !write.path.contains("selfsubject")).collect()
}

/// Preconditions name versions of objects that only that cluster had.
fn without_preconditions(mut body: Value) -> Value {
    if let Value::Array(operations) = &mut body {
        operations.retain(|operation| operation["op"] != "test");
    }
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
    body
}

/// Writes the same at the same times.
async fn write_again(stage: &Stage, writes: Vec<AuditRecord>) {
    let client = kube::Client::new(stage.sim.service(), "default");
    for write in writes {
        stage.sim.clock().sleep_until(write.at).await;
        let (method, content) = match (write.verb.as_str(), &write.body) {
            ("patch", Value::Array(_)) => ("PATCH", "application/json-patch+json"),
            ("patch", _) => ("PATCH", "application/merge-patch+json"),
            ("create", _) => ("POST", "application/json"),
            ("update", _) => ("PUT", "application/json"),
            ("delete", _) => ("DELETE", "application/json"),
            (other, _) => panic!("a write of a kind that no worker makes: {other}"),
        };
        let body = without_preconditions(write.body).to_string().into_bytes();
        let request = http::Request::builder().method(method).uri(&write.path).header("content-type", content).body(body);
        let said = client.request::<Value>(request.expect("it is a request")).await;
        assert!(said.is_ok(), "{} {} at {}: {said:?}", write.verb, write.path, write.at);
    }
}

/// A copy, because what is kept is never changed.
fn copy_of_log(to: &Path) {
    std::fs::create_dir(to.join("log")).expect("a folder can be made");
    for entry in std::fs::read_dir(kept().join("log")).expect("it is kept") {
        let from = entry.expect("it can be listed").path();
        let name = from.file_name().expect("a file has a name");
        std::fs::copy(&from, to.join("log").join(name)).expect("it can be copied");
    }
}

fn history(dir: &Path) -> Vec<Record> {
    let reader = JournalReader::open(dir).expect("the journal is there");
    reader.records().map(|record| record.expect("it is whole")).collect()
}

/// A worker is up again a while after it was killed.
const WHILE: Duration = Duration::from_secs(60);

/// Seen to fail with an audit that lacks the second request for an update, and with one in which it stands twice.
#[test]
fn a_run_of_the_oldest_build_comes_to_its_end() {
    on_paused_time(async {
        let Began { at, seed } = began();
        let shape = ClusterShape { seed, ..ClusterShape::default() };
        let stage = Stage::beginning_at(at, "eus-update", shape, Scenario::default());
        let before = Baseline::of(&stage.sim);
        write_again(&stage, writes()).await;
        let dir = tempfile::tempdir().expect("a temporary folder");
        copy_of_log(dir.path());
        let left = history(dir.path());
        let last = left.last().expect("it has events").at.to_datetime();
        stage.sim.clock().sleep_until(last + WHILE).await;
        let journal = DiskJournal::open(dir.path(), stage.clock(), JournalOptions::default()).expect("it opens");
        stage.drive(Box::new(journal) as Box<dyn Journal>, None, None).await.expect("the stage works");
        let whole = history(dir.path());
        assert!(whole.starts_with(&left), "nothing that was recorded is changed");
        let end = whole.last().map(|record| &record.event);
        assert!(matches!(end, Some(Event::RunCompleted { .. })), "{end:?}");
        let violations = [before.check_update(&stage.sim, &["4.17.11", "4.18.5"]), before.check_given_back(&stage.sim)].concat();
        assert!(violations.is_empty(), "{violations:?}");
        let effects = stage.effects();
        assert_eq!(effects.iter().collect::<BTreeSet<_>>().len(), effects.len(), "each effect once: {effects:#?}");
    });
}

/// The kept audit belongs to the kept log: it was not killed before its second hop.
#[test]
fn it_was_killed_half_way() {
    let asked = writes().iter().filter(|write| write.body.to_string().contains("desiredUpdate")).count();
    assert!((1..=2).contains(&asked), "{asked} updates were asked for");
    assert!(history(&kept()).iter().all(|record| !record.event.ends_run()));
}
