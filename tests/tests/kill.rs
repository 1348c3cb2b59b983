//! The real command against a simulated cluster over HTTPS, killed at random moments and resumed until the end.
//!
//! `WINDLASS_SOAK=N` makes N times as many seeded trials, `WINDLASS_SEED=N` repeats one.

use std::time::Duration;

use windlass_engine::Record;
use windlass_sim::Rng;
use windlass_tests::{Rig, kill_after, seeds};

/// Few enough for every run of the tests.
const TRIALS: u64 = 5;

/// Simulated seconds in a second: the three hours of an update pass in about two seconds.
const SPEED: f64 = 5_000.0;

/// Kills in one trial at the most.
const MOST_KILLS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_resumes_and_nothing_is_doubled_or_lost() {
    for seed in seeds(TRIALS) {
        trial(seed).await;
    }
}

async fn trial(seed: u64) {
    let rig = Rig::new(seed, SPEED).await;
    let mut rng = Rng::new(seed);
    let mut known: Vec<Record> = Vec::new();
    let kills = 1 + rng.range(0..MOST_KILLS);
    for _ in 0..kills {
        let worker = rig.command().spawn().expect("the command starts");
        // Most of the run's commits fall into its first moments, so early kills are the likelier ones.
        let patience = Duration::from_millis(rng.range(1..400) * rng.range(1..8));
        kill_after(worker, patience).await;
        let now = rig.records();
        assert!(now.starts_with(&known), "WINDLASS_SEED={seed}: an event that was on record is gone");
        known = now;
    }
    rig.finish(&format!("WINDLASS_SEED={seed}, after {kills} kills")).await;
    rig.judge(&format!("WINDLASS_SEED={seed}, after {kills} kills"), &known);
}
