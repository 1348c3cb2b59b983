//! Comparing what a history records with what the code asks for now, and saying so in words.

use crate::event::Event;
use crate::replay::command::{Command, CommandKind};

/// What a comparison found, before the run and its position are known.
pub(crate) struct Deviation {
    pub(crate) recorded: String,
    pub(crate) asked: String,
    pub(crate) field: Option<String>,
}

/// `None` if the command is the one that the event records: kind, name and input.
pub(crate) fn compare(event: &Event, command: &Command) -> Option<Deviation> {
    let field = match (event, &command.kind) {
        (Event::ActivityScheduled { activity, input, class, .. }, CommandKind::Activity(asked)) if activity == asked.name => {
            if *class == asked.class {
                let difference = input.first_difference(&asked.input)?;
                let path = if difference.path.is_empty() { "input".to_owned() } else { format!("input.{}", difference.path) };
                Some(format!("{path}: recorded {}, asked {}", difference.left, difference.right))
            } else {
                Some(format!("effect class: recorded {class}, asked {}", asked.class))
            }
        }
        (Event::TimerStarted { due_at, .. }, CommandKind::Timer { due_at: asked, .. }) => {
            if due_at == asked {
                return None;
            }
            Some(format!("due_at: recorded {due_at}, asked {asked}"))
        }
        (Event::SignalAwaited { signal, .. }, CommandKind::Signal { name }) if signal == name => return None,
        (Event::GateOpened { gate, .. }, CommandKind::Gate { name, .. }) if gate == name => return None,
        (Event::CommandCancelled { target, .. }, CommandKind::Cancel { target: asked }) if target == asked => return None,
        (Event::PatchMarked { patch, .. }, CommandKind::Patch { name }) if patch == name => return None,
        (Event::ChangeHeld { key, .. }, CommandKind::Hold { key: asked, .. }) if key == asked => return None,
        (Event::ChangeGivenBack { key, .. }, CommandKind::GiveBack { key: asked }) if key == asked => return None,
        _ => None,
    };
    Some(Deviation { recorded: describe(event), asked: describe(&command.to_event()), field })
}

/// One line for a command event: what, which, and where in the source.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other event is no command or answers nothing")]
pub(crate) fn describe(event: &Event) -> String {
    match event {
        Event::ActivityScheduled { activity, summary, site, .. } => format!("activity {activity} ({summary}) at {site}"),
        Event::TimerStarted { due_at, site, .. } => format!("timer until {due_at} at {site}"),
        Event::SignalAwaited { signal, site, .. } => format!("signal {signal} at {site}"),
        Event::GateOpened { gate, site, .. } => format!("gate {gate} at {site}"),
        Event::CommandCancelled { target, .. } => format!("cancellation of command {target}"),
        Event::PatchMarked { patch, .. } => format!("patch marker {patch}"),
        Event::ChangeHeld { key, .. } => format!("hold {key}"),
        Event::ChangeGivenBack { key, .. } => format!("give back {key}"),
        _ => "an event that is no command".to_owned(),
    }
}
