//! What a run would do, resolved and estimated before anything is changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use windlass_activities::windows::{Calendar, Placement};
use windlass_engine::{Effect, Timestamp};

/// The steps of a run in order, with what a person must know to approve it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The workflow's registered name.
    pub workflow: String,
    /// The id of the cluster.
    pub cluster: String,
    /// What was resolved, in words: versions, digests, pools.
    pub facts: Vec<String>,
    /// The nodes, by pool.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, Vec<String>>,
    /// What the run does, in order.
    pub steps: Vec<PlannedStep>,
    /// When disruptive steps may begin; at any time if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Calendar>,
    /// The steps that wait for a window, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placements: Vec<PlacedStep>,
    /// What is changed for the time of the run and given back on every ending, with the way to do it by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restores: Vec<String>,
    /// What stops the run from being started; empty if nothing does.
    pub blockers: Vec<String>,
    /// What a person should know; it stops nothing.
    pub warnings: Vec<String>,
    /// Where the durations come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reckoned_from: Vec<String>,
    /// The digest of the run's input, which has the windows and whatever else was settled.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub input_digest: String,
    /// Names everything that was resolved: an approval is for this and for nothing else. Expected times are not part of it.
    pub digest: String,
}

/// One step of a plan.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PlannedStep {
    /// What it does, imperative; the same words as in the history.
    pub summary: String,
    /// Its effect class.
    pub class: Effect,
    /// The gate before it, if a person must approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// The exact requests that it makes, without the preconditions that are read right before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<String>,
    /// How long it takes in one of two cases, in seconds.
    pub p50_seconds: u64,
    /// How long it takes at most in nine of ten cases, in seconds.
    pub p90_seconds: u64,
    /// When it begins if everything before it takes as long as in one of two cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_at: Option<Timestamp>,
}

/// A step that waits for its window, and where it fits if everything before it takes as long as in one of two cases.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlacedStep {
    /// The step.
    pub step: String,
    /// Where it fits.
    pub placement: Placement,
}

impl Plan {
    /// The digest of everything that was resolved: not of what is only expected, nor of what stops nothing.
    pub fn digest_of_content(&self) -> String {
        let steps: Vec<_> = self.steps.iter().map(|step| (&step.summary, step.class, &step.gate, &step.requests)).collect();
        let content =
            (&self.workflow, &self.cluster, &self.facts, &self.nodes, steps, &self.restores, &self.blockers, &self.input_digest);
        // A plan is plain text and numbers, which JSON always holds.
        let text = serde_json::to_string(&content).unwrap_or_default();
        blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
    }

    /// The gates that the plan names, in order; `--yes` approves these and no others.
    pub fn gates(&self) -> Vec<String> {
        let mut gates: Vec<String> = Vec::new();
        for gate in self.steps.iter().filter_map(|step| step.gate.as_ref()) {
            if !gates.contains(gate) {
                gates.push(gate.clone());
            }
        }
        gates
    }

    /// What is otherwise now than in this plan, one line each; empty if nothing is. `now` was made the same way.
    pub fn drift(&self, now: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.cluster != now.cluster {
            lines.push(format!("the plan is for cluster {}, this is {}", self.cluster, now.cluster));
        }
        lines.extend(changed(&self.facts, &now.facts));
        lines.extend(moved_nodes(&self.nodes, &now.nodes));
        let steps = |plan: &Self| plan.steps.iter().map(PlannedStep::in_words).collect::<Vec<_>>();
        lines.extend(changed(&steps(self), &steps(now)));
        lines.extend(self.steps.iter().flat_map(|step| {
            let same = now.steps.iter().find(|other| other.in_words() == step.in_words());
            same.map(|other| changed(&step.requests, &other.requests)).unwrap_or_default()
        }));
        lines.extend(changed(&self.blockers, &now.blockers));
        if lines.is_empty() && self.digest != now.digest {
            lines.extend(changed(&self.restores, &now.restores));
            if self.input_digest != now.input_digest {
                lines.push("the arguments differ".to_owned());
            }
        }
        lines
    }
}

impl PlannedStep {
    /// Whether it is a point where a person decides, and nothing else.
    pub fn is_gate(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| self.summary == format!("gate {gate}"))
    }

    fn in_words(&self) -> String {
        format!("{} ({})", self.summary, self.class)
    }
}

/// What is gone and what is new, as in a diff.
fn changed(before: &[String], now: &[String]) -> Vec<String> {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), now.iter().collect());
    let gone = before.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}"));
    let added = now.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(added).collect()
}

fn moved_nodes(before: &BTreeMap<String, Vec<String>>, now: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let flat = |pools: &BTreeMap<String, Vec<String>>| -> Vec<String> {
        pools.iter().flat_map(|(pool, nodes)| nodes.iter().map(move |node| format!("node {node} of pool {pool}"))).collect()
    };
    changed(&flat(before), &flat(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let step = |summary: &str, class| PlannedStep {
            summary: summary.to_owned(),
            class,
            gate: None,
            requests: Vec::new(),
            p50_seconds: 60,
            p90_seconds: 120,
            expected_at: None,
        };
        let mut plan = Plan {
            workflow: "eus-update".to_owned(),
            cluster: "c1".to_owned(),
            facts: vec!["from 4.16.20".to_owned(), "to 4.17.9".to_owned()],
            nodes: [("worker".to_owned(), vec!["worker-0".to_owned(), "worker-1".to_owned()])].into(),
            steps: vec![step("pause pool worker", Effect::Declare), step("unpause pool worker", Effect::Irreversible)],
            input_digest: "i".to_owned(),
            ..Plan::default()
        };
        plan.digest = plan.digest_of_content();
        plan
    }

    #[test]
    fn what_drifted_is_named_and_changes_the_digest() {
        let check = |edit: &dyn Fn(&mut Plan), expect: &[&str]| {
            let (before, mut now) = (plan(), plan());
            edit(&mut now);
            now.digest = now.digest_of_content();
            assert_eq!(before.drift(&now), expect);
            assert_eq!(before.digest == now.digest, expect.is_empty());
        };
        check(&|_| {}, &[]);
        check(&|now| now.facts[1] = "to 4.17.11".to_owned(), &["- to 4.17.9", "+ to 4.17.11"]);
        check(
            &|now| now.nodes.entry("worker".to_owned()).or_default().push("worker-2".to_owned()),
            &["+ node worker-2 of pool worker"],
        );
        check(&|now| drop(now.steps.remove(0)), &["- pause pool worker (declare)"]);
        check(&|now| now.steps[0].requests.push("PATCH /a".to_owned()), &["+ PATCH /a"]);
        check(&|now| now.blockers.push("pools: pool worker is degraded".to_owned()), &["+ pools: pool worker is degraded"]);
        check(&|now| now.input_digest = "j".to_owned(), &["the arguments differ"]);
        check(&|now| now.cluster = "c2".to_owned(), &["the plan is for cluster c1, this is c2"]);
    }

    #[test]
    fn expected_times_and_warnings_are_not_what_an_approval_is_for() {
        let (before, mut now) = (plan(), plan());
        now.steps[0].expected_at = Some(Timestamp::from_micros(5));
        now.steps[0].p90_seconds = 7;
        now.warnings.push("node worker-1 has DiskPressure".to_owned());
        assert_eq!(before.digest, now.digest_of_content());
    }

    #[test]
    fn a_gate_that_two_steps_share_is_named_once() {
        let mut plan = plan();
        for step in &mut plan.steps {
            step.gate = Some("release-pool-worker".to_owned());
        }
        assert_eq!(plan.gates(), ["release-pool-worker"]);
    }
}
