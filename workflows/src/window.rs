//! Waiting for a maintenance window that a step fits, or for a person who overrules it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_activities::windows::{Calendar, FindWindow, Placement};
use windlass_engine::{Either, Gate, Timestamp, WorkflowContext, WorkflowError, WorkflowResult};

/// The signal with which a person lets a step begin outside of its window.
pub const WINDOW_SIGNAL: &str = "window-override";

/// A person's word that a step shall not wait for its window.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Override {
    /// The step that is meant; a word for another one is not heeded.
    pub step: String,
    /// Why.
    pub reason: String,
}

/// Waits until the step would end inside a window; gives the latest moment to begin, none if a person overruled it.
///
/// `name` is the step's in gates, `what` its to people, and `needs` how long it takes at most in nine of ten cases.
pub(crate) async fn in_window(
    ctx: &WorkflowContext,
    calendar: &Calendar,
    name: &str,
    what: &str,
    needs: Duration,
) -> WorkflowResult<Option<Timestamp>> {
    let find = FindWindow { calendar: calendar.clone(), step: what.to_owned(), need_seconds: needs.as_secs() };
    loop {
        let found: Placement = match ctx.run(find.clone()).await {
            Err(WorkflowError::Activity { error, .. }) => {
                // The calendar has run out, which only a person can mend.
                let question = format!("{error}\nApprove to {what} outside of any window, or reject to stop here.");
                return ctx.gate(Gate::new(format!("window-{name}"), question)).await.map(|_| None);
            }
            outcome => outcome?,
        };
        if found.begin_at <= ctx.now() {
            return Ok(Some(found.latest_start));
        }
        let window = format!("the window to {what}");
        ctx.status(format!("waiting for {window}"));
        // Whoever wakes late, after the window, looks for the next one.
        match ctx.race(ctx.sleep_until(found.begin_at).because(window), ctx.signal::<Override>(WINDOW_SIGNAL)).await {
            Either::First(slept) => slept?,
            Either::Second(told) => {
                if told?.step == what {
                    return Ok(None);
                }
            }
        }
    }
}
