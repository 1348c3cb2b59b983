//! What a history and a workflow lead to.

use std::sync::Arc;

use windlass_engine::{CommandId, Either, Event, Gate, Registry, WorkflowContext, WorkflowError, WorkflowResult, replay};

use crate::support::{History, Say, say};

async fn two_words(ctx: WorkflowContext, (): ()) -> WorkflowResult<String> {
    let first = ctx.run(say("one")).await?;
    let second = ctx.run(say("two")).await?;
    Ok(format!("{first} {second}"))
}

async fn both(ctx: WorkflowContext, (): ()) -> WorkflowResult<Vec<String>> {
    ctx.all([ctx.run(say("a")), ctx.run(say("b"))]).await.into_iter().collect()
}

async fn first_of_two(ctx: WorkflowContext, (): ()) -> WorkflowResult<String> {
    match ctx.race(ctx.run(say("a")), ctx.run(say("b"))).await {
        Either::First(word) => Ok(format!("first {}", word?)),
        Either::Second(word) => Ok(format!("second {}", word?)),
    }
}

async fn asks_then_gate(ctx: WorkflowContext, (): ()) -> WorkflowResult<String> {
    ctx.run(say("one")).await?;
    let yes = ctx.gate(Gate::new("go", "Shall it?")).await?;
    Ok(yes.by)
}

async fn cleans_up(ctx: WorkflowContext, (): ()) -> WorkflowResult<String> {
    match ctx.run(say("work")).await {
        Err(WorkflowError::Cancelled) => {
            ctx.run(say("clean")).await?;
            Err(WorkflowError::Cancelled)
        }
        other => other,
    }
}

async fn foreign(_: WorkflowContext, (): ()) -> WorkflowResult<()> {
    std::future::pending::<()>().await;
    Ok(())
}

async fn keeps_a_waker(ctx: WorkflowContext, (): ()) -> WorkflowResult<()> {
    let kept = Arc::new(std::sync::Mutex::new(None));
    let stray = kept.clone();
    ctx.race(
        ctx.run(say("a")),
        std::future::poll_fn(move |cx| {
            *stray.lock().unwrap() = Some(cx.waker().clone());
            std::task::Poll::<()>::Pending
        }),
    )
    .await;
    Ok(())
}

async fn patched(ctx: WorkflowContext, (): ()) -> WorkflowResult<String> {
    let word = if ctx.patched("new-word") { "new" } else { "old" };
    ctx.run(say(word)).await
}

fn registry() -> Registry {
    Registry::new()
        .workflow("two-words", 1, two_words)
        .workflow("both", 1, both)
        .workflow("first-of-two", 1, first_of_two)
        .workflow("asks-then-gate", 1, asks_then_gate)
        .workflow("cleans-up", 1, cleans_up)
        .workflow("foreign", 1, foreign)
        .workflow("keeps-a-waker", 1, keeps_a_waker)
        .workflow("patched", 1, patched)
        .activity::<Say>(&Arc::new(()))
}

/// What a history leads to, in one line: the commands asked for next, or the end, or the mismatch.
fn outcome(history: History) -> String {
    match replay(history.0, &registry()) {
        Err(mismatch) => mismatch.message,
        Ok(step) => match step.ended {
            Some(Ok(output)) => format!("completed {output}"),
            Some(Err(error)) => format!("ended: {error}"),
            None => step.asked.iter().map(in_short).collect::<Vec<_>>().join(", "),
        },
    }
}

fn in_short(event: &Event) -> String {
    match event {
        Event::ActivityScheduled { command, summary, .. } => format!("{command} {summary}"),
        Event::GateOpened { command, gate, .. } => format!("{command} gate {gate}"),
        Event::PatchMarked { command, patch } => format!("{command} patch {patch}"),
        Event::CommandCancelled { command, target } => format!("{command} cancel {target}"),
        other => panic!("unexpected command {other:?}"),
    }
}

