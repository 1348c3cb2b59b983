//! Checks of the nodes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

use super::{Check, Facts, Findings, Preflight};
use crate::condition::{configuring, not_ready};
use crate::views::{Conditions as _, MachineConfigPool, Node, SigningRequest, View};

/// Every node is ready, without pressure, and settled on its configuration; none is in two custom pools (F12), none has
/// a kubelet too old for where the control plane goes (F27), none is updated by hand (F10).
pub(super) fn nodes(facts: &Facts, plan: &Preflight) -> Check {
    let mut found = Findings::default();
    if facts.nodes.is_empty() {
        found.blocking.push("the cluster shows no nodes".to_owned());
    }
    for node in &facts.nodes {
        found.blocking.extend(not_ready(node).or_else(|| configuring(node)).map(|reason| reason.to_string()));
        found.worrying.extend(pressure(node));
        found.block(outdated(node, plan));
        found.block(torn(node, facts));
        found.warn(unmanaged(node));
    }
    found.fine.push(format!("{} nodes ready and settled", facts.nodes.len()));
    found.judge("nodes", "nodes are ready and settled", "bring the named nodes back, then plan again")
}

fn pressure(node: &Node) -> Option<String> {
    let kind = ["DiskPressure", "MemoryPressure", "PIDPressure"].into_iter().find(|kind| node.holds(kind).is_some())?;
    Some(format!("node {} has {kind}", node.name()))
}

/// How many minor releases a kubelet may be behind the API server.
const SKEW: u64 = 2;

/// The pools stay where they are until the control plane has arrived.
fn outdated(node: &Node, plan: &Preflight) -> Option<String> {
    let (has, to) = (node.kubelet_minor()?, plan.last_hop());
    let least = to.kubernetes().saturating_sub(SKEW);
    (has < least).then(|| format!("node {} runs kubelet 1.{has}, {to} goes along with 1.{least} at the least", node.name()))
}

/// The operator refuses to configure a node that two custom pools select.
fn torn(node: &Node, facts: &Facts) -> Option<String> {
    let labels = node.metadata.labels.as_ref();
    let custom = facts.pools.iter().filter(|pool| !matches!(pool.name(), "master" | "worker"));
    let selecting = custom.filter(|pool| pool.spec.node_selector.as_ref().is_some_and(|selector| selector.selects(labels)));
    let names: Vec<&str> = selecting.map(View::name).collect();
    (names.len() > 1).then(|| format!("node {} is in several custom pools: {}", node.name(), names.join(", ")))
}

/// Nodes with a plain operating system are updated with a playbook and stay not ready until then.
fn unmanaged(node: &Node) -> Option<String> {
    let system = &node.status.node_info.os_image;
    let plain = system.starts_with("Red Hat Enterprise Linux") && !system.contains("CoreOS");
    plain.then(|| {
        format!("node {} runs {system}: it is updated with the vendor's playbook, after its pool is let go", node.name())
    })
}

/// No node is cordoned by anybody but the machine-config operator: it would eat its pool's budget (F4).
pub(super) fn cordons(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    for node in facts.nodes.iter().filter(|node| node.spec.unschedulable && !node.is_drained_by_operator()) {
        let since = node.cordoned_at().map(|at| format!(" since {}", at.to_datetime().format("%Y-%m-%d %H:%MZ")));
        let who = who_cordoned(node).unwrap_or("somebody");
        found.worrying.push(format!("node {} is cordoned by {who}{}", node.name(), since.unwrap_or_default()));
    }
    found.warn(facts.pools.iter().filter_map(|pool| eaten(pool, facts)));
    found.fine.push("no node is cordoned".to_owned());
    found.judge(
        "cordons",
        "no foreign cordons",
        "uncordon the node with `oc adm uncordon`, or know that it counts as unavailable in its pool",
    )
}

/// Who wrote the cordon, as the server keeps it.
fn who_cordoned(node: &Node) -> Option<&str> {
    let entries = node.metadata.managed_fields.as_deref().unwrap_or_default();
    let cordons = |entry: &&ManagedFieldsEntry| {
        entry.fields_v1.as_ref().is_some_and(|fields| fields.0["f:spec"].get("f:unschedulable").is_some())
    };
    entries.iter().filter(cordons).find_map(|entry| entry.manager.as_deref())
}

/// A pool whose nodes are away already takes no further one.
fn eaten(pool: &MachineConfigPool, facts: &Facts) -> Option<String> {
    let members = facts.members(pool);
    let away = members.iter().filter(|node| node.spec.unschedulable && !node.is_drained_by_operator()).count();
    let allowed = pool.at_once(members.len());
    (away > 0 && away >= allowed)
        .then(|| format!("pool {} may have {allowed} away and {away} are: its update will not begin", pool.name()))
}

/// No node waits for a certificate (F9).
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
