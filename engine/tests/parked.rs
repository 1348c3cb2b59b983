//! What a run costs that waits: measured on this process, so the only test of its file.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use windlass_engine::control::{Request, What};
use windlass_engine::journal::MemoryJournal;
use windlass_engine::{
    Json, Registry, RunId, Timestamp, TokioClock, Until, Worker, WorkerOptions, WorkflowContext, WorkflowResult,
};

const RUNS: u32 = 3_000;

/// Its future, its machine and its state; here also its history, and in a debug build all of it twice.
const LIMIT_KIB: u64 = 20;

async fn waits(ctx: WorkflowContext, (): ()) -> WorkflowResult<()> {
    ctx.signal("go").await
}

// Seen to fail with 24 KiB kept for each run.
#[tokio::test(start_paused = true)]
async fn a_run_that_waits_stays_small() {
    let clock = Arc::new(TokioClock::starting_at(Timestamp::from_micros(1)));
    let registry = Registry::new().workflow("waits", 1, waits);
    let options = WorkerOptions { until: Until::Stopped, ..WorkerOptions::default() };
    let worker = Worker::new(Box::new(MemoryJournal::new()), registry, clock, options);
    let handle = worker.handle();
    let driven = tokio::spawn(worker.run());
    let before = resident_kib();
    for number in 0..RUNS {
        handle.tell(start(number)).await.unwrap().unwrap();
    }
    let each = resident_kib().saturating_sub(before) / u64::from(RUNS);
    assert!(each < LIMIT_KIB, "{each} KiB a run");
    handle.stop();
    assert_eq!(driven.await.unwrap().unwrap().runs.len(), RUNS as usize);
}

fn start(number: u32) -> Request {
    let mut entropy = [0; 10];
    entropy[..4].copy_from_slice(&number.to_be_bytes());
    let what = What::Start {
        workflow: "waits".to_owned(),
        revision: 1,
        build: "test".to_owned(),
        input: Json::null(),
        cluster: None,
        approvals: Vec::new(),
        plan: None,
    };
    Request { run: RunId::new(Timestamp::from_micros(1), entropy), by: "test".to_owned(), reason: None, what }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
