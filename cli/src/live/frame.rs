//! From a board to the lines of a frame; pure, so that it can be looked at in a test.

use std::time::Duration;

use console::Style;
use windlass_engine::Timestamp;
use windlass_engine::view::{RunStatus, StepKind, StepState, StepView};

use crate::live::board::Board;
use crate::render::logbook;
use crate::render::status::is_shown;
use crate::ui::Ui;
use crate::words;

/// The room and the colours that a frame has.
pub(crate) struct Canvas {
    pub(crate) width: usize,
    pub(crate) height: usize,
    head: Style,
    good: Style,
    bad: Style,
    now: Style,
    dim: Style,
}

impl Canvas {
    /// A canvas of a size, in the colours that stderr can show.
    pub(crate) fn new(ui: &Ui, width: usize, height: usize) -> Self {
        let on = |style: Style| ui.on_err(style);
        Self {
            width,
            height,
            head: on(Style::new().bold()),
            good: on(Style::new().green()),
            bad: on(Style::new().red()),
            now: on(Style::new().cyan().bold()),
            dim: on(Style::new().dim()),
        }
    }

    /// `left … right`, exactly as wide as the canvas at the most.
    fn row(&self, left: &str, right: &str, style: &Style) -> String {
        let room = self.width.saturating_sub(console::measure_text_width(right) + 2).max(8);
        let left = console::truncate_str(left, room, "…");
        let gap = self.width.saturating_sub(console::measure_text_width(&left) + console::measure_text_width(right));
        format!("{}{}{}", style.apply_to(left), " ".repeat(gap), self.dim.apply_to(right))
    }
}

/// The planned steps that are shown ahead of the current one.
const AHEAD: usize = 4;

/// The lines of an explanation that are shown; the rest is in `windlass status`.
const WHY_LINES: usize = 4;

/// Draws one run.
pub(crate) fn frame(board: &Board, now: Timestamp, canvas: &Canvas) -> Vec<String> {
    let mut top = header(board, now, canvas);
    let under_way: Vec<String> =
        board.view.current().filter(|step| is_shown(step)).flat_map(|step| current(board, step, now, canvas)).collect();
    let ahead = ahead(board, canvas);
    // What is done gets what is left of the screen; one line stays free for the cursor.
    let room = canvas.height.saturating_sub(top.len() + under_way.len() + ahead.len() + 1);
    top.extend(done(board, room, canvas));
    top.extend(under_way);
    top.extend(ahead);
    top.truncate(canvas.height.saturating_sub(1).max(1));
    top
}

/// Draws one run among several: its head and what it is at.
pub(crate) fn brief(board: &Board, now: Timestamp, canvas: &Canvas) -> Vec<String> {
    let mut lines = header(board, now, canvas);
    lines.extend(board.view.current().filter(|step| is_shown(step)).flat_map(|step| current(board, step, now, canvas)));
    lines
}

fn header(board: &Board, now: Timestamp, canvas: &Canvas) -> Vec<String> {
    let state = &board.view.state;
    let end = board.view.ended_at.unwrap_or(now);
    let id = state.run.to_string();
    let cluster = state.cluster.as_ref().map(|id| format!("  cluster {id}")).unwrap_or_default();
    let title = format!("{}{cluster}  run …{}", state.workflow, &id[id.len() - 12..]);
    let mut lines = vec![canvas.row(&title, &words::duration(end.since(state.started_at)), &canvas.head)];
    let status = board.view.status();
    let said = match status {
        RunStatus::Running => board.status.clone(),
        RunStatus::Waiting => Some("waiting".to_owned()),
        RunStatus::Parked if state.paused.is_some() => logbook::standstill(state),
        RunStatus::Parked | RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled => Some(status.to_string()),
    };
    let cancelling = if state.cancelling && !status.is_end() { "being cancelled: " } else { "" };
    let rest = board.rest(now).filter(|rest| !status.is_end() && !rest.is_zero());
    let rest = rest.map(|rest| format!("about {} to go", words::duration(rest))).unwrap_or_default();
    if said.is_some() || !rest.is_empty() {
        lines.push(canvas.row(&format!("{cancelling}{}", said.unwrap_or_default()), &rest, &canvas.dim));
    }
    lines
}

