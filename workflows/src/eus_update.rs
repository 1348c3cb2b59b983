//! EUS-to-EUS update: takes the control plane through two minor versions while the other pools stay paused, so that each of
//! their nodes drains and reboots once instead of twice. Source: the vendor's "Updating clusters", chapter 6; what is done
//! otherwise, and why, is in docs/eus-update.md.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_activities::admin_ack::{AcknowledgeGate, ReadGates};
use windlass_activities::channel::{AwaitUpdatesRetrieved, SetChannel};
use windlass_activities::pool::{AwaitPool, PoolState, ReleasePool};
use windlass_activities::preflight::Preflight;
use windlass_activities::release::{Hop, Minor, Release, ResolveHop, ResolvePath, UpdatePath};
use windlass_activities::update::{AwaitControlPlane, ReadUpdateState, RequestUpdate};
use windlass_activities::verify::{CheckHealth, FinalVerification};
use windlass_activities::{Channel, PoolName};
use windlass_engine::{Gate, RetryPolicy, WorkflowContext, WorkflowError, WorkflowResult};

use crate::hold_still::Held;
use crate::insist::insist;

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
    let mut held = Held::default();
    let updated = update(&ctx, &input, &path, &mut held).await;
    // Completed, failed or cancelled: what was changed for the time of the update goes back.
    let owed = held.give_back(&ctx).await?;
    match updated {
        Ok(report) => Ok(report),
        Err(error) if owed.is_empty() => Err(error),
        Err(WorkflowError::Cancelled) => Err(WorkflowError::Failed(format!("cancelled; still owed: {}", owed.join("; ")))),
        Err(error) => Err(WorkflowError::Failed(format!("{error}; still owed: {}", owed.join("; ")))),
    }
}

async fn update(ctx: &WorkflowContext, input: &EusUpdate, path: &UpdatePath, held: &mut Held) -> WorkflowResult<EusReport> {
    ctx.run(SetChannel { channel: input.channel.clone() }).await?;
    let pools = held.hold_still(ctx).await?;
    let mut through: Vec<Release> = Vec::new();
    for (number, target) in (1..).zip(&path.hops) {
        through.push(hop(ctx, input, &format!("hop-{number}"), target).await?);
    }
    for pool in &pools {
        release(ctx, pool, held).await?;
    }
    held.resume_health_checks(ctx).await?;
    let last = FinalVerification { release: through.last().unwrap_or(&path.from).clone() };
    let verify = |_| ctx.run(last.clone()).timeout(HEALTH_LIMIT).retry(PATIENT);
    let verified = insist(ctx, "final-verification", verify).await?;
    Ok(EusReport {
        from: path.from.clone(),
        through,
        pools: pools.into_iter().map(|pool| pool.name).collect(),
        evidence: verified.evidence,
    })
}

/// Looks at everything that would stop the update half way, before anything is changed.
async fn look_before(ctx: &WorkflowContext, input: &EusUpdate) -> WorkflowResult<()> {
    ctx.status("looking at the cluster before anything is changed");
    let report = ctx.run(Preflight::new(input.target, input.pause_days)).await?;
    report.refuse_blocked().map_err(|error| WorkflowError::Failed(format!("preflight: {error}")))
}

