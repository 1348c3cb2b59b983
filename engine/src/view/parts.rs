//! What a run consists of for a person who reads it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::activity::{ActivityError, Effect};
use crate::control::text_digest;
use crate::ids::CommandId;
use crate::json::Json;
use crate::state::OpenRun;
use crate::time::Timestamp;
use crate::view::RunStatus;

/// A run as a person reads it.
#[derive(Clone, Debug)]
pub struct RunView {
    /// What is open in it.
    pub state: OpenRun,
    /// The build that created it.
    pub build: String,
    /// Who created it.
    pub by: String,
    /// What the workflow asked for, in order.
    pub steps: Vec<StepView>,
    /// The gates that were opened, approved or rejected, in the order of their first mention.
    pub gates: Vec<GateView>,
    /// Since when it is parked.
    pub parked_at: Option<Timestamp>,
    /// Who asked to cancel it, if anyone did.
    pub cancel: Option<Decision>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The workers that took it up.
    pub resumes: Vec<ResumeView>,
    /// Where the open commands stand in `steps`.
    pub(super) live: BTreeMap<CommandId, usize>,
}

/// Something that the workflow asked for.
#[derive(Clone, Debug)]
pub struct StepView {
    /// Its number.
    pub command: CommandId,
    /// What it is.
    pub kind: StepKind,
    /// What it does, for people.
    pub summary: String,
    /// Where it stands.
    pub state: StepState,
    /// The attempt that began last; 0 for what has no attempts.
    pub attempts: u32,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// The last error.
    pub error: Option<ActivityError>,
    /// What a probe saw, or what shows that it is done as a person attested.
    pub evidence: Option<String>,
    /// Who said that it is over, if a person did.
    pub decided: Option<Decision>,
    /// The limit of an attempt that a person set, in place of the workflow's.
    pub timeout: Option<Duration>,
    /// Its result.
    pub output: Option<Json>,
}

/// What a step is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StepKind {
    /// An activity.
    Activity {
        /// Its registered name.
        name: String,
        /// Its class.
        class: Effect,
        /// Its input.
        input: Json,
    },
    /// A timer.
    Timer {
        /// When it is due.
        due_at: Timestamp,
    },
    /// A wait for a signal.
    Signal {
        /// The signal's name.
        name: String,
    },
    /// A wait for a person.
    Gate {
        /// The gate's name.
        name: String,
    },
}

/// Where a step stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepState {
    /// An attempt is being made, or was when the worker went.
    Running,
    /// The last attempt failed; the next one is due then.
    RetryDue {
        /// When.
        due_at: Timestamp,
    },
    /// An attempt's end is unknown.
    InDoubt,
    /// A timer, a signal or a gate is waited for.
    Waiting,
    /// It is over, well.
    Done,
    /// It is over because a person said so: not done, and counted as done.
    Skipped,
    /// It is over, badly.
    Failed,
    /// It was dropped before its end.
    GivenUp,
}

impl StepState {
    /// Whether the step is over.
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Done | Self::Skipped | Self::Failed | Self::GivenUp)
    }
}

/// A point where a person decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GateView {
    /// Its name.
    pub name: String,
    /// What the person is asked; empty until it opens.
    pub text: String,
    /// When it opened, if it has.
    pub opened_at: Option<Timestamp>,
    /// The last decision on it.
    pub decision: Option<Decision>,
}

impl GateView {
    /// What stands for its text in an approval.
    pub fn digest(&self) -> String {
        text_digest(&self.text)
    }

    /// Whether it waits for a person now.
    pub fn is_open(&self) -> bool {
        self.opened_at.is_some() && self.decision.is_none()
    }
}

/// What a person decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// `false` for a rejected gate and for a cancellation.
    pub approved: bool,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
    /// The digest of the gate's text that was seen.
    pub seen: Option<String>,
    /// The digest of the plan that was named.
    pub plan: Option<String>,
}

/// A worker that took a run up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResumeView {
    /// The worker's start, unique in a journal.
    pub incarnation: u64,
    /// Its build.
    pub build: String,
    /// Its machine.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// When.
    pub at: Timestamp,
}

impl RunView {
    /// Where the run stands.
    pub fn status(&self) -> RunStatus {
        RunStatus::of(&self.state)
    }

    /// The steps that are not over, in order.
    pub fn current(&self) -> impl Iterator<Item = &StepView> {
        self.live.values().filter_map(|at| self.steps.get(*at))
    }

    /// The gates that wait for a person.
    pub fn open_gates(&self) -> impl Iterator<Item = &GateView> {
        self.gates.iter().filter(|gate| gate.is_open())
    }

    /// How many steps are over.
    pub fn steps_done(&self) -> usize {
        self.steps.len() - self.live.len()
    }

    /// The step of a command, if it has one.
    pub fn step(&self, command: CommandId) -> Option<&StepView> {
        let at = self.live.get(&command).copied();
        let at = at.or_else(|| self.steps.binary_search_by_key(&command, |step| step.command).ok())?;
        self.steps.get(at)
    }
}
