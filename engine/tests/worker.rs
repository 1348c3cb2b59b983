//! The worker on virtual time and a journal in memory: commits, retries, doubt, cancellation, gates.
#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::time::Duration;

use support::{Bench, DeclareTouch, IrreversibleTouch, Mode, OnceTouch, Touch, Wait, touch};
use windlass_engine::control::What;
use windlass_engine::{Gate, RetryPolicy, WorkflowContext, WorkflowError, WorkflowResult};

async fn three(ctx: WorkflowContext, (): ()) -> WorkflowResult<u32> {
    for name in ["a", "b", "c"] {
        ctx.run(DeclareTouch(touch(name))).await?;
    }
    Ok(3)
}

async fn sleeper(ctx: WorkflowContext, (): ()) -> WorkflowResult<()> {
    ctx.sleep(Duration::from_secs(30 * 24 * 3600)).await?;
    ctx.run(DeclareTouch(touch("late"))).await.map(drop)
}

async fn gated(ctx: WorkflowContext, (): ()) -> WorkflowResult<String> {
    let yes = ctx.gate(Gate::new("go", "Shall it?")).await?;
    ctx.run(IrreversibleTouch(touch("x"))).approved(&yes).await?;
    Ok(yes.by)
}

async fn unapproved(ctx: WorkflowContext, (): ()) -> WorkflowResult<()> {
    ctx.run(IrreversibleTouch(touch("x"))).await.map(drop)
}

async fn once(ctx: WorkflowContext, (): ()) -> WorkflowResult<u32> {
    ctx.run(OnceTouch(touch("kick"))).await
}

async fn slow_then_once(ctx: WorkflowContext, (): ()) -> WorkflowResult<u32> {
    ctx.run(DeclareTouch(Touch { mode: Mode::Slow, ..touch("slow") })).await?;
    ctx.run(OnceTouch(touch("kick"))).await
}

async fn impatient(ctx: WorkflowContext, (): ()) -> WorkflowResult<u32> {
    let few = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
    ctx.run(Wait { seconds: 3600 }).timeout(Duration::from_secs(60)).retry(few).await
}

async fn heartbeating(ctx: WorkflowContext, (): ()) -> WorkflowResult<u32> {
    ctx.run(Wait { seconds: 3600 }).timeout(Duration::from_secs(7200)).heartbeat(Duration::from_secs(90)).await
}

async fn careful(ctx: WorkflowContext, (): ()) -> WorkflowResult<()> {
    ctx.hold("pool/worker/paused", "unpause pool worker", &false)?;
    ctx.run(DeclareTouch(touch("pause"))).await?;
    let waited = ctx.run(Wait { seconds: 3600 }).timeout(Duration::from_secs(7200)).await;
    ctx.run(DeclareTouch(touch("unpause"))).await?;
    ctx.give_back("pool/worker/paused");
    waited.map(drop)
}

async fn told(ctx: WorkflowContext, (): ()) -> WorkflowResult<u32> {
    let first = ctx.signal::<u32>("number").await?;
    let second = ctx.signal::<u32>("number").await?;
    Ok(first * 10 + second)
}

async fn patient(ctx: WorkflowContext, (): ()) -> WorkflowResult<String> {
    match ctx.race(ctx.run(Wait { seconds: 3600 }).timeout(Duration::from_secs(7200)), ctx.sleep(Duration::from_secs(60))).await {
        windlass_engine::Either::First(_) => Ok("waited".to_owned()),
        windlass_engine::Either::Second(timer) => timer.map(|()| "gave up".to_owned()),
    }
}

async fn refused(ctx: WorkflowContext, (): ()) -> WorkflowResult<()> {
    match ctx.run(DeclareTouch(Touch { mode: Mode::Refused, ..touch("x") })).await {
        Err(WorkflowError::Activity { error, .. }) => Err(WorkflowError::Failed(format!("gave up: {}", error.code))),
        other => other.map(drop),
    }
}

