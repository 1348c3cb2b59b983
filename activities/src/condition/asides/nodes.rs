//! Nodes that do not come back, boot too often, leave, or are cordoned and uncordoned by others.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_engine::Timestamp;

use crate::condition::nodes::{configuring, not_ready, subject};
use crate::condition::{Concern, Reason};
use crate::snapshot::Snapshot;
use crate::views::{Conditions as _, Node, Status, View as _};

/// How many boots as long as those seen a node may take.
const PATIENCE: u32 = 3;
/// A node that takes less is never called lost, whatever was seen of others: a check of disks or firmware takes so long.
const SHORTEST: Duration = Duration::from_secs(10 * 60);
/// A node that takes longer is called lost, whatever was seen of others.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Until a boot was seen: a node of bare metal is back within 18 minutes.
const UNKNOWN: Duration = Duration::from_secs(20 * 60);

/// For how long a node that left is told of: by then it is replaced, or was meant to go.
const REMEMBERED: Duration = Duration::from_secs(30 * 60);

/// What is remembered of nodes.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    known: BTreeMap<String, Memory>,
    /// The longest boot that was seen from beginning to end.
    slowest_boot: Option<Duration>,
}

#[derive(Debug, Default)]
struct Memory {
    boot_id: String,
    boots: u32,
    away_since: Option<Timestamp>,
    cordoned_for_drain: bool,
    uncordoned: bool,
    gone_since: Option<Timestamp>,
}

impl Nodes {
    pub(super) fn look(&mut self, snapshot: &Snapshot) -> Vec<Reason> {
        // The first lists may not be whole; a cluster without nodes is not one.
        if snapshot.nodes.is_empty() {
            return Vec::new();
        }
        for node in snapshot.nodes.values() {
            let boot = self.known.entry(node.name().to_owned()).or_default().note(node, snapshot.now);
            self.slowest_boot = self.slowest_boot.max(boot);
        }
        for (name, memory) in &mut self.known {
            let since = memory.gone_since.unwrap_or(snapshot.now);
            memory.gone_since = (!snapshot.nodes.contains_key(name)).then_some(since);
        }
        self.known.retain(|_, memory| memory.gone_since.is_none_or(|since| snapshot.now.since(since) < REMEMBERED));
        let limit = self.limit();
        let mut found: Vec<Reason> = snapshot.nodes.values().flat_map(|node| self.told(node, snapshot.now, limit)).collect();
        let gone = self.known.iter().filter(|(_, memory)| memory.gone_since.is_some());
        found.extend(gone.map(|(name, memory)| {
            let what = "has left the cluster: its Node object is gone; find out who deleted its machine";
            Reason::waiting(format!("node {name}"), what).since(memory.gone_since).graded(Concern::Broken)
        }));
        found
    }

    fn limit(&self) -> Duration {
        self.slowest_boot.map_or(UNKNOWN, |boot| (boot * PATIENCE).clamp(SHORTEST, LONGEST))
    }

    fn told(&self, node: &Node, now: Timestamp, limit: Duration) -> Vec<Reason> {
        let Some(memory) = self.known.get(node.name()) else { return Vec::new() };
        let lost = memory.away_since.filter(|since| now.since(*since) >= limit && not_ready(node).is_some());
        let lost = lost.map(|since| Reason::waiting(subject(node), self.lost()).since(Some(since)).graded(Concern::Broken));
        let leaving = node.metadata.deletion_timestamp.is_some().then(|| {
            let what = "is being deleted; find out who deletes its machine, and pause what does";
            Reason::waiting(subject(node), what).graded(Concern::Broken)
        });
        let broken = configuring(node).filter(|reason| reason.concern == Concern::Broken);
        [lost, leaving, broken, odd_boots(node, memory), cordoned(node), uncordoned(node, memory)].into_iter().flatten().collect()
    }

    fn lost(&self) -> String {
        let measure = match self.slowest_boot {
            Some(boot) => format!("others were back within {} min", boot.as_secs().div_ceil(60)),
            None => format!("{} min is long for a boot", UNKNOWN.as_secs() / 60),
        };
        format!("does not come back ({measure}); look at its console, then restart or replace it by hand")
    }
}

