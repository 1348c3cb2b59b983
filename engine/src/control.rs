//! What can be told to a run from outside, decided by one pure function for the worker and for the offline commands.

use serde::{Deserialize, Serialize};

use crate::event::{Event, NewEvent, Record};
use crate::ids::RunId;
use crate::journal::{Journal, JournalError};
use crate::json::Json;
use crate::state::OpenRun;
use crate::time::Timestamp;

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
}

/// Why a request was refused; nothing was recorded.
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

/// The events that record a request, or why it is refused. Pure; `state` is the run as it stands, `None` if unknown.
///
/// # Errors
/// A [`Refusal`], when the request does not fit the run as it stands.
pub fn decide(state: Option<&OpenRun>, request: &Request) -> Result<Vec<Event>, Refusal> {
    let (run, by, reason) = (request.run, request.by.clone(), request.reason.clone());
    if let What::Start { workflow, revision, build, input, cluster, approvals } = &request.what {
        if state.is_some() {
            return Err(Refusal::RunExists { run });
        }
        let mut events = vec![Event::RunStarted {
            workflow: workflow.clone(),
            revision: *revision,
            build: build.clone(),
            input: input.clone(),
            cluster: cluster.clone(),
            by: by.clone(),
        }];
        let approve =
            |gate: &String| Event::GateApproved { gate: gate.clone(), by: by.clone(), reason: reason.clone(), in_advance: true };
        events.extend(approvals.iter().map(approve));
        return Ok(events);
    }
    let state = state.ok_or(Refusal::NoSuchRun { run })?;
    if state.ended.is_some() {
        return Err(Refusal::RunEnded { run });
    }
    let gate_open = |gate: &String| {
        let open: Vec<String> = state.open_gates().map(str::to_owned).collect();
        if open.contains(gate) { Ok(()) } else { Err(Refusal::GateNotOpen { run, gate: gate.clone(), open }) }
    };
    Ok(match &request.what {
        What::Start { .. } => Vec::new(),
        What::Signal { signal, payload } => {
            vec![Event::SignalReceived { signal: signal.clone(), payload: payload.clone(), by }]
        }
        What::Approve { gate, in_advance } => {
            let open = gate_open(gate);
            if !in_advance {
                open.clone()?;
            }
            vec![Event::GateApproved { gate: gate.clone(), by, reason, in_advance: open.is_err() }]
        }
        What::Reject { gate } => {
            gate_open(gate)?;
            vec![Event::GateRejected { gate: gate.clone(), by, reason }]
        }
        What::Cancel if state.cancelling => return Err(Refusal::AlreadyCancelling { run }),
        What::Cancel => vec![Event::CancelRequested { by, reason }],
        What::Unpark if state.parked.is_none() => return Err(Refusal::NotParked { run }),
        What::Unpark => vec![Event::RunUnparked { by, reason }],
    })
}

/// Records a request in a journal that no worker holds; the next worker acts on it.
///
/// # Errors
/// The refusal, or the journal's error.
pub fn record_offline(journal: &mut dyn Journal, request: &Request, now: Timestamp) -> Result<Result<(), Refusal>, JournalError> {
    let mut state: Option<OpenRun> = None;
    journal.replay(request.run, &mut |record: Record| {
        match &mut state {
            Some(state) => state.apply(&record),
            None => state = OpenRun::begin(&record),
        }
        std::ops::ControlFlow::Continue(())
    })?;
    let events = match decide(state.as_ref(), request) {
        Ok(events) => events,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let first = state.as_ref().map_or(1, |s| s.next_seq);
    let events: Vec<NewEvent> =
        (first..).zip(events).map(|(seq, event)| NewEvent { run: request.run, seq, at: now, event }).collect();
    journal.append(&events)?;
    Ok(Ok(()))
}
