//! From a draft of a run to the plan that people read and approve.

use windlass_activities::deadline::Deadline;
use windlass_activities::estimate::Estimates;
use windlass_activities::inventory::Inventory;
use windlass_activities::kuryr::KuryrInventory;
use windlass_activities::network::infer::Inferred;
use windlass_activities::network::reboot::AwaitReboots;
use windlass_activities::network::switch::SwitchPlugin;
use windlass_activities::ovn::check::CentralReport;
use windlass_activities::ovn::list;
use windlass_activities::pool::PoolState;
use windlass_activities::release::UpdatePath;
use windlass_activities::target::Target;
use windlass_activities::windows::{Calendar, FindWindow, Placement};
use windlass_engine::foresee::{Asked, Deed};
use windlass_engine::{Activity as _, Effect, Json, Registry, WorkflowError};

use crate::foresight::{Draft, LATER};
use crate::plan::{PlacedStep, Plan, PlannedStep};

/// What a plan is made of.
pub struct Findings<'a> {
    /// The workflow's registered name.
    pub workflow: &'a str,
    /// The cluster's id.
    pub cluster: &'a str,
    /// The run's input.
    pub input: &'a Json,
    /// The run as it would go.
    pub draft: &'a Draft,
    /// The cluster as the plan pins it.
    pub inventory: &'a Inventory,
    /// How long steps take, and how that is known.
    pub estimates: &'a Estimates,
    /// When steps may begin.
    pub calendar: Option<&'a Calendar>,
    /// What else a person should know.
    pub notes: Vec<String>,
    /// Knows the requests of each activity.
    pub registry: &'a Registry,
}

/// Puts a plan together. Pure.
pub fn plan(found: &Findings<'_>) -> Plan {
    let preflight = found.draft.preflight.as_ref();
    let mut blockers: Vec<String> = preflight.iter().flat_map(|report| report.blockers()).map(ToString::to_string).collect();
    let mut warnings: Vec<String> = preflight.iter().flat_map(|report| report.warnings()).map(ToString::to_string).collect();
    if let Some(central) = &found.draft.central {
        blockers.extend(central.blockers.iter().cloned());
        warnings.extend(central.warnings.iter().cloned());
    }
    if let Some(migration) = &found.draft.migration {
        blockers.extend(migration.blockers.iter().cloned());
        warnings.extend(migration.warnings.iter().cloned());
    }
    blockers.extend(found.draft.adoption.iter().flat_map(|adoption| adoption.refusals.iter().cloned()));
    warnings.extend(found.draft.kuryr.iter().flat_map(of_kuryr));
    warnings.extend(found.notes.iter().cloned());
    warnings.extend(learned(found, "resolve-path", |path: UpdatePath| path.notes));
    warnings.extend(learned(found, "resolve-target", |target: Target| target.notes));
    warnings.extend(pressing(found));
    // Without the members, or the step, that a look did not find there is no way on, which its blockers have said.
    let is_said = found.draft.central.as_ref().is_some_and(|central| !central.blockers.is_empty())
        || found.draft.adoption.as_ref().is_some_and(|adoption| !adoption.refusals.is_empty());
    if let Err(error) = found.draft.foresight.end.as_ref()
        && !is_said
    {
        blockers.push(ending(error));
    }
    blockers.extend(never_fits(found));
    let mut plan = Plan {
        workflow: found.workflow.to_owned(),
        cluster: found.cluster.to_owned(),
        facts: facts(found),
        nodes: found.inventory.nodes.clone(),
        steps: steps(found),
        calendar: found.calendar.cloned(),
        placements: placements(found),
        restores: restores(found),
        blockers,
        warnings,
        reckoned_from: reckoned_from(found),
        input_digest: blake3::hash(found.input.to_string().as_bytes()).to_hex()[..16].to_owned(),
        digest: String::new(),
    };
    plan.digest = plan.digest_of_content();
    plan
}

/// How the times are known that count for this workflow: a change of members has its own, a migration of the network no update.
fn reckoned_from(found: &Findings<'_>) -> Vec<String> {
    let counts = |line: &&String| found.draft.migration.is_none() || !line.starts_with("control plane");
    let all = found.estimates.source.iter().filter(counts).cloned();
    if found.draft.central.is_some() { Vec::new() } else { all.collect() }
}

fn ending(error: &WorkflowError) -> String {
    format!("the run would not end well: {error}")
}

/// A step that no window can hold stops the plan, not the run on its second weekend.
fn never_fits(found: &Findings<'_>) -> Vec<String> {
    let refused = found.draft.foresight.deeds.iter().filter_map(|deed| match &deed.what {
        Deed::Activity { asked, result: Err(error) } if asked.activity == FindWindow::NAME.as_str() => {
            Some(error.message.as_str())
        }
        Deed::Activity { .. } | Deed::Gate { .. } | Deed::Sleep | Deed::Hold { .. } | Deed::GiveBack { .. } => None,
    });
    let help = match (&found.draft.central, &found.draft.migration) {
        (Some(_), _) | (_, Some(_)) => "or take a longer window",
        (None, None) => {
            "or say how long it takes here (--expect-hop, --expect-node), or let some nodes of a pool go first (--canary)"
        }
    };
    refused.map(|message| format!("{message}, {help}")).take(1).collect()
}

