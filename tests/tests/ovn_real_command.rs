//! The real command on a served cluster with real rafts: killed at random moments, resumed to the end; skipped, loudly, where there are no
//! database servers.
//!
//! `WINDLASS_SOAK=N` makes N times as many seeded trials, `WINDLASS_SEED=N` repeats one.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use windlass_engine::journal::{JournalReader, verify};
use windlass_engine::{Event, Record};
use windlass_sim::Rng;
use windlass_tests::real::{JOINING, Leaving, REPLACE, Real};
use windlass_tests::{LONGEST, kill_after, seeds, windlass};

/// Kills in one trial.
const KILLS: std::ops::Range<u64> = 6..16;

/// The longest time that a worker is let live: a run takes some twenty seconds.
const LONGEST_LIFE_MILLIS: u64 = 4_000;

fn records(journal: &Path) -> Result<Vec<Record>> {
    let Ok(reader) = JournalReader::open(journal) else { return Ok(Vec::new()) };
    reader.records().map(|record| Ok(record?)).collect()
}

/// The command with nothing to read from.
fn command(journal: &Path, kubeconfig: &Path) -> Command {
    let mut command = Command::new(windlass());
    command.arg("--journal").arg(journal).arg("--kubeconfig").arg(kubeconfig);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The worker that begins the run, or goes on with it.
fn worker(journal: &Path, kubeconfig: &Path, node: &str) -> Result<Command> {
    let mut command = command(journal, kubeconfig);
    if records(journal)?.is_empty() {
        command.args(["start", REPLACE, "--node", node, "--with", JOINING, "--yes"]);
    } else {
        command.args(["resume", "--yes"]);
    }
    command.stdout(Stdio::null());
    Ok(command)
}

async fn trial(seed: u64) -> Result<()> {
    let mut rng = Rng::new(seed);
    let leaving = [Leaving::Follower, Leaving::NorthboundLeader, Leaving::LeaderOfBoth][usize::try_from(rng.range(0..3))?];
    let Some(real) = Real::start(leaving).await.context("the cluster")? else { return Ok(()) };
    let scratch = tempfile::tempdir()?;
    let journal = scratch.path().join("journal");
    let _server = real.stage.sim.serve(&scratch.path().join("sim"), 0).await?;
    let kubeconfig = scratch.path().join("sim/kubeconfig");
    let mut known = Vec::new();
    for _ in 0..rng.range(KILLS) {
        let life = Duration::from_millis(rng.range(1..LONGEST_LIFE_MILLIS));
        kill_after(worker(&journal, &kubeconfig, &real.node)?.spawn()?, life).await;
        let now = records(&journal)?;
        ensure!(now.starts_with(&known), "an event that was on record is gone");
        known = now;
    }
    let last = worker(&journal, &kubeconfig, &real.node)?.spawn()?;
    let last = tokio::time::timeout(LONGEST, last.wait_with_output()).await.context("the last worker hangs")??;
    ensure!(last.status.success(), "{}: {}", last.status, String::from_utf8_lossy(&last.stderr));
    real.judge_cluster().await?;
    ensure!(verify(&journal)?.damage.is_none(), "the journal is damaged");
    told(&records(&journal)?, &journal, &kubeconfig).await
}

/// The history shows each kick once, however many workers there were.
async fn told(records: &[Record], journal: &Path, kubeconfig: &Path) -> Result<()> {
    let run = records.first().context("a run")?.run.to_string();
    let said = command(journal, kubeconfig).args(["history", &run]).output().await?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let workers = records.iter().filter(|record| matches!(record.event, Event::RunResumed { .. })).count();
    ensure!(said.contains("completed") && workers > 0, "{workers} went on: {said}");
    for database in ["northbound", "southbound"] {
        let kick = |line: &&str| line.contains("done:") && line.contains(&format!("out of the {database} database"));
        ensure!(said.lines().filter(kick).count() == 1, "{database}: {said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_is_killed_again_and_again_and_kicks_once() -> Result<()> {
    for seed in seeds(1) {
        trial(seed).await.with_context(|| format!("WINDLASS_SEED={seed}"))?;
    }
    Ok(())
}
