//! What clients did: every write in full, reads as counts.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

/// One write request that reached the API server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Virtual time of the request.
    pub at: DateTime<Utc>,
    /// User and user agent.
    pub who: String,
    /// What it did, e.g. `patch`.
    pub verb: String,
    /// Path and query.
    pub path: String,
    /// The request's body; null when it had none.
    pub body: Value,
    /// The HTTP status that the server decided on, also when the reply was lost on the way.
    pub code: u16,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReadKey {
    /// `get`, `list` or `watch`.
    pub verb: String,
    /// `plural[.group][/subresource]`, or the path of what is no resource.
    pub resource: String,
    /// Whether it was a list without a limit, or a page of one with it.
    pub unpaged: bool,
}

/// The record of what clients did; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Audit(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    records: Vec<AuditRecord>,
    reads: BTreeMap<ReadKey, u64>,
    read: watch::Sender<u64>,
    written: watch::Sender<u64>,
    file: Option<File>,
    open_watches: usize,
    most_watches: usize,
}

impl Audit {
    /// All writes so far, oldest first.
    pub fn records(&self) -> Vec<AuditRecord> {
        self.lock().records.clone()
    }

    /// How often each thing was read.
    pub fn reads(&self) -> BTreeMap<ReadKey, u64> {
        self.lock().reads.clone()
    }

    /// How often `resource` was read by `verb`, paged or not.
    pub fn read_count(&self, verb: &str, resource: &str) -> u64 {
        self.lock().reads.iter().filter(|(k, _)| k.verb == verb && k.resource == resource).map(|(_, n)| n).sum()
    }

    /// Counts all reads, for whoever waits for one.
    pub fn reading(&self) -> watch::Receiver<u64> {
        self.lock().read.subscribe()
    }

    /// Counts all writes, for whoever waits for one.
    pub fn writing(&self) -> watch::Receiver<u64> {
        self.lock().written.subscribe()
    }

    /// Watches that are open now.
    pub fn open_watches(&self) -> usize {
        self.lock().open_watches
    }

    /// The most watches that were ever open at once.
    pub fn most_watches(&self) -> usize {
        self.lock().most_watches
    }

    /// Writes what comes from now on to a file too, a JSON object a line.
    pub fn append_to(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        self.lock().file = Some(file);
        Ok(())
    }

    pub(crate) fn wrote(&self, record: AuditRecord) {
        let mut inner = self.lock();
        if let Some(file) = &mut inner.file {
            let written = serde_json::to_vec(&record).map_err(io::Error::other).and_then(|mut line| {
                line.push(b'\n');
                file.write_all(&line)
            });
            if let Err(error) = written {
                tracing::error!(%error, "failed to append to the audit log; its file is incomplete from here on");
                inner.file = None;
            }
        }
        inner.records.push(record);
        let written = inner.written.clone();
        drop(inner);
        written.send_modify(|count| *count += 1);
    }

    pub(crate) fn read(&self, key: ReadKey) {
        let mut inner = self.lock();
        *inner.reads.entry(key).or_default() += 1;
        let read = inner.read.clone();
        // Whoever is woken may ask for the counts, so the lock is given back first.
        drop(inner);
        read.send_modify(|count| *count += 1);
    }

    /// Counts a watch as open until the guard is dropped.
    pub(crate) fn watching(&self) -> WatchGuard {
        let mut inner = self.lock();
        inner.open_watches += 1;
        inner.most_watches = inner.most_watches.max(inner.open_watches);
        drop(inner);
        WatchGuard(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open watch.
#[derive(Debug)]
pub(crate) struct WatchGuard(Audit);

impl Drop for WatchGuard {
    fn drop(&mut self) {
        self.0.lock().open_watches -= 1;
    }
}
