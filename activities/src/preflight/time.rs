//! Checks of the time: what fits a window, and how long ago the last change was.

use std::time::Duration;

use windlass_engine::Timestamp;

use super::{Check, Facts, Findings, Preflight};

/// What breaks after a change mostly breaks within a day.
const FREEZE: Duration = Duration::from_secs(24 * 3600);

/// The longest step fits the longest window, in nine of ten cases.
pub(super) fn window(_: &Facts, plan: &Preflight) -> Check {
    let mut found = Findings::default();
    match (plan.window_seconds, &plan.longest_step) {
        (None, _) => found.fine("there are no windows: steps begin when their turn comes"),
        (Some(window), None) => found.fine(format!("the longest window lasts {}", span(window))),
        (Some(window), Some(step)) => {
            let needed = format!("{} takes up to {}", step.name, span(step.p90_seconds));
            if step.p90_seconds > window {
                found.block([format!("{needed}, the longest window lasts {}", span(window))]);
            } else if step.p90_seconds * 10 > window * 9 {
                found.warn([format!("{needed}, hardly less than the longest window of {}", span(window))]);
            } else {
                found.fine(format!("{needed}, the longest window lasts {}", span(window)));
            }
        }
    }
    found.judge(
        "window",
        "each step fits a maintenance window",
        "widen the window, raise the pool's maxUnavailable, or split the pool into smaller ones",
    )
}

fn span(seconds: u64) -> String {
    let minutes = seconds.div_ceil(60);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// No blackout holds, and the last update is a day past: what it broke has shown by now.
pub(super) fn freeze(facts: &Facts, plan: &Preflight) -> Check {
    let mut found = Findings::default();
    found.warn(
        plan.blackout.iter().map(|blackout| format!("the calendar has a blackout: {blackout}; steps wait until it is over")),
    );
    let last = facts.version.status.history.first();
    let ended = last.and_then(|entry| Some((entry, entry.completion_time.or(entry.started_time)?)));
    match ended.map(|(entry, at)| (entry, facts.now.since(Timestamp::from(at)))) {
        Some((entry, since)) if since < FREEZE => {
            found.warn([format!("the update to {} ended {} ago", entry.version, span(since.as_secs()))]);
        }
        Some((entry, since)) => {
            found.fine(format!("the update to {} ended {} days ago", entry.version, since.as_secs() / (24 * 3600)));
        }
        None => found.fine("no update has ended yet"),
    }
    found.judge(
        "freeze",
        "the last change has settled",
        "let the last change stand for a day before the next, and begin after the blackout",
    )
}
