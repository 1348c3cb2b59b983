//! A journal in memory, whose handles share one history, so that a test can crash a worker and open it again.

use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Journal, JournalError, OperationalNote, RecoveryNote, RunHead};
use crate::event::{NewEvent, Record};
use crate::ids::RunId;

/// As many as the disk journal keeps.
const NOTES_PER_RUN: usize = 1_000;

/// A journal in memory; clones share its history.
#[derive(Clone, Debug, Default)]
pub struct MemoryJournal {
    history: Arc<Mutex<History>>,
    incarnation: u64,
}

#[derive(Debug, Default)]
struct History {
    records: Vec<Record>,
    notes: HashMap<RunId, Vec<OperationalNote>>,
    opened: u64,
    appends: u64,
    fail_at: Option<u64>,
}

impl MemoryJournal {
    /// A new, empty journal, open for the first time.
    pub fn new() -> Self {
        Self::holding(Vec::new())
    }

    /// A journal that holds the first `count` records of another's history, as after a crash at that boundary.
    pub fn truncated(records: &[Record], count: usize) -> Self {
        Self::holding(records.iter().take(count).cloned().collect())
    }

    fn holding(records: Vec<Record>) -> Self {
        Self { history: Arc::new(Mutex::new(History { records, ..History::default() })), incarnation: 0 }.reopen()
    }

    /// Another handle on the same history, as a worker's next start gets it; the crash point is lifted.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let mut history = self.lock();
        history.opened += 1;
        history.fail_at = None;
        let incarnation = history.opened;
        drop(history);
        Self { history: Arc::clone(&self.history), incarnation }
    }

    /// Lets so many more appends succeed; the next one is dropped and it and all later ones are refused.
    pub fn fail_after(&self, appends: u64) {
        let mut history = self.lock();
        history.fail_at = Some(history.appends + appends);
    }

    /// How many appends succeeded, in all incarnations.
    pub fn appends(&self) -> u64 {
        self.lock().appends
    }

    /// The records of all runs, in order.
    pub fn records(&self) -> Vec<Record> {
        self.lock().records.clone()
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        // A test that panicked while it held the lock has failed already; the others may look.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    fn next_seq(&self, run: RunId) -> u64 {
        self.records.iter().rfind(|record| record.run == run).map_or(1, |record| record.seq + 1)
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, events: &[NewEvent]) -> Result<(), JournalError> {
        let mut history = self.lock();
        if events.is_empty() {
            return Ok(());
        }
        if history.fail_at.is_some_and(|at| history.appends >= at) {
            return Err(JournalError::SyncFailed { path: PathBuf::from("memory"), source: io::Error::other("the crash point") });
        }
        let mut next = HashMap::new();
        for event in events {
            let place = next.entry(event.run).or_insert_with(|| history.next_seq(event.run));
            if event.seq != *place {
                return Err(JournalError::Conflict { run: event.run, expected: event.seq, found: *place });
            }
            *place += 1;
        }
        for NewEvent { run, seq, at, event } in events.iter().cloned() {
            let global = history.records.len() as u64 + 1;
            history.records.push(Record { global, run, seq, at, event });
        }
        history.appends += 1;
        Ok(())
    }

    fn runs(&mut self) -> Result<Vec<RunHead>, JournalError> {
        let history = self.lock();
        let mut heads: Vec<RunHead> = Vec::new();
        let mut places = HashMap::new();
        for record in &history.records {
            let place = *places.entry(record.run).or_insert(heads.len());
            let head = RunHead { run: record.run, last_seq: record.seq, ended: record.event.ends_run() };
            match heads.get_mut(place) {
                Some(known) => *known = head,
                None => heads.push(head),
            }
        }
        Ok(heads)
    }

    fn replay(&mut self, run: RunId, each: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<(), JournalError> {
        let records: Vec<Record> = self.lock().records.iter().filter(|record| record.run == run).cloned().collect();
        for record in records {
            if each(record).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn note(&mut self, note: OperationalNote) {
        let mut history = self.lock();
        let notes = history.notes.entry(note.run).or_default();
        notes.push(note);
        let surplus = notes.len().saturating_sub(NOTES_PER_RUN);
        notes.drain(..surplus);
    }

    fn notes(&mut self, run: RunId) -> Vec<OperationalNote> {
        self.lock().notes.get(&run).cloned().unwrap_or_default()
    }

    fn incarnation(&self) -> u64 {
        self.incarnation
    }

    fn recovery(&self) -> &[RecoveryNote] {
        &[]
    }

    fn close(self: Box<Self>) -> Result<(), JournalError> {
        Ok(())
    }
}
