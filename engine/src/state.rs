//! What is open in a run: a light fold over its history, shared by the worker, the offline commands and the status.

use std::collections::{BTreeMap, BTreeSet};

use crate::activity::{ActivityError, Effect};
use crate::event::{Event, ParkReason, Record};
use crate::ids::{CommandId, RunId};
use crate::json::Json;
use crate::time::Timestamp;

/// The open ends of one run. Finished steps leave nothing behind, so a run of a hundred thousand steps stays small.
#[derive(Clone, Debug)]
pub struct OpenRun {
    /// Which run.
    pub run: RunId,
    /// Its workflow's registered name.
    pub workflow: String,
    /// The workflow's revision when it was created.
    pub revision: u32,
    /// The workflow's input.
    pub input: Json,
    /// The cluster it is bound to.
    pub cluster: Option<String>,
    /// When it was created.
    pub started_at: Timestamp,
    /// When its last event was recorded.
    pub last_at: Timestamp,
    /// The place that its next event takes.
    pub next_seq: u64,
    /// What was asked for and has not ended.
    pub open: BTreeMap<CommandId, OpenCommand>,
    /// Gates decided before they were opened.
    decided_early: BTreeSet<String>,
    /// Signals told before they were asked for, counted.
    early_signals: BTreeMap<String, u32>,
    /// Gates that a person has approved so far.
    pub approved: BTreeSet<String>,
    /// Temporary changes that are still out, by key.
    pub held: BTreeMap<String, HeldChange>,
    /// Why it waits for a person, if it is parked.
    pub parked: Option<ParkReason>,
    /// Whether a person asked to cancel it.
    pub cancelling: bool,
    /// How it ended, if it has.
    pub ended: Option<RunEnd>,
}

/// Something asked for that has not ended.
#[derive(Clone, Debug)]
pub enum OpenCommand {
    /// An activity.
    Activity(OpenActivity),
    /// A timer, due then.
    Timer {
        /// When.
        due_at: Timestamp,
    },
    /// A signal that has not come.
    Signal {
        /// Its name.
        signal: String,
    },
    /// A gate that nobody has decided.
    Gate {
        /// Its name.
        gate: String,
        /// What the person is asked.
        text: String,
        /// Since when.
        opened_at: Timestamp,
    },
}

/// An activity that has not ended.
#[derive(Clone, Debug)]
pub struct OpenActivity {
    /// Its registered name.
    pub name: String,
    /// Its class.
    pub class: Effect,
    /// Its input.
    pub input: Json,
    /// What it does.
    pub summary: String,
    /// When it was asked for.
    pub scheduled_at: Timestamp,
    /// The gate that permits it.
    pub approval: Option<String>,
    /// The attempt that began last, from 1.
    pub attempt: u32,
    /// Failures in a row since it was scheduled or a person let it go on.
    pub failures: u32,
    /// Where that attempt stands.
    pub phase: Phase,
}

impl OpenActivity {
    fn begun(
        name: String,
        class: Effect,
        input: Json,
        summary: String,
        approval: Option<String>,
        scheduled_at: Timestamp,
    ) -> Self {
        Self { name, class, input, summary, scheduled_at, approval, attempt: 1, failures: 0, phase: Phase::Began }
    }
}

/// Where an attempt stands.
#[derive(Clone, Debug)]
pub enum Phase {
    /// It began; if the worker that began it is gone, its end is unknown.
    Began,
    /// It failed; the next one is due then.
    RetryDue {
        /// When.
        due_at: Timestamp,
        /// Why the last one failed.
        error: ActivityError,
    },
    /// Its end is unknown and a probe is needed.
    InDoubt,
    /// A probe found no effect; the next attempt may begin.
    Cleared,
}

/// A temporary change that has not been given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldChange {
    /// What is changed and how to give it back by hand.
    pub text: String,
    /// The value before.
    pub prior: Json,
    /// Since when.
    pub since: Timestamp,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// The workflow returned this.
    Completed(Json),
    /// The workflow gave up.
    Failed(String),
    /// It was cancelled.
    Cancelled(String),
}

