//! The proofs that every workflow must pass: crash anywhere, repeat anything, fail anything, lose any reply, and the cluster has
//! seen the same writes as in an undisturbed run.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use serde_json::Value;
use windlass_engine::journal::MemoryJournal;
use windlass_engine::{ActivityError, AttemptHook, AttemptInfo, Before};
use windlass_sim::faults::{ApiFault, Effect, Match, When};
use windlass_sim::{ClusterShape, Scenario};

use crate::stage::{Ending, Stage};

/// What is proven, and on which cluster.
#[derive(Clone)]
pub struct Proof {
    /// The workflow's registered name.
    pub workflow: &'static str,
    /// Its input.
    pub input: Value,
    /// The gates approved in advance.
    pub approvals: Vec<String>,
    /// The cluster.
    pub shape: ClusterShape,
    /// What is done to the cluster before the run, and how it must be after it.
    pub around: Around,
}

/// What stands around a run: how the cluster is staged before it, and what must hold of it afterwards.
#[derive(Clone, Copy)]
pub struct Around {
    /// Stages the cluster.
    pub before: for<'a> fn(&'a Stage) -> LocalBoxFuture<'a, ()>,
    /// Looks at it afterwards; panics if it is not as it must be.
    pub after: for<'a> fn(&'a Stage) -> LocalBoxFuture<'a, ()>,
    /// What of a write must be the same in every run; none if it may be made again.
    pub effect: fn(&str) -> Option<String>,
    /// How long the cluster is left to itself between a crash and the next worker.
    pub away: Duration,
}

impl Default for Around {
    fn default() -> Self {
        Self {
            before: |_| async {}.boxed_local(),
            after: |_| async {}.boxed_local(),
            effect: |effect| Some(effect.to_owned()),
            away: Duration::ZERO,
        }
    }
}

/// An undisturbed run: what all others are compared with.
struct Calm {
    effects: Vec<String>,
    /// How many writes there were, those that may be made again among them.
    writes: usize,
    appends: u64,
    attempts: usize,
}

/// More resumes than any single crash can need; a run that needs more does not come to an end.
const MOST_RESUMES: usize = 5;

impl Proof {
    fn stage(&self, faults: Vec<ApiFault>) -> Stage {
        Stage::new(self.workflow, self.shape.clone(), Scenario { api: faults, ..Scenario::default() })
    }

    fn effects(&self, stage: &Stage) -> Vec<String> {
        stage.effects().iter().filter_map(|effect| (self.around.effect)(effect)).collect()
    }

    async fn begin(&self, stage: &Stage, crash_after: Option<u64>, hook: Option<Arc<dyn AttemptHook>>) {
        (self.around.before)(stage).await;
        self.start(stage, crash_after, hook).await;
    }

    async fn start(&self, stage: &Stage, crash_after: Option<u64>, hook: Option<Arc<dyn AttemptHook>>) {
        stage.start(&self.input, &self.approvals, crash_after, hook).await.expect("the stage works");
    }

    fn calm(&self) -> Calm {
        on_paused_time(async {
            let counter = Arc::new(AttemptCounter::default());
            let stage = self.stage(Vec::new());
            self.begin(&stage, None, Some(counter.clone())).await;
            assert_eq!(stage.ending(), Ending::Completed, "the undisturbed run: {}", stage.last_failure());
            (self.around.after)(&stage).await;
            let writes = stage.effects().len();
            Calm {
                effects: self.effects(&stage),
                writes,
                appends: stage.journal.appends(),
                attempts: counter.0.load(Ordering::Relaxed),
            }
        })
    }

    /// Drives a disturbed run to its end and compares what the cluster has seen.
    async fn finish(&self, stage: &Stage, calm: &Calm, what: &str) {
        stage.sim.clock().sleep(self.around.away).await;
        for _ in 0..MOST_RESUMES {
            if stage.state().is_none() {
                // The crash came before the start was on record: for the operator the start failed, and is given again.
                self.start(stage, None, None).await;
            } else if stage.ending() != Ending::Completed {
                stage.resume(None).await.expect("the stage works");
            }
        }
        assert_eq!(stage.ending(), Ending::Completed, "{what}: {}", stage.last_failure());
        assert_eq!(self.effects(stage), calm.effects, "{what}: the cluster saw other writes");
        (self.around.after)(stage).await;
    }
}

/// The worker dies at each append: what it had done since the last one is not on record.
pub fn crash_at_every_append(proof: &Proof) {
    let calm = proof.calm();
    for append in 0..calm.appends {
        on_paused_time(async {
            let stage = proof.stage(Vec::new());
            proof.begin(&stage, Some(append), None).await;
            proof.finish(&stage, &calm, &format!("a crash at append {append} of {}", calm.appends)).await;
        });
    }
}

/// The worker dies between each intent and its effect.
pub fn crash_before_every_effect(proof: &Proof) {
    let calm = proof.calm();
    for attempt in 0..calm.attempts {
        on_paused_time(async {
            let stage = proof.stage(Vec::new());
            let hook = CrashBefore { at: attempt, seen: AttemptCounter::default(), journal: stage.journal.clone() };
            proof.begin(&stage, None, Some(Arc::new(hook))).await;
            proof.finish(&stage, &calm, &format!("a crash before attempt {attempt} of {}", calm.attempts)).await;
        });
    }
}

