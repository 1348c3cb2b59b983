//! Why a run is parked, in full, and what a person can do about it.

use windlass_engine::{ParkReason, RunId};

/// What happened and which commands help, most likely first.
pub(crate) struct Explanation {
    pub(crate) what: Vec<String>,
    pub(crate) options: Vec<String>,
}

/// Explains a reason to a person.
pub(crate) fn explain(run: RunId, why: &ParkReason) -> Explanation {
    match why {
        ParkReason::RetriesExhausted { summary, attempts, error, .. } => Explanation {
            what: vec![
                format!("{summary} did not succeed in {attempts} attempts, so windlass stopped trying."),
                format!("last error ({}): {}", error.code, error.message),
                "Nothing was undone; what is held stays held.".to_owned(),
            ],
            options: vec![
                format!("windlass resume {run}    once the cause is gone; it tries again from this very step"),
                format!("windlass cancel {run}    gives back what is held and ends the run"),
            ],
        },
        ParkReason::InDoubt { summary, evidence, .. } => Explanation {
            what: vec![
                format!("An attempt of this began and its end is unknown: {summary}."),
                format!("The cluster does not tell whether it took effect; seen: {evidence}"),
                "windlass will not repeat it blindly.".to_owned(),
            ],
            options: vec![
                format!("windlass resume {run}    looks again; goes on as soon as the cluster gives a clear answer"),
                format!("windlass cancel {run}    gives back what is held and ends the run"),
            ],
        },
        ParkReason::Nondeterminism { message } => Explanation {
            what: message.lines().map(str::to_owned).collect(),
            options: vec![format!("windlass resume {run}    with the build that recorded the run, or one that was mended")],
        },
        ParkReason::Unsupported { message } => Explanation {
            what: message.lines().map(str::to_owned).collect(),
            options: vec![format!("windlass resume {run}    with a build that has what is missing")],
        },
    }
}
