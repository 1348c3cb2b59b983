//! The update that every update workflow is made of: hold the pools still, take the control plane along its hops, let the
//! pools go one by one, prove it, and give back what was changed for the time of it.

mod alarm;
mod begin;
mod hop;
mod rollout;

use windlass_activities::PoolName;
use windlass_activities::channel::SetChannel;
use windlass_activities::deadline::PausedPool;
use windlass_activities::pool::PoolState;
use windlass_activities::release::{Hop, Release};
use windlass_activities::target::SetUpstream;
use windlass_activities::verify::FinalVerification;
use windlass_activities::{Channel, canary};
use windlass_engine::{Either, WorkflowContext, WorkflowResult};

use crate::hold_still::Held;
use crate::insist::insist;
use crate::patience::{HEALTH_LIMIT, PATIENT};
use crate::terms::Terms;

/// Where an update goes, and on which terms.
pub(crate) struct Update<'a> {
    /// The channel to change to, if it is to be another one.
    pub(crate) new_channel: Option<&'a Channel>,
    /// The channel that offers the releases; none for a cluster without an update service.
    pub(crate) channel: Option<&'a Channel>,
    /// The release before.
    pub(crate) from: &'a Release,
    /// The releases to go through.
    pub(crate) hops: &'a [Hop],
    /// What a person settled.
    pub(crate) terms: &'a Terms,
}

/// What was done.
pub(crate) struct Done {
    /// The releases gone through, in order.
    pub(crate) through: Vec<Release>,
    /// The pools that were held and let go, in order.
    pub(crate) pools: Vec<PoolName>,
    /// What the last look at the cluster showed.
    pub(crate) evidence: Vec<String>,
}

/// Carries an update out. Completed, failed or cancelled: what was changed for the time of it goes back.
pub(crate) async fn carry_out(ctx: &WorkflowContext, update: &Update<'_>) -> WorkflowResult<Done> {
    let mut held = Held::default();
    let done = whole(ctx, update, &mut held).await;
    held.end(ctx, done).await
}

async fn whole(ctx: &WorkflowContext, update: &Update<'_>, held: &mut Held) -> WorkflowResult<Done> {
    if let Some(url) = &update.terms.upstream {
        ctx.run(SetUpstream { url: Some(url.clone()), seen: None }).await?;
    }
    if let Some(channel) = update.new_channel {
        ctx.run(SetChannel { channel: channel.clone() }).await?;
    }
    let waves = match &update.terms.canary {
        Some(spec) => crate::canary::form(ctx, spec, held).await?,
        None => Vec::new(),
    };
    let pools = in_order(held.hold_still(ctx).await?, &waves);
    if !update.terms.deadlines {
        return hops_and_pools(ctx, update, &pools, &waves, held).await;
    }
    let since = ctx.now();
    let paused: Vec<PausedPool> = pools.iter().map(|pool| PausedPool { pool: pool.name.clone(), since }).collect();
    let mut work = Box::pin(hops_and_pools(ctx, update, &pools, &waves, held));
    match ctx.race(&mut work, alarm::watch(ctx, &paused)).await {
        Either::First(done) => done,
        // The watching ends by itself only when the run is cancelled, which the work must hear for itself.
        Either::Second(()) => work.await,
    }
}

async fn hops_and_pools(
    ctx: &WorkflowContext,
    update: &Update<'_>,
    pools: &[PoolState],
    waves: &[canary::Wave],
    held: &mut Held,
) -> WorkflowResult<Done> {
    let mut through: Vec<Release> = Vec::new();
    for (number, target) in (1..).zip(update.hops) {
        through.push(hop::hop(ctx, update, &format!("hop-{number}"), target).await?);
    }
    for pool in pools {
        rollout::release(ctx, update.terms, pool, held).await?;
        if let (Some(spec), Some(wave)) = (&update.terms.canary, waves.iter().find(|wave| wave.pool == pool.name)) {
            crate::canary::prove(ctx, wave, spec).await?;
        }
    }
    if let Some(spec) = &update.terms.canary {
        crate::canary::dissolve(ctx, spec, waves, held).await?;
    }
    held.resume_health_checks(ctx).await?;
    let last = FinalVerification { release: through.last().unwrap_or(update.from).clone() };
    let verify = |_| ctx.run(last.clone()).timeout(HEALTH_LIMIT).retry(PATIENT);
    let verified = insist(ctx, "final-verification", verify).await?;
    let let_go = pools.iter().filter(|pool| waves.iter().all(|wave| wave.pool != pool.name));
    Ok(Done { through, pools: let_go.map(|pool| pool.name.clone()).collect(), evidence: verified.evidence })
}

/// The canary waves in their order, then the other pools in theirs.
fn in_order(mut pools: Vec<PoolState>, waves: &[canary::Wave]) -> Vec<PoolState> {
    let place = |pool: &PoolState| waves.iter().position(|wave| wave.pool == pool.name).unwrap_or(usize::MAX);
    pools.sort_by_key(place);
    pools
}
