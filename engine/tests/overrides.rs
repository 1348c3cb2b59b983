//! What operators may do to a run besides letting it go on: through its worker and without one, and across crashes.
#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking, its helpers too")]

mod support;

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

#[tokio::test(start_paused = true)]
async fn a_retry_lets_a_parked_step_go_on() {
    let bench = bench();
    let run = bench.start("impatient").await;
    assert_eq!(bench.state(run), "parked: wait 3600 s: not done after 60 s (2 attempts)");
    bench.world.make_quick();
    bench.override_as(run, retry("wait")).unwrap();
    bench.resume().await;
    assert_eq!(bench.state(run), "completed 3");
    insta::assert_snapshot!(bench.history(run), @"
    RunStarted
    ActivityScheduled #0
    ActivityRetryScheduled #0
    ActivityStarted #0
    RunParked
    RetryRequested #0
    ActivityStarted #0
    ActivityCompleted #0
    ActivityScheduled #1
    ActivityCompleted #1
    RunCompleted
    ");
}

#[tokio::test(start_paused = true)]
async fn a_retry_of_what_is_in_doubt_looks_again_and_repeats_nothing_blindly() {
    let check = async |mode: Mode, expect: &str| {
        let (bench, run) = in_doubt(mode).await;
        bench.override_as(run, retry("0")).unwrap();
        bench.resume().await;
        assert_eq!(
            (bench.state(run).as_str(), bench.touched()),
            (expect, vec!["kick".to_owned(), "after".to_owned()]),
            "{mode:?}"
        );
        bench.history(run)
    };
    let happened = check(Mode::HangAfter, "completed 1").await;
    assert!(happened.contains("RetryRequested #0\nActivityCompleted #0"), "{happened}");
    let not = check(Mode::HangBefore, "completed 2").await;
    assert!(not.contains("RetryRequested #0\nActivityProbed #0\nActivityStarted #0\nActivityCompleted #0"), "{not}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_retries_at_once() {
    let bench = bench();
    bench.world.set_once(Mode::LoseRequest);
    bench
        .with_worker("distant", async |handle, run| {
            seconds(10).await;
            assert_eq!(tell(&handle, run, retry("#0")).await, "");
            seconds(1).await;
            assert_eq!(bench.state(run), "completed 2");
        })
        .await;
    assert!(bench.elapsed() < Duration::from_secs(60), "it waited {:?}", bench.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_wait_under_way_begins_anew_and_a_change_under_way_is_left_alone() {
    let bench = bench();
    bench
        .with_worker("waiting", async |handle, run| {
            seconds(600).await;
            bench.world.make_quick();
            assert_eq!(tell(&handle, run, retry("wait")).await, "");
            seconds(1).await;
            assert_eq!(bench.state(run), "completed 2");
        })
        .await;
    let bench = self::bench();
    bench
        .with_worker("slow-then-once", async |handle, run| {
            seconds(1).await;
            let under_way =
                format!("an attempt of step #0 (declare-touch: slow) of run {run} is under way and changes the world");
            for what in [retry("0"), skip("0"), mark_done("0", None), mark_done("0", Some("7"))] {
                let refused = tell(&handle, run, what).await;
                assert!(refused.starts_with(&under_way), "{refused}");
            }
            seconds(5).await;
            assert_eq!(bench.state(run), "completed 1");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_step_is_skipped_or_attested_with_a_result_that_its_type_can_hold() {
    // What was left behind, what a person says, the refusal or how the run goes on, and what was done to the world.
    let check = async |mode: Mode, what: What, expect: &str, touched: &[&str]| {
        let (bench, run) = in_doubt(mode).await;
        let said = bench.override_as(run, what);
        bench.resume().await;
        let seen = said.map_or_else(|refusal| refusal.to_string(), |()| bench.state(run));
        assert_eq!(
            (seen.replace(&run.to_string(), "RUN").as_str(), bench.touched()),
            (expect, touched.iter().map(ToString::to_string).collect())
        );
    };
    check(Mode::HangAfter, skip("0"), "completed 0", &["kick", "after"]).await;
    check(Mode::HangBefore, skip("once-touch"), "completed 0", &["after"]).await;
    check(Mode::HangBefore, mark_done("0", None), "completed 0", &["after"]).await;
    check(Mode::HangBefore, mark_done("0", Some("7")), "completed 7", &["after"]).await;
    let bad = "that is no result of step #0 (once-touch: kick) of run RUN: invalid type: string \"x\", expected u32";
    check(Mode::HangAfter, mark_done("0", Some("\"x\"")), bad, &["kick"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_only_the_world_can_tell_must_be_given() {
    let bench = bench();
    let run = bench.start("impatient").await;
    let refused = bench.override_as(run, skip("0")).unwrap_err().to_string();
    assert_eq!(
        refused,
        format!(
            "the workflow goes on with the result of step #0 (wait: wait 3600 s) of run {run}, which can't be assumed (invalid \
             type: map, expected u32)"
        )
    );
    assert_eq!(bench.override_as(run, mark_done("0", None)).unwrap_err().to_string(), refused);
    bench.override_as(run, mark_done("0", Some("41"))).unwrap();
    bench.resume().await;
    assert_eq!((bench.state(run).as_str(), bench.touched()), ("completed 41", vec!["after".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_skipped_timer_fires() {
    let bench = bench();
    let run = bench.start_and_kill("sleeper").await;
    bench.override_as(run, skip("0")).unwrap();
    bench.resume().await;
    assert_eq!((bench.state(run).as_str(), bench.elapsed_days()), ("completed null", 0));
    assert_eq!(bench.touched(), ["late"]);
}

#[tokio::test(start_paused = true)]
async fn an_override_must_name_one_open_step_and_a_reason() {
    let bench = bench();
    let run = bench.start_and_kill("two-waits").await;
    let timer = bench.start_and_kill("sleeper").await;
    let check = |run: RunId, what: What, expect: &str| {
        let refused = bench.override_as(run, what).unwrap_err().to_string();
        assert_eq!(refused.replace(&run.to_string(), "RUN"), expect);
    };
    let open = "#0 (wait: wait 3600 s), #1 (wait: wait 60 s)";
    check(run, retry("wait"), &format!("wait may mean several open steps of run RUN: {open}"));
    check(run, retry("7"), &format!("run RUN has no open step 7; open: {open}"));
    check(run, retry("await"), &format!("run RUN has no open step await; open: {open}"));
    check(run, timeout(0), "an attempt can be given from 1 second to 366 days");
    check(run, timeout(u64::MAX), "an attempt can be given from 1 second to 366 days");
    check(run, What::Note { text: " ".to_owned() }, "the note is empty; it is what the logbook is read for");
    check(run, What::Note { text: "x".repeat(20_000) }, "the note is longer than 16384 bytes");
    check(run, What::Unpause, "run RUN is not paused");
    let due = "2027-02-14T08:00:10.000Z";
    check(timer, retry("0"), &format!("step #0 (wait until {due}) of run RUN is a timer; it can't be retried"));
    check(timer, mark_done("0", None), &format!("step #0 (wait until {due}) of run RUN is a timer; it can't be marked as done"));
    let unsigned = bench.try_tell(run, What::Pause).unwrap_err().to_string();
    assert_eq!(unsigned, "the reason is empty; it is what the logbook is read for");
}

#[tokio::test(start_paused = true)]
async fn a_changed_timeout_holds_for_the_attempt_in_flight_and_after_a_restart() {
    let longer = bench();
    longer
        .with_worker("impatient", async |handle, run| {
            seconds(10).await;
            assert_eq!(tell(&handle, run, timeout(7200)).await, "");
            seconds(4000).await;
            assert_eq!(longer.state(run), "completed 1");
        })
        .await;
    let shorter = bench();
    shorter
        .with_worker("waiting", async |handle, run| {
            seconds(30).await;
            assert_eq!(tell(&handle, run, timeout(20)).await, "");
            seconds(1).await;
            let view = RunView::fold(&shorter.records(run)).unwrap();
            let step = view.step(CommandId(0)).unwrap();
            assert!(step.error.as_ref().unwrap().message.starts_with("not done after 20 s"), "{step:?}");
            assert_eq!(step.timeout, Some(Duration::from_secs(20)));
        })
        .await;
    let restarted = bench();
    let run = restarted.start_and_kill("impatient").await;
    restarted.override_as(run, timeout(7200)).unwrap();
    restarted.resume().await;
    assert_eq!(restarted.state(run), "completed 2");
    assert!(!restarted.history(run).contains("RetryScheduled"), "{}", restarted.history(run));
}

#[tokio::test(start_paused = true)]
async fn a_pause_lets_what_is_in_flight_finish_and_nothing_begin() {
    let bench = bench();
    let run = bench
        .with_worker("slow-then-once", async |handle, run| {
            seconds(1).await;
            assert_eq!(tell(&handle, run, What::Pause).await, "");
            assert_eq!(tell(&handle, run, What::Pause).await, format!("run {run} is paused already, by tester"));
            seconds(60).await;
            run
        })
        .await;
    assert_eq!(bench.history(run), "RunStarted\nActivityScheduled #0\nRunPaused\nActivityCompleted #0");
    assert_eq!(RunView::fold(&bench.records(run)).unwrap().status(), RunStatus::Parked);
    bench.resume().await;
    assert_eq!(bench.state(run), "paused by tester: because");
    bench.tell(run, What::Unpause).await;
    assert_eq!((bench.state(run).as_str(), bench.touched()), ("completed 1", vec!["slow".to_owned(), "kick".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_pause_and_its_end_in_one_breath_lose_nothing() {
    let bench = bench();
    bench
        .with_worker("slow-then-once", async |handle, run| {
            // Both arrive in the turn in which the second step begins.
            tokio::time::sleep(Duration::from_secs(2)).await;
            let told = futures::future::join(tell(&handle, run, What::Pause), tell(&handle, run, What::Unpause)).await;
            assert_eq!(told, (String::new(), String::new()));
            seconds(60).await;
            assert_eq!(bench.state(run), "completed 1");
            assert!(!bench.history(run).contains("InDoubt"), "{}", bench.history(run));
        })
        .await;
    assert_eq!(bench.touched(), ["slow", "kick"]);
}

#[tokio::test(start_paused = true)]
async fn timers_and_retries_wait_for_the_end_of_a_pause() {
    let bench = bench();
    bench
        .with_worker("sleeper", async |handle, run| {
            assert_eq!(tell(&handle, run, What::Pause).await, "");
            seconds(40 * 86_400).await;
            assert_eq!(bench.state(run), "paused by tester: because");
            assert!(!bench.history(run).contains("TimerFired"));
            assert_eq!(tell(&handle, run, What::Unpause).await, "");
            seconds(1).await;
            assert_eq!(bench.state(run), "completed null");
        })
        .await;
    let bench = self::bench();
    bench
        .with_worker("impatient", async |handle, run| {
            seconds(61).await;
            assert_eq!(tell(&handle, run, What::Pause).await, "");
            seconds(600).await;
            assert_eq!(bench.history(run).matches("ActivityStarted").count(), 0, "{}", bench.history(run));
            assert_eq!(tell(&handle, run, What::Unpause).await, "");
            seconds(61).await;
            assert_eq!(bench.state(run), "parked: wait 3600 s: not done after 60 s (2 attempts)");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_run_may_be_parked_and_paused_and_each_has_its_own_end() {
    let bench = bench();
    let run = bench.start("impatient").await;
    bench.override_as(run, What::Pause).unwrap();
    bench.world.make_quick();
    bench.override_as(run, What::Unpark).unwrap();
    bench.resume().await;
    assert_eq!(bench.state(run), "paused by tester: because");
    bench.tell(run, What::Unpause).await;
    assert_eq!(bench.state(run), "completed 3");
    // A cancellation ends both: what is held must be given back.
    let bench = self::bench();
    let run = bench.start("impatient").await;
    bench.override_as(run, What::Pause).unwrap();
    assert_eq!(bench.state(run), "paused by tester: because, and parked");
    bench.tell(run, What::Cancel).await;
    assert_eq!(bench.state(run), "cancelled: cancelled");
}

#[tokio::test(start_paused = true)]
async fn an_approval_holds_for_the_text_that_was_seen() {
    let bench = bench();
    let run = bench.start("gated").await;
    // The deadline beside the gate does not keep a worker that waits for a person.
    assert_eq!((bench.state(run).as_str(), bench.elapsed().as_secs()), ("waits at go", 0));
    let asked = text_digest("Shall it?");
    assert_eq!(asked.len(), 16);
    let refused = bench.try_tell(run, approve(Some("0123456789abcdef".to_owned()))).unwrap_err().to_string();
    assert_eq!(
        refused,
        format!("gate go of run {run} does not ask what was seen: its text has digest {asked}, not 0123456789abcdef")
    );
    bench.tell(run, approve(Some(asked.clone()))).await;
    assert_eq!(bench.state(run), r#"completed "tester""#);
    let view = RunView::fold(&bench.records(run)).unwrap();
    assert_eq!(view.gates[0].decision.as_ref().unwrap().seen.as_ref(), Some(&asked));
    let early = bench.start_and_kill("sleeper").await;
    let unseen = What::Approve { gate: "go".to_owned(), in_advance: true, seen: Some(asked), plan: None };
    assert!(bench.try_tell(early, unseen).unwrap_err().to_string().contains("is not open"));
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_append_after_an_override_leads_to_the_same_end() {
    let overrides: [fn() -> What; 5] =
        [|| retry("0"), || skip("0"), || mark_done("0", Some("7")), || timeout(7200), || What::Note { text: "hm".to_owned() }];
    for what in overrides {
        let expect = ended(&what(), None).await;
        for crash_at in 1.. {
            let end = ended(&what(), Some(crash_at)).await;
            if end.is_none() {
                assert!(crash_at > 2, "{:?} was never cut off", what());
                break;
            }
            assert_eq!(end, expect, "{:?}, crash at append {crash_at}", what());
        }
    }
}

/// How a parked run ends after an override, and how often what must not happen twice took place; `None` if the crash point was never reached.
async fn ended(what: &What, crash_at: Option<u64>) -> Option<(String, usize)> {
    let (bench, run) = in_doubt(Mode::HangBefore).await;
    bench.override_as(run, what.clone()).unwrap();
    // Not every override lets a parked run go on.
    let _ = bench.override_as(run, What::Unpark);
    if let Some(append) = crash_at
        && !bench.resume_and_crash(append).await
    {
        return None;
    }
    bench.resume().await;
    // Every beginning of the history leads somewhere, and to the same open ends as the worker saw.
    let records = bench.records(run);
    for end in 1..=records.len() {
        let step = replay(records[..end].to_vec(), bench.registry()).unwrap();
        let folded = OpenRun::fold(&records[..end]).unwrap();
        assert_eq!(step.state.open.keys().collect::<Vec<_>>(), folded.open.keys().collect::<Vec<_>>());
        assert_eq!(step.state.stands_still(), folded.stands_still());
    }
    Some((bench.state(run), bench.touched().iter().filter(|name| *name == "kick").count()))
}

#[test]
fn overrides_are_stored_as_they_were_first_stored() {
    let check = |event: Event, stored: &str| {
        assert_eq!(serde_json::to_string(&event).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Event>(stored).unwrap(), event);
    };
    let (command, by, reason) = (CommandId(7), || "ann".to_owned(), || "why".to_owned());
    let output = || Json::of(&7).unwrap();
    check(Event::RunPaused { by: by(), reason: reason() }, r#"{"RunPaused":{"by":"ann","reason":"why"}}"#);
    check(Event::RunUnpaused { by: by(), reason: None }, r#"{"RunUnpaused":{"by":"ann"}}"#);
    check(
        Event::RetryRequested { command, by: by(), reason: reason() },
        r#"{"RetryRequested":{"command":7,"by":"ann","reason":"why"}}"#,
    );
    check(
        Event::StepSkipped { command, output: output(), by: by(), reason: reason() },
        r#"{"StepSkipped":{"command":7,"output":7,"by":"ann","reason":"why"}}"#,
    );
    check(
        Event::StepMarkedDone { command, output: output(), evidence: "seen".to_owned(), by: by(), reason: reason() },
        r#"{"StepMarkedDone":{"command":7,"output":7,"evidence":"seen","by":"ann","reason":"why"}}"#,
    );
    check(
        Event::TimeoutChanged { command, seconds: 60, by: by(), reason: reason() },
        r#"{"TimeoutChanged":{"command":7,"seconds":60,"by":"ann","reason":"why"}}"#,
    );
    check(Event::NoteAdded { by: by(), text: "hm".to_owned() }, r#"{"NoteAdded":{"by":"ann","text":"hm"}}"#);
    let approved =
        |seen, plan| Event::GateApproved { gate: "go".to_owned(), by: by(), reason: None, in_advance: false, seen, plan };
    check(approved(None, None), r#"{"GateApproved":{"gate":"go","by":"ann"}}"#);
    check(
        approved(Some("d1".to_owned()), Some("d2".to_owned())),
        r#"{"GateApproved":{"gate":"go","by":"ann","seen":"d1","plan":"d2"}}"#,
    );
}