#[test]
fn a_history_leads_to_the_next_commands() {
    let check = |history: History, expect: &str| assert_eq!(outcome(history), expect);
    let words = || History::of("two-words");
    check(words(), "#0 say one");
    check(words().asked(0, "one"), "");
    check(words().asked(0, "one").answered(0, "ONE"), "#1 say two");
    check(words().asked(0, "one").answered(0, "ONE").asked(1, "two").answered(1, "TWO"), r#"completed "ONE TWO""#);
    check(History::of("both"), "#0 say a, #1 say b");
    let both = || History::of("both").asked(0, "a").asked(1, "b");
    check(both().answered(1, "B"), "");
    check(both().answered(1, "B").answered(0, "A"), r#"completed ["A","B"]"#);
}

#[test]
fn a_race_gives_the_loser_up_in_either_order() {
    let begun = || History::of("first-of-two").asked(0, "a").asked(1, "b");
    let (second, first) = (outcome(begun().answered(1, "B")), outcome(begun().answered(0, "A")));
    assert_eq!((first.as_str(), second.as_str()), (r#"completed "first A""#, r#"completed "second B""#));
    let step = replay(begun().answered(1, "B").0, &registry()).unwrap();
    assert_eq!(step.asked.iter().map(in_short).collect::<Vec<_>>(), ["#2 cancel #0"]);
}

#[test]
fn an_approval_recorded_offline_before_its_gate_is_kept() {
    let approve = || Event::GateApproved {
        gate: "go".to_owned(),
        by: "ann".to_owned(),
        reason: None,
        in_advance: true,
        seen: None,
        plan: None,
    };
    let opened = Event::GateOpened { command: CommandId(1), gate: "go".to_owned(), text: String::new(), site: String::new() };
    let early = History::of("asks-then-gate").then(approve()).asked(0, "one").answered(0, "ONE");
    assert_eq!(outcome(early), r#"completed "ann""#);
    // Between an answer and the commands that follow from it, as a person without a worker writes it after a crash.
    let between = History::of("asks-then-gate").asked(0, "one").answered(0, "ONE").then(approve()).then(opened);
    assert_eq!(outcome(between), r#"completed "ann""#);
}

#[test]
fn a_cancellation_ends_the_wait_and_lets_the_workflow_clean_up() {
    let cancel = || Event::CancelRequested { by: "ann".to_owned(), reason: None };
    let cancelled = || History::of("cleans-up").asked(0, "work").then(cancel());
    assert_eq!(outcome(cancelled()), "#1 say clean");
    assert_eq!(outcome(cancelled().asked(1, "clean").answered(1, "ok")), "ended: cancelled");
    // It found nothing to end: the next wait takes it.
    assert_eq!(outcome(History::of("two-words").asked(0, "one").answered(0, "ONE").then(cancel())), "#1 say two");
}

#[test]
fn a_patch_marker_decides_the_side() {
    assert_eq!(outcome(History::of("patched")), "#0 patch new-word, #1 say new");
    assert_eq!(outcome(History::of("patched").asked(0, "old").answered(0, "O")), r#"completed "O""#);
    let marked = Event::PatchMarked { command: CommandId(0), patch: "new-word".to_owned() };
    assert_eq!(outcome(History::of("patched").then(marked).asked(1, "new").answered(1, "N")), r#"completed "N""#);
}

#[test]
fn time_and_randomness_are_the_same_on_each_replay() {
    async fn draws(ctx: WorkflowContext, (): ()) -> WorkflowResult<String> {
        let before = ctx.now();
        ctx.run(say("one")).await?;
        Ok(format!("{before} {} {} {}", ctx.now(), ctx.uuid(), ctx.random()))
    }
    let registry = Registry::new().workflow("draws", 1, draws).activity::<Say>(&Arc::new(()));
    let run = || replay(History::of("draws").asked(0, "one").answered(0, "ONE").0, &registry).unwrap().ended;
    assert_eq!(run(), run());
    let text = run().unwrap().unwrap().to_string();
    assert!(text.starts_with("\"1970-01-01T00:00:01.000Z 1970-01-01T00:00:03.000Z "), "{text}");
}

#[test]
fn foreign_waits_are_found() {
    let check = |workflow: &str, expect: &str| {
        let message = outcome(History::of(workflow));
        assert!(message.contains(expect), "{message}");
    };
    check("foreign", "pending but asked for nothing");
    check("keeps-a-waker", "a future that is not from its context");
    check("no-such", "this build has no workflow no-such");
}
