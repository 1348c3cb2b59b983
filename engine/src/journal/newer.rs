//! Knowing the journal of a newer windlass before anything in it is touched: not its lock, not its store.

use std::collections::BTreeSet;
use std::path::Path;

use super::JournalError;
use super::frame;
use super::scan::Scanner;
use super::segment::{self, Position};

/// Refuses a journal that a newer windlass wrote; one that is not there is not. Takes no lock and changes nothing.
///
/// Looks at the format of each segment and at the records of the last one: what a newer windlass wrote last stands there.
/// Damage is not its business.
///
/// # Errors
/// [`JournalError::NewerFormat`], [`JournalError::NewerRecord`] or [`JournalError::UnknownEvent`].
pub fn refuse_newer(dir: &Path) -> Result<(), JournalError> {
    let log_dir = dir.join("log");
    segment::refuse_newer(&log_dir)?;
    let Some(last) = segment::list(&log_dir)?.pop() else { return Ok(()) };
    let mut scan = Scanner::new(log_dir, Position { segment: last, offset: 0 });
    let mut known: BTreeSet<Vec<u8>> = BTreeSet::new();
    while advanced(&mut scan)? {
        let kind = frame::kind(scan.frame());
        // One of each kind tells of all; decoding every record would cost as much as replaying it.
        if known.contains(kind) {
            continue;
        }
        if let Err(error @ JournalError::UnknownEvent { .. }) = scan.record() {
            return Err(error);
        }
        known.insert(kind.to_owned());
    }
    Ok(())
}

/// Goes to the next record; damage ends the walk and is left to whoever opens the journal.
fn advanced(scan: &mut Scanner) -> Result<bool, JournalError> {
    match scan.advance() {
        Err(error @ (JournalError::NewerFormat { .. } | JournalError::NewerRecord { .. })) => Err(error),
        Err(_) => Ok(false),
        more => more,
    }
}
