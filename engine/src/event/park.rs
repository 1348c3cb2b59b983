//! What probes say and why runs park, as events record it.

use serde::{Deserialize, Serialize};

use crate::activity::ActivityError;
use crate::ids::CommandId;

/// What a probe said, short of finding the effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeVerdict {
    /// The effect did not take place; another attempt follows.
    DidNotHappen,
    /// A person must tell; the run parks.
    CannotTell,
}

/// Why a run waits for a person outside a gate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ParkReason {
    /// An activity used up its attempts.
    RetriesExhausted {
        /// Which command.
        command: CommandId,
        /// Its summary.
        summary: String,
        /// How often it was tried.
        attempts: u32,
        /// The last error.
        error: ActivityError,
    },
    /// An attempt's effect is unknown and the probe could not tell.
    InDoubt {
        /// Which command.
        command: CommandId,
        /// Its summary.
        summary: String,
        /// What was seen.
        evidence: String,
    },
    /// The workflow no longer asks for what the history records.
    Nondeterminism {
        /// The whole explanation, ready to print.
        message: String,
    },
    /// The run needs something that this binary does not have, or broke one of the engine's rules.
    Unsupported {
        /// The whole explanation, ready to print.
        message: String,
    },
}

impl ParkReason {
    /// The step that it is about, if it is about one.
    pub fn command(&self) -> Option<CommandId> {
        match self {
            Self::RetriesExhausted { command, .. } | Self::InDoubt { command, .. } => Some(*command),
            Self::Nondeterminism { .. } | Self::Unsupported { .. } => None,
        }
    }
}
