//! EUS-to-EUS update: takes the control plane through two minor versions while the other pools stay paused, so that each of
//! their nodes drains and reboots once instead of twice. Source: the vendor's "Updating clusters", chapter 6; what is done
//! otherwise, and why, is in docs/eus-update.md.

use serde::{Deserialize, Serialize};
use windlass_activities::release::{Hop, Minor, Release, ResolvePath, UpdatePath};
use windlass_activities::{Channel, PoolName};
use windlass_engine::{WorkflowContext, WorkflowError, WorkflowResult};

use crate::terms::Terms;
use crate::update::{Update, carry_out};

/// What is to be done, as the plan resolved it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EusUpdate {
    /// The channel that has the path: `eus-4.18`.
    pub channel: Channel,
    /// The minor release to arrive at: `4.18`.
    pub target: Minor,
    /// How many days the pools may stay paused; certificates must outlast them.
    pub pause_days: u32,
    /// The releases that the plan pinned and a person saw; the run stops if the cluster no longer offers them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<UpdatePath>,
    /// What else was settled.
    #[serde(default, skip_serializing_if = "Terms::is_default")]
    pub terms: Terms,
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EusReport {
    /// The release before.
    pub from: Release,
    /// The releases gone through, in order.
    pub through: Vec<Release>,
    /// The pools that were held and let go, in order.
    pub pools: Vec<PoolName>,
    /// What the last look at the cluster showed, one line each.
    pub evidence: Vec<String>,
}

/// Goes from one EUS release to the next.
pub async fn eus_update(ctx: WorkflowContext, input: EusUpdate) -> WorkflowResult<EusReport> {
    look_before(&ctx, &input).await?;
    let path = pin_releases(&ctx, &input).await?;
    let update = Update {
        new_channel: Some(&input.channel),
        channel: Some(&input.channel),
        from: &path.from,
        hops: &path.hops,
        terms: &input.terms,
    };
    let done = carry_out(&ctx, &update).await?;
    Ok(EusReport { from: path.from.clone(), through: done.through, pools: done.pools, evidence: done.evidence })
}

/// Looks at everything that would stop the update half way, before anything is changed.
async fn look_before(ctx: &WorkflowContext, input: &EusUpdate) -> WorkflowResult<()> {
    ctx.status("looking at the cluster before anything is changed");
    let mut look = input.terms.preflight(input.target, input.pause_days, ctx.now());
    if let Some(planned) = &input.planned
        && ctx.patched("preflight-of-releases")
    {
        look.releases = planned.hops.iter().filter_map(|hop| hop.release.clone()).collect();
    }
    let report = ctx.run(look).await?;
    report.refuse_blocked().map_err(|error| WorkflowError::Failed(format!("preflight: {error}")))
}

/// Pins both releases by digest, and stops if they are no longer those that the plan showed.
async fn pin_releases(ctx: &WorkflowContext, input: &EusUpdate) -> WorkflowResult<UpdatePath> {
    let accept_risks = input.terms.accepted_risks.clone();
    let path = ctx.run(ResolvePath { channel: input.channel.clone(), target: input.target, accept_risks }).await?;
    match &input.planned {
        Some(planned) if planned.hops != path.hops => Err(WorkflowError::Failed(format!(
            "the update graph has moved since the plan: planned {}, offered now {}; plan again",
            in_words(&planned.hops),
            in_words(&path.hops)
        ))),
        Some(_) | None => Ok(path),
    }
}

fn in_words(hops: &[Hop]) -> String {
    let name = |hop: &Hop| hop.release.as_ref().map_or_else(|| hop.minor.to_string(), |release| release.version.to_string());
    hops.iter().map(name).collect::<Vec<_>>().join(" and ")
}
