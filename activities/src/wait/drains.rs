//! Looks at the nodes that are being drained: soon, then at growing distance, and never at many at once.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_engine::Timestamp;

use crate::cluster::{Cluster, Query};
use crate::condition::{Concern, Evictions, Reason, evictions, namespaces_left};
use crate::error::CallError;
use crate::ids::NodeName;
use crate::snapshot::Snapshot;
use crate::views::{Budget, Pod};

/// When a drain is looked into for the first time: most pods need up to half a minute to end.
const FIRST_LOOK: Duration = Duration::from_secs(30);
/// The distance of later looks at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);
/// How many nodes are looked at in one go; a look is a handful of calls.
const LOOKS_AT_ONCE: usize = 3;
/// With pods in more namespaces than these, the budgets of all namespaces are listed in one go.
const FEW_NAMESPACES: usize = 3;

/// What is known of each drain that goes on.
#[derive(Default)]
pub(super) struct Drains {
    looks: BTreeMap<NodeName, Look>,
}

struct Look {
    since: Timestamp,
    next: Timestamp,
    pause: Duration,
    found: Option<Reason>,
}

impl Look {
    fn new(since: Timestamp, now: Timestamp) -> Self {
        Self { since, next: since.plus(FIRST_LOOK).max(now), pause: FIRST_LOOK, found: None }
    }

    /// Takes in what was found; the next look is twice as far, or when a pod is about to be stuck.
    fn note(&mut self, found: Evictions, now: Timestamp) {
        self.next = now.plus(self.pause);
        if let Some(again) = found.look_again_at {
            self.next = self.next.min(again);
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.found = found.reason;
    }
}

impl Drains {
    /// Looks at those of the drains named in `reasons` that are due, and says what holds them up.
    pub(super) async fn look(&mut self, cluster: &Cluster, snapshot: &Snapshot, reasons: &[Reason]) -> Vec<Reason> {
        let now = snapshot.now;
        self.follow(snapshot, reasons);
        for node in self.due(now) {
            let Some(look) = self.looks.get_mut(&node) else { continue };
            match read(cluster, &node).await {
                Ok((pods, budgets)) => look.note(evictions(&node, look.since, &pods, &budgets, now), now),
                Err(error) => {
                    // The wait goes on without the explanation; the next look may bring it.
                    let what = format!("is being drained; what is left on it could not be read: {error}");
                    let found = Reason::waiting(format!("node {node}"), what).since(Some(look.since));
                    let reason = Some(found.graded(Concern::Draining(node.clone())));
                    look.note(Evictions { reason, look_again_at: None }, now);
                }
            }
        }
        self.looks.values().filter_map(|look| look.found.clone()).collect()
    }

    /// How long until the next look is due.
    pub(super) fn pause(&self, now: Timestamp) -> Option<Duration> {
        self.looks.values().map(|look| look.next.since(now)).min()
    }

    fn follow(&mut self, snapshot: &Snapshot, reasons: &[Reason]) {
        let named: Vec<&NodeName> = reasons.iter().filter_map(|reason| reason.concern.drained()).collect();
        let since = |node: &NodeName| snapshot.draining_since.get(node.as_str()).copied();
        self.looks.retain(|node, look| named.contains(&node) && since(node) == Some(look.since));
        for node in named {
            if let Some(since) = since(node) {
                self.looks.entry(node.clone()).or_insert_with(|| Look::new(since, snapshot.now));
            }
        }
    }

    /// The nodes to look at now, those that wait the longest first.
    fn due(&self, now: Timestamp) -> Vec<NodeName> {
        let mut due: Vec<(&NodeName, &Look)> = self.looks.iter().filter(|(_, look)| look.next <= now).collect();
        due.sort_by_key(|(_, look)| look.next);
        due.into_iter().take(LOOKS_AT_ONCE).map(|(node, _)| node.clone()).collect()
    }
}

/// The pods of one node, and the budgets where it still has pods to evict.
async fn read(cluster: &Cluster, node: &NodeName) -> Result<(Vec<Pod>, Vec<Budget>), CallError> {
    let pods: Vec<Pod> = cluster.list(&Query { fields: Some(format!("spec.nodeName={node}")), ..Query::default() }).await?;
    let namespaces = namespaces_left(node, &pods);
    if namespaces.len() > FEW_NAMESPACES {
        let budgets = cluster.list(&Query::default()).await?;
        return Ok((pods, budgets));
    }
    let mut budgets = Vec::new();
    for namespace in namespaces {
        let query = Query { namespace: Some(namespace.to_owned()), ..Query::default() };
        budgets.extend(cluster.list::<Budget>(&query).await?);
    }
    Ok((pods, budgets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::at;

    #[test]
    fn looks_come_soon_and_then_at_growing_distance() {
        let mut look = Look::new(at(0), at(0));
        let mut seconds = Vec::new();
        for _ in 0..7 {
            let now = look.next;
            seconds.push(now.since(at(0)).as_secs());
            look.note(Evictions::default(), now);
        }
        assert_eq!(seconds, [30, 60, 120, 240, 480, 780, 1080]);
        // A drain that went on before the wait began is looked into at once.
        assert_eq!(Look::new(at(-20), at(0)).next, at(0));
        // A pod that is about to be stuck is not waited for longer than that.
        let mut late = Look { pause: LONGEST_PAUSE, ..Look::new(at(-20), at(0)) };
        late.note(Evictions { reason: None, look_again_at: Some(at(2)) }, at(0));
        assert_eq!(late.next, at(2));
    }

    #[test]
    fn a_few_nodes_are_looked_at_in_one_go_and_a_drain_that_ended_no_more() {
        let mut snapshot = crate::condition::fixtures::healthy();
        let names: Vec<String> = (0..5).map(|number| format!("worker-{number}")).collect();
        let begun = (1..).zip(&names).map(|(minute, name)| (name.clone(), at(-minute)));
        snapshot.draining_since = std::sync::Arc::new(begun.collect());
        let reason = |name: &String| Reason::waiting("", "").graded(Concern::Draining(NodeName::new(name)));
        let mut reasons: Vec<Reason> = names.iter().map(reason).collect();
        let mut drains = Drains::default();
        drains.follow(&snapshot, &reasons);
        assert_eq!(drains.due(at(0)).len(), LOOKS_AT_ONCE);
        assert_eq!(drains.pause(at(0)), Some(Duration::ZERO));
        reasons.truncate(1);
        drains.follow(&snapshot, &reasons);
        assert_eq!(drains.due(at(0)), [NodeName::new("worker-0")]);
        drains.follow(&snapshot, &[]);
        assert_eq!((drains.due(at(0)).len(), drains.pause(at(0))), (0, None));
    }
}
