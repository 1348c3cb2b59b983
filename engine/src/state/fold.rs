//! The fold over a history that finds what is open, shared by the worker, the offline commands and the status.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::activity::Effect;
use crate::event::{Event, ParkReason, Record};
use crate::ids::CommandId;
use crate::state::{HeldChange, OpenActivity, OpenCommand, OpenRun, Pause, Phase, RunEnd};
use crate::time::Timestamp;

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
            paused: None,
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
            Event::RunPaused { by, reason } => {
                self.paused = Some(Pause { by: by.clone(), reason: reason.clone(), since: record.at });
            }
            Event::RunUnpaused { .. } => self.paused = None,
            Event::RetryRequested { command, .. } => self.retry(*command, record.at),
            Event::StepSkipped { command, .. } | Event::StepMarkedDone { command, .. } => {
                self.open.remove(command);
                self.settle_park(*command);
            }
            Event::TimeoutChanged { command, seconds, .. } => {
                self.with_activity(*command, |a| a.timeout = Some(Duration::from_secs(*seconds)));
            }
            Event::RunCompleted { output } => self.end(RunEnd::Completed(output.clone())),
            Event::RunFailed { error } => self.end(RunEnd::Failed(error.clone())),
            Event::RunCancelled { error } => self.end(RunEnd::Cancelled(error.clone())),
            Event::RunStarted { .. }
            | Event::RunResumed { .. }
            | Event::RunAdopted { .. }
            | Event::PatchMarked { .. }
            | Event::NoteAdded { .. } => {}
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

    /// A cancellation ends every wait and everything that only a retry or a person could move; an attempt in flight that
    /// changes the world is left to finish, because half a change helps nobody.
    fn cancel(&mut self) {
        self.cancelling = true;
        self.paused = None;
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
        match why {
            ParkReason::RetriesExhausted { command, error, .. } => {
                self.with_activity(*command, |a| a.phase = Phase::RetryDue { due_at: at, error: error.clone() });
            }
            ParkReason::InDoubt { command, .. } => self.with_activity(*command, |a| a.phase = Phase::InDoubt),
            ParkReason::Nondeterminism { .. } | ParkReason::Unsupported { .. } => {}
        }
        self.parked = Some(why.clone());
    }

    /// What waits begins now; a wait that runs begins anew. What is in doubt stays so: it is looked at again, not repeated.
    fn retry(&mut self, command: CommandId, at: Timestamp) {
        self.with_activity(command, |activity| {
            activity.failures = 0;
            match &mut activity.phase {
                Phase::RetryDue { due_at, .. } => *due_at = at,
                phase @ Phase::Began if activity.class == Effect::Observe => *phase = Phase::Cleared,
                Phase::Began | Phase::InDoubt | Phase::Cleared => {}
            }
        });
        self.settle_park(command);
    }

    /// The step that the run was parked for has been dealt with.
    fn settle_park(&mut self, command: CommandId) {
        if self.parked.as_ref().and_then(ParkReason::command) == Some(command) {
            self.parked = None;
        }
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
        self.paused = None;
        self.open.clear();
    }
}
