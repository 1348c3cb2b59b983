use std::fmt;

use windlass_engine::Timestamp;

use crate::ids::NodeName;

/// What a condition says of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It holds.
    Met {
        /// What was seen.
        evidence: String,
    },
    /// It does not hold yet.
    NotYet {
        /// Everything that stands in the way, the gravest first.
        reasons: Vec<Reason>,
    },
    /// It will not hold without a person.
    Failed {
        /// A stable word for programs.
        code: &'static str,
        /// What was seen, and what to do.
        message: String,
    },
}

/// One thing that stands in the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason {
    /// Who: `operator machine-config`, `node worker-2`.
    pub subject: String,
    /// What it does or does not.
    pub what: String,
    /// Since when, by the cluster's clock.
    pub since: Option<Timestamp>,
    /// How grave it is.
    pub concern: Concern,
}

/// How grave a reason is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Concern {
    /// It needs a person.
    Broken,
    /// A node's drain does not end; budgets are the usual cause.
    BlockedDrain(NodeName),
    /// It takes longer than it should.
    Slow,
    /// Not what is expected, and in nobody's way.
    Odd,
    /// A node is being drained; what is left on it may be looked at.
    Draining(NodeName),
    /// It takes its time.
    Waiting,
}

impl Concern {
    /// The node whose drain it is about.
    pub fn drained(&self) -> Option<&NodeName> {
        match self {
            Self::BlockedDrain(node) | Self::Draining(node) => Some(node),
            Self::Broken | Self::Slow | Self::Odd | Self::Waiting => None,
        }
    }
}

impl Reason {
    /// Something that takes its time.
    pub fn waiting(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self { subject: subject.into(), what: what.into(), since: None, concern: Concern::Waiting }
    }

    /// Says since when.
    #[must_use]
    pub fn since(mut self, since: Option<Timestamp>) -> Self {
        self.since = since;
        self
    }

    /// Says how grave it is.
    #[must_use]
    pub fn graded(mut self, concern: Concern) -> Self {
        self.concern = concern;
        self
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.concern {
            Concern::Broken | Concern::BlockedDrain(_) => "!! ",
            Concern::Slow => "slow: ",
            Concern::Odd => "note: ",
            Concern::Draining(_) | Concern::Waiting => "",
        };
        write!(f, "{mark}{} {}", self.subject, self.what)?;
        self.since.iter().try_for_each(|since| write!(f, " (since {})", since.to_datetime().format("%Y-%m-%d %H:%M:%SZ")))
    }
}

/// How many reasons one line names before it counts the rest.
const NAMED: usize = 4;

impl Verdict {
    /// Met if nothing stands in the way.
    pub fn from_reasons(mut reasons: Vec<Reason>, evidence: impl FnOnce() -> String) -> Self {
        if reasons.is_empty() {
            return Self::Met { evidence: evidence() };
        }
        reasons.sort_by(|a, b| a.concern.cmp(&b.concern));
        Self::NotYet { reasons }
    }

    /// Not yet, for one reason.
    pub fn not_yet(reason: Reason) -> Self {
        Self::NotYet { reasons: vec![reason] }
    }

    /// Whether it is met.
    pub fn is_met(&self) -> bool {
        matches!(self, Self::Met { .. })
    }

    /// The reasons, when there are any.
    pub fn reasons(&self) -> &[Reason] {
        if let Self::NotYet { reasons } = self { reasons } else { &[] }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Met { evidence } => f.write_str(evidence),
            Self::Failed { message, .. } => f.write_str(message),
            Self::NotYet { reasons } => {
                let named: Vec<String> = reasons.iter().take(NAMED).map(ToString::to_string).collect();
                f.write_str(&named.join("; "))?;
                if reasons.len() > NAMED { write!(f, "; and {} more", reasons.len() - NAMED) } else { Ok(()) }
            }
        }
    }
}
