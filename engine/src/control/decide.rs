//! From a request to the events that record it: one pure function.

use crate::control::overrides::{self, Signed, Step};
use crate::control::{Refusal, Request, What};
use crate::event::Event;
use crate::ids::CommandId;
use crate::state::{OpenCommand, OpenRun};
use crate::workflow::Registry;

/// What a decision rests on besides the run's history.
#[derive(Clone, Copy)]
pub struct Grounds<'a> {
    /// Knows which results of activities may be assumed.
    pub registry: &'a Registry,
    /// Whether an attempt of a command is in flight; without a worker none is.
    pub under_way: &'a dyn Fn(CommandId) -> bool,
}

/// The events that record a request, or why it is refused. Pure; `state` is the run as it stands, `None` if unknown.
///
/// # Errors
/// A [`Refusal`], when the request does not fit the run as it stands.
pub fn decide(state: Option<&OpenRun>, request: &Request, grounds: &Grounds<'_>) -> Result<Vec<Event>, Refusal> {
    let (run, by, reason) = (request.run, request.by.clone(), request.reason.clone());
    if let Some(reason) = &reason {
        overrides::fits("reason", reason)?;
    }
    if let Some(events) = start(request) {
        return if state.is_some() { Err(Refusal::RunExists { run }) } else { Ok(events) };
    }
    let state = state.ok_or(Refusal::NoSuchRun { run })?;
    if state.ended.is_some() {
        return Err(Refusal::RunEnded { run });
    }
    let event = match &request.what {
        What::Start { .. } => return Err(Refusal::RunExists { run }),
        What::Signal { signal, payload } => Event::SignalReceived { signal: signal.clone(), payload: payload.clone(), by },
        What::Approve { gate, in_advance, seen, plan } => {
            let open = open_gate(state, gate);
            if !in_advance || seen.is_some() {
                same_text(open.clone()?, state, gate, seen.as_deref())?;
            }
            let (in_advance, seen, plan) = (open.is_err(), seen.clone(), plan.clone());
            Event::GateApproved { gate: gate.clone(), by, reason, in_advance, seen, plan }
        }
        What::Reject { gate } => {
            open_gate(state, gate)?;
            Event::GateRejected { gate: gate.clone(), by, reason }
        }
        What::Cancel if state.cancelling => return Err(Refusal::AlreadyCancelling { run }),
        What::Cancel => Event::CancelRequested { by, reason },
        What::Unpark if state.parked.is_none() => return Err(Refusal::NotParked { run }),
        What::Unpark => Event::RunUnparked { by, reason },
        What::Unpause if state.paused.is_none() => return Err(Refusal::NotPaused { run }),
        What::Unpause => Event::RunUnpaused { by, reason },
        What::Pause => overrides::pause(state, Signed::of(request)?)?,
        What::Retry { step } => overrides::retry(&Step::named(state, step)?, Signed::of(request)?, grounds)?,
        What::Skip { step } => overrides::skip(&Step::named(state, step)?, Signed::of(request)?, grounds)?,
        What::MarkDone { step, evidence, output } => {
            let attested = (evidence.as_str(), output.as_ref());
            overrides::mark_done(&Step::named(state, step)?, attested, Signed::of(request)?, grounds)?
        }
        What::SetTimeout { step, seconds } => overrides::set_timeout(&Step::named(state, step)?, *seconds, Signed::of(request)?)?,
        What::Note { text } => overrides::note(by, text)?,
    };
    Ok(vec![event])
}

/// What creates a run, if that is what is asked.
fn start(request: &Request) -> Option<Vec<Event>> {
    let What::Start { workflow, revision, build, input, cluster, approvals, plan } = &request.what else { return None };
    let started = Event::RunStarted {
        workflow: workflow.clone(),
        revision: *revision,
        build: build.clone(),
        input: input.clone(),
        cluster: cluster.clone(),
        by: request.by.clone(),
    };
    let approve = |gate: &String| Event::GateApproved {
        gate: gate.clone(),
        by: request.by.clone(),
        reason: request.reason.clone(),
        in_advance: true,
        seen: None,
        plan: plan.clone(),
    };
    Some(std::iter::once(started).chain(approvals.iter().map(approve)).collect())
}

/// The text of an open gate.
fn open_gate<'a>(state: &'a OpenRun, name: &str) -> Result<&'a str, Refusal> {
    let text = state.open.values().find_map(|open| match open {
        OpenCommand::Gate { gate, text, .. } if gate == name => Some(text.as_str()),
        OpenCommand::Gate { .. } | OpenCommand::Activity(_) | OpenCommand::Timer { .. } | OpenCommand::Signal { .. } => None,
    });
    text.ok_or_else(|| Refusal::GateNotOpen {
        run: state.run,
        gate: name.to_owned(),
        open: state.open_gates().map(str::to_owned).collect(),
    })
}

fn same_text(text: &str, state: &OpenRun, gate: &str, seen: Option<&str>) -> Result<(), Refusal> {
    let asked = text_digest(text);
    match seen {
        Some(seen) if seen != asked => {
            Err(Refusal::OtherText { run: state.run, gate: gate.to_owned(), seen: seen.to_owned(), asked })
        }
        Some(_) | None => Ok(()),
    }
}

/// What stands for a gate's text in an approval: the first 16 hexadecimal digits of its BLAKE3 hash.
pub fn text_digest(text: &str) -> String {
    let mut digest = blake3::hash(text.as_bytes()).to_hex().to_string();
    digest.truncate(TEXT_DIGEST_DIGITS);
    digest
}

/// Enough that nobody finds two texts alike by accident, short enough to be typed.
const TEXT_DIGEST_DIGITS: usize = 16;
