//! Where in the source a history stood when it was recorded, for messages: not every event carries its place.

use crate::event::Event;
use crate::ids::CommandId;
use crate::replay::mismatch::kind_of;

/// The build that recorded last, and the last command with a place that it recorded.
#[derive(Default)]
pub(crate) struct Trail {
    build: String,
    last: Option<(CommandId, &'static str)>,
    last_site: String,
}

impl Trail {
    /// The build that recorded the events that follow.
    pub(crate) fn built_by(&mut self, build: &str) {
        build.clone_into(&mut self.build);
    }

    /// The build that recorded the last events.
    pub(crate) fn build(&self) -> &str {
        &self.build
    }

    /// Takes in a command that was recorded, and gives its place; taken out of the event, as nothing else has a use for it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other commands carry no place")]
    pub(crate) fn passed(&mut self, command: CommandId, event: &mut Event) -> Option<String> {
        let kind = kind_of(event);
        let site = match event {
            Event::ActivityScheduled { site, .. }
            | Event::TimerStarted { site, .. }
            | Event::SignalAwaited { site, .. }
            | Event::GateOpened { site, .. } => std::mem::take(site),
            _ => return None,
        };
        self.last = Some((command, kind));
        self.last_site.clone_from(&site);
        Some(site)
    }

    /// What an event records, in one line: what, which, and where in the source it was asked for, or the nearest place before.
    /// `given_up` is the place of the command that a cancellation is about.
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other event is no command")]
    pub(crate) fn describe(&self, event: &Event, given_up: Option<&str>) -> String {
        let kind = kind_of(event);
        match event {
            Event::ActivityScheduled { activity, summary, site, .. } => format!("{kind} {activity} ({summary}) at {site}"),
            Event::TimerStarted { due_at, site, .. } => format!("{kind} until {due_at} at {site}"),
            Event::SignalAwaited { signal, site, .. } => format!("{kind} {signal} at {site}"),
            Event::GateOpened { gate, site, .. } => format!("{kind} {gate} at {site}"),
            Event::CommandCancelled { target, .. } => match given_up {
                Some(site) => format!("{kind} of command {target}, asked for at {site}"),
                None => format!("{kind} of command {target}, {}", self.after()),
            },
            Event::PatchMarked { patch, .. } => format!("{kind} {patch}, {}", self.after()),
            Event::ChangeHeld { key, .. } | Event::ChangeGivenBack { key, .. } => format!("{kind} {key}, {}", self.after()),
            _ => format!("{kind}, {}", self.after()),
        }
    }

    /// Where the history stands: behind which command, and where that was asked for.
    pub(crate) fn after(&self) -> String {
        match self.last {
            Some((command, kind)) => format!("after {kind} {command} at {}", self.last_site),
            None => "before every other command".to_owned(),
        }
    }
}
