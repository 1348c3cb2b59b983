//! What operators may do to a run besides letting it go on: through its worker and without one, and across crashes.
#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking, its helpers too")]

#[path = "../support/mod.rs"]
mod support;

mod crash;
mod pause;
mod steps;

use std::time::Duration;

use support::{Bench, DeclareTouch, Mode, OnceTouch, Touch, Wait, signed, touch};
use windlass_engine::control::{What, text_digest};
use windlass_engine::view::{RunStatus, RunView};
use windlass_engine::{
    CommandId, Either, Event, Gate, Json, OpenRun, RetryPolicy, RunId, WorkerHandle, WorkflowContext, WorkflowResult, replay,
};

async fn impatient(ctx: WorkflowContext, (): ()) -> WorkflowResult<u32> {
    let few = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
    let waited = ctx.run(Wait { seconds: 3600 }).timeout(Duration::from_secs(60)).retry(few).await?;
    ctx.run(DeclareTouch(touch("after"))).await?;
    Ok(waited)
}

async fn distant(ctx: WorkflowContext, (): ()) -> WorkflowResult<u32> {
    let hours = RetryPolicy { initial: Duration::from_secs(7200), longest: Duration::from_secs(7200), ..RetryPolicy::default() };
    ctx.run(DeclareTouch(touch("x"))).retry(hours).await
}

async fn waiting(ctx: WorkflowContext, (): ()) -> WorkflowResult<u32> {
    ctx.run(Wait { seconds: 3600 }).timeout(Duration::from_secs(7200)).await
}

async fn pair(ctx: WorkflowContext, (): ()) -> WorkflowResult<Vec<u32>> {
    let waiting = |first: u64, attempts: u32| {
        let initial = Duration::from_secs(first);
        let policy = RetryPolicy { initial, longest: initial, attempts, ..RetryPolicy::default() };
        ctx.run(Wait { seconds: 3600 }).timeout(Duration::from_secs(60)).retry(policy)
    };
    ctx.all([waiting(2, 2), waiting(300, 9)]).await.into_iter().collect()
}

async fn once(ctx: WorkflowContext, (): ()) -> WorkflowResult<u32> {
    let kicked = ctx.run(OnceTouch(touch("kick"))).await?;
    ctx.run(DeclareTouch(touch("after"))).await?;
    Ok(kicked)
}

async fn slow_then_once(ctx: WorkflowContext, (): ()) -> WorkflowResult<u32> {
    ctx.run(DeclareTouch(Touch { mode: Mode::Slow, ..touch("slow") })).await?;
    ctx.run(OnceTouch(touch("kick"))).await
}

async fn sleeper(ctx: WorkflowContext, (): ()) -> WorkflowResult<()> {
    ctx.sleep(Duration::from_secs(30 * 24 * 3600)).await?;
    ctx.run(DeclareTouch(touch("late"))).await.map(drop)
}

async fn two_waits(ctx: WorkflowContext, (): ()) -> WorkflowResult<()> {
    let waits = [ctx.run(Wait { seconds: 3600 }).timeout(Duration::from_secs(7200)), ctx.run(Wait { seconds: 60 })];
    ctx.all(waits).await;
    Ok(())
}

async fn gated(ctx: WorkflowContext, (): ()) -> WorkflowResult<String> {
    match ctx.race(ctx.gate(Gate::new("go", "Shall it?")), ctx.sleep(Duration::from_secs(86_400))).await {
        Either::First(yes) => Ok(yes?.by),
        Either::Second(_) => Ok("too late".to_owned()),
    }
}

fn bench() -> Bench {
    Bench::new(|registry| {
        registry
            .workflow("impatient", 1, impatient)
            .workflow("distant", 1, distant)
            .workflow("waiting", 1, waiting)
            .workflow("pair", 1, pair)
            .workflow("once", 1, once)
            .workflow("slow-then-once", 1, slow_then_once)
            .workflow("sleeper", 1, sleeper)
            .workflow("two-waits", 1, two_waits)
            .workflow("gated", 1, gated)
    })
}

fn retry(step: &str) -> What {
    What::Retry { step: step.to_owned() }
}

fn skip(step: &str) -> What {
    What::Skip { step: step.to_owned() }
}

fn mark_done(step: &str, output: Option<&str>) -> What {
    let output = output.map(|text| serde_json::from_str::<Json>(text).unwrap());
    What::MarkDone { step: step.to_owned(), evidence: "seen in the console".to_owned(), output }
}

fn timeout(seconds: u64) -> What {
    What::SetTimeout { step: "0".to_owned(), seconds }
}

fn approve(seen: Option<String>) -> What {
    What::Approve { gate: "go".to_owned(), in_advance: false, seen, plan: None }
}

async fn seconds(n: u64) {
    tokio::time::sleep(Duration::from_secs(n)).await;
}

/// Tells a worker something, for a reason; why it was refused, if it was.
async fn tell(handle: &WorkerHandle, run: RunId, what: What) -> String {
    handle.tell(signed(run, what)).await.unwrap().err().map(|refusal| refusal.to_string()).unwrap_or_default()
}

/// An attempt that began before a crash and of which nothing can be seen: parked.
async fn in_doubt(mode: Mode) -> (Bench, RunId) {
    let bench = bench();
    bench.world.set_once(mode);
    bench.world.darken(true);
    let run = bench.start_and_kill("once").await;
    bench.resume().await;
    assert_eq!(bench.state(run), "parked: kick: in doubt: the world is dark");
    bench.world.darken(false);
    (bench, run)
}
