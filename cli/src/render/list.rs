//! All runs, one line each.

use serde::Serialize;
use windlass_engine::journal::LockOwner;
use windlass_engine::view::RunStatus;
use windlass_engine::{OpenCommand, OpenRun, ParkReason, Timestamp};

use crate::render::columns::columns;
use crate::words;

/// A run for programs; a public contract.
#[derive(Serialize)]
pub(crate) struct Row {
    run: String,
    workflow: String,
    state: RunStatus,
    cluster: Option<String>,
    started_at: String,
    step: Option<String>,
}

impl Row {
    /// Sums a run up.
    pub(crate) fn of(run: &OpenRun) -> Self {
        Self {
            run: run.run.to_string(),
            workflow: run.workflow.clone(),
            state: RunStatus::of(run),
            cluster: run.cluster.clone(),
            started_at: words::rfc3339(run.started_at),
            step: step(run),
        }
    }
}

/// What the run is at, in words.
pub(crate) fn step(run: &OpenRun) -> Option<String> {
    if let Some(ParkReason::RetriesExhausted { summary, .. } | ParkReason::InDoubt { summary, .. }) = &run.parked {
        return Some(summary.clone());
    }
    // What a person must decide comes first, then what is done, then what is waited for; the nearest of several.
    let rank = |open: &&OpenCommand| match open {
        OpenCommand::Gate { opened_at, .. } => (0, *opened_at),
        OpenCommand::Activity(activity) => (1, activity.scheduled_at),
        OpenCommand::Timer { due_at } => (2, *due_at),
        OpenCommand::Signal { .. } => (3, run.last_at),
    };
    run.open.values().min_by_key(rank).map(|open| match open {
        OpenCommand::Activity(activity) => activity.summary.clone(),
        OpenCommand::Timer { due_at } => format!("wait until {}", words::rfc3339(*due_at)),
        OpenCommand::Signal { signal } => format!("wait for signal {signal}"),
        OpenCommand::Gate { gate, .. } => format!("gate {gate}"),
    })
}

/// A step column wider than this pushes the rest off the screen.
const STEP_WIDTH: usize = 60;

/// The runs as a table. On a terminal no line is longer than it is wide.
pub(crate) fn table(runs: &[OpenRun], worker: Option<&LockOwner>, width: Option<usize>) -> String {
    let header = ["RUN", "WORKFLOW", "STATE", "STARTED", "DRIVEN BY", "STEP"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(header).chain(runs.iter().map(|run| cells(run, worker))).collect();
    columns(&rows, width)
}

fn cells(run: &OpenRun, worker: Option<&LockOwner>) -> [String; 6] {
    let status = RunStatus::of(run);
    [
        run.run.to_string(),
        run.workflow.clone(),
        if run.cancelling && !status.is_end() { format!("{status}, cancelling") } else { status.to_string() },
        words::moment(run.started_at),
        driver(status, worker),
        step(run).map_or_else(|| "-".to_owned(), |step| words::one_line(&step, STEP_WIDTH)),
    ]
}

fn driver(status: RunStatus, worker: Option<&LockOwner>) -> String {
    match worker {
        _ if status.is_end() => "-".to_owned(),
        Some(owner) => format!("pid {}", owner.pid),
        None => "nobody".to_owned(),
    }
}

/// How long ago something was, in words.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", words::duration(now.since(at)))
}