impl OpenRun {
    /// Begins with a history's first record; `None` if that is no `RunStarted`.
    pub fn begin(record: &Record) -> Option<Self> {
        let Event::RunStarted { workflow, revision, input, cluster, .. } = &record.event else {
            return None;
        };
        Some(Self {
            run: record.run,
            workflow: workflow.clone(),
            revision: *revision,
            input: input.clone(),
            cluster: cluster.clone(),
            started_at: record.at,
            last_at: record.at,
            next_seq: record.seq + 1,
            open: BTreeMap::new(),
            decided_early: BTreeSet::new(),
            early_signals: BTreeMap::new(),
            approved: BTreeSet::new(),
            held: BTreeMap::new(),
            parked: None,
            cancelling: false,
            ended: None,
        })
    }

    /// Folds a whole history; `None` if it is empty or does not begin with `RunStarted`.
    pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Option<Self> {
        let mut records = records.into_iter();
        let mut state = Self::begin(records.next()?)?;
        for record in records {
            state.apply(record);
        }
        Some(state)
    }

    /// Takes in the next record.
    pub fn apply(&mut self, record: &Record) {
        self.next_seq = record.seq + 1;
        self.last_at = record.at;
        match &record.event {
            Event::ActivityScheduled { .. }
            | Event::TimerStarted { .. }
            | Event::SignalAwaited { .. }
            | Event::GateOpened { .. }
            | Event::CommandCancelled { .. }
            | Event::ChangeHeld { .. }
            | Event::ChangeGivenBack { .. } => self.asked(record),
            Event::ActivityStarted { command, attempt } => self.with_activity(*command, |a| {
                a.attempt = *attempt;
                a.phase = Phase::Began;
            }),
            Event::ActivityRetryScheduled { command, attempt, error, due_at } => self.with_activity(*command, |a| {
                a.attempt = *attempt;
                a.failures += 1;
                a.phase = Phase::RetryDue { due_at: *due_at, error: error.clone() };
            }),
            Event::ActivityInDoubt { command, attempt, .. } => self.with_activity(*command, |a| {
                a.attempt = *attempt;
                a.phase = Phase::InDoubt;
            }),
            Event::ActivityProbed { command, verdict, .. } => self.with_activity(*command, |a| {
                if *verdict == crate::event::ProbeVerdict::DidNotHappen {
                    a.phase = Phase::Cleared;
                }
            }),
            Event::ActivityCompleted { command, .. } | Event::ActivityFailed { command, .. } | Event::TimerFired { command } => {
                self.open.remove(command);
            }
            Event::SignalReceived { signal, .. } => self.signal_came(signal),
            Event::GateApproved { gate, .. } => {
                self.approved.insert(gate.clone());
                self.gate_decided(gate);
            }
            Event::GateRejected { gate, .. } => self.gate_decided(gate),
            Event::CancelRequested { .. } => self.cancel(),
            Event::RunParked { why } => self.park(why, record.at),
            Event::RunUnparked { .. } => self.unpark(),
            Event::RunCompleted { output } => self.end(RunEnd::Completed(output.clone())),
            Event::RunFailed { error } => self.end(RunEnd::Failed(error.clone())),
            Event::RunCancelled { error } => self.end(RunEnd::Cancelled(error.clone())),
            Event::RunStarted { .. } | Event::RunResumed { .. } | Event::PatchMarked { .. } => {}
        }
    }

