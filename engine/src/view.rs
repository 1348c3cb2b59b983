//! A run as a person reads it: the steps in their order, the gates, what is owed, how it ended.
//!
//! The fold does constant work per record. What is open is [`OpenRun`]'s to say, so that worker, replay and display
//! never disagree about it; this fold only remembers what `OpenRun` forgets.

use std::collections::BTreeMap;

use crate::activity::{ActivityError, Effect};
use crate::event::{Event, ParkReason, ProbeVerdict, Record};
use crate::ids::CommandId;
use crate::json::Json;
use crate::state::{OpenCommand, OpenRun, RunEnd};
use crate::time::Timestamp;

/// Where a run stands, in one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Something is being done, or would be if a worker drove it.
    Running,
    /// It waits at gates, signals and timers only.
    Waiting,
    /// It waits for a person's decision outside a gate.
    Parked,
    /// The workflow returned.
    Completed,
    /// The workflow gave up.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl RunStatus {
    /// Reads the word off a run's open ends.
    pub fn of(state: &OpenRun) -> Self {
        match &state.ended {
            Some(RunEnd::Completed(_)) => Self::Completed,
            Some(RunEnd::Failed(_)) => Self::Failed,
            Some(RunEnd::Cancelled(_)) => Self::Cancelled,
            None if state.parked.is_some() => Self::Parked,
            None if state.open.is_empty() => Self::Running,
            None if state.open.values().any(|open| matches!(open, OpenCommand::Activity(_))) => Self::Running,
            None => Self::Waiting,
        }
    }

    /// The word itself.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen to the run.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl std::fmt::Display for RunStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

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
    live: BTreeMap<CommandId, usize>,
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
    /// What a probe saw.
    pub evidence: Option<String>,
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
    /// It is over, badly.
    Failed,
    /// It was dropped before its end.
    GivenUp,
}

