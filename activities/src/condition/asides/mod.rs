//! What somebody who waits should know though it is not what is waited for: told beside a condition, never part of it.
//!
//! Some of it can only be seen by comparing pictures: a second reboot, a target that moves, an update that stands still. What is
//! remembered lasts as long as the attempt; a new one begins to compare anew.

mod nodes;
mod pools;
mod progress;

use std::collections::BTreeSet;

use super::{Concern, Reason, operator_troubles};
use crate::snapshot::Snapshot;
use nodes::Nodes;
use pools::Pools;
use progress::Progress;

/// What is remembered from one picture to the next.
#[derive(Debug, Default)]
pub struct Asides {
    nodes: Nodes,
    pools: Pools,
    progress: Progress,
}

impl Asides {
    /// Compares a picture with what was seen before, and says what is worth knowing.
    pub fn look(&mut self, snapshot: &Snapshot) -> Vec<Reason> {
        let mut found = self.nodes.look(snapshot);
        found.extend(self.pools.look(snapshot));
        found.extend(self.progress.look(snapshot));
        let operators = snapshot.operators.values().flat_map(|operator| operator_troubles(operator, snapshot.now));
        // An operator that takes its time is no news.
        found.extend(operators.filter(|trouble| trouble.concern != Concern::Waiting));
        found
    }
}

/// What is told of a wait: the reasons of its condition and the asides. Of a node only the gravest is told.
pub fn merged(reasons: &[Reason], asides: Vec<Reason>) -> Vec<Reason> {
    let nodes: BTreeSet<(&str, &Concern)> = asides.iter().map(|aside| (aside.subject.as_str(), &aside.concern)).collect();
    let outdone = |reason: &&Reason| {
        reason.subject.starts_with("node ")
            && nodes.iter().any(|(subject, concern)| *subject == reason.subject && **concern <= reason.concern)
    };
    let mut told: Vec<Reason> = reasons.iter().filter(|reason| !outdone(reason)).cloned().collect();
    for aside in asides {
        if !told.contains(&aside) {
            told.push(aside);
        }
    }
    told.sort_by(|a, b| a.concern.cmp(&b.concern));
    told
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{at, condition, healthy, operator};
    use super::*;
    use crate::views::Status;

    #[test]
    fn a_healthy_cluster_gives_nothing_to_tell() {
        let mut asides = Asides::default();
        assert_eq!(asides.look(&healthy()), []);
        assert_eq!(asides.look(&Snapshot { now: at(300), ..healthy() }), []);
    }

    #[test]
    fn an_operator_in_trouble_is_told_from_the_fifth_minute_on() {
        let check = |minutes: i64, expect: &[&str]| {
            let mut snapshot = healthy();
            operator(&mut snapshot, "dns", |dns| {
                let mut degraded = condition("Degraded", Status::True, "pods are missing");
                degraded.last_transition_time = Some(at(-minutes).to_datetime());
                dns.status.conditions[2] = degraded;
            });
            let found = Asides::default().look(&snapshot);
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
        };
        check(4, &[]);
        check(6, &["slow: operator dns is degraded: pods are missing (since 2026-03-01 11:54:00Z)"]);
        check(41, &["!! operator dns is degraded: pods are missing (since 2026-03-01 11:19:00Z)"]);
    }

    #[test]
    fn of_a_node_only_the_gravest_is_told_and_nothing_twice() {
        let reason = |subject: &str, what: &str, concern: Concern| Reason::waiting(subject, what).graded(concern);
        let verdict = [
            reason("node a", "is not ready", Concern::Waiting),
            reason("pool worker", "is moving", Concern::Waiting),
            reason("operator dns", "is degraded", Concern::Broken),
        ];
        let asides = vec![
            reason("operator dns", "is degraded", Concern::Broken),
            reason("node a", "does not come back", Concern::Broken),
            reason("pool worker", "has another target", Concern::Odd),
        ];
        let told: Vec<String> = merged(&verdict, asides).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "!! operator dns is degraded",
                "!! node a does not come back",
                "note: pool worker has another target",
                "pool worker is moving"
            ]
        );
    }
}
