//! What durability costs, counted on the medium: one write and one sync a step, and one for all the runs that knock together.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/counting.rs"]
mod counting;

use std::sync::Arc;

use counting::Counting;
use serde::{Deserialize, Serialize};
use windlass_engine::control::{Request, What};
use windlass_engine::journal::{DiskJournal, JournalOptions};
use windlass_engine::{
    Activity, ActivityContext, ActivityError, ActivityName, Clock, Effect, Json, Registry, RunId, SystemClock, Timestamp, Until,
    Worker, WorkerOptions, WorkflowContext, WorkflowResult,
};

#[derive(Clone, Serialize, Deserialize)]
struct Step(u32);

impl Activity for Step {
    const NAME: ActivityName = ActivityName::new("step");
    const EFFECT: Effect = Effect::Observe;
    type World = ();
    type Output = u32;

    fn summary(&self) -> String {
        "step".to_owned()
    }

    async fn run(self, _: ActivityContext<()>) -> Result<u32, ActivityError> {
        Ok(self.0)
    }
}

async fn steps(ctx: WorkflowContext, count: u32) -> WorkflowResult<()> {
    for i in 0..count {
        ctx.run(Step(i)).await?;
    }
    Ok(())
}

/// Writes and syncs of the log while so many runs of so many steps each are driven to their ends.
async fn cost(runs: u16, each: u32) -> (u64, u64) {
    let dir = tempfile::tempdir().unwrap();
    let media = Counting::default();
    let options = JournalOptions { media: Arc::new(media.clone()), ..JournalOptions::default() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let journal = DiskJournal::open(dir.path(), &clock, options).unwrap();
    let opened = media.so_far();
    let registry = Registry::new().workflow("steps", 1, steps).activity::<Step>(&Arc::new(()));
    let options = WorkerOptions { until: Until::Ended, ..WorkerOptions::default() };
    let worker = Worker::new(Box::new(journal), registry, clock, options);
    let handle = worker.handle();
    let starts = futures::future::join_all((0..runs).map(|run| handle.tell(start(run, each))));
    let (answers, report) = futures::future::join(starts, worker.run()).await;
    for answer in answers {
        answer.unwrap().unwrap();
    }
    assert!(report.unwrap().runs.iter().all(|run| run.ended.is_some()));
    let driven = media.so_far();
    (driven.0 - opened.0, driven.1 - opened.1)
}

fn start(run: u16, each: u32) -> Request {
    let [high, low] = run.to_be_bytes();
    let what = What::Start {
        workflow: "steps".to_owned(),
        revision: 1,
        build: "test".to_owned(),
        input: Json::of(&each).unwrap(),
        cluster: None,
        approvals: Vec::new(),
        plan: None,
    };
    let run = RunId::new(Timestamp::from_micros(1), [0, 0, 0, 0, 0, 0, 0, 0, high, low]);
    Request { run, by: "test".to_owned(), reason: None, what }
}

// Seen to fail with a second sync in each append.
#[tokio::test]
async fn a_sequential_step_is_one_write_and_one_sync() {
    for count in [1, 2, 100] {
        let commits = u64::from(count) + 1;
        assert_eq!(cost(1, count).await, (commits, commits), "{count} steps, and the start");
    }
}

// Seen to fail with one message taken in a turn: 210 syncs for 200 steps.
#[tokio::test]
async fn runs_that_knock_together_share_a_sync() {
    for runs in [10, 100] {
        let each = 20;
        let (writes, syncs) = cost(runs, each).await;
        assert_eq!(writes, syncs);
        // All runs move in step. A round is one commit, or two where the runtime polls the worker in the midst of it.
        assert!(syncs <= 2 * (u64::from(each) + 2), "{syncs} syncs for {} steps", u32::from(runs) * each);
    }
}
