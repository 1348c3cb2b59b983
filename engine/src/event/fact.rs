//! The events themselves.

use serde::{Deserialize, Serialize};

use crate::activity::{ActivityError, Effect};
use crate::event::{ParkReason, ProbeVerdict};
use crate::ids::CommandId;
use crate::json::Json;
use crate::time::Timestamp;

/// One fact about a run, past tense. Stored as JSON, externally tagged by the variant's name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The run was created.
    RunStarted {
        /// The registered workflow name.
        workflow: String,
        /// The workflow's revision at that time.
        revision: u32,
        /// The build that created it.
        build: String,
        /// The workflow's input.
        input: Json,
        /// The id of the cluster that the run is bound to, if it works on one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cluster: Option<String>,
        /// Who asked.
        by: String,
    },
    /// A worker took the run up again after a restart.
    RunResumed {
        /// The worker's start, unique a journal.
        incarnation: u64,
        /// The build that now drives it.
        build: String,
        /// Where that worker runs.
        host: String,
        /// Its process id.
        pid: u32,
        /// The epoch of the cluster's lease that it held; what an older epoch still tries is refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epoch: Option<u64>,
    },
    /// The run was taken over from another journal: a mirror or an exported history. Everything before was recorded there.
    RunAdopted {
        /// Where its history was read.
        from: String,
        /// The machine that took it over.
        host: String,
        /// Who.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The workflow asked for an activity. For every class but `Observe` this is on disk before the first byte leaves.
    ActivityScheduled {
        /// Its number.
        command: CommandId,
        /// The activity's registered name.
        activity: String,
        /// Its class.
        class: Effect,
        /// Its input, with the facts that a probe will need.
        input: Json,
        /// What it does, for people.
        summary: String,
        /// `file:line` of the call in the workflow.
        site: String,
        /// The gate whose approval permits it (class `Irreversible`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<String>,
    },
    /// Another attempt than the first began.
    ActivityStarted {
        /// Which command.
        command: CommandId,
        /// Counted from 1; the first one is implied by `ActivityScheduled`.
        attempt: u32,
    },
    /// An attempt ended well.
    ActivityCompleted {
        /// Which command.
        command: CommandId,
        /// Which attempt.
        attempt: u32,
        /// Its result.
        output: Json,
        /// Set when the result was found by a probe: what was seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<String>,
    },
    /// An attempt failed and another one is due.
    ActivityRetryScheduled {
        /// Which command.
        command: CommandId,
        /// The attempt that failed.
        attempt: u32,
        /// Why.
        error: ActivityError,
        /// When the next one begins.
        due_at: Timestamp,
    },
    /// The activity failed for good; the workflow is told.
    ActivityFailed {
        /// Which command.
        command: CommandId,
        /// The last attempt.
        attempt: u32,
        /// Why.
        error: ActivityError,
    },
    /// An attempt began and its end is unknown.
    ActivityInDoubt {
        /// Which command.
        command: CommandId,
        /// Which attempt.
        attempt: u32,
        /// How the doubt arose.
        reason: String,
    },
    /// A probe did not find the effect, or could not tell. (A probe that found it is an `ActivityCompleted`.)
    ActivityProbed {
        /// Which command.
        command: CommandId,
        /// The attempt in doubt.
        attempt: u32,
        /// What the world said.
        verdict: ProbeVerdict,
        /// What was seen.
        evidence: String,
    },
    /// The workflow asked for a timer.
    TimerStarted {
        /// Its number.
        command: CommandId,
        /// When it is due; absolute.
        due_at: Timestamp,
        /// `file:line` of the call in the workflow.
        site: String,
        /// What the run waits for, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A timer's time came.
    TimerFired {
        /// Which command.
        command: CommandId,
    },
    /// The workflow began to wait for a signal.
    SignalAwaited {
        /// Its number.
        command: CommandId,
        /// The signal's name.
        signal: String,
        /// `file:line` of the call in the workflow.
        site: String,
    },
    /// Something was told to the run from outside; kept until it is asked for.
    SignalReceived {
        /// The signal's name.
        signal: String,
        /// What was told.
        payload: Json,
        /// By whom.
        by: String,
    },
    /// The workflow reached a point where a person must approve.
    GateOpened {
        /// Its number.
        command: CommandId,
        /// The gate's name.
        gate: String,
        /// What the person is asked.
        text: String,
        /// `file:line` of the call in the workflow.
        site: String,
    },
    /// A person approved a gate; before it opened, if in advance.
    GateApproved {
        /// The gate's name.
        gate: String,
        /// Who.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Given before the gate opened (`--yes`).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        in_advance: bool,
        /// The digest of the gate's text that the person saw ([`crate::control::text_digest`]).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<String>,
        /// The digest of the plan that the person approved it under.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<String>,
    },
    /// A person rejected a gate.
    GateRejected {
        /// The gate's name.
        gate: String,
        /// Who.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The workflow dropped a command that was still open (the loser of a race).
    CommandCancelled {
        /// The number of the cancellation itself.
        command: CommandId,
        /// The command given up.
        target: CommandId,
    },
    /// The workflow passed a code change that this run is on the new side of.
    PatchMarked {
        /// Its number.
        command: CommandId,
        /// The change's name.
        patch: String,
    },
    /// The workflow is about to change something temporarily.
    ChangeHeld {
        /// Its number.
        command: CommandId,
        /// What names the change: `pool/worker/paused`.
        key: String,
        /// What is changed and how to give it back by hand.
        text: String,
        /// The value before.
        prior: Json,
    },
    /// A temporary change was given back.
    ChangeGivenBack {
        /// Its number.
        command: CommandId,
        /// What names the change.
        key: String,
    },
    /// A person asked to cancel the run; the workflow gives back what it holds and ends.
    CancelRequested {
        /// Who.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The run is no longer driven until a person decides.
    RunParked {
        /// Why.
        why: ParkReason,
    },
    /// A person let a parked run go on.
    RunUnparked {
        /// Who.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A person wants nothing new to begin; attempts in flight may finish.
    RunPaused {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person lets a paused run begin things again.
    RunUnpaused {
        /// Who.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A person wants a step tried, or looked at, again at once.
    RetryRequested {
        /// Which command.
        command: CommandId,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person lets a step count as done although it was not.
    StepSkipped {
        /// Which command.
        command: CommandId,
        /// The result that the workflow is given.
        output: Json,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person attests that a step is done.
    StepMarkedDone {
        /// Which command.
        command: CommandId,
        /// The result that the workflow is given.
        output: Json,
        /// What shows that it is done.
        evidence: String,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person set the time that an attempt of a step may take.
    TimeoutChanged {
        /// Which command.
        command: CommandId,
        /// The new limit, from the begin of an attempt.
        seconds: u64,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person wrote something into the logbook.
    NoteAdded {
        /// Who.
        by: String,
        /// What.
        text: String,
    },
    /// The workflow returned.
    RunCompleted {
        /// Its result.
        output: Json,
    },
    /// The workflow gave up.
    RunFailed {
        /// Why.
        error: String,
    },
    /// The workflow ended because it was cancelled.
    RunCancelled {
        /// What it said.
        error: String,
    },
}

impl Event {
    /// The number of the command that this event records the asking of; `None` for everything that happened to a run.
    pub fn asked(&self) -> Option<CommandId> {
        match self {
            Self::ActivityScheduled { command, .. }
            | Self::TimerStarted { command, .. }
            | Self::SignalAwaited { command, .. }
            | Self::GateOpened { command, .. }
            | Self::CommandCancelled { command, .. }
            | Self::PatchMarked { command, .. }
            | Self::ChangeHeld { command, .. }
            | Self::ChangeGivenBack { command, .. } => Some(*command),
            Self::RunStarted { .. }
            | Self::RunResumed { .. }
            | Self::RunAdopted { .. }
            | Self::ActivityStarted { .. }
            | Self::ActivityCompleted { .. }
            | Self::ActivityRetryScheduled { .. }
            | Self::ActivityFailed { .. }
            | Self::ActivityInDoubt { .. }
            | Self::ActivityProbed { .. }
            | Self::TimerFired { .. }
            | Self::SignalReceived { .. }
            | Self::GateApproved { .. }
            | Self::GateRejected { .. }
            | Self::CancelRequested { .. }
            | Self::RunParked { .. }
            | Self::RunUnparked { .. }
            | Self::RunPaused { .. }
            | Self::RunUnpaused { .. }
            | Self::RetryRequested { .. }
            | Self::StepSkipped { .. }
            | Self::StepMarkedDone { .. }
            | Self::TimeoutChanged { .. }
            | Self::NoteAdded { .. }
            | Self::RunCompleted { .. }
            | Self::RunFailed { .. }
            | Self::RunCancelled { .. } => None,
        }
    }

    /// Whether a run's history ends with this event.
    pub fn ends_run(&self) -> bool {
        matches!(self, Self::RunCompleted { .. } | Self::RunFailed { .. } | Self::RunCancelled { .. })
    }
}
