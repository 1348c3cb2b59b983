//! Steps that are retried, skipped, attested, or given more time.

use super::*;

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

/// Both fail at first; one parks the run before the other's next attempt is due.
#[tokio::test(start_paused = true)]
async fn what_fell_due_while_the_run_was_parked_begins_when_the_cause_is_dealt_with() {
    let bench = bench();
    bench
        .with_worker("pair", async |handle, run| {
            seconds(1000).await;
            assert_eq!(bench.state(run), "parked: wait 3600 s: not done after 60 s (2 attempts)");
            bench.world.make_quick();
            assert_eq!(tell(&handle, run, mark_done("0", Some("7"))).await, "");
            seconds(1).await;
            assert_eq!(bench.state(run), "completed [7,4]");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_gives_a_step_all_of_its_attempts_again() {
    let bench = bench();
    let run = bench.start("impatient").await;
    bench.override_as(run, retry("0")).unwrap();
    bench.resume().await;
    assert_eq!(bench.state(run), "parked: wait 3600 s: not done after 60 s (2 attempts)");
    assert_eq!(bench.history(run).matches("ActivityStarted").count(), 3, "{}", bench.history(run));
}
