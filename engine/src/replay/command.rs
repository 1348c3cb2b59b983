//! What workflow code can ask for, and how an answer reaches it.

use std::borrow::Cow;
use std::panic::Location;

use crate::activity::ActivityError;
use crate::event::Event;
use crate::ids::CommandId;
use crate::json::Json;
use crate::time::Timestamp;
use crate::workflow::AskedActivity;

/// Something that workflow code asked for.
pub(crate) struct Command {
    pub(crate) id: CommandId,
    pub(crate) kind: CommandKind,
    pub(crate) site: &'static Location<'static>,
}

/// The kinds of commands.
pub(crate) enum CommandKind {
    Activity(AskedActivity),
    Timer { due_at: Timestamp, why: Option<String> },
    Signal { name: String },
    Gate { name: String, text: String },
    Cancel { target: CommandId },
    Patch { name: String },
    Hold { key: String, text: String, prior: Json },
    GiveBack { key: String },
}

impl CommandKind {
    /// What it is called in words, and the name that tells it from others of its kind, if it has one.
    pub(crate) fn label(&self) -> (&'static str, Cow<'static, str>) {
        match self {
            Self::Activity(asked) => ("activity", Cow::Borrowed(asked.name)),
            Self::Timer { .. } => ("timer", Cow::Borrowed("")),
            Self::Signal { name } => ("signal", Cow::Owned(name.clone())),
            Self::Gate { name, .. } => ("gate", Cow::Owned(name.clone())),
            Self::Cancel { target } => ("cancellation", Cow::Owned(format!("of command {target}"))),
            Self::Patch { name } => ("patch marker", Cow::Owned(name.clone())),
            Self::Hold { key, .. } => ("hold", Cow::Owned(key.clone())),
            Self::GiveBack { key } => ("give back", Cow::Owned(key.clone())),
        }
    }
}

/// How a command ended, for the workflow.
pub(crate) enum Outcome {
    Completed(Json),
    Failed(ActivityError),
    Fired,
    Signal(Json),
    Approved { by: String, reason: Option<String> },
    Rejected { by: String, reason: Option<String> },
    Cancelled,
}

impl Command {
    /// One line: what, which, and where in the source.
    pub(crate) fn describe(&self) -> String {
        let (kind, name) = self.kind.label();
        let site = place(self.site);
        match &self.kind {
            CommandKind::Activity(asked) => format!("{kind} {name} ({}) at {site}", asked.summary),
            CommandKind::Timer { due_at, .. } => format!("{kind} until {due_at} at {site}"),
            CommandKind::Cancel { .. } => format!("{kind} {name}, asked for at {site}"),
            CommandKind::Signal { .. }
            | CommandKind::Gate { .. }
            | CommandKind::Patch { .. }
            | CommandKind::Hold { .. }
            | CommandKind::GiveBack { .. } => format!("{kind} {name} at {site}"),
        }
    }

    /// The event that records the asking.
    pub(crate) fn to_event(&self) -> Event {
        let command = self.id;
        let site = || place(self.site);
        match &self.kind {
            CommandKind::Activity(asked) => Event::ActivityScheduled {
                command,
                activity: asked.name.to_owned(),
                class: asked.class,
                input: asked.input.clone(),
                summary: asked.summary.clone(),
                site: site(),
                approval: asked.approval.clone(),
            },
            CommandKind::Timer { due_at, why } => {
                Event::TimerStarted { command, due_at: *due_at, site: site(), why: why.clone() }
            }
            CommandKind::Signal { name } => Event::SignalAwaited { command, signal: name.clone(), site: site() },
            CommandKind::Gate { name, text } => {
                Event::GateOpened { command, gate: name.clone(), text: text.clone(), site: site() }
            }
            CommandKind::Cancel { target } => Event::CommandCancelled { command, target: *target },
            CommandKind::Patch { name } => Event::PatchMarked { command, patch: name.clone() },
            CommandKind::Hold { key, text, prior } => {
                Event::ChangeHeld { command, key: key.clone(), text: text.clone(), prior: prior.clone() }
            }
            CommandKind::GiveBack { key } => Event::ChangeGivenBack { command, key: key.clone() },
        }
    }
}

/// A place in the source as events and messages have it.
pub(crate) fn place(site: &Location<'_>) -> String {
    format!("{}:{}", site.file(), site.line())
}
