//! The open ends of a run, and what can be asked of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::activity::{ActivityError, Effect};
use crate::event::ParkReason;
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
    pub(super) decided_early: BTreeSet<String>,
    /// Signals told before they were asked for, counted.
    pub(super) early_signals: BTreeMap<String, u32>,
    /// Gates that a person has approved so far.
    pub approved: BTreeSet<String>,
    /// Temporary changes that are still out, by key.
    pub held: BTreeMap<String, HeldChange>,
    /// Why it waits for a person, if it is parked.
    pub parked: Option<ParkReason>,
    /// Who wants nothing new to begin in it, if anyone does. A run can be parked as well.
    pub paused: Option<Pause>,
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
    /// The limit of an attempt that a person set, in place of the workflow's.
    pub timeout: Option<Duration>,
}

impl OpenActivity {
    pub(super) fn begun(
        name: String,
        class: Effect,
        input: Json,
        summary: String,
        approval: Option<String>,
        scheduled_at: Timestamp,
    ) -> Self {
        Self { name, class, input, summary, scheduled_at, approval, attempt: 1, failures: 0, phase: Phase::Began, timeout: None }
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

/// A person's wish that nothing new begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
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

    /// Whether nothing may begin until a person says so.
    pub fn stands_still(&self) -> bool {
        self.parked.is_some() || self.paused.is_some()
    }

    /// Whether nothing but a person or the outside can move this run. A timer beside a gate is the gate's deadline; a
    /// timer without a gate moves the run by itself.
    pub fn waits_for_people(&self) -> bool {
        let (mut gates, mut timers) = (false, false);
        for open in self.open.values() {
            match open {
                OpenCommand::Activity(_) => return self.ended.is_some() || self.stands_still(),
                OpenCommand::Gate { .. } => gates = true,
                OpenCommand::Timer { .. } => timers = true,
                OpenCommand::Signal { .. } => {}
            }
        }
        self.ended.is_some() || self.stands_still() || (!self.open.is_empty() && (gates || !timers))
    }

    pub(super) fn first_open(&self, wanted: impl Fn(&OpenCommand) -> bool) -> Option<CommandId> {
        self.open.iter().find(|(_, command)| wanted(command)).map(|(id, _)| *id)
    }
}