fn done(board: &Board, room: usize, canvas: &Canvas) -> Vec<String> {
    let over: Vec<&StepView> = board.view.steps.iter().filter(|step| step.state.is_over()).collect();
    let shown = if over.len() > room { room.saturating_sub(1) } else { over.len() };
    let mut lines = Vec::new();
    if over.len() > shown && room > 0 {
        lines.push(canvas.row(&format!(" ✓ {} before", words::count(over.len() - shown, "step")), "", &canvas.dim));
    }
    for step in &over[over.len() - shown..] {
        let took = step.ended_at.map(|end| words::duration(end.since(step.started_at))).unwrap_or_default();
        let tries = if step.attempts > 1 { format!("attempt {}, ", step.attempts) } else { String::new() };
        let (mark, style) = match step.state {
            StepState::Failed => ("✗", &canvas.bad),
            StepState::GivenUp | StepState::Skipped => ("–", &canvas.dim),
            StepState::Done | StepState::Running | StepState::Waiting | StepState::InDoubt | StepState::RetryDue { .. } => {
                ("✓", &canvas.good)
            }
        };
        lines.push(canvas.row(&format!(" {mark} {}", step.summary), &format!("{tries}{took}"), style));
    }
    lines
}

fn current(board: &Board, step: &StepView, now: Timestamp, canvas: &Canvas) -> Vec<String> {
    let mark = match (&step.kind, step.state) {
        (StepKind::Gate { .. }, _) => "?",
        (_, StepState::RetryDue { .. } | StepState::InDoubt) => "!",
        (_, _) => "▸",
    };
    let elapsed = words::duration(now.since(step.started_at));
    let expected = board.expectation(step).filter(|planned| planned.p50_seconds > 60);
    let expected = expected.map(|planned| {
        let (p50, p90) = (Duration::from_secs(planned.p50_seconds), Duration::from_secs(planned.p90_seconds));
        format!(" of about {} (at most {})", words::duration(p50), words::duration(p90))
    });
    let right = format!("{elapsed}{}", expected.unwrap_or_default());
    let mut lines = vec![canvas.row(&format!(" {mark} {}", step.summary), &right, &canvas.now)];
    let mut below = |text: &str| lines.push(canvas.row(&format!("     {text}"), "", &canvas.dim));
    match step.state {
        StepState::RetryDue { due_at } if due_at > now => {
            below(&format!("attempt {} failed; next in {}", step.attempts, words::duration(due_at.since(now))));
        }
        StepState::InDoubt => below("an attempt's end is unknown; looking whether it took effect"),
        StepState::RetryDue { .. }
        | StepState::Running
        | StepState::Waiting
        | StepState::Done
        | StepState::Skipped
        | StepState::Failed
        | StepState::GivenUp => {}
    }
    match (board.why(step), &step.error) {
        (Some((why, since)), _) => {
            for line in why.lines().flat_map(|line| line.split("; ")).take(WHY_LINES) {
                below(line);
            }
            let stands = now.since(since);
            if stands >= STANDSTILL {
                below(&format!("(nothing new for {})", words::duration(stands)));
            }
        }
        (None, Some(error)) => below(&words::one_line(&error.message, 200)),
        (None, None) => {}
    }
    lines
}

/// A wait that says the same for so long deserves a remark.
const STANDSTILL: Duration = Duration::from_secs(120);

fn ahead(board: &Board, canvas: &Canvas) -> Vec<String> {
    if board.view.status().is_end() {
        return Vec::new();
    }
    let ahead = board.ahead();
    let mut lines: Vec<String> = Vec::new();
    for planned in ahead.iter().take(AHEAD) {
        let gate = planned.gate.as_ref().filter(|_| !planned.is_gate()).map(|gate| format!(" (gate {gate})")).unwrap_or_default();
        let expected = Duration::from_secs(planned.p50_seconds);
        let expected = if expected.as_secs() > 60 { format!("about {}", words::duration(expected)) } else { String::new() };
        lines.push(canvas.row(&format!(" · {}{gate}", planned.summary), &expected, &canvas.dim));
    }
    if ahead.len() > AHEAD {
        lines.push(canvas.row(&format!(" · {} more", words::count(ahead.len() - AHEAD, "step")), "", &canvas.dim));
    }
    lines
}

#[cfg(test)]
mod tests;