impl Memory {
    /// Takes in a picture of the node; returns how long a boot took that ended with it.
    fn note(&mut self, node: &Node, now: Timestamp) -> Option<Duration> {
        let boot_id = &node.status.node_info.boot_id;
        let booted = !boot_id.is_empty() && !self.boot_id.is_empty() && *boot_id != self.boot_id;
        if !boot_id.is_empty() {
            self.boot_id.clone_from(boot_id);
        }
        self.boots += u32::from(booted);
        if node.is_draining() {
            self.uncordoned |= self.cordoned_for_drain && !node.spec.unschedulable;
            self.cordoned_for_drain |= node.spec.unschedulable;
        } else {
            (self.uncordoned, self.cordoned_for_drain) = (false, false);
        }
        let ready = node.condition("Ready");
        if ready.is_some_and(|ready| ready.status == Status::True) {
            // A kubelet that fell silent for a moment is no boot to measure others by.
            return self.away_since.take().filter(|_| booted).map(|since| now.since(since));
        }
        let since = ready.and_then(crate::views::Condition::since).unwrap_or(now);
        self.away_since.get_or_insert(since);
        None
    }
}

fn odd_boots(node: &Node, memory: &Memory) -> Option<Reason> {
    (memory.boots > 1).then(|| {
        let what = format!("was rebooted {} times, once is expected", memory.boots);
        Reason::waiting(subject(node), what).graded(Concern::Odd)
    })
}

/// Cordoned though the operator neither drains it nor is about to let it go.
fn cordoned(node: &Node) -> Option<Reason> {
    let foreign = node.spec.unschedulable && !node.is_drained_by_operator() && !node.has_open_drain_wish();
    let what = "is cordoned, and not by the update: it counts as unavailable and may hold up others";
    foreign.then(|| Reason::waiting(subject(node), what).since(node.cordoned_at()).graded(Concern::Odd))
}

