//! Runs that a person pauses, and gates whose text a person has seen.

use super::*;

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
async fn what_is_told_in_the_turn_in_which_a_step_begins_finds_it_begun() {
    let check = async |more: Vec<What>, expect: &str| {
        let bench = bench();
        let run = bench.start_and_tell("once", more).await;
        assert_eq!((bench.state(run).as_str(), bench.touched()), (expect, vec!["kick".to_owned(), "after".to_owned()]));
        assert!(!bench.history(run).contains("InDoubt"), "{}", bench.history(run));
    };
    check(vec![What::Pause, What::Unpause], "completed 1").await;
    check(vec![skip("0")], "completed 1").await;
    check(vec![retry("0")], "completed 1").await;
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
