//! A cluster update within a minor release or to the next one, on the steps of the EUS-to-EUS update.

use serde::{Deserialize, Serialize};
use windlass_activities::preflight::Preflight;
use windlass_activities::release::{Hop, Minor, Release};
use windlass_activities::target::{CheckDisconnected, ResolveTarget, Target, Wanted};
use windlass_activities::{Channel, PoolName};
use windlass_engine::{WorkflowContext, WorkflowError, WorkflowResult};

use crate::terms::Terms;
use crate::update::{Update, carry_out};

/// What is to be done, as the plan resolved it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClusterUpdate {
    /// The channel to follow; the cluster's present one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// Which release.
    pub wanted: Wanted,
    /// How many days the pools may stay paused; certificates must outlast them.
    pub pause_days: u32,
    /// What the plan resolved and a person saw; the run stops if it is no longer what the cluster offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Target>,
    /// What else was settled.
    #[serde(default, skip_serializing_if = "Terms::is_default")]
    pub terms: Terms,
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClusterReport {
    /// The release before.
    pub from: Release,
    /// The releases gone through: one.
    pub through: Vec<Release>,
    /// The pools that were held and let go, in order.
    pub pools: Vec<PoolName>,
    /// What the last look at the cluster showed, one line each.
    pub evidence: Vec<String>,
}

/// Updates the cluster to one release.
pub async fn cluster_update(ctx: WorkflowContext, input: ClusterUpdate) -> WorkflowResult<ClusterReport> {
    ctx.status("looking at the cluster before anything is changed");
    let target = ctx
        .run(ResolveTarget {
            channel: input.channel.clone(),
            wanted: input.wanted.clone(),
            accept_risks: input.terms.accepted_risks.clone(),
            upstream: input.terms.upstream.clone(),
        })
        .await?;
    if let Some(planned) = input.planned.as_ref().filter(|planned| planned.release != target.release) {
        return Err(WorkflowError::Failed(format!(
            "what the cluster offers has changed since the plan: planned {}, offered now {}; plan again",
            planned.release.title(),
            target.release.title()
        )));
    }
    // A release that only a digest names is taken to be of the present minor until the cluster says otherwise.
    let known = if target.release.is_named() { &target.release } else { &target.from };
    let minor = Minor::of(&known.version);
    let report = ctx
        .run(Preflight {
            hops: vec![minor],
            releases: vec![target.release.clone()],
            ..input.terms.preflight(minor, input.pause_days, ctx.now())
        })
        .await?;
    report.refuse_blocked().map_err(|error| WorkflowError::Failed(format!("preflight: {error}")))?;
    if target.disconnected {
        let there = ctx.run(CheckDisconnected { release: target.release.clone() }).await?;
        if !there.findings.is_empty() {
            let lacks: Vec<String> =
                there.findings.iter().map(|finding| format!("{}: {}", finding.what, finding.remedy)).collect();
            return Err(WorkflowError::Failed(format!("the cluster lacks what the update needs: {}", lacks.join("; "))));
        }
    }
    // A release that only a digest names stands in no list of updates.
    let offered = target.release.is_named() && !target.disconnected;
    let hops = [Hop { minor, release: Some(target.release.clone()) }];
    let update = Update {
        new_channel: input.channel.as_ref(),
        channel: target.channel.as_ref().filter(|_| offered),
        from: &target.from,
        hops: &hops,
        terms: &input.terms,
    };
    let done = carry_out(&ctx, &update).await?;
    Ok(ClusterReport { from: target.from.clone(), through: done.through, pools: done.pools, evidence: done.evidence })
}
