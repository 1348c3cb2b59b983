//! The store derived from the log: a thread of its own, which `append` never waits for.

mod db;
mod follow;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::frame::{self, Checked};
use super::heads::Head;
use super::log::Durable;
use super::segment::Position;
use super::{JournalError, JournalFormat, OperationalNote, RecoveryNote};
use crate::event::Record;
use crate::ids::RunId;

/// How many requests wait for the store; notes beyond that are dropped.
const QUEUE: usize = 1_024;

/// What the store may take.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// How many notes of a run are kept.
    pub(crate) notes_per_run: usize,
    /// A store that does not answer for so long is given up: sled can hang on a damaged file, and the log has everything.
    pub(crate) patience: Duration,
}

/// The worker's side of the store.
pub(crate) struct Store {
    requests: Option<SyncSender<Request>>,
    shared: Arc<Shared>,
    report: OnceLock<Report>,
    reports: Mutex<Receiver<Report>>,
    thread: Option<(JoinHandle<()>, Receiver<()>)>,
    patience: Duration,
    given_up: AtomicBool,
}

/// What the log's side tells the store's thread without waking it.
struct Shared {
    durable: Mutex<Durable>,
    asleep: AtomicBool,
}

/// What opening the store found.
#[derive(Clone, Default, Debug)]
pub(crate) struct Report {
    pub(crate) notes: Vec<RecoveryNote>,
    /// Where the log goes on behind what the store held, if it held anything.
    pub(crate) applied: Option<Position>,
    /// The heads that it held.
    pub(crate) heads: Vec<Head>,
}

/// Records as they stand in the log, or why the store can't give them.
type Page = Result<Vec<Vec<u8>>, String>;

enum Request {
    Wake,
    Note(OperationalNote),
    Notes(RunId, SyncSender<Vec<OperationalNote>>),
    Replay { run: RunId, last_seq: u64, pages: SyncSender<Page> },
}

impl Store {
    /// Starts the thread; the store is opened on it when it is first needed.
    pub(crate) fn start(dir: &Path, log_dir: PathBuf, durable: Durable, limits: Limits) -> Result<Self, JournalError> {
        let shared = Arc::new(Shared { durable: Mutex::new(durable), asleep: AtomicBool::new(true) });
        let (requests, queue) = sync_channel(QUEUE);
        let (report, reports) = sync_channel(1);
        let (done, when_done) = sync_channel(1);
        let follower = follow::Follower::new(dir.to_owned(), log_dir, Arc::clone(&shared), limits);
        let thread = std::thread::Builder::new()
            .name("windlass-store".to_owned())
            .spawn(move || {
                follower.run(&queue, &report);
                let _ = done.send(());
            })
            .map_err(|e| JournalError::io("starting the store's thread for", dir, e))?;
        Ok(Self {
            requests: Some(requests),
            shared,
            report: OnceLock::new(),
            reports: Mutex::new(reports),
            thread: Some((thread, when_done)),
            patience: limits.patience,
            given_up: AtomicBool::new(false),
        })
    }

    /// What opening the store found; waits for it.
    pub(crate) fn report(&self) -> &Report {
        self.report.get_or_init(|| {
            self.try_send(Request::Wake);
            let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
            // It may give up opening one store, and make another.
            reports.recv_timeout(self.patience * 2).unwrap_or_else(|_| {
                self.given_up.store(true, Ordering::Relaxed);
                let reason = "it does not answer".to_owned();
                Report { notes: vec![RecoveryNote::StoreLost { reason }], ..Report::default() }
            })
        })
    }

    /// Tells how far the log is durable now; never waits.
    pub(crate) fn follow(&self, durable: Durable) {
        self.shared.set(durable);
        if self.shared.asleep.swap(false, Ordering::SeqCst) {
            self.try_send(Request::Wake);
        }
    }

    /// Adds a note, or drops it when the store is busy.
    pub(crate) fn note(&self, note: OperationalNote) {
        self.try_send(Request::Note(note));
    }

    /// The notes of a run, oldest first; none if the store is lost.
    pub(crate) fn notes(&self, run: RunId) -> Vec<OperationalNote> {
        let (reply, notes) = sync_channel(1);
        if !self.send(Request::Notes(run, reply)) {
            return Vec::new();
        }
        notes.recv_timeout(self.patience).unwrap_or_default()
    }

    /// Hands over a run's records as far as the store has them; the answer is the next event that it did not give. All of them
    /// stand in today's format.
    pub(crate) fn replay(
        &mut self,
        run: RunId,
        last_seq: u64,
        each: &mut dyn FnMut(Record) -> ControlFlow<()>,
    ) -> Result<ControlFlow<(), u64>, JournalError> {
        let mut next = 1;
        let (pages, replies) = sync_channel(4);
        if !self.send(Request::Replay { run, last_seq, pages }) {
            return Ok(ControlFlow::Continue(next));
        }
        loop {
            let frames = match replies.recv_timeout(self.patience) {
                Ok(Ok(frames)) => frames,
                Ok(Err(why)) => {
                    tracing::warn!(%run, why, "the store could not replay a run; it is read from the log");
                    return Ok(ControlFlow::Continue(next));
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(ControlFlow::Continue(next)),
                Err(RecvTimeoutError::Timeout) => {
                    self.given_up.store(true, Ordering::Relaxed);
                    return Ok(ControlFlow::Continue(next));
                }
            };
            for bytes in &frames {
                let Some(record) = decode(run, next, bytes) else { return Ok(ControlFlow::Continue(next)) };
                if each(record).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                next += 1;
            }
        }
    }

    /// Lets the thread finish and waits for it, within reason.
    pub(crate) fn close(&mut self) {
        self.requests = None;
        if let Some((thread, when_done)) = self.thread.take()
            && !self.given_up.load(Ordering::Relaxed)
            && when_done.recv_timeout(self.patience).is_ok()
        {
            let _ = thread.join();
        }
    }

    fn try_send(&self, request: Request) {
        if let Some(requests) = &self.requests {
            let _ = requests.try_send(request);
        }
    }

    fn send(&self, request: Request) -> bool {
        // The queue is full only of notes, and only for as long as the thread is alive and busy.
        !self.given_up.load(Ordering::Relaxed) && self.requests.as_ref().is_some_and(|requests| requests.send(request).is_ok())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn durable(&self) -> Durable {
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, durable: Durable) {
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner) = durable;
    }
}

/// The record, if the bytes are that event; anything else is left to the log to explain.
fn decode(run: RunId, seq: u64, bytes: &[u8]) -> Option<Record> {
    match frame::check(bytes) {
        Checked::Whole(header) if header.run == run && header.seq == seq && header.frame_bytes() == bytes.len() => {
            frame::record(&header, bytes, JournalFormat::CURRENT).ok()
        }
        Checked::Whole(_) | Checked::Short(_) | Checked::Bad(_) | Checked::Newer { .. } => None,
    }
}