/// Pins both releases by digest, and stops if they are no longer those that the plan showed.
async fn pin_releases(ctx: &WorkflowContext, input: &EusUpdate) -> WorkflowResult<UpdatePath> {
    let path = ctx.run(ResolvePath { channel: input.channel.clone(), target: input.target, accept_risks: Vec::new() }).await?;
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

/// Takes the control plane one minor release further.
async fn hop(ctx: &WorkflowContext, input: &EusUpdate, name: &str, hop: &Hop) -> WorkflowResult<Release> {
    ctx.status(format!("{name}: to {}", hop.minor));
    // Read before anybody is asked anything: whoever retargets the cluster while a gate waits is noticed, not overruled.
    let seen = ctx.run(ReadUpdateState {}).await?;
    let release = match &hop.release {
        Some(release) if seen.asks_for(release) => release.clone(),
        Some(_) | None => prepare(ctx, input, name, hop).await?,
    };
    insist(ctx, name, |tries| {
        let (release, seen) = (release.clone(), seen.clone());
        async move {
            let seen = if tries == 0 { seen } else { ctx.run(ReadUpdateState {}).await? };
            ctx.run(RequestUpdate { release: release.clone(), seen, accepted_risks: Vec::new() }).await?;
            ctx.run(AwaitControlPlane { release }).timeout(HOP_LIMIT).retry(PATIENT).await
        }
    })
    .await?;
    Ok(release)
}

/// Everything that must be so before a hop: its release offered, the vendor's questions answered, the cluster healthy.
async fn prepare(ctx: &WorkflowContext, input: &EusUpdate, name: &str, hop: &Hop) -> WorkflowResult<Release> {
    let wait = AwaitUpdatesRetrieved { channel: input.channel.clone(), offers: hop.release.clone(), accepted_risks: Vec::new() };
    insist(ctx, &format!("{name}-offered"), |_| ctx.run(wait.clone()).timeout(OFFER_LIMIT).retry(PATIENT)).await?;
    let release = match &hop.release {
        Some(release) => release.clone(),
        None => {
            insist(ctx, &format!("{name}-release"), |_| ctx.run(ResolveHop { minor: hop.minor, accept_risks: Vec::new() }))
                .await?
        }
    };
    acknowledge(ctx, name, &release).await?;
    healthy(ctx, name, true).await?;
    Ok(release)
}

async fn healthy(ctx: &WorkflowContext, before: &str, before_hop: bool) -> WorkflowResult<()> {
    let check = |_| ctx.run(CheckHealth { before_hop }).timeout(HEALTH_LIMIT).retry(PATIENT);
    insist(ctx, &format!("health-before-{before}"), check).await.map(drop)
}

/// Shows a person what the vendor wants to be sworn before this hop, and writes it down for the cluster.
async fn acknowledge(ctx: &WorkflowContext, name: &str, release: &Release) -> WorkflowResult<()> {
    let wanted = ctx.run(ReadGates {}).await?;
    if wanted.missing.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = wanted.missing.iter().map(|gate| format!("{}: {}", gate.key, gate.text)).collect();
    let question = format!("Before {} the vendor asks for an acknowledgement:\n{}", release.version, texts.join("\n"));
    ctx.gate(Gate::new(ack_gate(name), question)).await?;
    for gate in wanted.missing {
        ctx.run(AcknowledgeGate { gate }).await?;
    }
    Ok(())
}

/// Lets one pool go, once a person agrees, and waits until all of its nodes are back.
async fn release(ctx: &WorkflowContext, pool: &PoolState, held: &mut Held) -> WorkflowResult<()> {
    ctx.status(format!("pool {}", pool.name));
    healthy(ctx, &format!("pool-{}", pool.name), false).await?;
    // A paused pool is forgotten easily and gets no updates; letting it go reboots every node. So a person is asked each time.
    let question =
        format!("Unpause pool {}? Its {} nodes drain and reboot, {} at a time.", pool.name, pool.nodes, pool.max_unavailable);
    let approval = ctx.gate(Gate::new(release_gate(&pool.name), question)).await?;
    let was = pool.target.clone();
    ctx.run(ReleasePool { pool: pool.name.clone(), was: was.clone() }).approved(&approval).await?;
    held.let_go(ctx, &pool.name);
    let wait = AwaitPool { pool: pool.name.clone(), was: Some(was) };
    let limit = NODE_LIMIT * pool.nodes.max(1) + POOL_MARGIN;
    insist(ctx, &format!("rollout-{}", pool.name), |_| ctx.run(wait.clone()).timeout(limit).retry(PATIENT)).await.map(drop)
}

/// The gate at which a hop's acknowledgements are shown.
pub fn ack_gate(hop: &str) -> String {
    format!("ack-{hop}")
}

/// The gate before a pool is let go.
pub fn release_gate(pool: &PoolName) -> String {
    format!("release-pool-{pool}")
}

/// Half of the measured control-plane updates take 81 minutes, nine in ten under 15 hours; past that a person looks anyway, and
/// with the retries below that is when the run parks.
const HOP_LIMIT: Duration = Duration::from_secs(4 * 3600);

/// A node takes 5 minutes in a cloud and 18 on bare metal; a drain that is blocked is called degraded after an hour.
const NODE_LIMIT: Duration = Duration::from_secs(45 * 60);

/// Rendering, and the last node's way back.
const POOL_MARGIN: Duration = Duration::from_secs(3600);

/// Operators settle within 20 minutes of a change; three times that is not settling.
const HEALTH_LIMIT: Duration = Duration::from_secs(3600);

/// The operator reads the graph every few minutes and at once after a change of the channel.
const OFFER_LIMIT: Duration = Duration::from_secs(1800);

/// A wait whose time is over is looked at again a few times before a person is asked.
const PATIENT: RetryPolicy =
    RetryPolicy { initial: Duration::from_secs(5), factor: 2.0, longest: Duration::from_secs(300), attempts: 4 };
