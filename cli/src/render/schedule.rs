//! When a run goes on: the maintenance windows ahead, the one that is waited for, and the deadlines that the cluster sets.

use serde_json::{Value, json};
use windlass_activities::deadline::{Deadline, ReadDeadlines};
use windlass_activities::windows::{Calendar, FindWindow, Placement};
use windlass_engine::view::{RunView, StepKind, StepState};
use windlass_engine::{Activity, OpenCommand, Timestamp};
use windlass_workflows::WINDOW_SIGNAL;

use crate::render::calendar;
use crate::words;

/// How many deadlines are shown, the nearest first.
const DEADLINES_SHOWN: usize = 3;

/// How many windows are shown.
const SHOWN: usize = 4;

/// What a run's history says about when it goes on.
pub(crate) struct Schedule {
    calendar: Option<Calendar>,
    awaited: Option<(FindWindow, Placement)>,
    deadlines: Vec<Deadline>,
}

impl Schedule {
    /// Reads it off the history.
    pub(crate) fn of(view: &RunView) -> Self {
        let input = view.state.input.to_value();
        let calendar = serde_json::from_value(input["terms"]["windows"].clone()).ok();
        let ended = view.state.ended.is_some();
        let open = view.state.open.values();
        let waits = open.into_iter().any(|open| matches!(open, OpenCommand::Signal { signal } if signal == WINDOW_SIGNAL));
        let awaited = if waits { last::<FindWindow>(view) } else { None };
        let deadlines = if ended { None } else { last::<ReadDeadlines>(view) };
        Self { calendar, awaited, deadlines: deadlines.map(|(_, found)| found).unwrap_or_default() }
    }

    /// What is waited for, in one line; none if nothing is.
    pub(crate) fn awaited(&self) -> Option<String> {
        let (asked, found) = self.awaited.as_ref()?;
        let (begins, latest) = (asked.calendar.local_text(found.begin_at), asked.calendar.local_text(found.latest_start));
        let needs = words::duration(std::time::Duration::from_secs(asked.need_seconds));
        Some(format!("to {} ({needs} at most): goes on at {begins}, latest safe start {latest}", asked.step))
    }

    fn planned(&self) -> Vec<calendar::Planned> {
        let planned =
            |(asked, found): &(FindWindow, Placement)| calendar::Planned { step: asked.step.clone(), placement: *found };
        self.awaited.iter().map(planned).collect()
    }

    /// The windows for people.
    pub(crate) fn windows(&self, now: Timestamp) -> Vec<String> {
        let mut lines: Vec<String> = self.awaited().into_iter().collect();
        let Some(calendar) = &self.calendar else { return lines };
        lines.extend(calendar::text(calendar, now, SHOWN, &self.planned()).lines().map(str::to_owned));
        lines
    }

    /// The windows for programs, with the step that waits for one.
    pub(crate) fn window_objects(&self, now: Timestamp) -> Vec<Value> {
        let Some(calendar) = &self.calendar else { return Vec::new() };
        let objects = calendar::value(calendar, now, SHOWN, &self.planned())["windows"].as_array().cloned();
        objects.unwrap_or_default()
    }

    /// The deadlines for people, those that press marked.
    pub(crate) fn deadlines(&self, now: Timestamp) -> Vec<String> {
        let line = |deadline: &Deadline| {
            let mark = if deadline.escalate_at() <= now {
                "!! "
            } else if deadline.warn_at() <= now {
                "! "
            } else {
                ""
            };
            let left = words::duration(deadline.at.since(now));
            let days = if deadline.at <= now { "over".to_owned() } else { format!("in {left}") };
            format!(
                "{mark}{} at {} ({days}; {}): {}",
                deadline.what,
                words::moment(deadline.at),
                deadline.source,
                deadline.consequence
            )
        };
        let mut lines: Vec<String> = self.deadlines.iter().take(DEADLINES_SHOWN).map(line).collect();
        if let Some(last) = self.deadlines.get(DEADLINES_SHOWN..).and_then(<[Deadline]>::last) {
            let more = self.deadlines.len() - DEADLINES_SHOWN;
            lines.push(format!("{more} more until {}", words::moment(last.at)));
        }
        lines
    }

    /// The deadlines for programs.
    pub(crate) fn deadline_objects(&self, now: Timestamp) -> Vec<Value> {
        let object = |deadline: &Deadline| {
            json!({
                "what": deadline.what,
                "at": words::rfc3339(deadline.at),
                "source": deadline.source,
                "consequence": deadline.consequence,
                "pressing": deadline.escalate_at() <= now,
            })
        };
        self.deadlines.iter().map(object).collect()
    }
}

/// The last time that an activity ended well: what was asked and what was found.
fn last<A: Activity>(view: &RunView) -> Option<(A, A::Output)> {
    let done = view.steps.iter().rev().filter(|step| step.state == StepState::Done);
    let mut found = done.filter_map(|step| match &step.kind {
        StepKind::Activity { name, input, .. } if name == A::NAME.as_str() => {
            Some((input.to().ok()?, step.output.as_ref()?.to().ok()?))
        }
        StepKind::Activity { .. } | StepKind::Timer { .. } | StepKind::Signal { .. } | StepKind::Gate { .. } => None,
    });
    found.next()
}
