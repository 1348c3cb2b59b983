//! Checks of the pools, and of what would hurt nodes whose pool is paused or rebooting.

use std::time::Duration;

use windlass_engine::Timestamp;

use super::{Check, Facts, Findings, Preflight, named};
use crate::condition::pool_troubles;
use crate::machine_health::{described, is_ours};
use crate::views::{Conditions as _, MachineConfigPool, Node, Status, View};

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

/// Every rendered configuration that a node or a pool names exists (F3), and a custom pool that is made of the same as
/// `worker` renders the same (F12).
pub(super) fn rendered_configs(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    for name in facts.unrendered.seen().into_iter().flatten() {
        let naming = |node: &&Node| node.current_config() == name || node.desired_config() == name;
        let nodes: Vec<&str> = facts.nodes.iter().filter(naming).map(View::name).collect();
        let whose = if nodes.is_empty() { "a pool".to_owned() } else { named(&nodes) };
        found.block([format!("{name} does not exist and {whose} names it")]);
    }
    found.warn(facts.unrendered.unreadable().map(|why| format!("rendered configurations {why}")));
    if let Some(worker) = facts.pools.iter().find(|pool| pool.name() == "worker") {
        let custom = facts.pools.iter().filter(|pool| !matches!(pool.name(), "master" | "worker"));
        let same = custom.filter(|pool| pool.spec.configuration.source == worker.spec.configuration.source);
        let differing = same.filter(|pool| !worker.spec.configuration.source.is_empty() && contents(pool) != contents(worker));
        found.warn(differing.map(|pool| {
            let name = pool.name();
            format!("pool {name} is made of the same as worker and renders differently: a node that moves between them reboots")
        }));
    }
    found.fine("all that are named exist");
    found.judge(
        "rendered-configs",
        "rendered configurations exist",
        "have the machine-config operator render again, or restore the named configuration from another cluster or a backup",
    )
}

/// What the hash at the end of a rendered configuration's name stands for.
fn contents(pool: &MachineConfigPool) -> &str {
    pool.spec.configuration.name.rsplit('-').next().unwrap_or_default()
}

/// Which machine and node health checks the run will pause.
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
    for check in facts.node_health_checks.all() {
        let name = format!("node health check {}", check.name());
        match (check.status.phase.as_str(), check.spec.pause_requests.as_slice()) {
            ("Remediating", _) => found.block([format!("{name} is remediating a node")]),
            (_, []) => found.fine.push(format!("{name} watches the nodes")),
            (_, reasons) => found.warn([format!("{name} is paused already: {}", reasons.join(", "))]),
        }
    }
    found.warn(facts.node_health_checks.unreadable().map(|why| format!("node health checks {why}")));
    if found.fine.is_empty() {
        found.fine.push("there are none".to_owned());
    }
    found.judge(
        "health-checks",
        "machine and node health checks are known",
        "let a remediation end; if a pause was forgotten, remove it (annotation cluster.x-k8s.io/paused, spec.pauseRequests), then plan again",
    )
}

/// Renewed in place half-way through its life, on paused pools, too: its end comes near only if the renewal does not.
const RENEWED: &str = "csr-signer-signer";

/// Certificates outlast the time for which pools stay paused (F5, F9).
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
            days if whose.ends_with(RENEWED) => {
                found.warn((days < MARGIN_DAYS).then(|| format!("{text}; it should have been renewed long ago")));
            }
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
