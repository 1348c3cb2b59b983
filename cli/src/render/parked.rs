//! Why a run stands still, in full. What can be done about it is said in `options`.

use windlass_engine::{OpenRun, ParkReason};

use crate::words;

/// What happened, for a run that is paused, parked, or both.
pub(crate) fn explain(run: &OpenRun) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(pause) = &run.paused {
        lines.push(format!("{} paused it at {}: {}", pause.by, words::moment(pause.since), pause.reason));
        lines.push("Nothing new begins; what was in flight has finished or finishes.".to_owned());
    }
    lines.extend(run.parked.iter().flat_map(reason));
    lines
}

fn reason(why: &ParkReason) -> Vec<String> {
    match why {
        ParkReason::RetriesExhausted { command, summary, attempts, error } => vec![
            format!("Step {command}, {summary}, did not succeed in {attempts} attempts, so windlass stopped trying."),
            format!("last error ({}): {}", error.code, error.message),
            "Nothing was undone; what is held stays held.".to_owned(),
        ],
        ParkReason::InDoubt { command, summary, evidence } => vec![
            format!("An attempt of step {command} began and its end is unknown: {summary}."),
            format!("The cluster does not tell whether it took effect; seen: {evidence}"),
            "windlass will not repeat it blindly.".to_owned(),
        ],
        ParkReason::Nondeterminism { message } | ParkReason::Unsupported { message } => {
            message.lines().map(str::to_owned).collect()
        }
    }
}
