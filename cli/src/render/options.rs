//! What a person can do about a run right now, as commands. What the engine would refuse is not offered.

use windlass_engine::control::{Grounds, Refusal, Request, What, decide};
use windlass_engine::view::{StepKind, StepState, StepView};
use windlass_engine::{CommandId, Event, ParkReason};

use crate::render::schedule::Schedule;
use crate::render::status::Standing;

/// A command, and what it does where that needs saying.
fn option(command: &str, effect: &str) -> String {
    if effect.is_empty() { command.to_owned() } else { format!("{command}    {effect}") }
}

/// Everything that applies to a run that is not over: what moves it first, then the overrides of its steps, then its end.
pub(crate) fn of_run(standing: &Standing<'_>) -> Vec<String> {
    let state = &standing.view.state;
    let run = state.run;
    let mut options = Vec::new();
    if Schedule::of(standing.view).awaited().is_some() {
        let command = format!("windlass resume {run} --now --reason '…'");
        options.push(option(&command, "does not wait for the window"));
    }
    if state.paused.is_some() {
        options.push(option(&format!("windlass unpause {run}"), "lets it begin things again"));
    }
    options.extend(moving(standing));
    if !matches!(state.parked, Some(ParkReason::Nondeterminism { .. } | ParkReason::Unsupported { .. })) {
        options.extend(standing.view.current().flat_map(|step| of_step(standing, step)));
    }
    if !state.cancelling {
        options.push(option(&format!("windlass cancel {run}"), "gives back what is held and ends the run"));
    }
    options
}

/// What lets the run go on as it stands.
fn moving(standing: &Standing<'_>) -> Option<String> {
    let run = standing.view.state.run;
    let command = format!("windlass resume {run}");
    if standing.view.state.paused.is_some() {
        return None;
    }
    if standing.worker.is_some() {
        let waits = standing.view.state.parked.is_none();
        return waits.then(|| option(&format!("windlass history {run} --follow"), "to wait and watch"));
    }
    let effect = match &standing.view.state.parked {
        Some(ParkReason::RetriesExhausted { .. }) => "once the cause is gone; it tries again from this very step",
        Some(ParkReason::InDoubt { .. }) => "looks again; goes on as soon as the cluster gives a clear answer",
        Some(ParkReason::Nondeterminism { .. }) => "with the build that recorded the run, or one that was mended",
        Some(ParkReason::Unsupported { .. }) => "with a build that has what is missing",
        None => "goes on from the exact step it reached",
    };
    Some(option(&command, effect))
}

/// The overrides that fit a step as it stands.
fn of_step(standing: &Standing<'_>, step: &StepView) -> Vec<String> {
    let (run, number) = (standing.view.state.run, step.command.0);
    let named = |verb: &str, rest: &str| format!("windlass {verb} {run} {number}{rest} --reason '…'");
    let name = || step.command.to_string();
    let mut options = Vec::new();
    // A wait that nobody drives begins anew with the next worker.
    let cut_off = step.state == StepState::Running && standing.worker.is_none();
    if !cut_off && fits(standing, What::Retry { step: name() }).is_ok() {
        let effect = match step.state {
            StepState::InDoubt => "looks again at once whether it took effect",
            StepState::RetryDue { .. } => "tries it again at once",
            StepState::Running
            | StepState::Waiting
            | StepState::Done
            | StepState::Skipped
            | StepState::Failed
            | StepState::GivenUp => "breaks the wait off and begins it anew",
        };
        options.push(option(&named("retry", ""), effect));
    }
    if may_be_skipped(standing, step) {
        options.push(option(&named("skip", ""), "counts it as done without doing it"));
    }
    let attest = |output: Option<&str>| format!(" --evidence '…'{}", output.unwrap_or_default());
    match fits(standing, What::MarkDone { step: name(), evidence: "…".to_owned(), output: None }) {
        Ok(_) => options.push(option(&named("mark-done", &attest(None)), "records that it is done, and by whom")),
        Err(Refusal::NeedsOutput { .. }) => {
            let command = named("mark-done", &attest(Some(" --result '{…}'")));
            options.push(option(&command, "records that it is done; the workflow needs its result"));
        }
        Err(_) => {}
    }
    if fits(standing, What::SetTimeout { step: name(), seconds: 1 }).is_ok() {
        options.push(option(&named("set-timeout", " 2h"), "gives each attempt so long"));
    }
    options
}

/// A timer beside something else is the end of that: skipping it would end the wait, not the thing.
fn may_be_skipped(standing: &Standing<'_>, step: &StepView) -> bool {
    let beside = matches!(step.kind, StepKind::Timer { .. }) && standing.view.current().count() > 1;
    !beside && fits(standing, What::Skip { step: step.command.to_string() }).is_ok()
}

/// Asks the engine, as the command would.
fn fits(standing: &Standing<'_>, what: What) -> Result<Vec<Event>, Refusal> {
    let state = &standing.view.state;
    let driven = standing.worker.is_some();
    let began = |command: CommandId| standing.view.step(command).is_some_and(|step| step.state == StepState::Running);
    let grounds = Grounds { registry: standing.registry, under_way: &|command| driven && began(command) };
    let request = Request { run: state.run, by: String::new(), reason: Some("…".to_owned()), what };
    decide(Some(state), &request, &grounds)
}
