//! What workflow code can ask for, and how an answer reaches it.

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
    /// The event that records the asking.
    pub(crate) fn to_event(&self) -> Event {
        let command = self.id;
        let site = || format!("{}:{}", self.site.file(), self.site.line());
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
