//! Canary waves: formed before anything is paused, proven one by one, dissolved at the end. An update does its hops in between; the
//! drill does nothing in between, so that waves and probes can be tried long before the first window. Source: the vendor's
//! "Updating clusters", chapter 10; what is done otherwise, and why, is in docs/canary.md.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_activities::NodeName;
use windlass_activities::canary::{
    AwaitWaveDissolved, AwaitWaveFormed, AwaitWaveHealthy, AwaitWaveRendered, CanarySpec, ChooseWaves, CordonNode,
    CreateWavePool, DeleteWavePool, DrainNode, LabelWave, NodeUncordoned, OnFailure, ReadWave, UncordonNode, UnlabelWave, Wave,
    WaveState,
};
use windlass_activities::health::ProbeHealth;
use windlass_engine::{Gate, WorkflowContext, WorkflowError, WorkflowResult};

use crate::hold_still::Held;
use crate::insist::insist;
use crate::patience::PATIENT;

/// A trial of canary waves without an update.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CanaryDrill {
    /// The waves.
    pub spec: CanarySpec,
}

/// What a trial did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DrillReport {
    /// The waves that were formed, watched and dissolved.
    pub waves: Vec<Wave>,
}

/// Forms the waves, watches each, and gives their nodes back; nothing reboots.
pub async fn canary_drill(ctx: WorkflowContext, input: CanaryDrill) -> WorkflowResult<DrillReport> {
    let mut held = Held::default();
    let outcome = drill(&ctx, &input.spec, &mut held).await;
    held.end(&ctx, outcome).await
}

async fn drill(ctx: &WorkflowContext, spec: &CanarySpec, held: &mut Held) -> WorkflowResult<DrillReport> {
    let waves = form(ctx, spec, held).await?;
    for wave in &waves {
        prove(ctx, wave, spec).await?;
    }
    dissolve(ctx, spec, &waves, held).await?;
    Ok(DrillReport { waves })
}

/// Moves the nodes of each wave into a pool of their own, without a reboot. Every pool must be at rest.
pub(crate) async fn form(ctx: &WorkflowContext, spec: &CanarySpec, held: &mut Held) -> WorkflowResult<Vec<Wave>> {
    ctx.status("forming the canary waves");
    let chosen = ctx.run(ChooseWaves { spec: spec.clone() }).await?;
    // All of the pools first: one that renders differently is known before a single node has moved.
    for wave in &chosen.waves {
        held.hold_wave(ctx, wave)?;
        ctx.run(CreateWavePool { wave: wave.clone() }).await?;
        ctx.run(AwaitWaveRendered { wave: wave.clone() }).timeout(RENDER_LIMIT).retry(PATIENT).await?;
    }
    for wave in &chosen.waves {
        ctx.run(LabelWave { wave: wave.clone() }).await?;
        ctx.run(AwaitWaveFormed { wave: wave.clone() }).timeout(MOVE_LIMIT).retry(PATIENT).await?;
    }
    Ok(chosen.waves)
}

/// Watches a wave whose pool was rolled out; if it fails, does what was wished for that case and asks a person.
pub(crate) async fn prove(ctx: &WorkflowContext, wave: &Wave, spec: &CanarySpec) -> WorkflowResult<()> {
    let why = match watch(ctx, wave, spec).await {
        Err(WorkflowError::Activity { summary, error }) => format!("{summary}: {error}"),
        outcome => return outcome,
    };
    ctx.status(format!("wave {} failed: {why}", wave.name));
    let (cordoned, told) = match spec.on_failure {
        OnFailure::Hold => (Vec::new(), String::new()),
        OnFailure::Drain => empty(ctx, wave).await?,
    };
    let question = format!(
        "Wave {} failed: {why}\n{told}The other pools stay as they are. Approve to go on with the update all the same; reject to stop here.",
        wave.name
    );
    let error = match ctx.gate(Gate::new(canary_gate(&wave.name), question)).await {
        Ok(_) => return refill(ctx, cordoned).await,
        Err(WorkflowError::Rejected { by, reason, .. }) => {
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("{by} stopped the update after wave {} had failed{reason}: {why}", wave.name)
        }
        Err(WorkflowError::Cancelled) if !cordoned.is_empty() => "cancelled".to_owned(),
        Err(other) => return Err(other),
    };
    // Nodes that failed get no pods back by the way: a person decides when they are well again.
    Err(WorkflowError::Failed(if cordoned.is_empty() { error } else { format!("{error}; {}", still_cordoned(&cordoned)) }))
}

/// The probes at once, since a wave that is broken should not be watched for half an hour; and again after the soak.
async fn watch(ctx: &WorkflowContext, wave: &Wave, spec: &CanarySpec) -> WorkflowResult<()> {
    look(ctx, wave, spec, "right after its rollout").await?;
    ctx.status(format!("wave {}: watched for {} min", wave.name, spec.soak_minutes));
    let soak = ctx.sleep(Duration::from_secs(60 * u64::from(spec.soak_minutes)));
    soak.because(format!("wave {} to have been watched long enough", wave.name)).await?;
    look(ctx, wave, spec, "after its soak").await
}

async fn look(ctx: &WorkflowContext, wave: &Wave, spec: &CanarySpec, when: &str) -> WorkflowResult<()> {
    let health = AwaitWaveHealthy { wave: wave.clone(), limit_minutes: SETTLE_MINUTES };
    ctx.run(health).timeout(HEALTH_LIMIT).retry(PATIENT).await?;
    if !spec.probes.is_empty() {
        let probe = ProbeHealth { probes: spec.probes.clone(), label: format!("wave {} {when}", wave.name) };
        ctx.run(probe).timeout(PROBE_LIMIT).retry(PATIENT).await?;
    }
    Ok(())
}

