//! Draining a node: evictions within budgets, again and again until nothing is left.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::controllers::Cx;
use crate::controllers::mirror::{Pod, PodKey};
use crate::store::Preconditions;
use crate::store::resources::{PDBS, PODS};
use crate::world::json::{name, selects};

/// How long one attempt keeps asking.
const ATTEMPT: TimeDelta = TimeDelta::seconds(90);
/// The pause between questions within an attempt.
const WITHIN: TimeDelta = TimeDelta::seconds(5);
/// The pause between attempts of the first ten minutes.
const SOON: TimeDelta = TimeDelta::minutes(1);
/// The pause between later attempts.
const LATER: TimeDelta = TimeDelta::minutes(5);
/// When attempts become rarer.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);
/// When the node is reported as degraded; the attempts go on.
const GIVE_WARNING: TimeDelta = TimeDelta::hours(1);

/// A drain in progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    since: DateTime<Utc>,
    attempt: DateTime<Utc>,
    /// When to ask next.
    pub(super) next: DateTime<Utc>,
    /// Whether the node was reported as degraded.
    pub(super) reported: bool,
}

impl Drain {
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self { since: now, attempt: now, next: now, reported: false }
    }

    /// Asks for what is still there to be evicted; says whether the node is empty.
    pub(super) fn ask(&mut self, cx: &Cx<'_>, node: &str) -> bool {
        let left: Vec<(&PodKey, &Pod)> = cx.mirror.pods_on(node).filter(|(_, pod)| pod.evictable()).collect();
        if left.is_empty() {
            return true;
        }
        for (key, pod) in left {
            if !pod.terminating {
                evict(cx, key, pod);
            }
        }
        self.plan_next(cx.now);
        false
    }

    /// Whether it is time to report the node as degraded.
    pub(super) fn is_overdue(&self, now: DateTime<Utc>) -> bool {
        !self.reported && now - self.since >= GIVE_WARNING
    }

    fn plan_next(&mut self, now: DateTime<Utc>) {
        let long = now - self.since >= GIVE_WARNING;
        if now - self.attempt < ATTEMPT && !long {
            self.next = now + WITHIN;
            return;
        }
        let pause = if now - self.since < PATIENCE { SOON } else { LATER };
        self.next = now + pause;
        self.attempt = self.next;
        if !self.reported {
            // The report must not wait for the end of a long pause.
            self.next = self.next.min(self.since + GIVE_WARNING).max(now + WITHIN);
        }
    }
}

/// Evicts a pod if its budget allows, as `pods/eviction` does.
fn evict(cx: &Cx<'_>, (ns, pod_name): &PodKey, pod: &Pod) {
    let Ok((_, budgets)) = cx.store.snapshot(&PDBS, Some(ns), None) else { return };
    let guards: Vec<&Value> = budgets
        .iter()
        .map(|b| &**b)
        .filter(|b| pod.ready && selects(&b["spec"]["selector"], &pod.object["metadata"]["labels"]))
        .collect();
    match guards.as_slice() {
        [] => {}
        [budget] => {
            let allowed = budget["status"]["disruptionsAllowed"].as_u64().unwrap_or(0);
            if allowed == 0 {
                return;
            }
            cx.modify(&PDBS, Some(ns), name(budget), |b| b["status"]["disruptionsAllowed"] = json!(allowed - 1));
        }
        // The server answers 500 for a pod with two budgets, for ever.
        [..] => return,
    }
    if cx.store.delete(&PODS, Some(ns), pod_name, &Preconditions::default()).is_err() {
        tracing::debug!(ns, pod_name, "an evicted pod was gone already");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_become_rarer_and_the_report_comes_after_an_hour() {
        let start = DateTime::UNIX_EPOCH;
        let mut drain = Drain::new(start);
        let mut asked = vec![];
        while drain.next - start <= TimeDelta::minutes(75) {
            let now = drain.next;
            asked.push((now - start).num_seconds());
            if drain.is_overdue(now) {
                assert_eq!(now - start, GIVE_WARNING);
                drain.reported = true;
            }
            drain.plan_next(now);
        }
        assert!(drain.reported);
        let between = |from, to| asked.iter().filter(|s| (from..to).contains(*s)).count();
        assert_eq!(between(0, 90), 18);
        assert_eq!(between(91, 150), 0);
        assert!(between(600, 900) < between(0, 300));
        assert!(between(3601, 4500) <= 4, "one question an attempt after the report");
    }
}
