//! A place between the worker and each attempt, where tests repeat, fail or cut off what they like.

use crate::activity::{ActivityError, Attempt, Effect};
use crate::json::Json;

/// What a hook is told of an attempt.
#[derive(Clone, Debug)]
pub struct AttemptInfo {
    /// Which attempt.
    pub attempt: Attempt,
    /// The activity's registered name.
    pub activity: String,
    /// Its class.
    pub class: Effect,
}

/// What becomes of an attempt before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// It is made.
    Proceed,
    /// It is made twice in a row; the second result counts.
    Repeat,
    /// It is not made, and fails with this.
    Fail(ActivityError),
}

/// Stands between the worker and each attempt.
pub trait AttemptHook: Send + Sync + 'static {
    /// Asked before an attempt.
    fn before(&self, info: &AttemptInfo) -> Before {
        let _ = info;
        Before::Proceed
    }

    /// May change an attempt's result on its way to the worker: a reply that is lost.
    fn after(&self, info: &AttemptInfo, result: Result<Json, ActivityError>) -> Result<Json, ActivityError> {
        let _ = info;
        result
    }
}
