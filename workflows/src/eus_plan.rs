//! The plan of an EUS-to-EUS update: everything it would do, from one survey of the cluster. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_activities::admin_ack::Gates;
use windlass_activities::machine_health::HealthCheck;
use windlass_activities::pool::PoolState;
use windlass_activities::preflight::PreflightReport;
use windlass_activities::release::UpdatePath;
use windlass_engine::Effect;

use crate::EUS_UPDATE;
use crate::eus_update::{ack_gate, release_gate};
use crate::hold_still::to_hold;
use crate::plan::{Plan, PlannedStep};

/// What was read of the cluster for a plan.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EusSurvey {
    /// The cluster's id.
    pub cluster: String,
    /// The releases on the way.
    pub path: UpdatePath,
    /// What the preflight found.
    pub preflight: PreflightReport,
    /// The pools.
    pub pools: Vec<PoolState>,
    /// The machine health checks.
    pub health_checks: Vec<HealthCheck>,
    /// The acknowledgements that the present release asks for.
    pub gates: Gates,
}

/// The median and the 90th percentile of 74 control-plane updates of one real cluster.
const HOP: (Duration, Duration) = (Duration::from_secs(81 * 60), Duration::from_secs(887 * 60));

/// A node's drain, reboot and return: in a cloud, and on bare metal with a slow drain.
const NODE: (Duration, Duration) = (Duration::from_secs(8 * 60), Duration::from_secs(28 * 60));

/// Three good samples, half a minute apart; or operators that take their time.
const SETTLE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20 * 60));

/// What an update on this cluster would do.
pub fn plan(survey: &EusSurvey) -> Plan {
    let pools = to_hold(survey.pools.clone());
    let mut steps = vec![
        PlannedStep::quick("look at the cluster: preflight", Effect::Observe),
        PlannedStep::quick("pin the releases by digest", Effect::Observe),
        PlannedStep::quick(format!("set the update channel to {}", survey.path.channel), Effect::Declare),
    ];
    let checks = survey.health_checks.iter().filter(|check| check.paused.is_none());
    steps.extend(
        checks.clone().map(|check| PlannedStep::quick(format!("pause machine health check {}", check.name), Effect::Declare)),
    );
    steps.extend(pools.iter().map(|pool| PlannedStep::quick(format!("pause pool {}", pool.name), Effect::Declare)));
    for (number, hop) in (1..).zip(&survey.path.hops) {
        let name = format!("hop-{number}");
        let release = hop.release.as_ref().map_or_else(
            || format!("the newest recommended {} (pinned right before)", hop.minor),
            |release| format!("{} ({})", release.version, release.digest()),
        );
        let missing = number > 1 || !survey.gates.missing.is_empty();
        if missing {
            // The gates of the second hop exist only once the first is done, so the plan names one in any case.
            let what =
                if number > 1 { "acknowledge what the vendor then asks for" } else { "acknowledge what the vendor asks for" };
            steps.push(PlannedStep::quick(what, Effect::Declare).gated(ack_gate(&name)));
        }
        steps.push(PlannedStep::quick("wait until the cluster is healthy", Effect::Observe).taking(SETTLE.0, SETTLE.1));
        steps.push(PlannedStep::quick(format!("ask the cluster to update to {release}"), Effect::Once));
        steps.push(PlannedStep::quick("wait until the control plane is updated", Effect::Observe).taking(HOP.0, HOP.1));
    }
    for pool in &pools {
        let waves = waves(pool);
        let release = format!("unpause pool {}: its {} nodes drain and reboot", pool.name, pool.nodes);
        steps.push(PlannedStep::quick(release, Effect::Irreversible).gated(release_gate(&pool.name)));
        let wait = format!("wait until every node of pool {} is updated and back", pool.name);
        steps.push(PlannedStep::quick(wait, Effect::Observe).taking(NODE.0 * waves, NODE.1 * waves));
    }
    steps.extend(checks.map(|check| PlannedStep::quick(format!("resume machine health check {}", check.name), Effect::Declare)));
    steps.push(PlannedStep::quick("verify the whole cluster", Effect::Observe).taking(SETTLE.0, SETTLE.1));
    sealed(survey, steps)
}

/// How often as many nodes as may be down at once must be taken.
fn waves(pool: &PoolState) -> u32 {
    let share = pool.max_unavailable.strip_suffix('%').and_then(|share| share.parse::<u32>().ok());
    let at_once = match share {
        Some(share) => pool.nodes * share / 100,
        None => pool.max_unavailable.parse().unwrap_or(1),
    };
    pool.nodes.div_ceil(at_once.max(1))
}

fn sealed(survey: &EusSurvey, steps: Vec<PlannedStep>) -> Plan {
    let path = &survey.path;
    let mut facts = vec![format!("from {} ({})", path.from.version, path.from.digest())];
    facts.extend(path.hops.iter().map(|hop| match &hop.release {
        Some(release) => format!("to {} ({})", release.version, release.digest()),
        None => format!("to {} (pinned right before its hop)", hop.minor),
    }));
    facts.push(format!("edges read from {}", path.source));
    facts.extend(survey.pools.iter().map(|pool| {
        format!("pool {}: {} nodes, {} at a time, at {}", pool.name, pool.nodes, pool.max_unavailable, pool.rolled_out)
    }));
    let blockers = survey.preflight.blockers().map(ToString::to_string).collect();
    let warnings = survey.preflight.warnings().map(ToString::to_string).chain(path.notes.iter().cloned()).collect();
    let mut plan = Plan {
        workflow: EUS_UPDATE.to_owned(),
        cluster: survey.cluster.clone(),
        facts,
        steps,
        blockers,
        warnings,
        digest: String::new(),
    };
    plan.digest = plan.digest_of_content();
    plan
}