/// Deadlines that come nearer than they should before the run is expected to be over.
fn pressing(found: &Findings<'_>) -> Vec<String> {
    let Some(over) = found.draft.foresight.deeds.last().map(|deed| deed.ends) else { return Vec::new() };
    let mut lines = learned(found, "read-deadlines", |deadlines: Vec<Deadline>| {
        let near = deadlines.into_iter().filter(|deadline| deadline.warn_at() <= over);
        near.map(|deadline| format!("{} at {} ({}): {}", deadline.what, deadline.at, deadline.source, deadline.consequence))
            .collect()
    });
    lines.dedup();
    lines
}

fn facts(found: &Findings<'_>) -> Vec<String> {
    let mut facts = learned(found, "resolve-path", |path: UpdatePath| {
        let mut lines = vec![format!("from {} ({})", path.from.version, path.from.digest())];
        lines.extend(path.hops.iter().map(|hop| match &hop.release {
            Some(release) => format!("to {} ({})", release.version, release.digest()),
            None => format!("to {} (pinned right before its hop)", hop.minor),
        }));
        lines.push(format!("edges read from {}", path.source));
        lines
    });
    facts.extend(learned(found, "resolve-target", |target: Target| {
        let mut lines = vec![
            format!("from {} ({})", target.from.version, target.from.digest()),
            format!("to {} ({})", target.release.title(), target.release.digest()),
            format!("edges read from {}", target.source),
        ];
        let accepted = |accepted: bool| if accepted { "accepted" } else { "not accepted" };
        lines
            .extend(target.risks.iter().map(|risk| format!("risk {}, {}: {}", risk.name, accepted(risk.accepted), risk.message)));
        lines
    }));
    facts.extend(found.draft.central.iter().flat_map(of_central));
    facts.extend(found.draft.adoption.iter().flat_map(of_adoption));
    match &found.draft.migration {
        Some(migration) => {
            facts.extend(migration.pools.iter().map(of_pool));
            facts.extend(outage(found));
        }
        None => facts.extend(learned(found, "list-pools", |pools: Vec<PoolState>| pools.iter().map(of_pool).collect())),
    }
    facts.extend(found.inventory.objection.iter().map(|objection| format!("not upgradeable: {objection}")));
    facts.extend(found.inventory.conditional.iter().map(|update| format!("offered with risks: {update}")));
    facts
}

/// How far a migration has come that is taken over, with all that this rests on.
fn of_adoption(adoption: &Inferred) -> Vec<String> {
    let seen = adoption.evidence.iter().map(|line| format!("seen: {line}"));
    seen.chain(adoption.done.iter().map(|line| format!("done, and not done again: {line}"))).collect()
}

fn of_pool(pool: &PoolState) -> String {
    format!("pool {}: {} nodes, {} at a time, at {}", pool.name, pool.nodes, pool.max_unavailable, pool.rolled_out)
}

/// How long pods are without a network: from the switch of the plugin until the cluster is well on the other one.
fn outage(found: &Findings<'_>) -> Option<String> {
    let deeds = &found.draft.foresight.deeds;
    let at = |name: &str| {
        let is = |deed: &Deed| matches!(deed, Deed::Activity { asked, .. } if asked.activity == name);
        deeds.iter().position(|deed| is(&deed.what))
    };
    let (from, to) = (at(SwitchPlugin::NAME.as_str())?, at(AwaitReboots::NAME.as_str())?);
    let within = found.draft.spreads.get(from..=to)?;
    // In tenths of an hour, rounded up.
    let hours = |seconds: u64| {
        let tenths = seconds.div_ceil(360);
        format!("{}.{} h", tenths / 10, tenths % 10)
    };
    let p50 = hours(within.iter().map(|spread| spread.p50_seconds).sum());
    let p90 = hours(within.iter().map(|spread| spread.p90_seconds).sum());
    Some(format!(
        "outage: from the switch until all nodes have rebooted pods do not reach one another, for {p50}, and {p90} at P90; the API is away \
         for a part of it"
    ))
}

/// ovn-central in words; who leads may change at any time, and is left to the warnings.
fn of_central(report: &CentralReport) -> Vec<String> {
    let central = &report.central;
    let version = central.version.as_ref().map_or_else(|| "of no known version".to_owned(), ToString::to_string);
    let mut lines = vec![format!("ovn-central {version}, NODE_IPS {}", list(&central.node_ips))];
    for raft in &central.databases {
        let cluster = raft.cluster.map_or_else(|| "of no cluster".to_owned(), |cluster| format!("of cluster {cluster}"));
        let mut voters: Vec<_> = raft.voters().collect();
        voters.sort_by_key(|server| server.address);
        let each = voters.iter().map(|server| match server.id {
            Some(id) => format!("{} {id}", server.address),
            None => format!("{} {} (does not answer)", server.address, server.short),
        });
        lines.push(format!("{} database {cluster}: {}", raft.database, each.collect::<Vec<_>>().join(", ")));
    }
    lines.extend(report.leaving.iter().map(|leaving| format!("leaves: {}", leaving.in_words())));
    lines.extend(report.joining.iter().map(|address| format!("joins: {address}")));
    lines
}