fn uncordoned(node: &Node, memory: &Memory) -> Option<Reason> {
    let what = "was uncordoned by somebody while it drains; pods may come back, the operator cordons it again";
    memory.uncordoned.then(|| Reason::waiting(subject(node), what).graded(Concern::Odd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::{at, healthy, node};

    fn ready(minute: i64, status: Status) -> impl Fn(&mut Node) {
        move |node| {
            node.status.conditions[0].status = status;
            node.status.conditions[0].last_transition_time = Some(at(minute).to_datetime());
        }
    }

    fn annotate(node: &mut Node, key: &str, value: &str) {
        let annotations = node.metadata.annotations.get_or_insert_default();
        annotations.insert(format!("machineconfiguration.openshift.io/{key}"), value.to_owned());
    }

    type Picture<'a> = (i64, &'a dyn Fn(&mut Snapshot));

    /// Shows the memory one picture after the other; returns what is told of the last.
    fn told(pictures: &[Picture<'_>]) -> Vec<String> {
        let (mut nodes, mut last) = (Nodes::default(), Vec::new());
        let mut snapshot = healthy();
        for (minute, edit) in pictures {
            snapshot.now = at(*minute);
            edit(&mut snapshot);
            last = nodes.look(&snapshot);
        }
        last.iter().map(ToString::to_string).collect()
    }

    fn on(name: &'static str, edit: impl Fn(&mut Node)) -> impl Fn(&mut Snapshot) {
        move |snapshot| node(snapshot, name, &edit)
    }

    #[test]
    fn a_node_is_lost_by_the_measure_of_the_boots_that_were_seen() {
        let away = on("worker-0", ready(0, Status::Unknown));
        let lost = "!! node worker-0 does not come back (20 min is long for a boot); look at its console, then restart or replace it by hand \
                    (since 2026-03-01 12:00:00Z)";
        assert_eq!(told(&[(0, &away), (19, &|_| {})]), [""; 0]);
        assert_eq!(told(&[(0, &away), (20, &|_| {})]), [lost]);
        // Another node boots in five minutes: three times that is enough to wait.
        let begins = on("worker-1", ready(0, Status::False));
        let back = on("worker-1", |node| {
            ready(5, Status::True)(node);
            node.status.node_info.boot_id = "b1".to_owned();
        });
        let away = on("worker-0", ready(10, Status::Unknown));
        let measured = "!! node worker-0 does not come back (others were back within 5 min); look at its console, then restart or replace it \
                        by hand (since 2026-03-01 12:10:00Z)";
        assert_eq!(told(&[(0, &begins), (5, &back), (10, &away), (24, &|_| {})]), [""; 0]);
        assert_eq!(told(&[(0, &begins), (5, &back), (10, &away), (25, &|_| {})]), [measured]);
        let returns = on("worker-0", ready(26, Status::True));
        assert_eq!(told(&[(0, &begins), (5, &back), (10, &away), (25, &|_| {}), (26, &returns)]), [""; 0]);
    }

    #[test]
    fn a_second_boot_is_noted() {
        let boot = |id: &'static str| on("master-0", move |node| node.status.node_info.boot_id = id.to_owned());
        let (first, second) = (boot("b1"), boot("b2"));
        assert_eq!(told(&[(0, &|_| {}), (1, &first)]), [""; 0]);
        assert_eq!(
            told(&[(0, &|_| {}), (1, &first), (2, &second)]),
            ["note: node master-0 was rebooted 2 times, once is expected"]
        );
    }

    #[test]
    fn a_cordon_is_noted_unless_the_operator_drains_or_is_about_to_let_go() {
        let cordoned = "note: node worker-0 is cordoned, and not by the update: it counts as unavailable and may hold up others";
        let check = |wished: &'static str, applied: &'static str, expect: &[&str]| {
            let edit = on("worker-0", move |node| {
                node.spec.unschedulable = true;
                annotate(node, "desiredDrain", wished);
                annotate(node, "lastAppliedDrain", applied);
            });
            assert_eq!(told(&[(0, &edit)]), expect);
        };
        check("uncordon-r0", "uncordon-r0", &[cordoned]);
        check("drain-r1", "uncordon-r0", &[]);
        check("drain-r1", "drain-r1", &[]);
        check("uncordon-r1", "drain-r1", &[]);
    }

    #[test]
    fn somebody_who_uncordons_a_draining_node_is_noted_until_the_drain_ends() {
        let draining = |unschedulable: bool| {
            on("worker-0", move |node| {
                node.spec.unschedulable = unschedulable;
                annotate(node, "desiredDrain", "drain-r1");
            })
        };
        let (cordoned, free) = (draining(true), draining(false));
        let note =
            "note: node worker-0 was uncordoned by somebody while it drains; pods may come back, the operator cordons it again";
        assert_eq!(told(&[(0, &free)]), [""; 0]);
        assert_eq!(told(&[(0, &free), (1, &cordoned), (2, &free)]), [note]);
        assert_eq!(told(&[(0, &cordoned), (1, &free), (2, &cordoned)]), [note]);
        let done = on("worker-0", |node| annotate(node, "lastAppliedDrain", "drain-r1"));
        assert_eq!(told(&[(0, &cordoned), (1, &free), (2, &cordoned), (3, &done)]), [""; 0]);
    }

    #[test]
    fn a_node_that_leaves_or_fails_is_named_with_the_reason() {
        let leaves = |snapshot: &mut Snapshot| drop(std::sync::Arc::make_mut(&mut snapshot.nodes).remove("worker-1"));
        let gone = "!! node worker-1 has left the cluster: its Node object is gone; find out who deleted its machine \
                    (since 2026-03-01 12:01:00Z)";
        assert_eq!(told(&[(0, &|_| {}), (1, &leaves)]), [gone]);
        assert_eq!(told(&[(0, &|_| {}), (1, &leaves), (30, &|_| {})]), [gone]);
        assert_eq!(told(&[(0, &|_| {}), (1, &leaves), (31, &|_| {})]), [""; 0]);
        assert_eq!(told(&[(0, &leaves)]), [""; 0]);
        let failing = on("worker-0", |node| {
            annotate(node, "state", "Degraded");
            annotate(node, "reason", "unexpected on-disk state");
        });
        assert_eq!(told(&[(0, &failing)]), ["!! node worker-0 cannot take its configuration: unexpected on-disk state"]);
        let deleted = on("worker-0", |node| {
            node.metadata.deletion_timestamp = Some(serde_json::from_value(serde_json::json!("2026-03-01T12:00:00Z")).unwrap());
        });
        let told = told(&[(0, &deleted)]);
        assert!(told[0].starts_with("!! node worker-0 is being deleted;"), "{told:?}");
    }
}
