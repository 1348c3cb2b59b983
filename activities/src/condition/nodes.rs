//! Nodes: ready and settled, and drains that do not end.

use std::time::Duration;

use super::{Concern, Reason, Verdict};
use crate::ids::NodeName;
use crate::snapshot::Snapshot;
use crate::views::{Conditions as _, Node, Status, View as _};

/// A drain that lasts longer is looked into: most end within two to four minutes, and the operator says nothing for an
/// hour.
const DRAIN_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Whether every node is ready, schedulable and settled on its configuration.
pub fn nodes_healthy(snapshot: &Snapshot) -> Verdict {
    if snapshot.nodes.is_empty() {
        return Verdict::not_yet(Reason::waiting("the cluster", "shows no nodes"));
    }
    let reasons = snapshot.nodes.values().filter_map(|node| not_settled(node)).collect();
    Verdict::from_reasons(reasons, || format!("{} nodes ready, schedulable and settled", snapshot.nodes.len()))
}

fn not_settled(node: &Node) -> Option<Reason> {
    not_ready(node).or_else(|| configuring(node)).or_else(|| {
        let cordoned = Reason::waiting(subject(node), "is cordoned").since(node.cordoned_at());
        node.spec.unschedulable.then_some(cordoned)
    })
}

/// Why a node is not ready, if it is not.
pub(crate) fn not_ready(node: &Node) -> Option<Reason> {
    match node.condition("Ready") {
        Some(ready) if ready.status == Status::True => None,
        Some(ready) => {
            Some(Reason::waiting(subject(node), format!("is not ready: {}", ready.explanation())).since(ready.since()))
        }
        None => Some(Reason::waiting(subject(node), "does not report whether it is ready")),
    }
}

/// What the machine-config daemon still does on a node, if anything.
pub(crate) fn configuring(node: &Node) -> Option<Reason> {
    let (current, desired) = (node.current_config(), node.desired_config());
    let cause = node.config_reason();
    match node.config_state() {
        "Degraded" | "Unreconcilable" => {
            let cause = if cause.is_empty() { "no reason given" } else { cause };
            let what = format!("cannot take its configuration: {cause}");
            Some(Reason::waiting(subject(node), what).graded(Concern::Broken))
        }
        "Done" if current == desired => None,
        "Done" => Some(Reason::waiting(subject(node), format!("has not begun to move from {current} to {desired}"))),
        "Rebooting" => Some(Reason::waiting(subject(node), format!("is rebooting into {desired}"))),
        "Working" if node.is_draining() => {
            let drained = Reason::waiting(subject(node), "is being drained").since(node.cordoned_at());
            Some(drained.graded(Concern::Draining(NodeName::new(node.name()))))
        }
        "" => Some(Reason::waiting(subject(node), "is not managed by a machine-config daemon yet")),
        state => Some(Reason::waiting(subject(node), format!("is moving to {desired} ({})", state.to_lowercase()))),
    }
}

/// The drains that have not ended after ten minutes: someone should look at the budgets.
pub fn drains_blocked(snapshot: &Snapshot) -> Vec<Reason> {
    let draining = snapshot.draining_since.iter().filter(|(_, since)| snapshot.now.since(**since) >= DRAIN_LIMIT);
    draining
        .map(|(name, since)| {
            Reason::waiting(format!("node {name}"), "does not drain")
                .since(Some(*since))
                .graded(Concern::BlockedDrain(NodeName::new(name)))
        })
        .collect()
}

pub(crate) fn subject(node: &Node) -> String {
    format!("node {}", node.name())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{at, healthy, node};
    use super::*;

    #[test]
    fn an_unsettled_node_is_named_with_what_it_does() {
        let check = |edit: &dyn Fn(&mut Node), expect: &str| {
            let mut snapshot = healthy();
            node(&mut snapshot, "worker-1", edit);
            assert_eq!(nodes_healthy(&snapshot).to_string(), expect);
        };
        let annotate = |key: &'static str, value: &'static str| {
            move |node: &mut Node| {
                let annotations = node.metadata.annotations.get_or_insert_default();
                annotations.insert(format!("machineconfiguration.openshift.io/{key}"), value.to_owned());
            }
        };
        check(&|_| {}, "5 nodes ready, schedulable and settled");
        check(&|node| node.spec.unschedulable = true, "node worker-1 is cordoned");
        check(
            &|node| node.status.conditions[0].status = Status::Unknown,
            "node worker-1 is not ready: kubelet is posting ready status (since 2026-03-01 10:00:00Z)",
        );
        check(&|node| node.status.conditions.clear(), "node worker-1 does not report whether it is ready");
        check(&annotate("state", "Working"), "node worker-1 is moving to rendered-worker-r0 (working)");
        check(&annotate("state", "Rebooting"), "node worker-1 is rebooting into rendered-worker-r0");
        check(&annotate("state", "Degraded"), "!! node worker-1 cannot take its configuration: no reason given");
        check(
            &annotate("desiredConfig", "rendered-worker-r1"),
            "node worker-1 has not begun to move from rendered-worker-r0 to rendered-worker-r1",
        );
    }

    #[test]
    fn a_drain_is_blocked_after_ten_minutes() {
        let check = |minutes: i64, expect: &[&str]| {
            let mut snapshot = healthy();
            snapshot.draining_since = std::sync::Arc::new([("worker-0".to_owned(), at(-minutes))].into());
            let blocked: Vec<String> = drains_blocked(&snapshot).iter().map(ToString::to_string).collect();
            assert_eq!(blocked, expect);
        };
        check(9, &[]);
        check(11, &["!! node worker-0 does not drain (since 2026-03-01 11:49:00Z)"]);
    }
}