/// Each activity is made twice in a row.
pub fn repeat_every_activity(proof: &Proof) {
    let calm = proof.calm();
    on_paused_time(async {
        let stage = proof.stage(Vec::new());
        proof.begin(&stage, None, Some(Arc::new(RepeatAll))).await;
        proof.finish(&stage, &calm, "every activity made twice").await;
    });
}

/// Each activity fails once in passing, which must change nothing; then once for good, which must leave nothing changed unseen.
pub fn fail_every_activity(proof: &Proof, check_left_behind: impl Fn(&Stage, &str)) {
    let calm = proof.calm();
    for attempt in 0..calm.attempts {
        on_paused_time(async {
            let what = format!("attempt {attempt} of {} fails in passing", calm.attempts);
            let stage = proof.stage(Vec::new());
            let error = ActivityError::transient("injected", "an injected failure");
            proof.begin(&stage, None, Some(Arc::new(FailAt::new(attempt, error)))).await;
            proof.finish(&stage, &calm, &what).await;
            assert_eq!(stage.retries(), 1, "{what}");
        });
        on_paused_time(async {
            let what = format!("attempt {attempt} of {} fails for good", calm.attempts);
            let stage = proof.stage(Vec::new());
            let error = ActivityError::permanent("injected", "an injected failure");
            proof.begin(&stage, None, Some(Arc::new(FailAt::new(attempt, error)))).await;
            reject_open_gates(&stage).await;
            assert!(matches!(stage.ending(), Ending::Failed(_) | Ending::Completed), "{what}: {:?}", stage.ending());
            check_left_behind(&stage, &what);
        });
    }
}

async fn reject_open_gates(stage: &Stage) {
    for _ in 0..MOST_RESUMES {
        let Ending::AtGates(gates) = stage.ending() else { return };
        for gate in gates {
            let told = stage.tell(windlass_engine::control::What::Reject { gate }).expect("the journal works");
            told.expect("the gate is open");
        }
        stage.resume(None).await.expect("the stage works");
    }
}

/// The reply to each write is lost: before the effect, after it, and as a 504 on either side.
pub fn lose_every_reply(proof: &Proof) {
    let calm = proof.calm();
    let gateway_timeout = |applied| Effect::Status { code: 504, retry_after_seconds: None, applied };
    let kinds = [Effect::ResetBefore, Effect::ResetAfter, gateway_timeout(false), gateway_timeout(true)];
    for nth in 1..=calm.writes as u64 {
        for effect in &kinds {
            on_paused_time(async {
                let what = format!("write {nth} of {} meets {effect:?}", calm.writes);
                let writes = Match { verbs: writing(), ..Match::default() };
                let once = When { nth: Some(nth), times: Some(1), ..When::default() };
                let stage = proof.stage(vec![ApiFault { on: writes, when: once, effect: effect.clone() }]);
                proof.begin(&stage, None, None).await;
                proof.finish(&stage, &calm, &what).await;
            });
        }
    }
}

fn writing() -> Vec<windlass_sim::api::Verb> {
    use windlass_sim::api::Verb;
    vec![Verb::Create, Verb::Update, Verb::Patch, Verb::Delete]
}

/// Each case has a runtime of its own, so that nothing of one reaches into the next.
pub fn on_paused_time<T>(case: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime can be built").block_on(case)
}

#[derive(Default)]
struct AttemptCounter(AtomicUsize);

impl AttemptHook for AttemptCounter {
    fn before(&self, _: &AttemptInfo) -> Before {
        self.0.fetch_add(1, Ordering::Relaxed);
        Before::Proceed
    }
}

struct RepeatAll;

impl AttemptHook for RepeatAll {
    fn before(&self, _: &AttemptInfo) -> Before {
        Before::Repeat
    }
}

struct FailAt {
    at: usize,
    seen: AttemptCounter,
    error: ActivityError,
}

impl FailAt {
    fn new(at: usize, error: ActivityError) -> Self {
        Self { at, seen: AttemptCounter::default(), error }
    }
}

impl AttemptHook for FailAt {
    fn before(&self, _: &AttemptInfo) -> Before {
        let hit = self.seen.0.fetch_add(1, Ordering::Relaxed) == self.at;
        if hit { Before::Fail(self.error.clone()) } else { Before::Proceed }
    }
}

/// From the hit on the journal takes nothing any more, and the effect does not take place.
struct CrashBefore {
    at: usize,
    seen: AttemptCounter,
    journal: MemoryJournal,
}

impl AttemptHook for CrashBefore {
    fn before(&self, _: &AttemptInfo) -> Before {
        if self.seen.0.fetch_add(1, Ordering::Relaxed) < self.at {
            return Before::Proceed;
        }
        self.journal.fail_after(0);
        Before::Fail(ActivityError::unknown("crash", "the crash that was asked for"))
    }
}