fn bench() -> Bench {
    Bench::new(|registry| {
        registry
            .workflow("three", 1, three)
            .workflow("sleeper", 1, sleeper)
            .workflow("gated", 1, gated)
            .workflow("unapproved", 1, unapproved)
            .workflow("once", 1, once)
            .workflow("slow-then-once", 1, slow_then_once)
            .workflow("impatient", 1, impatient)
            .workflow("heartbeating", 1, heartbeating)
            .workflow("careful", 1, careful)
            .workflow("told", 1, told)
            .workflow("patient", 1, patient)
            .workflow("refused", 1, refused)
    })
}

#[tokio::test(start_paused = true)]
async fn a_result_and_the_next_intent_share_one_commit() {
    let bench = bench();
    let run = bench.start("three").await;
    assert_eq!(bench.state(run), "completed 3");
    assert_eq!(bench.touched(), ["a", "b", "c"]);
    // One for the start with the first intent, one a step.
    assert_eq!(bench.commits(), 4);
    insta::assert_snapshot!(bench.history(run), @"
    RunStarted
    ActivityScheduled #0
    ActivityCompleted #0
    ActivityScheduled #1
    ActivityCompleted #1
    ActivityScheduled #2
    ActivityCompleted #2
    RunCompleted
    ");
}

#[tokio::test(start_paused = true)]
async fn a_month_passes_in_no_time_and_costs_two_events() {
    let bench = bench();
    let run = bench.start("sleeper").await;
    assert_eq!(bench.state(run), "completed null");
    assert_eq!(bench.elapsed_days(), 30);
    assert_eq!(bench.history(run).lines().filter(|line| line.starts_with("Timer")).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_that_is_not_on_record() {
    for crash_at in 1..=4 {
        let bench = bench().crash_at_append(crash_at);
        bench.start("three").await;
        // The append that failed carried the intent of the next step, so that step was not made.
        assert_eq!(bench.touched().len() as u64, crash_at - 1, "crash at append {crash_at}");
    }
}

#[tokio::test(start_paused = true)]
async fn used_up_retries_park_and_a_person_lets_the_run_go_on() {
    let bench = bench();
    let run = bench.start("impatient").await;
    assert_eq!(bench.state(run), "parked: wait 3600 s: not done after 60 s (3 attempts)");
    insta::assert_snapshot!(bench.history(run), @"
    RunStarted
    ActivityScheduled #0
    ActivityRetryScheduled #0
    ActivityStarted #0
    ActivityRetryScheduled #0
    ActivityStarted #0
    RunParked
    ");
    bench.world.make_quick();
    bench.tell(run, What::Unpark).await;
    assert_eq!(bench.state(run), "completed 4");
}

#[tokio::test(start_paused = true)]
async fn a_silent_attempt_is_broken_off() {
    let bench = bench();
    bench.world.fall_silent();
    let run = bench.start("heartbeating").await;
    assert!(bench.state(run).starts_with("parked: wait 3600 s: no sign of progress for 90 s"), "{}", bench.state(run));
    let talking = self::bench();
    let run = talking.start("heartbeating").await;
    assert_eq!(talking.state(run), "completed 1");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_in_doubt_is_probed_and_never_repeated() {
    // What the crash left, what the probe says, how the run goes on, and how often the effect took place.
    let check = async |left: Mode, expect: &str, touched: usize| {
        let bench = bench();
        bench.world.set_once(left);
        let run = bench.start_and_kill("once").await;
        bench.resume().await;
        assert_eq!(bench.state(run), expect, "{left:?}");
        assert_eq!(bench.touched().len(), touched, "{left:?}");
        bench.history(run)
    };
    let happened = check(Mode::HangAfter, "completed 1", 1).await;
    assert!(happened.contains("ActivityInDoubt #0\nActivityCompleted #0"), "{happened}");
    let not = check(Mode::HangBefore, "completed 2", 1).await;
    assert!(not.contains("ActivityInDoubt #0\nActivityProbed #0\nActivityStarted #0\nActivityCompleted #0"), "{not}");
    check(Mode::HangBlind, "parked: kick: in doubt: the world is dark", 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_unknown_and_not_failed() {
    let check = async |mode: Mode, expect: &str, touched: usize| {
        let bench = bench();
        bench.world.set_once(mode);
        let run = bench.start("once").await;
        assert_eq!((bench.state(run).as_str(), bench.touched().len()), (expect, touched), "{mode:?}");
    };
    check(Mode::LoseReply, "completed 1", 1).await;
    check(Mode::LoseRequest, "completed 2", 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_reaches_the_workflow() {
    let bench = bench();
    let run = bench.start("refused").await;
    assert_eq!(bench.state(run), "failed: gave up: refused");
}

#[tokio::test(start_paused = true)]
async fn a_gate_waits_for_a_person() {
    let bench = bench();
    let run = bench.start("gated").await;
    assert_eq!(bench.state(run), "waits at go");
    let gate = || "go".to_owned();
    let refusal =
        bench.try_tell(run, What::Approve { gate: "gone".to_owned(), in_advance: false, seen: None, plan: None }).unwrap_err();
    assert_eq!(refusal.to_string(), format!("gate gone of run {run} is not open; open: go"));
    bench.tell(run, What::Approve { gate: gate(), in_advance: false, seen: None, plan: None }).await;
    assert_eq!(bench.state(run), r#"completed "tester""#);
    assert_eq!(bench.touched(), ["x"]);
    let rejected = bench.start("gated").await;
    bench.tell(rejected, What::Reject { gate: gate() }).await;
    assert_eq!(bench.state(rejected), "failed: tester rejected gate go");
}

#[tokio::test(start_paused = true)]
async fn the_irreversible_needs_an_approval() {
    let bench = bench();
    let run = bench.start("unapproved").await;
    assert!(bench.state(run).contains("irreversible and no approval"), "{}", bench.state(run));
    assert_eq!(bench.touched(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_gives_back_what_it_holds() {
    let bench = bench();
    let run = bench.start_and_kill("careful").await;
    assert_eq!(bench.held(run), ["pool/worker/paused"]);
    bench.tell(run, What::Cancel).await;
    assert_eq!(bench.state(run), "cancelled: cancelled");
    assert_eq!(bench.touched(), ["pause", "unpause"]);
    assert_eq!(bench.held(run), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn signals_are_kept_in_order_until_asked_for() {
    let bench = bench();
    let run = bench.start("told").await;
    for number in [4, 2] {
        let payload = windlass_engine::Json::of(&number).unwrap();
        bench.tell(run, What::Signal { signal: "number".to_owned(), payload }).await;
    }
    assert_eq!(bench.state(run), "completed 42");
}

#[tokio::test(start_paused = true)]
async fn the_loser_of_a_race_is_broken_off() {
    let bench = bench();
    let run = bench.start("patient").await;
    assert_eq!(bench.state(run), r#"completed "gave up""#);
    assert_eq!(bench.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn new_code_that_asks_for_something_else_parks_the_run_and_the_old_code_goes_on() {
    let bench = bench();
    let run = bench.start_and_kill("careful").await;
    let before = bench.history(run);
    let changed = bench.with_workflow("careful", three);
    changed.resume().await;
    assert!(changed.state(run).contains("the code no longer asks for what event 2 records"), "{}", changed.state(run));
    assert!(bench.history(run).starts_with(&before));
    bench.resume().await;
    assert_eq!(bench.state(run), "completed null");
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_a_change_finish_and_begins_nothing_new() {
    let bench = bench();
    let run = bench.start_and_stop("slow-then-once").await;
    assert_eq!(bench.history(run), "RunStarted\nActivityScheduled #0\nActivityCompleted #0");
    bench.resume().await;
    assert_eq!((bench.state(run).as_str(), bench.touched()), ("completed 1", vec!["slow".to_owned(), "kick".to_owned()]));
    assert!(!bench.history(run).contains("InDoubt"));
}

#[tokio::test(start_paused = true)]
async fn many_runs_share_their_commits() {
    let bench = bench();
    bench.start_many("three", 100).await;
    assert_eq!(bench.touched().len(), 300);
    assert!(bench.commits() < 40, "{} commits for a hundred runs", bench.commits());
}
