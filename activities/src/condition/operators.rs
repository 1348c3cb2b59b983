//! Cluster operators: healthy, or which one is not and since when.

use std::time::Duration;

use windlass_engine::Timestamp;

use super::{Concern, Reason, Verdict};
use crate::snapshot::Snapshot;
use crate::views::{ClusterOperator, Conditions as _, Status, View as _};

/// `oc adm upgrade status` mentions an operator that is unavailable or degraded this long.
const NOTEWORTHY: Duration = Duration::from_secs(5 * 60);
/// As an error once it was unavailable this long.
const UNAVAILABLE_LIMIT: Duration = Duration::from_secs(20 * 60);
/// As an error once it was degraded this long.
const DEGRADED_LIMIT: Duration = Duration::from_secs(40 * 60);
/// The contract for a version change of one operator, below 250 nodes.
const ROLLOUT_LIMIT: Duration = Duration::from_secs(20 * 60);
/// The same for `machine-config`, which reboots nodes.
const MACHINE_CONFIG_LIMIT: Duration = Duration::from_secs(90 * 60);

/// Whether every operator is available, not degraded and at rest, in one snapshot.
pub fn operators_healthy(snapshot: &Snapshot) -> Verdict {
    if snapshot.operators.is_empty() {
        return Verdict::not_yet(Reason::waiting("the cluster", "shows no operators"));
    }
    let reasons = snapshot.operators.values().flat_map(|operator| operator_troubles(operator, snapshot.now)).collect();
    Verdict::from_reasons(reasons, || format!("{} operators available, not degraded, at rest", snapshot.operators.len()))
}

/// What keeps one operator from being healthy, graded by how long it lasts.
pub fn operator_troubles(operator: &ClusterOperator, now: Timestamp) -> Vec<Reason> {
    let rollout = if operator.name() == "machine-config" { MACHINE_CONFIG_LIMIT } else { ROLLOUT_LIMIT };
    let wrong = [
        trouble(operator, now, "Available", Status::True, "is not available", (NOTEWORTHY, UNAVAILABLE_LIMIT)),
        trouble(operator, now, "Degraded", Status::False, "is degraded", (NOTEWORTHY, DEGRADED_LIMIT)),
        trouble(operator, now, "Progressing", Status::False, "is progressing", (rollout, Duration::MAX)),
    ];
    wrong.into_iter().flatten().collect()
}

fn trouble(
    operator: &ClusterOperator,
    now: Timestamp,
    kind: &str,
    good: Status,
    what: &str,
    (slow, broken): (Duration, Duration),
) -> Option<Reason> {
    let subject = format!("operator {}", operator.name());
    let Some(condition) = operator.condition(kind) else {
        return Some(Reason::waiting(subject, format!("does not report {kind}")));
    };
    if condition.status == good {
        return None;
    }
    let lasted = condition.since().map(|since| now.since(since)).unwrap_or_default();
    let concern = match lasted {
        lasted if lasted >= broken => Concern::Broken,
        lasted if lasted >= slow => Concern::Slow,
        _ => Concern::Waiting,
    };
    Some(Reason::waiting(subject, format!("{what}: {}", condition.explanation())).since(condition.since()).graded(concern))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{at, healthy, operator};
    use super::*;

    #[test]
    fn an_unhealthy_operator_is_named_with_its_message_and_graded_by_age() {
        let check = |kind: &str, status: Status, minutes_ago: i64, expect: &str| {
            let mut snapshot = healthy();
            operator(&mut snapshot, "dns", |dns| {
                let condition = dns.status.conditions.iter_mut().find(|c| c.kind == kind).unwrap();
                condition.status = status;
                condition.message = "pods are missing".to_owned();
                condition.last_transition_time = Some(at(-minutes_ago).to_datetime());
            });
            assert_eq!(operators_healthy(&snapshot).to_string(), expect);
        };
        check("Available", Status::True, 50, "4 operators available, not degraded, at rest");
        check("Available", Status::False, 1, "operator dns is not available: pods are missing (since 2026-03-01 11:59:00Z)");
        check(
            "Available",
            Status::Unknown,
            6,
            "slow: operator dns is not available: pods are missing (since 2026-03-01 11:54:00Z)",
        );
        check("Available", Status::False, 21, "!! operator dns is not available: pods are missing (since 2026-03-01 11:39:00Z)");
        check("Degraded", Status::True, 21, "slow: operator dns is degraded: pods are missing (since 2026-03-01 11:39:00Z)");
        check("Degraded", Status::True, 41, "!! operator dns is degraded: pods are missing (since 2026-03-01 11:19:00Z)");
        check("Progressing", Status::True, 19, "operator dns is progressing: pods are missing (since 2026-03-01 11:41:00Z)");
        check(
            "Progressing",
            Status::True,
            21,
            "slow: operator dns is progressing: pods are missing (since 2026-03-01 11:39:00Z)",
        );
    }

    #[test]
    fn machine_config_may_progress_for_ninety_minutes() {
        let check = |minutes_ago: i64, expect: Concern| {
            let mut snapshot = healthy();
            operator(&mut snapshot, "machine-config", |operator| {
                let condition = operator.status.conditions.iter_mut().find(|c| c.kind == "Progressing").unwrap();
                condition.status = Status::True;
                condition.last_transition_time = Some(at(-minutes_ago).to_datetime());
            });
            assert_eq!(operators_healthy(&snapshot).reasons()[0].concern, expect);
        };
        check(89, Concern::Waiting);
        check(91, Concern::Slow);
    }

    #[test]
    fn no_operators_is_not_health() {
        assert!(!operators_healthy(&Snapshot::default()).is_met());
    }
}
