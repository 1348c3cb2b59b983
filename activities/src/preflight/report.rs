//! What the checks say: a verdict each, its evidence, and what to do about it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use windlass_engine::ActivityError;

use crate::drain::PredictedDrain;

/// What the checks said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PreflightReport {
    /// Every check, by number.
    pub checks: Vec<Check>,
    /// How each node will drain, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drains: Vec<PredictedDrain>,
}

/// What one check said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Check {
    /// Its place in the catalogue: `P09`; empty in reports from before there was one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub number: String,
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

impl Check {
    pub(super) fn numbered(self, number: &str) -> Self {
        Self { number: number.to_owned(), ..self }
    }

    /// A check that could not see all it judges is no pass.
    pub(super) fn knowing(mut self, unread: &BTreeMap<&'static str, String>) -> Self {
        if let Some(why) = unread.get(self.id.as_str()) {
            if self.verdict == CheckVerdict::Pass {
                (self.verdict, self.evidence) = (CheckVerdict::Warn, Vec::new());
                self.remedy = Some("have what `windlass rbac eus-update` prints applied for this login".to_owned());
            }
            self.evidence.push(format!("could not be read: {why}"));
        }
        self
    }
}

/// What a check found, before it is judged.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) blocking: Vec<String>,
    pub(super) worrying: Vec<String>,
    pub(super) fine: Vec<String>,
}

/// How many findings of one grade a check shows; the others are counted.
const SHOWN: usize = 12;

impl Findings {
    /// Findings that block.
    pub(super) fn block(&mut self, found: impl IntoIterator<Item = String>) {
        self.blocking.extend(found);
    }

    /// Findings that a person should know.
    pub(super) fn warn(&mut self, found: impl IntoIterator<Item = String>) {
        self.worrying.extend(found);
    }

    /// What is shown when nothing else was found.
    pub(super) fn fine(&mut self, found: impl Into<String>) {
        self.fine.push(found.into());
    }

    /// The gravest findings decide, and only they and the next graver ones are shown.
    pub(super) fn judge(self, id: &str, title: &str, remedy: &str) -> Check {
        let verdict = match (self.blocking.is_empty(), self.worrying.is_empty()) {
            (false, _) => CheckVerdict::Block,
            (true, false) => CheckVerdict::Warn,
            (true, true) => CheckVerdict::Pass,
        };
        let evidence = match verdict {
            CheckVerdict::Pass => self.fine,
            CheckVerdict::Warn | CheckVerdict::Block => [shortened(self.blocking), shortened(self.worrying)].concat(),
        };
        let remedy = (verdict != CheckVerdict::Pass).then(|| remedy.to_owned());
        Check { number: String::new(), id: id.to_owned(), title: title.to_owned(), verdict, evidence, remedy }
    }
}

fn shortened(mut found: Vec<String>) -> Vec<String> {
    let more = found.len().saturating_sub(SHOWN);
    found.truncate(SHOWN);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    found
}
