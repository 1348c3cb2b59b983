use super::*;
use crate::activity::{ActivityError, Effect};
use crate::event::{Event, Event as E, ParkReason, ProbeVerdict, Record};
use crate::ids::{CommandId, RunId};
use crate::json::Json;
use crate::time::Timestamp;

fn fold(events: Vec<Event>) -> RunView {
    let run = RunId::from_bytes([7; 16]);
    let started = E::RunStarted {
        workflow: "probe".to_owned(),
        revision: 1,
        build: "0.1.0".to_owned(),
        input: Json::null(),
        cluster: None,
        by: "ana@bastion".to_owned(),
    };
    let events = std::iter::once(started).chain(events);
    let records: Vec<Record> = (1..)
        .zip(events)
        .map(|(seq, event)| {
            let at = Timestamp::from_micros(i64::try_from(seq).unwrap_or(0) * 1_000_000);
            Record { global: seq, run, seq, at, event }
        })
        .collect();
    RunView::fold(&records).expect("the history begins with RunStarted")
}

fn scheduled(command: u32, class: Effect) -> Event {
    E::ActivityScheduled {
        command: CommandId(command),
        activity: "pause-pool".to_owned(),
        class,
        input: Json::null(),
        summary: format!("pause pool {command}"),
        site: "eus.rs:1".to_owned(),
        approval: None,
    }
}

fn completed(command: u32) -> Event {
    E::ActivityCompleted { command: CommandId(command), attempt: 1, output: Json::null(), evidence: None }
}

fn gate(command: u32) -> Event {
    E::GateOpened {
        command: CommandId(command),
        gate: "hop-2".to_owned(),
        text: "go on?".to_owned(),
        site: "eus.rs:2".to_owned(),
    }
}

fn approved(in_advance: bool) -> Event {
    E::GateApproved { gate: "hop-2".to_owned(), by: "bo".to_owned(), reason: None, in_advance, seen: None, plan: None }
}

fn rejected() -> Event {
    E::GateRejected { gate: "hop-2".to_owned(), by: "bo".to_owned(), reason: Some("not tonight".to_owned()) }
}

fn cancel() -> Event {
    E::CancelRequested { by: "bo".to_owned(), reason: None }
}

fn timer(command: u32) -> Event {
    E::TimerStarted { command: CommandId(command), due_at: Timestamp::from_micros(9), site: "eus.rs:3".to_owned(), why: None }
}

fn retry(command: u32) -> Event {
    let error = ActivityError::transient("conflict", "the pool changed");
    E::ActivityRetryScheduled { command: CommandId(command), attempt: 1, error, due_at: Timestamp::from_micros(5) }
}

fn parked(command: u32) -> Event {
    let error = ActivityError::transient("conflict", "the pool changed");
    let why = ParkReason::RetriesExhausted { command: CommandId(command), summary: "pause pool".to_owned(), attempts: 3, error };
    E::RunParked { why }
}

#[test]
fn the_state_is_told_in_one_word() {
    let check = |events: Vec<Event>, expect: &str, current: usize, done: usize| {
        let view = fold(events);
        let seen = (view.status().as_str(), view.current().count(), view.steps_done());
        assert_eq!(seen, (expect, current, done), "{:?}", view.steps);
        assert_eq!(view.status().is_end(), view.ended_at.is_some());
    };
    let output = || E::RunCompleted { output: Json::null() };
    check(vec![], "running", 0, 0);
    check(vec![scheduled(0, Effect::Declare)], "running", 1, 0);
    check(vec![scheduled(0, Effect::Declare), completed(0), gate(1)], "waiting", 1, 1);
    check(vec![timer(0), scheduled(1, Effect::Observe)], "running", 2, 0);
    check(vec![timer(0), E::TimerFired { command: CommandId(0) }, timer(1)], "waiting", 1, 1);
    check(vec![gate(0), approved(false)], "running", 0, 1);
    check(vec![approved(true), gate(0)], "running", 0, 1);
    check(vec![gate(0), rejected()], "running", 0, 1);
    check(vec![gate(0), cancel()], "running", 0, 1);
    check(vec![scheduled(0, Effect::Declare), retry(0), parked(0)], "parked", 1, 0);
    check(vec![scheduled(0, Effect::Declare), retry(0), cancel()], "running", 0, 1);
    check(vec![gate(0), output()], "completed", 0, 1);
    check(vec![E::RunFailed { error: "no".to_owned() }], "failed", 0, 0);
    check(vec![cancel(), E::RunCancelled { error: "cancelled".to_owned() }], "cancelled", 0, 0);
}

