//! Where a run stands, in one word.

use crate::state::{OpenCommand, OpenRun, RunEnd};

/// Where a run stands, in one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Something is being done, or would be if a worker drove it.
    Running,
    /// It waits at gates, signals and timers only.
    Waiting,
    /// It waits for a person's decision outside a gate, or a person paused it.
    Parked,
    /// The workflow returned.
    Completed,
    /// The workflow gave up.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl RunStatus {
    /// Reads the word off a run's open ends.
    pub fn of(state: &OpenRun) -> Self {
        match &state.ended {
            Some(RunEnd::Completed(_)) => Self::Completed,
            Some(RunEnd::Failed(_)) => Self::Failed,
            Some(RunEnd::Cancelled(_)) => Self::Cancelled,
            None if state.stands_still() => Self::Parked,
            None if state.open.is_empty() => Self::Running,
            None if state.open.values().any(|open| matches!(open, OpenCommand::Activity(_))) => Self::Running,
            None => Self::Waiting,
        }
    }

    /// The word itself.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen to the run.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl std::fmt::Display for RunStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
