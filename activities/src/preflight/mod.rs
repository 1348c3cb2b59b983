//! Checks before the first change: each a pure function over facts that were read once, with a verdict, its evidence
//! and what to do about it.

mod facts;
mod nodes;
mod platform;
mod pools;
mod workloads;

pub use facts::{Facts, Plan};

use std::fmt;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::Cluster;
use crate::release::Minor;

/// Reads the state of a cluster and judges whether an EUS-to-EUS update may begin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Preflight {
    /// Where the update goes.
    pub target: Minor,
    /// For how many days pools may stay paused.
    pub pause_days: u32,
}

/// What the checks said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PreflightReport {
    /// Every check, in a fixed order.
    pub checks: Vec<Check>,
}

/// What one check said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Check {
    /// A stable word for programs: `budgets`.
    pub id: String,
    /// What is checked.
    pub title: String,
    /// What it comes to.
    pub verdict: CheckVerdict,
    /// What was seen.
    pub evidence: Vec<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What a check comes to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckVerdict {
    /// Nothing stands in the way.
    Pass,
    /// A person should know.
    Warn,
    /// The update must not begin.
    Block,
}

impl fmt::Display for CheckVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Block => "block",
        })
    }
}

impl PreflightReport {
    /// The checks that keep the update from beginning.
    pub fn blockers(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.verdict == CheckVerdict::Block)
    }

    /// The checks that a person should know of.
    pub fn warnings(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.verdict == CheckVerdict::Warn)
    }

    /// Refuses to go on while something blocks; one line that names each and what to do.
    pub fn refuse_blocked(&self) -> Result<(), ActivityError> {
        let blockers: Vec<String> = self.blockers().map(ToString::to_string).collect();
        if blockers.is_empty() { Ok(()) } else { Err(ActivityError::permanent("preflight-blocked", blockers.join(" | "))) }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.evidence.join("; "))?;
        self.remedy.iter().try_for_each(|remedy| write!(f, "; {remedy}"))
    }
}

/// What a check found, before it is judged.
#[derive(Default)]
struct Findings {
    blocking: Vec<String>,
    worrying: Vec<String>,
    fine: Vec<String>,
}

impl Findings {
    /// The gravest findings decide, and only they and the next graver ones are shown.
    fn judge(self, id: &str, title: &str, remedy: &str) -> Check {
        let verdict = match (self.blocking.is_empty(), self.worrying.is_empty()) {
            (false, _) => CheckVerdict::Block,
            (true, false) => CheckVerdict::Warn,
            (true, true) => CheckVerdict::Pass,
        };
        let evidence = match verdict {
            CheckVerdict::Pass => self.fine,
            CheckVerdict::Warn | CheckVerdict::Block => [self.blocking, self.worrying].concat(),
        };
        let remedy = (verdict != CheckVerdict::Pass).then(|| remedy.to_owned());
        Check { id: id.to_owned(), title: title.to_owned(), verdict, evidence, remedy }
    }
}

type CheckFn = fn(&Facts, Plan) -> Check;

/// Every check, from what is quickest to understand to what takes a look.
const CHECKS: [CheckFn; 13] = [
    platform::version,
    platform::upgradeable,
    platform::acknowledgements,
    platform::operators,
    platform::clock,
    pools::pools,
    nodes::nodes,
    nodes::cordons,
    nodes::signing_requests,
    pools::health_checks,
    pools::certificates,
    workloads::budgets,
    workloads::removed_apis,
];

/// Judges facts by every check.
pub fn judge(facts: &Facts, plan: Plan) -> PreflightReport {
    PreflightReport { checks: CHECKS.iter().map(|check| check(facts, plan)).collect() }
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
        let facts = Facts::read(cx.world(), |what| cx.progress(format!("reading {what}"))).await?;
        Ok(judge(&facts, Plan { target: self.target, pause_days: self.pause_days }))
    }
}

#[cfg(test)]
mod tests;
