//! Exchanges of members on real rafts by workers that die at every boundary of their journal; skipped, loudly, where there are no
//! database servers.
//!
//! Seen to fail with a step that takes its own effect, found after a death, for somebody else's.
//!
//! `WINDLASS_SOAK=N` makes N times as many seeded cases of a single death, `WINDLASS_SEED=N` repeats one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use futures::FutureExt as _;
use windlass_engine::journal::MemoryJournal;
use windlass_engine::{ActivityError, AttemptHook, AttemptInfo, Before, CommandId, Event};
use windlass_sim::Rng;
use windlass_tests::real::{Case, Leaving, Real, try_all};
use windlass_tests::{Ending, seeds};

/// More workers than any run needs of which each gets a step further.
const MOST_WORKERS: u64 = 400;

/// More appends than a run makes by a worker that does not die are about fifty.
const APPENDS: std::ops::Range<u64> = 1..50;

/// The members that the promise names.
const LEAVING: [Leaving; 4] = [Leaving::Follower, Leaving::NorthboundLeader, Leaving::LeaderOfBoth, Leaving::DeadLeader];

/// Drives a run by one worker after the other, each on the journal that it is given, until it is complete.
async fn by_many(real: &Real, hook: Option<Arc<dyn AttemptHook>>, dying: impl Fn(u64) -> MemoryJournal) -> Result<u64> {
    for worker in 0..MOST_WORKERS {
        match real.drive(dying(worker), hook.clone()).await? {
            Ending::Completed => return Ok(worker + 1),
            Ending::Stuck(_) => {}
            other @ (Ending::Failed(_) | Ending::Parked(_) | Ending::AtGates(_)) => {
                bail!("{other:?}: {}", real.stage.last_failure())
            }
        }
    }
    bail!("{MOST_WORKERS} workers did not come to the end: {:?}", real.stage.ending())
}

/// The steps that the history shows.
fn steps(real: &Real) -> usize {
    real.stage.history().iter().filter(|record| matches!(record.event, Event::ActivityScheduled { .. })).count()
}

/// The worker dies after each append, with whatever followed from it done and not on record.
///
/// A worker that takes up a run puts that on record first: one of two gets no further, the other one by one step.
async fn after_every_append(leaving: Leaving) -> Result<()> {
    let Some(real) = Real::start(leaving).await.context("the cluster")? else { return Ok(()) };
    let dying = |worker: u64| {
        let journal = real.stage.journal.reopen();
        journal.fail_after(1 + worker % 2);
        journal
    };
    let workers = by_many(&real, None, dying).await?;
    let steps = steps(&real);
    ensure!(workers >= 2 * steps as u64, "{workers} workers for {steps} steps");
    real.judge().await
}

/// From each step's first attempt on the journal takes nothing any more, and the effect does not take place.
struct DieBefore {
    journal: MemoryJournal,
    met: Mutex<BTreeSet<CommandId>>,
}

impl AttemptHook for DieBefore {
    fn before(&self, info: &AttemptInfo) -> Before {
        if !self.met.lock().unwrap_or_else(PoisonError::into_inner).insert(info.attempt.command) {
            return Before::Proceed;
        }
        self.journal.fail_after(0);
        Before::Fail(ActivityError::unknown("crash", "the crash that was asked for"))
    }
}

/// The worker dies between each intent and its effect.
async fn before_every_effect(leaving: Leaving) -> Result<()> {
    let Some(real) = Real::start(leaving).await.context("the cluster")? else { return Ok(()) };
    let hook = Arc::new(DieBefore { journal: real.stage.journal.clone(), met: Mutex::default() });
    let workers = by_many(&real, Some(hook), |_| real.stage.journal.reopen()).await?;
    let steps = steps(&real);
    ensure!(workers > steps as u64, "{workers} workers for {steps} steps");
    real.judge().await
}

const CASES: [Case; 8] = [
    ("a follower, after every append", || after_every_append(Leaving::Follower).boxed_local()),
    ("the leader of one, after every append", || after_every_append(Leaving::NorthboundLeader).boxed_local()),
    ("the leader of both, after every append", || after_every_append(Leaving::LeaderOfBoth).boxed_local()),
    ("a dead leader, after every append", || after_every_append(Leaving::DeadLeader).boxed_local()),
    ("a follower, before every effect", || before_every_effect(Leaving::Follower).boxed_local()),
    ("the leader of one, before every effect", || before_every_effect(Leaving::NorthboundLeader).boxed_local()),
    ("the leader of both, before every effect", || before_every_effect(Leaving::LeaderOfBoth).boxed_local()),
    ("a dead leader, before every effect", || before_every_effect(Leaving::DeadLeader).boxed_local()),
];

#[test]
fn workers_that_die_at_every_boundary_kick_once() -> Result<()> {
    try_all(&CASES)
}

/// One death at one boundary, and another worker that goes on undisturbed.
#[tokio::test]
async fn a_worker_that_dies_once_kicks_once() -> Result<()> {
    for seed in seeds(1) {
        let case = async {
            let mut rng = Rng::new(seed);
            let leaving = LEAVING[usize::try_from(rng.range(0..4))?];
            let Some(real) = Real::start(leaving).await.context("the cluster")? else { return Ok(()) };
            let append = rng.range(APPENDS);
            let dying = |worker: u64| {
                let journal = real.stage.journal.reopen();
                if worker == 0 {
                    journal.fail_after(append);
                }
                journal
            };
            by_many(&real, None, dying).await.with_context(|| format!("{leaving:?}, append {append}"))?;
            real.judge().await
        };
        case.await.with_context(|| format!("WINDLASS_SEED={seed}"))?;
    }
    Ok(())
}
