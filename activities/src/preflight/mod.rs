//! Checks before the first change: each a pure function over facts that were read once, with a verdict, its evidence
//! and what to do about it.

mod capacity;
mod facts;
mod nodes;
mod others;
mod platform;
mod pools;
mod quorum;
mod releases;
mod report;
mod services;
mod time;
mod workloads;

pub use facts::{Facts, Look, Replicas, Signed};
use report::Findings;
pub use report::{Check, CheckVerdict, PreflightReport};

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::Cluster;
use crate::drain::predict;
use crate::health::PrometheusProbe;
use crate::release::{Minor, Release};

/// Reads the state of a cluster and judges whether an EUS-to-EUS update may begin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Preflight {
    /// Where the update goes.
    pub target: Minor,
    /// For how many days pools may stay paused.
    pub pause_days: u32,
    /// The minor releases on the way; both hops of an EUS-to-EUS update if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<Minor>,
    /// The releases that are pinned already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<Release>,
    /// The longest maintenance window; none if there are no windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_seconds: Option<u64>,
    /// The step that needs the longest window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_step: Option<LongestStep>,
    /// Risks of conditional updates that a person accepts, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted_risks: Vec<String>,
    /// The activities whose permissions are asked for; those of an update of a cluster if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub activities: Vec<String>,
    /// The Prometheus that knows the cluster's alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusProbe>,
    /// The blackout of the calendar that holds now, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blackout: Option<String>,
}

/// The step of a run that needs the longest window.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LongestStep {
    /// What it does.
    pub name: String,
    /// How long it takes in nine of ten cases.
    pub p90_seconds: u64,
}

impl Preflight {
    /// Of an EUS-to-EUS update without windows or accepted risks.
    pub fn new(target: Minor, pause_days: u32) -> Self {
        Self {
            target,
            pause_days,
            hops: Vec::new(),
            releases: Vec::new(),
            window_seconds: None,
            longest_step: None,
            accepted_risks: Vec::new(),
            activities: Vec::new(),
            prometheus: None,
            blackout: None,
        }
    }
}

type CheckFn = fn(&Facts, &Preflight) -> Check;

/// The catalogue: every check with its number, in the order of the numbers. P24 (addresses and MTU of another network
/// plugin) and P26 (health of an OVN database) belong to procedures that are not updates.
const CHECKS: [(&str, CheckFn); 34] = [
    ("P01", platform::platform),
    ("P02", others::access),
    ("P03", platform::clock),
    ("P04", platform::operators),
    ("P05", platform::version),
    ("P05", platform::upgradeable),
    ("P06", pools::pools),
    ("P06", pools::rendered_configs),
    ("P07", nodes::nodes),
    ("P07", nodes::cordons),
    ("P08", nodes::signing_requests),
    ("P09", workloads::budgets),
    ("P10", capacity::capacity),
    ("P11", capacity::evictable),
    ("P12", quorum::etcd),
    ("P13", pools::certificates),
    ("P14", workloads::removed_apis),
    ("P15", releases::installed_operators),
    ("P16", platform::acknowledgements),
    ("P17", releases::credentials),
    ("P18", pools::health_checks),
    ("P19", quorum::alerts),
    ("P20", releases::images),
    ("P21", releases::path),
    ("P22", releases::risks),
    ("P23", others::leftovers),
    ("P25", quorum::out_of_band),
    ("P27", others::lock),
    ("P28", time::window),
    ("P29", others::reconcilers),
    ("P30", quorum::storage),
    ("P31", services::webhooks),
    ("P32", services::single_replicas),
    ("P33", time::freeze),
];

/// Judges facts by every check, and predicts every drain.
pub fn judge(facts: &Facts, plan: &Preflight) -> PreflightReport {
    let numbered = |(number, check): &(&str, CheckFn)| check(facts, plan).numbered(number).knowing(&facts.unread);
    PreflightReport { checks: CHECKS.iter().map(numbered).collect(), drains: predict(facts) }
}

/// How many things of one kind a line names.
const NAMED: usize = 6;

fn named<T: std::borrow::Borrow<str>>(names: &[T]) -> String {
    let first = names.iter().take(NAMED).map(std::borrow::Borrow::borrow).collect::<Vec<&str>>().join(", ");
    if names.len() > NAMED { format!("{first} and {} more", names.len() - NAMED) } else { first }
}

impl Preflight {
    /// The minor releases on the way.
    pub(crate) fn ways(&self) -> Vec<Minor> {
        if !self.hops.is_empty() {
            return self.hops.clone();
        }
        vec![Minor { minor: self.target.minor.saturating_sub(1), ..self.target }, self.target]
    }

    /// The minor release that the way ends at.
    fn last_hop(&self) -> Minor {
        self.ways().last().copied().unwrap_or(self.target)
    }
}

impl Activity for Preflight {
    const NAME: ActivityName = ActivityName::new("preflight");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = PreflightReport;

    fn summary(&self) -> String {
        format!("check whether the cluster is fit for the update to {}", self.target)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<PreflightReport, ActivityError> {
        let facts = Facts::read(&cx, &self).await?;
        Ok(judge(&facts, &self))
    }
}

#[cfg(test)]
mod tests;