/// Cordons and drains a failed wave; says which nodes were cordoned, and how it went.
async fn empty(ctx: &WorkflowContext, wave: &Wave) -> WorkflowResult<(Vec<NodeName>, String)> {
    let mut cordoned = Vec::new();
    let mut told = Vec::new();
    // All cordons first, or the pods of one failed node would move to the next.
    for node in &wave.nodes {
        let name = node.name.clone();
        ctx.hold(cordon_key(&name), cordon_text(&name), &false)?;
        if ctx.run(CordonNode { node: name.clone() }).await?.ours {
            cordoned.push(name);
        } else {
            ctx.give_back(cordon_key(&name));
            told.push(format!("node {name} was cordoned by somebody else already"));
        }
    }
    for node in &cordoned {
        let drain = DrainNode { node: node.clone(), limit_minutes: DRAIN_MINUTES };
        let drained = ctx.run(drain).timeout(DRAIN_LIMIT).retry(PATIENT).await?;
        told.push(format!("node {node} is cordoned, {} pods evicted", drained.evicted));
        told.extend(drained.left);
    }
    told.push(String::new());
    Ok((cordoned, told.join(".\n")))
}

/// Lets pods back onto the nodes of a wave that a person took for well.
async fn refill(ctx: &WorkflowContext, cordoned: Vec<NodeName>) -> WorkflowResult<()> {
    for node in cordoned {
        match ctx.run(UncordonNode { node: node.clone() }).await? {
            NodeUncordoned::Uncordoned | NodeUncordoned::NotOurs | NodeUncordoned::Gone => ctx.give_back(cordon_key(&node)),
        }
    }
    Ok(())
}

/// Moves the nodes of each wave back into the pool that they came from, and deletes the empty pools.
pub(crate) async fn dissolve(ctx: &WorkflowContext, spec: &CanarySpec, waves: &[Wave], held: &mut Held) -> WorkflowResult<()> {
    ctx.status(format!("moving the canary waves back into pool {}", spec.pool));
    for wave in waves {
        let state = insist(ctx, &format!("dissolve-{}", wave.name), |_| settled(ctx, wave)).await?;
        give_wave_back(ctx, state).await?;
        held.wave_given_back(ctx, &wave.pool);
    }
    Ok(())
}

/// How a wave stands, once it can go back; a person is asked if it can't.
async fn settled(ctx: &WorkflowContext, wave: &Wave) -> WorkflowResult<WaveState> {
    match ctx.run(ReadWave { wave: wave.clone() }).await? {
        WaveState::Owed { why } => {
            let error = windlass_engine::ActivityError::permanent("would-reboot", why);
            Err(WorkflowError::Activity { summary: format!("move wave {} back", wave.name), error })
        }
        state @ (WaveState::Gone | WaveState::Movable { .. }) => Ok(state),
    }
}

/// Gives a wave back in the one safe order: label off, nodes back, pool deleted. Says what is owed if that would reboot nodes.
pub(crate) async fn give_wave_back(ctx: &WorkflowContext, state: WaveState) -> WorkflowResult<Option<String>> {
    let (uid, wave) = match state {
        WaveState::Gone => return Ok(None),
        WaveState::Owed { why } => return Ok(Some(why)),
        WaveState::Movable { uid, wave } => (uid, wave),
    };
    ctx.run(UnlabelWave { wave: wave.clone() }).await?;
    if let Some(uid) = uid {
        let back = ctx.run(AwaitWaveDissolved { wave: wave.clone() }).timeout(MOVE_LIMIT).retry(PATIENT).await?;
        ctx.run(DeleteWavePool { pool: wave.pool.clone(), uid }).await?;
        if !back.rebooted.is_empty() {
            let nodes: Vec<&str> = back.rebooted.iter().map(NodeName::as_str).collect();
            ctx.status(format!("wave {}: {} rebooted on the way back, against expectation", wave.name, nodes.join(", ")));
        }
    }
    Ok(None)
}

/// The gate at which a failed wave is shown.
pub fn canary_gate(wave: &str) -> String {
    format!("canary-{wave}")
}

fn cordon_key(node: &NodeName) -> String {
    format!("node/{node}/cordon")
}

fn cordon_text(node: &NodeName) -> String {
    format!("node {node} is cordoned; by hand, once it is well: oc adm uncordon {node}")
}

fn still_cordoned(nodes: &[NodeName]) -> String {
    let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
    let names = names.join(" ");
    format!("still cordoned: {names}; once they are well: oc adm uncordon {names}")
}

/// Rendering takes seconds; the operator may be busy with another pool.
const RENDER_LIMIT: Duration = Duration::from_secs(15 * 60);

/// A node that changes pools without a reboot is done within a minute, and a pool's nodes may take turns.
const MOVE_LIMIT: Duration = Duration::from_secs(2 * 3600);

/// Operators settle within 20 minutes of a change; three times that is not settling.
const SETTLE_MINUTES: u32 = 60;

/// The activity ends by itself at its own limit; this is for an API server that is away meanwhile.
const HEALTH_LIMIT: Duration = Duration::from_secs(2 * 3600);

/// Three rounds of the longest command.
const PROBE_LIMIT: Duration = Duration::from_secs(3600);

/// Most drains end within two to four minutes; the operator itself calls an hour too long.
const DRAIN_MINUTES: u32 = 30;

/// The activity ends by itself at its own limit.
const DRAIN_LIMIT: Duration = Duration::from_secs(3600);