impl StepState {
    /// Whether the step is over.
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::GivenUp)
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
    /// Begins with a history's first record; `None` if that is no `RunStarted`.
    pub fn begin(record: &Record) -> Option<Self> {
        let Event::RunStarted { build, by, .. } = &record.event else {
            return None;
        };
        Some(Self {
            state: OpenRun::begin(record)?,
            build: build.clone(),
            by: by.clone(),
            steps: Vec::new(),
            gates: Vec::new(),
            parked_at: None,
            cancel: None,
            ended_at: None,
            resumes: Vec::new(),
            live: BTreeMap::new(),
        })
    }

    /// Folds a whole history; `None` if it does not begin with `RunStarted`.
    pub fn fold<'a>(history: impl IntoIterator<Item = &'a Record>) -> Option<Self> {
        let mut records = history.into_iter();
        let mut view = Self::begin(records.next()?)?;
        records.for_each(|record| view.apply(record));
        Some(view)
    }

    /// Takes in the next record.
    pub fn apply(&mut self, record: &Record) {
        self.state.apply(record);
        match &record.event {
            Event::ActivityScheduled { .. }
            | Event::TimerStarted { .. }
            | Event::SignalAwaited { .. }
            | Event::GateOpened { .. } => self.asked(record),
            Event::ActivityStarted { .. }
            | Event::ActivityCompleted { .. }
            | Event::ActivityRetryScheduled { .. }
            | Event::ActivityFailed { .. }
            | Event::ActivityInDoubt { .. }
            | Event::ActivityProbed { .. } => self.attempted(record),
            Event::TimerFired { command } => self.close(*command, StepState::Done, record.at),
            Event::CommandCancelled { target, .. } => self.close(*target, StepState::GivenUp, record.at),
            Event::SignalReceived { .. } => self.close_answered(StepState::Done, record.at),
            Event::GateApproved { gate, by, reason, .. } => self.decided(gate, true, by, reason.as_ref(), record.at),
            Event::GateRejected { gate, by, reason } => self.decided(gate, false, by, reason.as_ref(), record.at),
            Event::CancelRequested { by, reason } => {
                let decision = Decision { approved: false, by: by.clone(), reason: reason.clone(), at: record.at };
                self.cancel = Some(decision);
                self.parked_at = None;
                self.close_answered(StepState::GivenUp, record.at);
            }
            Event::RunParked { why } => self.parked(why, record.at),
            Event::RunUnparked { .. } => self.parked_at = None,
            Event::RunResumed { incarnation, build, host, pid } => {
                let (incarnation, pid, at) = (*incarnation, *pid, record.at);
                self.resumes.push(ResumeView { incarnation, build: build.clone(), host: host.clone(), pid, at });
            }
            Event::RunCompleted { .. } | Event::RunFailed { .. } | Event::RunCancelled { .. } => {
                self.ended_at = Some(record.at);
                self.parked_at = None;
                self.close_answered(StepState::GivenUp, record.at);
            }
            Event::RunStarted { .. } | Event::PatchMarked { .. } | Event::ChangeHeld { .. } | Event::ChangeGivenBack { .. } => {}
        }
    }

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

    #[expect(clippy::wildcard_enum_match_arm, reason = "`apply` hands over what the workflow asked for, nothing else")]
    fn asked(&mut self, record: &Record) {
        let (command, kind, summary) = match &record.event {
            Event::ActivityScheduled { command, activity, class, input, summary, .. } => {
                let kind = StepKind::Activity { name: activity.clone(), class: *class, input: input.clone() };
                (*command, kind, summary.clone())
            }
            Event::TimerStarted { command, due_at, .. } => {
                (*command, StepKind::Timer { due_at: *due_at }, "wait for the time to come".to_owned())
            }
            Event::SignalAwaited { command, signal, .. } => {
                (*command, StepKind::Signal { name: signal.clone() }, format!("wait for signal {signal}"))
            }
            Event::GateOpened { command, gate, text, .. } => {
                let view = self.gate(gate);
                view.text.clone_from(text);
                view.opened_at = Some(record.at);
                (*command, StepKind::Gate { name: gate.clone() }, format!("gate {gate}"))
            }
            _ => return,
        };
        // What was told early answers at once; the shared fold knows.
        let open = self.state.open.contains_key(&command);
        let running = matches!(kind, StepKind::Activity { .. });
        if open {
            self.live.insert(command, self.steps.len());
            if let StepKind::Gate { name } = &kind {
                self.gate(name).decision = None;
            }
        }
        self.steps.push(StepView {
            command,
            attempts: u32::from(running),
            kind,
            summary,
            state: match (open, running) {
                (true, true) => StepState::Running,
                (true, false) => StepState::Waiting,
                (false, _) => StepState::Done,
            },
            started_at: record.at,
            ended_at: (!open).then_some(record.at),
            error: None,
            evidence: None,
            output: None,
        });
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`apply` hands over what became of attempts, nothing else")]
    fn attempted(&mut self, record: &Record) {
        match &record.event {
            Event::ActivityStarted { command, attempt } => self.change(*command, |step| {
                step.attempts = *attempt;
                step.state = StepState::Running;
            }),
            Event::ActivityRetryScheduled { command, error, due_at, .. } => self.change(*command, |step| {
                step.error = Some(error.clone());
                step.state = StepState::RetryDue { due_at: *due_at };
            }),
            Event::ActivityInDoubt { command, .. } => self.change(*command, |step| step.state = StepState::InDoubt),
            Event::ActivityProbed { command, verdict, evidence, .. } => self.change(*command, |step| {
                step.evidence = Some(evidence.clone());
                if *verdict == ProbeVerdict::DidNotHappen {
                    step.state = StepState::Running;
                }
            }),
            Event::ActivityCompleted { command, output, evidence, .. } => {
                self.change(*command, |step| {
                    step.output = Some(output.clone());
                    step.evidence = evidence.clone().or_else(|| step.evidence.take());
                });
                self.close(*command, StepState::Done, record.at);
            }
            Event::ActivityFailed { command, error, .. } => {
                self.change(*command, |step| step.error = Some(error.clone()));
                self.close(*command, StepState::Failed, record.at);
            }
            _ => {}
        }
    }

    fn decided(&mut self, gate: &str, approved: bool, by: &str, reason: Option<&String>, at: Timestamp) {
        let decision = Decision { approved, by: by.to_owned(), reason: reason.cloned(), at };
        self.gate(gate).decision = Some(decision);
        self.close_answered(if approved { StepState::Done } else { StepState::Failed }, at);
    }

    fn parked(&mut self, why: &ParkReason, at: Timestamp) {
        self.parked_at = Some(at);
        if let ParkReason::RetriesExhausted { command, error, .. } = why {
            self.change(*command, |step| {
                step.error = Some(error.clone());
                step.state = StepState::RetryDue { due_at: at };
            });
        }
    }

    fn gate(&mut self, name: &str) -> &mut GateView {
        let at = self.gates.iter().position(|gate| gate.name == name).unwrap_or_else(|| {
            self.gates.push(GateView { name: name.to_owned(), text: String::new(), opened_at: None, decision: None });
            self.gates.len() - 1
        });
        &mut self.gates[at]
    }

    fn change(&mut self, command: CommandId, change: impl FnOnce(&mut StepView)) {
        if let Some(step) = self.live.get(&command).and_then(|at| self.steps.get_mut(*at)) {
            change(step);
        }
    }

    fn close(&mut self, command: CommandId, state: StepState, at: Timestamp) {
        self.change(command, |step| {
            step.state = state;
            step.ended_at = Some(at);
        });
        self.live.remove(&command);
    }

    /// Closes what the shared fold has closed because of something that was told to the run.
    fn close_answered(&mut self, state: StepState, at: Timestamp) {
        let open = &self.state.open;
        let answered: Vec<CommandId> = self.live.keys().filter(|command| !open.contains_key(command)).copied().collect();
        for command in answered {
            self.close(command, state, at);
        }
    }
}

#[cfg(test)]
mod tests;
