//! The operator's overrides: whether each fits a run as it stands, and the event that records it.

use crate::activity::Effect;
use crate::control::{Grounds, Refusal, Request};
use crate::event::Event;
use crate::ids::{CommandId, RunId};
use crate::json::Json;
use crate::state::{OpenActivity, OpenCommand, OpenRun, Phase};

/// A reason, a note or an evidence of more than this belongs into a file; a record of the journal has a limit too.
const LONGEST_TEXT: usize = 16 * 1024;

/// The longest time for one attempt: more than any wait of a procedure.
const LONGEST_TIMEOUT_DAYS: u64 = 366;

/// Who overrides, and why; nobody does it without a reason.
pub(super) struct Signed {
    by: String,
    reason: String,
}

impl Signed {
    pub(super) fn of(request: &Request) -> Result<Self, Refusal> {
        let reason = request.reason.clone().unwrap_or_default();
        filled("reason", &reason)?;
        Ok(Self { by: request.by.clone(), reason })
    }
}

pub(super) fn pause(state: &OpenRun, Signed { by, reason }: Signed) -> Result<Event, Refusal> {
    match &state.paused {
        Some(pause) => Err(Refusal::AlreadyPaused { run: state.run, by: pause.by.clone() }),
        None => Ok(Event::RunPaused { by, reason }),
    }
}

pub(super) fn retry(step: &Step<'_>, Signed { by, reason }: Signed, grounds: &Grounds<'_>) -> Result<Event, Refusal> {
    let activity = step.activity("retried")?;
    let began = matches!(activity.phase, Phase::Began) && activity.class != Effect::Observe;
    let (run, label) = (step.run, step.label());
    match (began, (grounds.under_way)(step.command)) {
        (false, _) => Ok(Event::RetryRequested { command: step.command, by, reason }),
        (true, true) => Err(Refusal::UnderWay { run, step: label }),
        (true, false) => Err(Refusal::NothingToRetry { run, step: label }),
    }
}

pub(super) fn skip(step: &Step<'_>, Signed { by, reason }: Signed, grounds: &Grounds<'_>) -> Result<Event, Refusal> {
    let output = match step.open {
        OpenCommand::Timer { .. } => Json::null(),
        OpenCommand::Activity(_) | OpenCommand::Signal { .. } | OpenCommand::Gate { .. } => {
            step.result(step.activity("skipped")?, None, grounds)?
        }
    };
    Ok(Event::StepSkipped { command: step.command, output, by, reason })
}

pub(super) fn mark_done(
    step: &Step<'_>,
    (evidence, output): (&str, Option<&Json>),
    Signed { by, reason }: Signed,
    grounds: &Grounds<'_>,
) -> Result<Event, Refusal> {
    filled("evidence", evidence)?;
    let output = step.result(step.activity("marked as done")?, output, grounds)?;
    Ok(Event::StepMarkedDone { command: step.command, output, evidence: evidence.to_owned(), by, reason })
}

pub(super) fn set_timeout(step: &Step<'_>, seconds: u64, Signed { by, reason }: Signed) -> Result<Event, Refusal> {
    if seconds == 0 || seconds > LONGEST_TIMEOUT_DAYS * 86_400 {
        return Err(Refusal::BadTimeout { longest_days: LONGEST_TIMEOUT_DAYS });
    }
    step.activity("given another timeout")?;
    Ok(Event::TimeoutChanged { command: step.command, seconds, by, reason })
}

pub(super) fn note(by: String, text: &str) -> Result<Event, Refusal> {
    filled("note", text)?;
    Ok(Event::NoteAdded { by, text: text.to_owned() })
}

/// A step that is open, as it was named.
pub(super) struct Step<'a> {
    run: RunId,
    command: CommandId,
    open: &'a OpenCommand,
}

/// Refuses a text that the journal should not hold.
pub(super) fn fits(what: &str, text: &str) -> Result<(), Refusal> {
    if text.len() > LONGEST_TEXT {
        return Err(Refusal::TooLong { what: what.to_owned(), limit: LONGEST_TEXT });
    }
    Ok(())
}

