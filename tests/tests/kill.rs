//! The real command against a simulated cluster over HTTPS, killed at random moments and resumed until the end.
//!
//! `WINDLASS_KILL_TRIALS` says how many seeded trials are made, `WINDLASS_KILL_SEED` with which seed they begin.
#![expect(clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use windlass_engine::Record;
use windlass_engine::journal::{JournalReader, verify};
use windlass_sim::check::{Baseline, requested_targets};
use windlass_sim::{ClusterShape, Rng, Scenario, Sim, SimClock};
use windlass_tests::windlass;

/// Few enough for every run of the tests.
const TRIALS: u64 = 5;

/// Simulated seconds in a second: the three hours of an update pass in about two seconds.
const SPEED: f64 = 5_000.0;

/// Kills in one trial at the most.
const MOST_KILLS: u64 = 4;

/// A worker that is not killed takes a few seconds; one that takes this long hangs.
const LONGEST: Duration = Duration::from_secs(300);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_resumes_and_nothing_is_doubled_or_lost() {
    let first = setting("WINDLASS_KILL_SEED", 1);
    for seed in first..first + setting("WINDLASS_KILL_TRIALS", TRIALS) {
        trial(seed).await;
    }
}

async fn trial(seed: u64) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let shape = ClusterShape { seed, ..ClusterShape::default() };
    let sim = Sim::start(shape, Scenario::default(), SimClock::new(chrono::Utc::now(), SPEED)).expect("the shape can be built");
    let before = Baseline::of(&sim);
    let _server = sim.serve(&dir.path().join("sim"), 0).await.expect("loopback can be listened on");
    let journal = dir.path().join("journal");
    let mut rng = Rng::new(seed);
    let mut known: Vec<Record> = Vec::new();
    let kills = 1 + rng.range(0..MOST_KILLS);
    for _ in 0..kills {
        let worker = spawn(dir.path(), &journal, known.is_empty());
        // Most of the run's commits fall into its first moments, so early kills are the likelier ones.
        let patience = Duration::from_millis(rng.range(1..400) * rng.range(1..8));
        kill_after(worker, patience).await;
        let now = records(&journal);
        assert!(now.starts_with(&known), "seed {seed}: an event that was on record is gone");
        known = now;
    }
    let last = spawn(dir.path(), &journal, known.is_empty());
    let output = tokio::time::timeout(LONGEST, last.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("seed {seed}: the worker hangs; its journal: {:#?}", records(&journal).last()));
    let output = output.expect("the worker can be waited for");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "seed {seed}, after {kills} kills: {}\n{said}", output.status);
    judge(seed, &sim, &before, &journal, &known);
}

/// What must hold at the end, however often the worker died.
fn judge(seed: u64, sim: &Sim, before: &Baseline, journal: &Path, known: &[Record]) {
    let audit = sim.audit().records();
    let hops = requested_targets(&audit);
    let hops: Vec<&str> = hops.iter().map(String::as_str).collect();
    let asked = audit.iter().filter(|r| r.code < 300 && r.body.to_string().contains("/spec/desiredUpdate\"")).count();
    assert_eq!(asked, 2, "seed {seed}: each hop is asked for once");
    let violations = [before.check_update(sim, &hops), before.check_given_back(sim)].concat();
    assert!(violations.is_empty(), "seed {seed}: {violations:?}");
    let report = verify(journal).expect("the journal can be read");
    assert!(report.damage.is_none(), "seed {seed}: {:?}", report.damage);
    assert!(records(journal).starts_with(known), "seed {seed}: an event that was on record is gone");
    let unsaid = audit.iter().filter(|write| write.code < 300 && !has_intent(journal, write.at)).count();
    assert_eq!(unsaid, 0, "seed {seed}: writes before the first intent was on record");
}

fn has_intent(journal: &Path, at: chrono::DateTime<chrono::Utc>) -> bool {
    records(journal)
        .iter()
        .any(|record| matches!(record.event, windlass_engine::Event::ActivityScheduled { .. }) && record.at.to_datetime() <= at)
}

fn spawn(dir: &Path, journal: &Path, first: bool) -> Child {
    let mut command = Command::new(windlass());
    command.arg("--journal").arg(journal).arg("--kubeconfig").arg(dir.join("sim/kubeconfig"));
    if first {
        command.args(["start", "eus-update", "--to", "4.18", "--yes"]);
    } else {
        command.args(["resume", "--yes"]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("the command starts")
}

/// Lets a worker run for a while, then kills it with SIGKILL by its own process id; it may have ended before.
async fn kill_after(mut worker: Child, patience: Duration) {
    // Its talk is drained, so that it never waits for a reader.
    let mut talk = worker.stderr.take().expect("stderr is piped");
    let drain = tokio::spawn(async move { tokio::io::copy(&mut talk, &mut tokio::io::sink()).await });
    if tokio::time::timeout(patience, worker.wait()).await.is_err() {
        worker.kill().await.expect("a running child can be killed");
    }
    drain.abort();
}

fn records(journal: &Path) -> Vec<Record> {
    let Ok(reader) = JournalReader::open(journal) else { return Vec::new() };
    reader.records().map(|record| record.expect("the journal is whole")).collect()
}
