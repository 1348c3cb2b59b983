//! Replay as a pure function: what a history and a workflow lead to, and what is said when they do not go together.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, its helpers too"
)]

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_engine::{
    Activity, ActivityContext, ActivityError, ActivityName, CommandId, Effect, Either, Event, Gate, Json, Record, Registry,
    RunId, Timestamp, WorkflowContext, WorkflowError, WorkflowResult, replay,
};

#[derive(Clone, Serialize, Deserialize)]
struct Say {
    word: String,
}

impl Activity for Say {
    const NAME: ActivityName = ActivityName::new("say");
    const EFFECT: Effect = Effect::Observe;
    type World = ();
    type Output = String;

    fn summary(&self) -> String {
        format!("say {}", self.word)
    }

    async fn run(self, _: ActivityContext<()>) -> Result<String, ActivityError> {
        Ok(self.word)
    }
}

fn say(word: &str) -> Say {
    Say { word: word.to_owned() }
}

/// Builds a history by hand, one event a second.
struct History(Vec<Record>);

impl History {
    fn of(workflow: &str) -> Self {
        let input = Json::null();
        let (workflow, build, by) = (workflow.to_owned(), "test".to_owned(), "tester".to_owned());
        Self(Vec::new()).then(Event::RunStarted { workflow, revision: 1, build, input, cluster: None, by })
    }

    fn then(mut self, event: Event) -> Self {
        let seq = self.0.len() as u64 + 1;
        let at = Timestamp::from_micros(1_000_000 * i64::try_from(seq).unwrap());
        self.0.push(Record { global: seq, run: RunId::from_bytes([1; 16]), seq, at, event });
        self
    }

    fn asked(self, command: u32, word: &str) -> Self {
        self.then(Event::ActivityScheduled {
            command: CommandId(command),
            activity: "say".to_owned(),
            class: Effect::Observe,
            input: Json::of(&say(word)).unwrap(),
            summary: format!("say {word}"),
            site: "old.rs:7".to_owned(),
            approval: None,
        })
    }

    fn answered(self, command: u32, word: &str) -> Self {
        let output = Json::of(word).unwrap();
        self.then(Event::ActivityCompleted { command: CommandId(command), attempt: 1, output, evidence: None })
    }
}

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

/// The places in the source move with every edit of this file.
fn without_lines(message: &str) -> String {
    let mut out = String::new();
    for (i, part) in message.split("replay.rs:").enumerate() {
        out.push_str(if i == 0 { part } else { part.trim_start_matches(|c: char| c.is_ascii_digit()) });
        out.push_str(if i + 1 < message.split("replay.rs:").count() { "replay.rs:N" } else { "" });
    }
    out
}

#[test]
fn a_mismatch_names_what_was_recorded_and_what_is_asked() {
    let message = outcome(History::of("two-words").asked(0, "one").answered(0, "ONE").asked(1, "three"));
    insta::assert_snapshot!(without_lines(&message), @r#"
    run 01010101-0101-0101-0101-010101010101 (two-words, revision 1): the code no longer asks for what event 4 records
      recorded: activity say (say three) at old.rs:7
      asked:    activity say (say two) at engine/tests/replay.rs:N
      differs:  input.word: recorded "three", asked "two"
      next:     resume it with the build that recorded it, or guard the change with ctx.patched("…")
    "#);
}

#[test]
fn commands_that_are_missing_or_left_over_are_mismatches() {
    let check = |history: History, expect: &str| {
        let message = outcome(history);
        assert!(message.contains(expect), "{message}");
    };
    let words = || History::of("two-words").asked(0, "one");
    check(words().asked(1, "two"), "asked:    nothing\n");
    check(
        words().answered(0, "1").asked(1, "two").answered(1, "2").asked(2, "three"),
        "asked:    nothing: the workflow has returned",
    );
    let done = Event::RunCompleted { output: Json::null() };
    check(words().then(done.clone()), "recorded: the end of the run\n  asked:    to wait on");
    check(words().answered(0, "1").then(done), "asked:    activity say (say two)");
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
