//! Checks of the nodes.

use super::{Check, Facts, Findings, Preflight};
use crate::condition::{configuring, not_ready};
use crate::views::{Conditions as _, Node, SigningRequest, View as _};

/// Every node is ready, without pressure, and settled on its configuration.
pub(super) fn nodes(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    if facts.nodes.is_empty() {
        found.blocking.push("the cluster shows no nodes".to_owned());
    }
    for node in &facts.nodes {
        found.blocking.extend(not_ready(node).or_else(|| configuring(node)).map(|reason| reason.to_string()));
        found.worrying.extend(pressure(node));
    }
    found.fine.push(format!("{} nodes ready and settled", facts.nodes.len()));
    found.judge("nodes", "nodes are ready and settled", "bring the named nodes back, then plan again")
}

fn pressure(node: &Node) -> Option<String> {
    let kind = ["DiskPressure", "MemoryPressure", "PIDPressure"].into_iter().find(|kind| node.holds(kind).is_some())?;
    Some(format!("node {} has {kind}", node.name()))
}

/// No node is cordoned by anybody but the machine-config operator: it would eat its pool's budget.
pub(super) fn cordons(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    for node in facts.nodes.iter().filter(|node| node.spec.unschedulable && !node.is_drained_by_operator()) {
        let since = node.cordoned_at().map(|at| format!(" since {}", at.to_datetime().format("%Y-%m-%d %H:%MZ")));
        found.worrying.push(format!("node {} is cordoned by somebody{}", node.name(), since.unwrap_or_default()));
    }
    found.fine.push("no node is cordoned".to_owned());
    found.judge(
        "cordons",
        "no foreign cordons",
        "uncordon the node with `oc adm uncordon`, or know that it counts as unavailable in its pool",
    )
}

/// No node waits for a certificate.
pub(super) fn signing_requests(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    let waits = |request: &&SigningRequest| request.conditions().is_empty();
    found.worrying.extend(facts.signing_requests.iter().filter(waits).map(|request| format!("{} is pending", request.name())));
    found.fine.push("no pending requests".to_owned());
    found.judge(
        "signing-requests",
        "no certificate signing requests are pending",
        "look at them with `oc get csr` and approve those of your own nodes",
    )
}