#[test]
fn a_step_says_how_far_it_came() {
    let check = |events: Vec<Event>, expect: StepState, attempts: u32| {
        let view = fold(events);
        let step = view.step(CommandId(0)).expect("the step is known");
        assert_eq!((&step.state, step.attempts), (&expect, attempts));
        assert_eq!(step.state.is_over(), step.ended_at.is_some());
    };
    let asked = || scheduled(0, Effect::Once);
    let doubt = || E::ActivityInDoubt { command: CommandId(0), attempt: 1, reason: "the worker is gone".to_owned() };
    let probed = |verdict| E::ActivityProbed { command: CommandId(0), attempt: 1, verdict, evidence: "boot id 7".to_owned() };
    let next = || E::ActivityStarted { command: CommandId(0), attempt: 2 };
    let failed = || E::ActivityFailed { command: CommandId(0), attempt: 1, error: ActivityError::permanent("refused", "no") };
    let dropped = || E::CommandCancelled { command: CommandId(1), target: CommandId(0) };
    check(vec![asked()], StepState::Running, 1);
    check(vec![asked(), completed(0)], StepState::Done, 1);
    check(vec![asked(), failed()], StepState::Failed, 1);
    check(vec![asked(), dropped()], StepState::GivenUp, 1);
    check(vec![asked(), doubt()], StepState::InDoubt, 1);
    check(vec![asked(), doubt(), probed(ProbeVerdict::CannotTell)], StepState::InDoubt, 1);
    check(vec![asked(), doubt(), probed(ProbeVerdict::DidNotHappen), next()], StepState::Running, 2);
    check(vec![asked(), retry(0)], StepState::RetryDue { due_at: Timestamp::from_micros(5) }, 1);
    check(vec![asked(), retry(0), next(), completed(0)], StepState::Done, 2);
    let (by, reason) = (|| "bo".to_owned(), || "why".to_owned());
    let again = || E::RetryRequested { command: CommandId(0), by: by(), reason: reason() };
    check(vec![asked(), retry(0), again()], StepState::RetryDue { due_at: Timestamp::from_micros(4_000_000) }, 1);
    check(vec![asked(), parked(0), again()], StepState::RetryDue { due_at: Timestamp::from_micros(4_000_000) }, 1);
    check(vec![asked(), doubt(), again()], StepState::InDoubt, 1);
    let skipped = || E::StepSkipped { command: CommandId(0), output: Json::null(), by: by(), reason: reason() };
    check(vec![asked(), parked(0), skipped()], StepState::Skipped, 1);
    let evidence = "seen".to_owned();
    let attested = E::StepMarkedDone { command: CommandId(0), output: Json::null(), evidence, by: by(), reason: reason() };
    check(vec![asked(), doubt(), attested], StepState::Done, 1);
}

#[test]
fn what_waits_for_people_is_told_from_what_sleeps() {
    let check = |events: Vec<Event>, expect: bool| {
        let view = fold(events);
        assert_eq!(view.state.waits_for_people(), expect, "{:?}", view.state.open);
    };
    let signal = || E::SignalAwaited { command: CommandId(5), signal: "s".to_owned(), site: "eus.rs:4".to_owned() };
    let paused = || E::RunPaused { by: "bo".to_owned(), reason: "why".to_owned() };
    let unpaused = || E::RunUnpaused { by: "bo".to_owned(), reason: None };
    check(vec![], false);
    check(vec![gate(0)], true);
    check(vec![signal()], true);
    check(vec![timer(0)], false);
    check(vec![timer(0), signal()], false);
    check(vec![timer(0), gate(1)], true);
    check(vec![timer(0), signal(), gate(1)], true);
    check(vec![timer(0), gate(1), scheduled(2, Effect::Observe)], false);
    check(vec![scheduled(0, Effect::Observe), paused()], true);
    check(vec![scheduled(0, Effect::Observe), paused(), unpaused()], false);
    check(vec![scheduled(0, Effect::Observe), paused(), cancel()], false);
    check(vec![scheduled(0, Effect::Declare), parked(0)], true);
}

#[test]
fn a_gate_keeps_who_decided_and_why() {
    let check = |events: Vec<Event>, open: bool, decided: Option<(bool, &str, Option<&str>)>| {
        let view = fold(events);
        let gate = view.gates.first().expect("the gate is known");
        let decision = gate.decision.as_ref().map(|d| (d.approved, d.by.as_str(), d.reason.as_deref()));
        assert_eq!((gate.is_open(), decision), (open, decided));
        assert_eq!(view.open_gates().count(), usize::from(open));
    };
    check(vec![gate(0)], true, None);
    check(vec![approved(true)], false, Some((true, "bo", None)));
    check(vec![approved(true), gate(0)], false, Some((true, "bo", None)));
    check(vec![gate(0), rejected()], false, Some((false, "bo", Some("not tonight"))));
    // Decided once, opened twice: a person is asked again.
    check(vec![gate(0), approved(false), gate(1)], true, None);
}

#[test]
fn resumes_and_parking_are_remembered() {
    let resumed = E::RunResumed { incarnation: 2, build: "0.1.0".to_owned(), host: "bastion".to_owned(), pid: 42, epoch: None };
    let view = fold(vec![scheduled(0, Effect::Declare), resumed, parked(0)]);
    assert_eq!(view.resumes.iter().map(|r| (r.incarnation, r.pid)).collect::<Vec<_>>(), [(2, 42)]);
    assert_eq!(view.parked_at, Some(Timestamp::from_micros(4_000_000)));
    let unparked = E::RunUnparked { by: "bo".to_owned(), reason: None };
    let view = fold(vec![scheduled(0, Effect::Declare), parked(0), unparked]);
    assert_eq!((view.parked_at, view.status()), (None, RunStatus::Running));
}
