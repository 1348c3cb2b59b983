//! What a run would do, resolved and estimated before anything is changed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::Effect;

/// The steps of a run in order, with what a person must know to approve it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The workflow's registered name.
    pub workflow: String,
    /// The id of the cluster.
    pub cluster: String,
    /// What was resolved, in words: versions, digests, pools.
    pub facts: Vec<String>,
    /// What the run does, in order.
    pub steps: Vec<PlannedStep>,
    /// What stops the run from being started; empty if nothing does.
    pub blockers: Vec<String>,
    /// What a person should know; it stops nothing.
    pub warnings: Vec<String>,
    /// Names everything above: an approval is for this and for nothing else.
    pub digest: String,
}

/// One step of a plan.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PlannedStep {
    /// What it does, imperative.
    pub summary: String,
    /// Its effect class.
    pub class: Effect,
    /// The gate before it, if a person must approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// How long it takes in one of two cases, in seconds.
    pub p50_seconds: u64,
    /// How long it takes at most in nine of ten cases, in seconds.
    pub p90_seconds: u64,
}

impl PlannedStep {
    /// A step that takes a moment.
    pub(crate) fn quick(summary: impl Into<String>, class: Effect) -> Self {
        Self { summary: summary.into(), class, gate: None, p50_seconds: 1, p90_seconds: 5 }
    }

    pub(crate) fn gated(mut self, gate: String) -> Self {
        self.gate = Some(gate);
        self
    }

    pub(crate) fn taking(mut self, p50: Duration, p90: Duration) -> Self {
        (self.p50_seconds, self.p90_seconds) = (p50.as_secs(), p90.as_secs());
        self
    }
}

impl Plan {
    /// The digest of everything but the digest itself.
    pub fn digest_of_content(&self) -> String {
        let content = Self { digest: String::new(), ..self.clone() };
        // A plan is plain text and numbers, which JSON always holds.
        let text = serde_json::to_string(&content).unwrap_or_default();
        blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
    }

    /// The gates that the plan names, in order; `--yes` approves these and no others.
    pub fn gates(&self) -> Vec<String> {
        self.steps.iter().filter_map(|step| step.gate.clone()).collect()
    }
}