/// What the foreseen results of an activity say, in order.
fn learned<T: serde::de::DeserializeOwned>(found: &Findings<'_>, activity: &str, say: impl Fn(T) -> Vec<String>) -> Vec<String> {
    let mut lines = Vec::new();
    for deed in &found.draft.foresight.deeds {
        if let Deed::Activity { asked, result: Ok(output) } = &deed.what
            && asked.activity == activity
        {
            lines.extend(output.to().map(&say).unwrap_or_default());
        }
    }
    lines
}

/// The keys of changes that are done, or owed.
const OWED: [&str; 3] = [crate::kuryr_to_ovn::OWED, crate::network_migration::OWED, crate::ovn_central::OWED];

/// What Kuryr has now; what it has when its turn comes is shown at the gate.
fn of_kuryr(inventory: &KuryrInventory) -> Vec<String> {
    let mut lines = vec![format!(
        "Kuryr has {} with the tag {}; at the gate clean-up-kuryr each is shown as it is then, and deleted by its id",
        inventory.in_words(),
        inventory.tag()
    )];
    if let Some((router, why)) = inventory.router.as_ref().and_then(|router| Some((router, router.stays.as_ref()?))) {
        lines.push(format!("router {} ({}) stays: {why}", router.id, router.name));
    }
    lines.extend(inventory.not_ours.iter().map(|line| format!("{line}; it is left alone")));
    lines
}

fn restores(found: &Findings<'_>) -> Vec<String> {
    let held = found.draft.foresight.deeds.iter().filter_map(|deed| match &deed.what {
        // A change that is not done is owed, not given back.
        Deed::Hold { key, .. } if OWED.contains(&key.as_str()) => None,
        Deed::Hold { text, .. } => Some(text.clone()),
        Deed::Activity { .. } | Deed::Gate { .. } | Deed::Sleep | Deed::GiveBack { .. } => None,
    });
    held.collect()
}

/// The steps that people read: what is written, what is waited for, what is checked. Short reads and sleeps are left out.
fn steps(found: &Findings<'_>) -> Vec<PlannedStep> {
    let mut steps = Vec::new();
    for (deed, spread) in found.draft.foresight.deeds.iter().zip(&found.draft.spreads) {
        match &deed.what {
            // That a deadline presses is a warning, not a point of the procedure.
            Deed::Gate { gate, .. } if gate.starts_with("deadline-") => {}
            Deed::Gate { gate, .. } => steps.push(PlannedStep {
                summary: format!("gate {gate}"),
                class: Effect::Observe,
                gate: Some(gate.clone()),
                requests: Vec::new(),
                p50_seconds: 0,
                p90_seconds: 0,
                expected_at: Some(deed.begins),
            }),
            Deed::Activity { asked, .. } if is_step(asked) => steps.push(PlannedStep {
                summary: asked.summary.clone(),
                class: asked.class,
                gate: asked.approval.clone(),
                requests: requests(found, asked),
                p50_seconds: spread.p50_seconds,
                p90_seconds: spread.p90_seconds,
                expected_at: Some(deed.begins),
            }),
            Deed::Activity { .. } | Deed::Sleep | Deed::Hold { .. } | Deed::GiveBack { .. } => {}
        }
    }
    steps
}

/// What is not known yet is not shown as if it were.
fn requests(found: &Findings<'_>, asked: &Asked) -> Vec<String> {
    if asked.summary.ends_with(LATER) { Vec::new() } else { found.registry.requests(&asked.activity, &asked.input) }
}

/// The windows that the steps were foreseen to begin in.
fn placements(found: &Findings<'_>) -> Vec<PlacedStep> {
    let mut placed = Vec::new();
    for deed in &found.draft.foresight.deeds {
        if let Deed::Activity { asked, result: Ok(output) } = &deed.what
            && asked.activity == FindWindow::NAME.as_str()
            && let (Ok(find), Ok(placement)) = (asked.input.to::<FindWindow>(), output.to::<Placement>())
        {
            // A step that waits for its window is looked at again when it opens; the last finding counts.
            placed.retain(|known: &PlacedStep| known.step != find.step);
            placed.push(PlacedStep { step: find.step, placement });
        }
    }
    placed
}

fn is_step(asked: &Asked) -> bool {
    let short_read = ["read-", "list-", "find-"].iter().any(|prefix| asked.activity.starts_with(prefix));
    !(short_read && asked.class == Effect::Observe)
}
