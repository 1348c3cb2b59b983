//! The moment before a disruptive step: inside a window that it fits, with the cluster well.

use std::time::Duration;

use windlass_activities::health::ProbeHealth;
use windlass_activities::verify::CheckHealth;
use windlass_engine::{WorkflowContext, WorkflowResult};

use crate::insist::insist;
use crate::patience::{HEALTH_LIMIT, PATIENT};
use crate::terms::Terms;
use crate::window::in_window;

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
            Some(calendar) => in_window(ctx, calendar, step.name, step.what, step.needs).await?,
            None => None,
        };
        healthy(ctx, terms, step).await?;
        if latest_start.is_none_or(|latest| ctx.now() <= latest) {
            return Ok(());
        }
        ctx.status(format!("{}: the cluster became healthy too late in the window", step.what));
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