    /// Takes in the record of a command and keeps its texts instead of copying them: a long replay is mostly this.
    pub(crate) fn keep(&mut self, record: Record) {
        let Event::ActivityScheduled { command, activity, class, input, summary, approval, .. } = record.event else {
            return self.apply(&record);
        };
        self.next_seq = record.seq + 1;
        self.last_at = record.at;
        let activity = OpenActivity::begun(activity, class, input, summary, approval, record.at);
        self.open.insert(command, OpenCommand::Activity(activity));
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "called for commands only")]
    fn asked(&mut self, record: &Record) {
        match &record.event {
            Event::ActivityScheduled { command, activity, class, input, summary, approval, .. } => {
                let (name, summary, approval) = (activity.clone(), summary.clone(), approval.clone());
                let activity = OpenActivity::begun(name, *class, input.clone(), summary, approval, record.at);
                self.open.insert(*command, OpenCommand::Activity(activity));
            }
            Event::TimerStarted { command, due_at, .. } => {
                self.open.insert(*command, OpenCommand::Timer { due_at: *due_at });
            }
            Event::SignalAwaited { command, signal, .. } => match self.early_signals.get_mut(signal) {
                Some(count) if *count > 0 => *count -= 1,
                Some(_) | None => {
                    self.open.insert(*command, OpenCommand::Signal { signal: signal.clone() });
                }
            },
            Event::GateOpened { command, gate, text, .. } => {
                if self.decided_early.remove(gate) {
                    return;
                }
                let gate = OpenCommand::Gate { gate: gate.clone(), text: text.clone(), opened_at: record.at };
                self.open.insert(*command, gate);
            }
            Event::CommandCancelled { target, .. } => {
                self.open.remove(target);
            }
            Event::ChangeHeld { key, text, prior, .. } => {
                let change = HeldChange { text: text.clone(), prior: prior.clone(), since: record.at };
                self.held.entry(key.clone()).or_insert(change);
            }
            Event::ChangeGivenBack { key, .. } => {
                self.held.remove(key);
            }
            _ => {}
        }
    }

    /// The activity of a command, if it is open.
    pub fn activity(&self, command: CommandId) -> Option<&OpenActivity> {
        match self.open.get(&command) {
            Some(OpenCommand::Activity(activity)) => Some(activity),
            Some(OpenCommand::Timer { .. } | OpenCommand::Signal { .. } | OpenCommand::Gate { .. }) | None => None,
        }
    }

    /// The names of the gates that wait for a person.
    pub fn open_gates(&self) -> impl Iterator<Item = &str> {
        self.open.values().filter_map(|command| match command {
            OpenCommand::Gate { gate, .. } => Some(gate.as_str()),
            OpenCommand::Activity(_) | OpenCommand::Timer { .. } | OpenCommand::Signal { .. } => None,
        })
    }

    /// Whether nothing but a person or the outside can move this run.
    pub fn waits_for_people(&self) -> bool {
        self.ended.is_some()
            || self.parked.is_some()
            || (!self.open.is_empty()
                && self.open.values().all(|c| matches!(c, OpenCommand::Gate { .. } | OpenCommand::Signal { .. })))
    }

    fn with_activity(&mut self, command: CommandId, change: impl FnOnce(&mut OpenActivity)) {
        if let Some(OpenCommand::Activity(activity)) = self.open.get_mut(&command) {
            change(activity);
        }
    }

    fn signal_came(&mut self, name: &str) {
        match self.first_open(|c| matches!(c, OpenCommand::Signal { signal } if signal == name)) {
            Some(command) => drop(self.open.remove(&command)),
            None => *self.early_signals.entry(name.to_owned()).or_default() += 1,
        }
    }

    fn gate_decided(&mut self, name: &str) {
        match self.first_open(|c| matches!(c, OpenCommand::Gate { gate, .. } if gate == name)) {
            Some(command) => drop(self.open.remove(&command)),
            None => drop(self.decided_early.insert(name.to_owned())),
        }
    }

    fn first_open(&self, wanted: impl Fn(&OpenCommand) -> bool) -> Option<CommandId> {
        self.open.iter().find(|(_, command)| wanted(command)).map(|(id, _)| *id)
    }

    /// A cancellation ends every wait and everything that only a retry or a person could move; an attempt in flight that
    /// changes the world is left to finish, because half a change helps nobody.
    fn cancel(&mut self) {
        self.cancelling = true;
        let probing = self.parked.take().is_none();
        self.open.retain(|_, command| match command {
            OpenCommand::Activity(activity) if activity.class != Effect::Observe => match activity.phase {
                Phase::Began | Phase::Cleared => true,
                Phase::InDoubt => probing,
                Phase::RetryDue { .. } => false,
            },
            OpenCommand::Activity(_) | OpenCommand::Timer { .. } | OpenCommand::Signal { .. } | OpenCommand::Gate { .. } => false,
        });
    }

    fn park(&mut self, why: &ParkReason, at: Timestamp) {
        if let ParkReason::RetriesExhausted { command, error, .. } = why {
            self.with_activity(*command, |a| a.phase = Phase::RetryDue { due_at: at, error: error.clone() });
        }
        self.parked = Some(why.clone());
    }

    fn unpark(&mut self) {
        self.parked = None;
        for command in self.open.values_mut() {
            if let OpenCommand::Activity(activity) = command {
                activity.failures = 0;
            }
        }
    }

    fn end(&mut self, end: RunEnd) {
        self.ended = Some(end);
        self.parked = None;
        self.open.clear();
    }
}
