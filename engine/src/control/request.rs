//! What can be told to a run from outside.

use serde::{Deserialize, Serialize};

use crate::ids::RunId;
use crate::json::Json;

/// Something told to a run from outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Which run.
    pub run: RunId,
    /// By whom.
    pub by: String,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// What.
    pub what: What,
}

/// What is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum What {
    /// Create the run.
    Start {
        /// The registered workflow name.
        workflow: String,
        /// Its revision in the binary that asks.
        revision: u32,
        /// That binary.
        build: String,
        /// The workflow's input.
        input: Json,
        /// The cluster that the run is bound to.
        cluster: Option<String>,
        /// Gates approved in advance.
        approvals: Vec<String>,
        /// The digest of the plan that they are approved under.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<String>,
    },
    /// Deliver a signal.
    Signal {
        /// Its name.
        signal: String,
        /// What it says.
        payload: Json,
    },
    /// Approve a gate that is open; in advance also one that is not.
    Approve {
        /// Its name.
        gate: String,
        /// Whether it may still be closed.
        in_advance: bool,
        /// The digest of the text that was seen; the approval holds for no other text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<String>,
        /// The digest of the plan that it is approved under.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<String>,
    },
    /// Reject an open gate.
    Reject {
        /// Its name.
        gate: String,
    },
    /// Cancel the run: it gives back what it holds and ends.
    Cancel,
    /// Let a parked run go on.
    Unpark,
    /// Begin nothing new; what is in flight may finish.
    Pause,
    /// Let a paused run go on.
    Unpause,
    /// Try a step, or look at it, again at once. A step is named by its number, or by its activity if only one such is open.
    Retry {
        /// Which.
        step: String,
    },
    /// Let a step count as done although it was not.
    Skip {
        /// Which.
        step: String,
    },
    /// Attest that a step is done.
    MarkDone {
        /// Which.
        step: String,
        /// What shows that it is.
        evidence: String,
        /// Its result, if it can't be assumed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Json>,
    },
    /// Set how long an attempt of a step may take, the one in flight too, counted from its begin.
    SetTimeout {
        /// Which.
        step: String,
        /// The limit.
        seconds: u64,
    },
    /// Write something into the logbook.
    Note {
        /// What.
        text: String,
    },
}
