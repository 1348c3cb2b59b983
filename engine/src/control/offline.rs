//! Telling something to a run that no worker drives.

use crate::control::{Grounds, Refusal, Request, decide};
use crate::event::{NewEvent, Record};
use crate::journal::{Journal, JournalError};
use crate::state::OpenRun;
use crate::time::Timestamp;
use crate::workflow::Registry;

/// Records a request in a journal that no worker holds; the next worker acts on it. What rests on what activities are (a
/// step that is skipped or marked as done) needs [`record_offline_with`].
///
/// # Errors
/// The refusal, or the journal's error.
pub fn record_offline(journal: &mut dyn Journal, request: &Request, now: Timestamp) -> Result<Result<(), Refusal>, JournalError> {
    record_offline_with(journal, &Registry::new(), request, now)
}

/// As [`record_offline`], with what this binary knows of activities. The registry's world is not touched.
///
/// # Errors
/// The refusal, or the journal's error.
pub fn record_offline_with(
    journal: &mut dyn Journal,
    registry: &Registry,
    request: &Request,
    now: Timestamp,
) -> Result<Result<(), Refusal>, JournalError> {
    let mut state: Option<OpenRun> = None;
    journal.replay(request.run, &mut |record: Record| {
        match &mut state {
            Some(state) => state.apply(&record),
            None => state = OpenRun::begin(&record),
        }
        std::ops::ControlFlow::Continue(())
    })?;
    let grounds = Grounds { registry, under_way: &|_| false };
    let events = match decide(state.as_ref(), request, &grounds) {
        Ok(events) => events,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let first = state.as_ref().map_or(1, |s| s.next_seq);
    let events: Vec<NewEvent> =
        (first..).zip(events).map(|(seq, event)| NewEvent { run: request.run, seq, at: now, event }).collect();
    journal.append(&events)?;
    Ok(Ok(()))
}
