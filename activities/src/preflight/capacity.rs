//! Checks of what happens to pods while their nodes are away.

use std::collections::BTreeMap;

use super::{Check, Facts, Findings, Preflight, named};
use crate::drain::{BlockCause, Lack, homeless, predict};
use crate::views::View as _;

/// While as many nodes of a pool are away as may be at once, the largest of them, their pods find room on the others.
pub(super) fn capacity(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    for pool in &facts.pools {
        let members = facts.members(pool).len();
        if members == 0 || facts.nodes.len() < 2 {
            continue;
        }
        let away = pool.at_once(members);
        let crowded: Vec<String> = homeless(facts, pool)
            .into_iter()
            .filter(|(_, lack)| *lack == Lack::Room)
            .map(|(pod, _)| format!("{}/{}", pod.namespace_name(), pod.name()))
            .collect();
        if !crowded.is_empty() {
            let (count, names) = (crowded.len(), named(&crowded));
            let name = pool.name();
            found.warn([format!("pool {name}: with {away} of {members} nodes away {count} pods find no room: {names}")]);
        }
        found.fine(format!("pool {}: the pods of {away} of {members} nodes find room on the others", pool.name()));
    }
    if found.fine.is_empty() {
        found.fine("a single node: everything is down while it reboots");
    }
    found.judge(
        "capacity",
        "the other nodes have room for the pods of those that reboot",
        "lower the pool's maxUnavailable, add nodes, or scale something down for the time of the update",
    )
}

/// No pod is lost or down because of a drain (F15, F35): bare ones, those tied to a node, machines that can't be moved.
pub(super) fn evictable(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    let mut by_cause: BTreeMap<(bool, BlockCause), Vec<String>> = BTreeMap::new();
    for drain in predict(facts) {
        for blocker in drain.blockers {
            let pod = format!("{}/{} on {}", blocker.namespace, blocker.pod, drain.node);
            by_cause.entry((blocker.for_ever, blocker.cause)).or_default().push(pod);
        }
    }
    for ((for_ever, cause), pods) in by_cause {
        let line = format!("{}: {cause}", named(&pods));
        match cause {
            // Said by the checks of budgets and of capacity.
            BlockCause::SeveralBudgets | BlockCause::BudgetForbids | BlockCause::BudgetShort | BlockCause::NoRoom => {}
            BlockCause::BudgetWithoutPlace | BlockCause::VirtualMachine | BlockCause::Terminating if for_ever => {
                found.block([line]);
            }
            BlockCause::BudgetWithoutPlace
            | BlockCause::VirtualMachine
            | BlockCause::Terminating
            | BlockCause::LocalVolume
            | BlockCause::Pinned
            | BlockCause::Bare => found.warn([line]),
        }
    }
    found.warn(facts.volumes.unreadable().map(|why| format!("volumes {why}")));
    found.warn(facts.virtual_machines.unreadable().map(|why| format!("virtual machines {why}")));
    found.fine("no pod is lost, tied to its node or stuck");
    found.judge(
        "evictable",
        "pods survive the drain of their node",
        "have the owners move or stop the named pods before their node's turn",
    )
}
