//! Comparing what a history records with what the code asks for now, and saying so in words.

use std::fmt;

use crate::event::Event;
use crate::replay::command::{Command, CommandKind};
use crate::state::OpenRun;

/// Why a history and the code do not go together; the text is complete and ready to print.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// What kind: the run asks for something else, or cannot be driven by this binary at all.
    pub nondeterminism: bool,
    /// What was recorded, what is asked, the field, both places in the source, what to do.
    pub message: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mismatch {}

/// Two sides that should be alike and are not, each in one line.
pub(crate) struct Deviation {
    pub(crate) recorded: String,
    pub(crate) asked: String,
    pub(crate) differs: String,
}

impl Mismatch {
    /// This binary can't replay the run, whatever it records.
    pub(crate) fn unsupported(message: String) -> Self {
        Self { nondeterminism: false, message }
    }

    /// The code asks for something else than what event `seq` records; `build` recorded it.
    pub(crate) fn deviates(state: &OpenRun, seq: u64, build: &str, found: &Deviation) -> Self {
        let OpenRun { run, workflow, revision, .. } = state;
        let Deviation { recorded, asked, differs } = found;
        let message = format!(
            "run {run} ({workflow}, revision {revision}): the code no longer asks for what event {seq} records\n  \
             recorded: {recorded}\n  asked:    {asked}\n  differs:  {differs}\n  next:     `windlass resume {run}` with build \
             {build}, which recorded it; or guard the change with ctx.patched(\"…\") and resume with that"
        );
        Self { nondeterminism: true, message }
    }

    /// The same code asked for one thing and then, led along the same events, for another.
    pub(crate) fn unsteady(state: &OpenRun, seq: u64, first: &str, again: &str, differs: &str) -> Self {
        let OpenRun { run, workflow, revision, .. } = state;
        let message = format!(
            "run {run} ({workflow}, revision {revision}): the code asked differently when replayed at once, after event {seq}\n  \
             first:    {first}\n  again:    {again}\n  differs:  {differs}\n  next:     take out of the workflow what differs from \
             one call to the next (the order of a HashMap, clocks, random numbers, statics), then `windlass resume {run}` with \
             that build"
        );
        Self { nondeterminism: true, message }
    }
}

/// The first field in which two commands differ.
pub(crate) struct Field {
    name: String,
    left: String,
    right: String,
}

impl Field {
    /// As a sentence, with what the two sides are called.
    pub(crate) fn in_words(&self, left: &str, right: &str) -> String {
        format!("{}: {left} {}, {right} {}", self.name, self.left, self.right)
    }
}

/// `None` if the command is the one that the event records: kind, name and input.
pub(crate) fn compare(event: &Event, command: &Command) -> Option<Field> {
    match (event, &command.kind) {
        (Event::ActivityScheduled { activity, input, class, .. }, CommandKind::Activity(asked)) => {
            let input = || {
                let difference = input.first_difference(&asked.input)?;
                let name = if difference.path.is_empty() { "input".to_owned() } else { format!("input.{}", difference.path) };
                Some(Field { name, left: difference.left, right: difference.right })
            };
            unlike("name", activity.as_str(), asked.name).or_else(|| unlike("effect class", class, &asked.class)).or_else(input)
        }
        (Event::TimerStarted { due_at, .. }, CommandKind::Timer { due_at: asked, .. }) => unlike("due_at", due_at, asked),
        (Event::SignalAwaited { signal, .. }, CommandKind::Signal { name }) => unlike("name", signal, name),
        (Event::GateOpened { gate, .. }, CommandKind::Gate { name, .. }) => unlike("name", gate, name),
        (Event::CommandCancelled { target, .. }, CommandKind::Cancel { target: asked }) => unlike("target", target, asked),
        (Event::PatchMarked { patch, .. }, CommandKind::Patch { name }) => unlike("name", patch, name),
        (Event::ChangeHeld { key, prior, .. }, CommandKind::Hold { key: asked, prior: now, .. }) => {
            unlike("key", key, asked).or_else(|| unlike("prior", prior, now))
        }
        (Event::ChangeGivenBack { key, .. }, CommandKind::GiveBack { key: asked }) => unlike("key", key, asked),
        _ => unlike("kind", kind_of(event), command.kind.label().0),
    }
}

fn unlike<T: PartialEq + fmt::Display + ?Sized>(name: &str, left: &T, right: &T) -> Option<Field> {
    (left != right).then(|| Field { name: name.to_owned(), left: left.to_string(), right: right.to_string() })
}

/// What the command that an event records is called; the same words as [`CommandKind::label`] has.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other event is no command")]
pub(crate) fn kind_of(event: &Event) -> &'static str {
    match event {
        Event::ActivityScheduled { .. } => "activity",
        Event::TimerStarted { .. } => "timer",
        Event::SignalAwaited { .. } => "signal",
        Event::GateOpened { .. } => "gate",
        Event::CommandCancelled { .. } => "cancellation",
        Event::PatchMarked { .. } => "patch marker",
        Event::ChangeHeld { .. } => "hold",
        Event::ChangeGivenBack { .. } => "give back",
        _ => "no command",
    }
}