fn filled(what: &str, text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::Blank { what: what.to_owned() });
    }
    fits(what, text)
}

impl<'a> Step<'a> {
    /// The open step of a number (`7`, `#7`), or the only one of an activity.
    pub(super) fn named(state: &'a OpenRun, text: &str) -> Result<Self, Refusal> {
        let number = text.strip_prefix('#').unwrap_or(text).parse::<u32>().ok().map(CommandId);
        let meant = |(command, open): &(&CommandId, &OpenCommand)| match (number, open) {
            (Some(number), _) => **command == number,
            (None, OpenCommand::Activity(activity)) => activity.name == text,
            (None, OpenCommand::Timer { .. } | OpenCommand::Signal { .. } | OpenCommand::Gate { .. }) => false,
        };
        let found: Vec<_> = state.open.iter().filter(meant).collect();
        let (run, step) = (state.run, text.to_owned());
        match found.as_slice() {
            [(command, open)] => Ok(Self { run, command: **command, open }),
            [] => Err(Refusal::NoSuchStep { run, step, open: state.open.iter().map(label).collect() }),
            several => Err(Refusal::AmbiguousStep { run, step, open: several.iter().map(|one| label(*one)).collect() }),
        }
    }

    fn label(&self) -> String {
        label((&self.command, self.open))
    }

    fn activity(&self, verb: &str) -> Result<&'a OpenActivity, Refusal> {
        let kind = match self.open {
            OpenCommand::Activity(activity) => return Ok(activity),
            OpenCommand::Timer { .. } => "timer",
            OpenCommand::Signal { .. } => "wait for a signal",
            OpenCommand::Gate { .. } => "gate",
        };
        Err(Refusal::WrongKind { run: self.run, step: self.label(), kind: kind.to_owned(), verb: verb.to_owned() })
    }

    /// The result of a step that a person decides on: as given, or as the activity assumes it.
    fn result(&self, activity: &OpenActivity, given: Option<&Json>, grounds: &Grounds<'_>) -> Result<Json, Refusal> {
        let (run, command, step) = (self.run, self.command, self.label());
        if activity.class != Effect::Observe && (grounds.under_way)(command) {
            return Err(Refusal::UnderWay { run, step });
        }
        let unknown = || Refusal::NoSuchActivity { activity: activity.name.clone() };
        let bad = |cause: String| Refusal::BadOutput { run, step: step.clone(), cause };
        if let Some(given) = given {
            fits("output", given.as_str())?;
            return grounds.registry.check_output(&activity.name, given).ok_or_else(unknown)?.map_err(|e| bad(in_short(&e)));
        }
        let assumed = grounds.registry.assumed(&activity.name, &activity.input).ok_or_else(unknown)?;
        if let Some(output) = assumed.map_err(|e| bad(in_short(&e)))? {
            return Ok(output);
        }
        let empty = Json::of(&serde_json::Map::new()).map_err(|e| bad(e.to_string()))?;
        let lacks = grounds.registry.check_output(&activity.name, &empty).and_then(Result::err);
        let expects = lacks.map_or_else(|| "an object will do".to_owned(), |e| in_short(&e));
        Err(Refusal::NeedsOutput { run, command, step, expects })
    }
}

/// `#7 (pause pool worker)`.
fn label((command, open): (&CommandId, &OpenCommand)) -> String {
    match open {
        OpenCommand::Activity(activity) => format!("{command} ({}: {})", activity.name, activity.summary),
        OpenCommand::Timer { due_at } => format!("{command} (wait until {due_at})"),
        OpenCommand::Signal { signal } => format!("{command} (signal {signal})"),
        OpenCommand::Gate { gate, .. } => format!("{command} (gate {gate})"),
    }
}

/// What serde says, without the place in a text that nobody wrote in lines.
fn in_short(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once(" at line ").map_or(text.clone(), |(text, _)| text.to_owned())
}
