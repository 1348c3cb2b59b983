//! One hop: the control plane goes one minor release further, or to another release of the same one.

use std::time::Duration;

use windlass_activities::admin_ack::{AcknowledgeGate, ReadGates};
use windlass_activities::channel::AwaitUpdatesRetrieved;
use windlass_activities::release::{Hop, Minor, Release, ResolveHop};
use windlass_activities::target::CheckRisks;
use windlass_activities::update::{AwaitControlPlane, ReadUpdateState, RequestUpdate};
use windlass_engine::{Gate, WorkflowContext, WorkflowResult};

use crate::insist::insist;
use crate::patience::PATIENT;
use crate::update::Update;
use crate::update::begin::{Disruptive, ready};

/// Half of the measured control-plane updates take 81 minutes, nine in ten under 15 hours; past that a person looks anyway, and
/// with the retries below that is when the run parks.
const HOP_LIMIT: Duration = Duration::from_secs(4 * 3600);

/// The operator reads the graph every few minutes and at once after a change of the channel.
const OFFER_LIMIT: Duration = Duration::from_secs(1800);

/// Takes the control plane along one hop.
pub(super) async fn hop(ctx: &WorkflowContext, update: &Update<'_>, name: &str, hop: &Hop) -> WorkflowResult<Release> {
    ctx.status(format!("{name}: to {}", hop.minor));
    // Read before anybody is asked anything: whoever retargets the cluster while a gate waits is noticed, not overruled.
    let seen = ctx.run(ReadUpdateState {}).await?;
    let release = match &hop.release {
        Some(release) if seen.asks_for(release) => release.clone(),
        Some(_) | None => prepare(ctx, update, name, hop).await?,
    };
    let updated = insist(ctx, name, |tries| {
        let (release, seen) = (release.clone(), seen.clone());
        let accepted_risks = update.terms.accepted_risks.clone();
        async move {
            let seen = if tries == 0 { seen } else { ctx.run(ReadUpdateState {}).await? };
            ctx.run(RequestUpdate { release: release.clone(), seen, accepted_risks }).await?;
            ctx.run(AwaitControlPlane { release }).timeout(HOP_LIMIT).retry(PATIENT).await
        }
    })
    .await?;
    // A release that a digest named has its version now.
    let release = updated.release;
    pause_for_layered(ctx, update, name, &release).await?;
    Ok(release)
}

/// Everything that must be so before a hop: its release offered, the vendor's questions answered, the cluster healthy.
async fn prepare(ctx: &WorkflowContext, update: &Update<'_>, name: &str, hop: &Hop) -> WorkflowResult<Release> {
    if let Some(channel) = update.channel {
        let wait = AwaitUpdatesRetrieved {
            channel: channel.clone(),
            offers: hop.release.clone(),
            accepted_risks: update.terms.accepted_risks.clone(),
        };
        insist(ctx, &format!("{name}-offered"), |_| ctx.run(wait.clone()).timeout(OFFER_LIMIT).retry(PATIENT)).await?;
    }
    let release = if let Some(release) = &hop.release {
        release.clone()
    } else {
        let resolve = ResolveHop { minor: hop.minor, accept_risks: update.terms.accepted_risks.clone() };
        insist(ctx, &format!("{name}-release"), |_| ctx.run(resolve.clone())).await?
    };
    if let Some(spec) = &update.terms.credentials {
        crate::credentials::prepare(ctx, name, &release, spec).await?;
    }
    let new_minor = Minor::of(&release.version) != Minor::of(&update.from.version);
    if new_minor {
        acknowledge(ctx, name, &release).await?;
    }
    let what = format!("update the control plane to {}", release.title());
    let needs = Duration::from_secs(update.terms.estimates().hop.p90_seconds);
    ready(ctx, update.terms, &Disruptive { name, what: &what, needs, before_hop: new_minor }).await?;
    if !update.terms.accepted_risks.is_empty() {
        let check = CheckRisks { release: release.clone(), accepted: update.terms.accepted_risks.clone() };
        insist(ctx, &format!("{name}-risks"), |_| ctx.run(check.clone())).await?;
    }
    Ok(release)
}

/// Shows a person what the vendor wants to be sworn before this hop, and writes it down for the cluster.
async fn acknowledge(ctx: &WorkflowContext, name: &str, release: &Release) -> WorkflowResult<()> {
    let wanted = ctx.run(ReadGates {}).await?;
    if wanted.missing.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = wanted.missing.iter().map(|gate| format!("{}: {}", gate.key, gate.text)).collect();
    let question = format!("Before {} the vendor asks for an acknowledgement:\n{}", release.title(), texts.join("\n"));
    ctx.gate(Gate::new(ack_gate(name), question)).await?;
    for gate in wanted.missing {
        ctx.run(AcknowledgeGate { gate }).await?;
    }
    Ok(())
}

/// Products on top of the platform follow each hop before the next one begins.
async fn pause_for_layered(ctx: &WorkflowContext, update: &Update<'_>, name: &str, release: &Release) -> WorkflowResult<()> {
    if update.terms.layered.is_empty() {
        return Ok(());
    }
    let products = update.terms.layered.join(", ");
    let question = format!(
        "The control plane is at {}. Update what stands on it to versions that support this release: {products}.\n\
         Approve when these report that they are done and healthy.",
        release.title()
    );
    ctx.gate(Gate::new(format!("layered-{name}"), question)).await.map(drop)
}

/// The gate at which a hop's acknowledgements are shown.
fn ack_gate(hop: &str) -> String {
    format!("ack-{hop}")
}
