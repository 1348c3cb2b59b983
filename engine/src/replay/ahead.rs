//! The part of a history that a replay has not come to.

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::{Event, Record};

/// What lies ahead in a history. Clones share it: the machine takes from it, and `ctx.patched` looks into it.
#[derive(Clone)]
pub(crate) struct Ahead(Arc<Mutex<Parts>>);

/// The records in hand, and the rest that is being read beside the replay.
struct Parts {
    read: VecDeque<Record>,
    rest: Option<Receiver<Vec<Record>>>,
}

impl Ahead {
    /// A history that another thread reads, part by part, and closes at its end. Only the parts on their way are in memory,
    /// unless a look ahead needs all of it.
    pub(crate) fn arriving(rest: Receiver<Vec<Record>>) -> Self {
        Self(Arc::new(Mutex::new(Parts { read: VecDeque::new(), rest: Some(rest) })))
    }

    /// Looks at the next record.
    pub(crate) fn first<T>(&self, look: impl FnOnce(&Record) -> T) -> Option<T> {
        let mut parts = self.lock();
        parts.fill();
        parts.read.front().map(look)
    }

    /// Takes the next record.
    pub(crate) fn next(&self) -> Option<Record> {
        let mut parts = self.lock();
        parts.fill();
        parts.read.pop_front()
    }

    /// Whether code on the new side of a change may run: its marker is on record, or nothing is but `asked` commands.
    pub(crate) fn allows_patch(&self, name: &str, asked: usize) -> bool {
        let mut parts = self.lock();
        if let Some(rest) = parts.rest.take() {
            parts.read.extend(rest.into_iter().flatten());
        }
        let marks = |record: &Record| matches!(&record.event, Event::PatchMarked { patch, .. } if patch == name);
        let mut commands = parts.read.iter().filter(|record| record.event.asked().is_some());
        commands.clone().any(marks) || commands.nth(asked).is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    /// Waits for the next part if there is nothing in hand.
    fn fill(&mut self) {
        while self.read.is_empty()
            && let Some(rest) = &self.rest
        {
            match rest.recv() {
                Ok(part) => self.read = part.into(),
                Err(_) => self.rest = None,
            }
        }
    }
}

impl From<Vec<Record>> for Ahead {
    fn from(records: Vec<Record>) -> Self {
        Self(Arc::new(Mutex::new(Parts { read: records.into(), rest: None })))
    }
}
