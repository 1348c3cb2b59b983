//! Reads a journal without its lock, also while a worker writes it.

use std::path::{Path, PathBuf};

use super::heads::Heads;
use super::scan::Scanner;
use super::segment::{self, Position};
use super::{JournalError, RunHead};
use crate::event::Record;
use crate::ids::RunId;

/// A journal, open for reading.
#[derive(Clone, Debug)]
pub struct JournalReader {
    log_dir: PathBuf,
}

/// The runs that could be read, and what stopped the reading.
#[derive(Debug)]
pub struct ReadableRuns {
    /// The runs, oldest first.
    pub runs: Vec<RunHead>,
    /// The damage behind which nothing was read.
    pub damage: Option<JournalError>,
}

impl JournalReader {
    /// Opens a journal that exists; changes nothing in it.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        let log_dir = dir.join("log");
        if segment::list(&log_dir)?.is_empty() {
            return Err(JournalError::Missing { path: dir.to_owned() });
        }
        segment::refuse_newer(&log_dir)?;
        Ok(Self { log_dir })
    }

    /// All records, oldest first.
    pub fn records(&self) -> Records {
        self.records_from(Position::START)
    }

    /// Walks over the records as they stand in the log, from the first one on.
    pub(crate) fn scan(&self) -> Scanner {
        Scanner::new(self.log_dir.clone(), Position::START)
    }

    /// The records from a place on that [`Records::position`] gave.
    pub fn records_from(&self, position: Position) -> Records {
        Records { scan: Scanner::new(self.log_dir.clone(), position), run: None, failed: false }
    }

    /// The records of one run.
    pub fn records_of(&self, run: RunId) -> Records {
        Records { run: Some(run), ..self.records() }
    }

    /// The runs up to the end, or up to the damage.
    pub fn runs(&self) -> ReadableRuns {
        let mut scan = Scanner::new(self.log_dir.clone(), Position::START);
        let mut heads = Heads::default();
        let damage = loop {
            match scan.advance() {
                Ok(true) => {}
                Ok(false) => break None,
                Err(error) => break Some(error),
            }
            let gap = scan.header().and_then(|header| heads.absorb(header, scan.begins()).err());
            if let Some(detail) = gap {
                break Some(scan.damage_here(detail));
            }
        };
        ReadableRuns { runs: heads.sorted(), damage }
    }
}

/// An iterator over records, in constant memory.
///
/// `None` is the end for now: asked again, it gives what was appended meanwhile. After an error it is over for good.
pub struct Records {
    scan: Scanner,
    run: Option<RunId>,
    failed: bool,
}

impl Records {
    /// Where the next record will be looked for.
    pub fn position(&self) -> Position {
        self.scan.position()
    }

    fn advance(&mut self) -> Result<Option<Record>, JournalError> {
        while self.scan.advance()? {
            if self.scan.header().is_some_and(|header| self.run.is_none_or(|run| run == header.run)) {
                return self.scan.record();
            }
        }
        Ok(None)
    }
}

impl Iterator for Records {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.advance();
        self.failed = next.is_err();
        next.transpose()
    }
}
