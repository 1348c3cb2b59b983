//! Reads that a preflight can do without: what they gave, or why they gave nothing.

use windlass_engine::ActivityError;

use crate::error::{CallError, Failure};

/// What an optional read gave.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Look<T> {
    /// It was read.
    Seen(T),
    /// The cluster has no such thing.
    #[default]
    Absent,
    /// It could not be read; why, and what to ask for.
    Unreadable(String),
}

impl<T> Look<T> {
    /// What was read, if it was.
    pub fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen(seen) => Some(seen),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }

    /// Why it could not be read, as evidence.
    pub fn unreadable(&self) -> Option<String> {
        match self {
            Self::Unreadable(why) => Some(format!("could not be read: {why}")),
            Self::Seen(_) | Self::Absent => None,
        }
    }

    /// Sorts the outcome of a read. What a second attempt may bring (an API server that restarts, a login that is
    /// renewed) ends the whole look; a refusal does not.
    pub(super) fn of(outcome: Result<T, CallError>) -> Result<Self, ActivityError> {
        match outcome {
            Ok(seen) => Ok(Self::Seen(seen)),
            Err(error) if error.is_not_found() => Ok(Self::Absent),
            Err(error) => match &error.failure {
                Failure::Answered { status, .. } if status.code == 403 => {
                    Ok(Self::Unreadable(format!("permission missing: {}", error.call.permission())))
                }
                Failure::Answered { status, .. } if !matches!(status.code, 401 | 429 | 503 | 504) => {
                    Ok(Self::Unreadable(error.to_string()))
                }
                Failure::Unreadable(_) => Ok(Self::Unreadable(error.to_string())),
                Failure::Answered { .. }
                | Failure::NotSent(_)
                | Failure::Lost(_)
                | Failure::TimedOut(_)
                | Failure::NoCredentials(_)
                | Failure::Fenced(_) => {
                    // A question changes nothing, so an answer that was lost is asked for again.
                    let verdict = ActivityError::from(error);
                    Err(ActivityError::transient(&verdict.code, verdict.message))
                }
            },
        }
    }
}

impl<T> Look<Vec<T>> {
    /// All that was read; nothing if it could not be.
    pub fn all(&self) -> &[T] {
        self.seen().map(Vec::as_slice).unwrap_or_default()
    }
}
