//! Events in their place: in the journal, and on their way into it.

use crate::event::Event;
use crate::ids::RunId;
use crate::time::Timestamp;

/// An event where it stands in the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Position in the whole journal, from 1.
    pub global: u64,
    /// The run it belongs to.
    pub run: RunId,
    /// Position in the run's history, from 1.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// The fact.
    pub event: Event,
}

/// An event on its way into the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEvent {
    /// The run it belongs to.
    pub run: RunId,
    /// The position it must take; refused as a conflict if it is taken.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The fact.
    pub event: Event,
}
