//! Why something that was told to a run is not taken.

use serde::{Deserialize, Serialize};

use crate::ids::{CommandId, RunId};

/// Why a request was refused; nothing was recorded. A step is named as `#7 (pause pool worker)`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// There is no such run.
    #[error("there is no run {run}")]
    NoSuchRun {
        /// The id asked for.
        run: RunId,
    },
    /// There is one already.
    #[error("run {run} exists already")]
    RunExists {
        /// The id asked for.
        run: RunId,
    },
    /// It has ended.
    #[error("run {run} has ended; nothing can be told to it any more")]
    RunEnded {
        /// Which.
        run: RunId,
    },
    /// The gate is not open.
    #[error("gate {gate} of run {run} is not open{}", open_list(.open))]
    GateNotOpen {
        /// Which run.
        run: RunId,
        /// The gate asked for.
        gate: String,
        /// The gates that are open.
        open: Vec<String>,
    },
    /// It is not parked.
    #[error("run {run} is not parked")]
    NotParked {
        /// Which.
        run: RunId,
    },
    /// It is being cancelled already.
    #[error("run {run} is being cancelled already")]
    AlreadyCancelling {
        /// Which.
        run: RunId,
    },
    /// The gate asks something else than what was seen.
    #[error("gate {gate} of run {run} does not ask what was seen: its text has digest {asked}, not {seen}")]
    OtherText {
        /// Which run.
        run: RunId,
        /// The gate.
        gate: String,
        /// The digest that was named.
        seen: String,
        /// The digest of what it asks.
        asked: String,
    },
    /// It is paused already.
    #[error("run {run} is paused already, by {by}")]
    AlreadyPaused {
        /// Which.
        run: RunId,
        /// By whom.
        by: String,
    },
    /// It is not paused.
    #[error("run {run} is not paused")]
    NotPaused {
        /// Which.
        run: RunId,
    },
    /// No open step is called that.
    #[error("run {run} has no open step {step}{}", steps_list(.open))]
    NoSuchStep {
        /// Which run.
        run: RunId,
        /// What was asked for.
        step: String,
        /// The steps that are open.
        open: Vec<String>,
    },
    /// Several open steps are called that.
    #[error("{step} may mean several open steps of run {run}: {}", .open.join(", "))]
    AmbiguousStep {
        /// Which run.
        run: RunId,
        /// What was asked for.
        step: String,
        /// The steps that it may mean.
        open: Vec<String>,
    },
    /// It is a timer, a signal or a gate, with which this can't be done.
    #[error("step {step} of run {run} is a {kind}; it can't be {verb}")]
    WrongKind {
        /// Which run.
        run: RunId,
        /// Which step.
        step: String,
        /// What it is.
        kind: String,
        /// What was asked for, as a participle.
        verb: String,
    },
    /// An attempt of it is changing the world at this moment.
    #[error("an attempt of step {step} of run {run} is under way and changes the world; how it ends must be known first")]
    UnderWay {
        /// Which run.
        run: RunId,
        /// Which step.
        step: String,
    },
    /// Its attempt was cut off, and nothing is waited for that could come sooner.
    #[error("step {step} of run {run} waits for nothing but a worker, which finds out how its attempt ended")]
    NothingToRetry {
        /// Which run.
        run: RunId,
        /// Which step.
        step: String,
    },
    /// The workflow needs its result, and nobody can assume it.
    #[error("the workflow goes on with the result of step {step} of run {run}, which can't be assumed ({expects})")]
    NeedsOutput {
        /// Which run.
        run: RunId,
        /// Its number.
        command: CommandId,
        /// Which step.
        step: String,
        /// What an empty object lacks to be the result.
        expects: String,
    },
    /// The result that was given is none of this step.
    #[error("that is no result of step {step} of run {run}: {cause}")]
    BadOutput {
        /// Which run.
        run: RunId,
        /// Which step.
        step: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A text that must be given is empty.
    #[error("the {what} is empty; it is what the logbook is read for")]
    Blank {
        /// Which text.
        what: String,
    },
    /// A text is too long for the journal.
    #[error("the {what} is longer than {limit} bytes")]
    TooLong {
        /// Which text.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// Nobody can wait so long, or so short.
    #[error("an attempt can be given from 1 second to {longest_days} days")]
    BadTimeout {
        /// The longest.
        longest_days: u64,
    },
    /// The worker does not have the activity.
    #[error("this build has no activity {activity}")]
    NoSuchActivity {
        /// The name on record.
        activity: String,
    },
    /// The worker does not have the workflow.
    #[error("this build has no workflow {workflow}")]
    NoSuchWorkflow {
        /// The name asked for.
        workflow: String,
    },
}

fn open_list(open: &[String]) -> String {
    if open.is_empty() { "; no gate is".to_owned() } else { format!("; open: {}", open.join(", ")) }
}

fn steps_list(open: &[String]) -> String {
    if open.is_empty() { "; no step is open".to_owned() } else { format!("; open: {}", open.join(", ")) }
}
