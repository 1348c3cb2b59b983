//! The moment before a disruptive step: inside a window that it fits, with the cluster well.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_activities::health::ProbeHealth;
use windlass_activities::verify::CheckHealth;
use windlass_activities::windows::{Calendar, FindWindow, Placement};
use windlass_engine::{Either, Gate, WorkflowContext, WorkflowError, WorkflowResult};

use crate::insist::insist;
use crate::patience::{HEALTH_LIMIT, PATIENT};
use crate::terms::Terms;

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

/// A step that must not begin just anywhere.
pub(super) struct Disruptive<'a> {
    /// Names it in gates: `hop-1`, `pool-worker`.
    pub(super) name: &'a str,
    /// Says what it is, to people: `update the control plane to 4.17`.
    pub(super) what: &'a str,
    /// How long it takes at most in nine of ten cases.
    pub(super) needs: Duration,
    /// Whether the cluster must accept a new minor release.
    pub(super) before_hop: bool,
}

/// Waits for the window and for the cluster's health; if the one is over before the other is there, for the next window.
pub(super) async fn ready(ctx: &WorkflowContext, terms: &Terms, step: &Disruptive<'_>) -> WorkflowResult<()> {
    loop {
        let latest_start = match &terms.windows {
            Some(calendar) => in_window(ctx, calendar, step).await?,
            None => None,
        };
        healthy(ctx, terms, step).await?;
        if latest_start.is_none_or(|latest| ctx.now() <= latest) {
            return Ok(());
        }
        ctx.status(format!("{}: the cluster became healthy too late in the window", step.what));
    }
}

/// Waits until the step would end inside a window; gives the latest moment to begin, none if a person overruled it.
async fn in_window(
    ctx: &WorkflowContext,
    calendar: &Calendar,
    step: &Disruptive<'_>,
) -> WorkflowResult<Option<windlass_engine::Timestamp>> {
    let find = FindWindow { calendar: calendar.clone(), step: step.what.to_owned(), need_seconds: step.needs.as_secs() };
    loop {
        let found: Placement = match ctx.run(find.clone()).await {
            Err(WorkflowError::Activity { error, .. }) => {
                // The calendar has run out, which only a person can mend.
                let question = format!("{error}\nApprove to {} outside of any window, or reject to stop here.", step.what);
                return ctx.gate(Gate::new(format!("window-{}", step.name), question)).await.map(|_| None);
            }
            outcome => outcome?,
        };
        if found.begin_at <= ctx.now() {
            return Ok(Some(found.latest_start));
        }
        let window = format!("the window to {}", step.what);
        ctx.status(format!("waiting for {window}"));
        // Whoever wakes late, after the window, looks for the next one.
        match ctx.race(ctx.sleep_until(found.begin_at).because(window), ctx.signal::<Override>(WINDOW_SIGNAL)).await {
            Either::First(slept) => slept?,
            Either::Second(told) => {
                if told?.step == step.what {
                    return Ok(None);
                }
            }
        }
    }
}

async fn healthy(ctx: &WorkflowContext, terms: &Terms, step: &Disruptive<'_>) -> WorkflowResult<()> {
    let check = |_| ctx.run(CheckHealth { before_hop: step.before_hop }).timeout(HEALTH_LIMIT).retry(PATIENT);
    insist(ctx, &format!("health-before-{}", step.name), check).await?;
    if terms.probes.is_empty() {
        return Ok(());
    }
    let probe = ProbeHealth { probes: terms.probes.clone(), label: format!("before {}", step.name) };
    insist(ctx, &format!("probes-before-{}", step.name), |_| ctx.run(probe.clone())).await.map(drop)
}
