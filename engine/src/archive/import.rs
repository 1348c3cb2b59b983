//! A run from elsewhere, put into a journal under its own id.

use std::ops::ControlFlow;

use crate::event::{Event, NewEvent, Record};
use crate::ids::RunId;
use crate::journal::{Journal, JournalError};

/// One commit takes so many events: few syncs, and a buffer of some megabytes at the most.
const EVENTS_IN_A_COMMIT: usize = 1_000;

/// Why a run was not taken into a journal.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is nothing to take in.
    #[error("the history is empty")]
    Empty,
    /// The records are not the history of one run from its start.
    #[error("run {run}, event {seq}: {detail}")]
    NoHistory {
        /// The run of the first record.
        run: RunId,
        /// The place where something else must stand.
        seq: u64,
        /// What is wrong there.
        detail: String,
    },
    /// The journal has that run, and something else happened in it.
    #[error("run {run} is in this journal already, and its event {seq} is another one")]
    Differs {
        /// Which run.
        run: RunId,
        /// The first place where the two part.
        seq: u64,
    },
    /// The journal did not take it.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Appends a run's history under its own id, places and times, and answers how many events were new.
///
/// What the journal has of the run must be the same history up to some place; the rest is appended. If it has more, nothing is.
/// A crash in between leaves a beginning of the history, which a second call completes.
pub fn import_run(journal: &mut dyn Journal, records: Vec<Record>) -> Result<usize, ImportError> {
    let run = check(&records)?;
    let known = known_part(journal, run, &records)?;
    let new: Vec<NewEvent> =
        records.into_iter().skip(known).map(|Record { run, seq, at, event, .. }| NewEvent { run, seq, at, event }).collect();
    for commit in new.chunks(EVENTS_IN_A_COMMIT) {
        journal.append(commit)?;
    }
    Ok(new.len())
}

/// The run whose history the records are, from its start and without gaps.
fn check(records: &[Record]) -> Result<RunId, ImportError> {
    let run = records.first().ok_or(ImportError::Empty)?.run;
    let wrong = |seq: u64, detail: String| Err(ImportError::NoHistory { run, seq, detail });
    let mut ended = false;
    for (seq, record) in (1..).zip(records) {
        if record.run != run {
            return wrong(seq, format!("it belongs to run {}", record.run));
        }
        if record.seq != seq {
            return wrong(seq, format!("event {} stands in its place", record.seq));
        }
        if (seq == 1) != matches!(record.event, Event::RunStarted { .. }) {
            return wrong(seq, "a history begins with RunStarted and has it only once".to_owned());
        }
        if ended {
            return wrong(seq, "the run had ended before".to_owned());
        }
        ended = record.event.ends_run();
    }
    Ok(run)
}

/// How many of the records the journal has already.
fn known_part(journal: &mut dyn Journal, run: RunId, records: &[Record]) -> Result<usize, ImportError> {
    let mut known = 0;
    let mut differs = None;
    journal.replay(run, &mut |ours| {
        // What is behind the end of `records` is ours alone.
        let Some(theirs) = records.get(known) else { return ControlFlow::Break(()) };
        if (ours.at, &ours.event) != (theirs.at, &theirs.event) {
            differs = Some(ours.seq);
            return ControlFlow::Break(());
        }
        known += 1;
        ControlFlow::Continue(())
    })?;
    differs.map_or(Ok(known), |seq| Err(ImportError::Differs { run, seq }))
}
