//! Follows the log of an open journal as far as it is durable, for whoever keeps its records in a second place.

use std::path::PathBuf;

use tokio::sync::watch;

use super::JournalError;
use super::log::Durable;
use super::scan::Scanner;
use super::segment::Position;
use crate::event::Record;

/// The records of an open journal, oldest first, and never one that a power cut could still take.
pub struct LogTail {
    log_dir: PathBuf,
    scan: Scanner,
    durable: watch::Receiver<Durable>,
    read_to: u64,
}

impl LogTail {
    pub(crate) fn new(log_dir: PathBuf, durable: watch::Receiver<Durable>) -> Self {
        let scan = Scanner::new(log_dir.clone(), Position::START);
        Self { log_dir, scan, durable, read_to: 0 }
    }

    /// Begins again with the first record.
    pub fn rewind(&mut self) {
        self.scan = Scanner::new(self.log_dir.clone(), Position::START);
        self.read_to = 0;
    }

    /// The next records, as many as were asked for or as are durable, up to about so many bytes; reads files.
    pub fn next_batch(&mut self, most: usize, bytes: usize) -> Result<Vec<Record>, JournalError> {
        self.scan.extend(self.durable.borrow_and_update().end);
        let (mut records, mut size) = (Vec::new(), 0);
        while records.len() < most && size < bytes && self.scan.advance()? {
            size += self.scan.frame().len();
            if let Some(record) = self.scan.record()? {
                self.read_to = record.global;
                records.push(record);
            }
        }
        Ok(records)
    }

    /// The number of the last record that was read.
    pub fn read_to(&self) -> u64 {
        self.read_to
    }

    /// A watch on how far the journal is durable; it ends when the journal is closed.
    pub(crate) fn durable(&self) -> watch::Receiver<Durable> {
        self.durable.clone()
    }
}
