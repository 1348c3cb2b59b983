//! Checks of the pools, and of what would hurt nodes whose pool is paused or rebooting.

use std::time::Duration;

use windlass_engine::Timestamp;

use super::{Check, Facts, Findings, Preflight};
use crate::condition::pool_troubles;
use crate::machine_health::{described, is_ours};
use crate::views::{Conditions as _, Status, View as _};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Certificates must outlast the pause by this much: rotation itself rolls nodes.
const MARGIN_DAYS: u64 = 7;
/// Below this a person should know when they end.
const NOTEWORTHY_DAYS: u64 = 60;

/// Every pool is rolled out, unpaused and not degraded.
pub(super) fn pools(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    if !facts.pools.iter().any(|pool| pool.name() == "master") {
        found.blocking.push("there is no pool master".to_owned());
    }
    for pool in &facts.pools {
        let name = pool.name();
        if pool.spec.paused {
            found.blocking.push(format!("pool {name} is paused already"));
        }
        if !pool.is_observed() {
            found.blocking.push(format!("pool {name} has not been looked at since its last change"));
        }
        found.blocking.extend(pool_troubles(pool).iter().map(ToString::to_string));
        let (target, rolled_out) = (&pool.spec.configuration.name, &pool.status.configuration.name);
        if !pool.spec.paused && (target != rolled_out || pool.says("Updated") != Status::True) {
            let (updated, all) = (pool.status.updated_machine_count, pool.status.machine_count);
            found.blocking.push(format!("pool {name} is moving to {target}: {updated} of {all} nodes updated"));
        }
        found.fine.push(format!("pool {name}: {} nodes at {rolled_out}", pool.status.machine_count));
    }
    found.judge(
        "pools",
        "machine config pools are rolled out and unpaused",
        "let the named pools finish or unpause them, then plan again",
    )
}

/// Which machine health checks the run will pause.
pub(super) fn health_checks(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    for check in facts.health_checks.iter().map(described) {
        match check.paused {
            None => found.fine.push(format!("{} will be paused and resumed", check.name)),
            Some(by) if is_ours(&by) => found.worrying.push(format!("{} is still paused by run {by}", check.name)),
            Some(by) if by.is_empty() => found.worrying.push(format!("{} is paused already and stays so", check.name)),
            Some(by) => found.worrying.push(format!("{} is paused by {by} and stays so", check.name)),
        }
    }
    if facts.health_checks.is_empty() {
        found.fine.push("there are none".to_owned());
    }
    found.judge(
        "health-checks",
        "machine health checks are known",
        "if the pause was forgotten, remove the annotation cluster.x-k8s.io/paused, then plan again",
    )
}

/// Certificates outlast the time for which pools stay paused.
pub(super) fn certificates(facts: &Facts, plan: &Preflight) -> Check {
    let mut found = Findings::default();
    let of_signers = facts.signers.iter().filter_map(|secret| Some((format!("signer {}", secret.name()), secret.not_after()?)));
    let of_pools = facts.pools.iter().flat_map(|pool| {
        let expiries = pool.status.cert_expirys.iter();
        expiries.filter_map(|entry| Some((format!("pool {}: {} in {}", pool.name(), entry.subject, entry.bundle), entry.expiry?)))
    });
    let needed = u64::from(plan.pause_days) + MARGIN_DAYS;
    let mut soonest: Option<u64> = None;
    for (whose, ends) in of_signers.chain(of_pools) {
        let days = Timestamp::from(ends).since(facts.now).as_secs() / DAY.as_secs();
        let text = format!("{whose} ends in {days} days, on {}", ends.format("%Y-%m-%d"));
        soonest = Some(soonest.map_or(days, |soonest| soonest.min(days)));
        match days {
            days if days < needed => found.blocking.push(format!("{text}; the pause may last {} days", plan.pause_days)),
            days if days < NOTEWORTHY_DAYS => found.worrying.push(text),
            _ => {}
        }
    }
    found.fine.push(soonest.map_or_else(
        || "no dated certificates found".to_owned(),
        |days| format!("the first ends in {days} days, the pause may last {} days", plan.pause_days),
    ));
    found.judge(
        "certificates",
        "certificates outlast the time for which pools stay paused",
        "have them rotated first, or plan a shorter pause",
    )
}
