//! The real command against a simulated cluster over HTTPS, which sees all that it does, and the judgement at the end.
#![expect(clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use windlass_engine::journal::{JournalReader, verify};
use windlass_engine::{Event, Record};
use windlass_sim::check::{Baseline, requested_targets};
use windlass_sim::store::resources::CLUSTERVERSIONS;
use windlass_sim::{AuditRecord, ClusterShape, Scenario, Server, Sim, SimClock};

use crate::windlass;

/// A worker that is not killed takes a few seconds; one that takes this long hangs.
pub const LONGEST: Duration = Duration::from_secs(300);

/// Serves a cluster on loopback. Returns once its version operator has looked at the address of the update service that it was told by
/// that: until then preflight lets nothing begin.
pub async fn serve(sim: &Sim, dir: &Path) -> Server {
    let server = sim.serve(dir, 0).await.expect("loopback can be listened on");
    let has_looked = || {
        let version = sim.store().get(&CLUSTERVERSIONS, None, "version").expect("every cluster has one");
        version["status"]["observedGeneration"] == version["metadata"]["generation"]
    };
    let looking = async {
        while !has_looked() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONGEST, looking).await.expect("the cluster is at work");
    server
}

/// An EUS update of a simulated cluster, with a journal on a disk of its own.
pub struct Rig {
    scratch: tempfile::TempDir,
    sim: Sim,
    before: Baseline,
    _server: Server,
}

impl Rig {
    /// A cluster that listens, and an empty disk; so many simulated seconds pass in a second.
    pub async fn new(seed: u64, pace: f64) -> Self {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(scratch.path().join("disk")).expect("a folder can be made");
        let shape = ClusterShape { seed, ..ClusterShape::default() };
        let clock = SimClock::new(chrono::Utc::now(), pace);
        let sim = Sim::start(shape, Scenario::default(), clock).expect("the shape can be built");
        let before = Baseline::of(&sim);
        let server = serve(&sim, &scratch.path().join("sim")).await;
        Self { scratch, sim, before, _server: server }
    }

    /// The folder that holds the journal and nothing else.
    pub fn disk(&self) -> PathBuf {
        self.scratch.path().join("disk")
    }

    /// A file or folder beside the disk.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.disk().join("journal")
    }

    /// The command that starts the update, or goes on with it if the journal has it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(windlass());
        command.arg("--journal").arg(self.journal()).arg("--kubeconfig").arg(self.beside("sim/kubeconfig"));
        if self.records().is_empty() {
            command.args(["start", "eus-update", "--to", "4.18", "--yes"]);
        } else {
            command.args(["resume", "--yes"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// What is on record.
    pub fn records(&self) -> Vec<Record> {
        let Ok(reader) = JournalReader::open(&self.journal()) else { return Vec::new() };
        reader.records().map(|record| record.expect("the journal is whole")).collect()
    }

    /// Goes on undisturbed until the end.
    pub async fn finish(&self, what: &str) {
        let last: Child = self.command().spawn().expect("the command starts");
        let output = tokio::time::timeout(LONGEST, last.wait_with_output()).await;
        let output = output.unwrap_or_else(|_| panic!("{what}: the worker hangs; its journal: {:#?}", self.records().last()));
        let output = output.expect("the worker can be waited for");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{what}: {}\n{said}", output.status);
    }

    /// What must hold at the end, however often the worker died; `known` was on record before.
    pub fn judge(&self, what: &str, known: &[Record]) {
        let sim = &self.sim;
        let audit = sim.audit().records();
        let hops = requested_targets(&audit);
        let hops: Vec<&str> = hops.iter().map(String::as_str).collect();
        let asked = audit.iter().filter(|r| r.code < 300 && r.body.to_string().contains("/spec/desiredUpdate\"")).count();
        assert_eq!(asked, 2, "{what}: each hop is asked for once");
        let violations = [self.before.check_update(sim, &hops), self.before.check_given_back(sim)].concat();
        assert!(violations.is_empty(), "{what}: {violations:?}");
        let report = verify(&self.journal()).expect("the journal can be read");
        assert!(report.damage.is_none(), "{what}: {:?}", report.damage);
        let records = self.records();
        assert!(records.starts_with(known), "{what}: an event that was on record is gone");
        let intended =
            |at| records.iter().any(|r| matches!(r.event, Event::ActivityScheduled { .. }) && r.at.to_datetime() <= at);
        // The lease is taken before anything is recorded, and is no part of the maintenance.
        let of_lease = |write: &AuditRecord| {
            write.path.starts_with("/api/v1/namespaces?") || write.path.contains("/namespaces/windlass/leases")
        };
        let unsaid = audit.iter().filter(|write| write.code < 300 && !of_lease(write) && !intended(write.at));
        let unsaid: Vec<&str> = unsaid.map(|write| write.path.as_str()).collect();
        assert!(unsaid.is_empty(), "{what}: writes before the first intent was on record: {unsaid:?}");
    }
}

/// Lets a worker run for a while, then kills it with SIGKILL by its own process id; it may have ended before.
pub async fn kill_after(mut worker: Child, patience: Duration) {
    // Its talk is drained, so that it never waits for a reader.
    let mut talk = worker.stderr.take().expect("stderr is piped");
    let drain = tokio::spawn(async move { tokio::io::copy(&mut talk, &mut tokio::io::sink()).await });
    if tokio::time::timeout(patience, worker.wait()).await.is_err() {
        worker.kill().await.expect("a running child can be killed");
    }
    drain.abort();
}
