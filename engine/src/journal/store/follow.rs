//! The store's thread: follows the log, answers reads, and makes the store anew when it is not what it should be.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use super::db::{self, Checkpoint, Chunk, Damaged, Db};
use super::{Limits, Page, Report, Request, Shared};
use crate::ids::RunId;
use crate::journal::frame::{self, Checked};
use crate::journal::heads::Heads;
use crate::journal::scan::{self, Scanner};
use crate::journal::segment::Position;
use crate::journal::{JournalError, OperationalNote, RecoveryNote};

/// The log must pause for so long before the store takes a core and the disk from the worker.
const PAUSE: Duration = Duration::from_millis(50);

/// So long the store is behind at most while the log does not pause.
const LONGEST_LAG: Duration = Duration::from_secs(1);

/// A third of the worker's share of a busy core.
const NICENESS: i32 = 5;

/// How many records are applied or read at once: a few milliseconds.
const CHUNK_RECORDS: usize = 256;

/// Up to so many records, each one is checked on open: some twenty milliseconds on a thread that nobody waits for.
const FULL_CHECK_RECORDS: u64 = 20_000;

/// So many records are still applied on close, some ten milliseconds; the rest is caught up on the next open.
const CLOSE_RECORDS: u64 = 1_000;

/// The store's thread.
pub(super) struct Follower {
    dir: PathBuf,
    log_dir: PathBuf,
    shared: Arc<Shared>,
    limits: Limits,
    /// `None` once it could not be made anew either.
    db: Option<Db>,
    heads: Heads,
    applied: u64,
    scan: Scanner,
    next_note: HashMap<RunId, u64>,
}

impl Follower {
    pub(super) fn new(dir: PathBuf, log_dir: PathBuf, shared: Arc<Shared>, limits: Limits) -> Self {
        Self {
            scan: Scanner::new(log_dir.clone(), Position::START),
            dir,
            log_dir,
            shared,
            limits,
            db: None,
            heads: Heads::default(),
            applied: 0,
            next_note: HashMap::new(),
        }
    }

    /// Lives until the worker closes its side.
    pub(super) fn run(mut self, requests: &Receiver<Request>, report: &SyncSender<Report>) {
        // What is derived gives way to the worker; on Linux this is the thread's own niceness.
        let _ = rustix::process::nice(NICENESS);
        // The second core belongs to the first replays; the store is opened when it is asked for or the log grows.
        let Ok(first) = requests.recv() else { return };
        let _ = report.send(self.open());
        self.serve(first);
        let mut hurry = false;
        let (mut seen, mut changed, mut since) = (0, Instant::now(), Instant::now());
        loop {
            let (durable, now) = (self.shared.durable().global, Instant::now());
            if !self.behind() {
                (hurry, since) = (false, now);
            }
            if durable != seen {
                (seen, changed) = (durable, now);
            }
            hurry |= self.behind() && (now - changed >= PAUSE || now - since >= LONGEST_LAG);
            let request = if hurry {
                self.apply_chunk();
                if !self.behind() {
                    self.attempt(Db::flush);
                }
                requests.try_recv().map_err(|e| e == TryRecvError::Disconnected)
            } else if self.behind() {
                requests.recv_timeout(PAUSE.saturating_sub(now - changed)).map_err(|e| e == RecvTimeoutError::Disconnected)
            } else {
                self.sleep(requests)
            };
            match request {
                Ok(request) => self.serve(request),
                Err(closed) if closed => break,
                Err(_) => {}
            }
        }
        self.finish();
    }

    /// Waits for a request; the worker sends one when the log has grown.
    fn sleep(&self, requests: &Receiver<Request>) -> Result<Request, bool> {
        self.shared.asleep.store(true, Ordering::SeqCst);
        if self.behind() {
            return Err(false);
        }
        requests.recv().map_err(|_| true)
    }

    fn behind(&self) -> bool {
        self.db.is_some() && self.applied < self.shared.durable().global
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Wake => {}
            Request::Note(note) => self.add_note(&note),
            Request::Notes(run, reply) => {
                let notes = self.attempt(|db| db.notes(run)).unwrap_or_default();
                // Notes are lost without harm, so a damaged one is passed over.
                let _ = reply.send(notes.iter().filter_map(|note| serde_json::from_slice(note).ok()).collect());
            }
            Request::Replay { run, last_seq, pages } => self.replay(run, last_seq, &pages),
        }
    }

    fn add_note(&mut self, note: &OperationalNote) {
        let Ok(text) = serde_json::to_vec(note) else { return };
        let (run, most) = (note.run, self.limits.notes_per_run);
        let next = match self.next_note.get(&run) {
            Some(next) => Some(*next),
            None => self.attempt(|db| db.next_note(run)),
        };
        let Some(next) = next else { return };
        if self.attempt(|db| db.add_note(run, next, most, &text)).is_some() {
            self.next_note.insert(run, next + 1);
        }
    }

    fn replay(&mut self, run: RunId, last_seq: u64, pages: &SyncSender<Page>) {
        while self.behind() {
            self.apply_chunk();
        }
        let mut next = 1;
        while next <= last_seq {
            let Some(db) = &self.db else {
                let _ = pages.send(Err("it is lost".to_owned()));
                return;
            };
            match checked_page(db, run, next, last_seq) {
                Ok(frames) => {
                    next += frames.len() as u64;
                    if pages.send(Ok(frames)).is_err() {
                        return;
                    }
                }
                Err(damaged) => {
                    let _ = pages.send(Err(damaged.0.clone()));
                    self.rebuild(&damaged);
                    return;
                }
            }
        }
    }

    fn finish(mut self) {
        let target = self.applied + CLOSE_RECORDS;
        while self.behind() && self.applied < target {
            self.apply_chunk();
        }
        self.attempt(Db::flush);
        if let Some(Err(Damaged(why))) = self.db.take().map(Db::close) {
            tracing::warn!(why, "the store did not close well; it will be made anew from the log");
        }
    }

    /// Does something with the store; if that fails, makes it anew.
    fn attempt<T>(&mut self, act: impl FnOnce(&Db) -> Result<T, Damaged>) -> Option<T> {
        match act(self.db.as_ref()?) {
            Ok(value) => Some(value),
            Err(damaged) => {
                self.rebuild(&damaged);
                None
            }
        }
    }

    fn apply_chunk(&mut self) {
        match self.next_chunk() {
            Ok(Some((chunk, applied))) => {
                if self.attempt(|db| db.apply(chunk)).is_some() {
                    self.applied = applied;
                }
            }
            Ok(None) => self.lose("the log ends before what was made durable"),
            Err(Stopped::Log(error)) => self.lose(&error.to_string()),
            Err(Stopped::Chunk(damaged)) => self.rebuild(&damaged),
        }
    }

    fn next_chunk(&mut self) -> Result<Option<(Chunk, u64)>, Stopped> {
        self.scan.extend(self.shared.durable().end);
        let mut chunk = Chunk::default();
        let mut runs = HashSet::new();
        let mut last = None;
        let mut frame = Vec::new();
        for _ in 0..CHUNK_RECORDS {
            if !self.scan.advance().map_err(Stopped::Log)? {
                break;
            }
            let Some(header) = self.scan.header() else { break };
            self.heads.absorb(header, self.scan.begins()).map_err(|detail| Stopped::Log(self.scan.damage_here(detail)))?;
            chunk.event(header.run, header.seq, self.scan.frame());
            runs.insert(header.run);
            frame.clear();
            frame.extend_from_slice(self.scan.frame());
            let (begins, ends) = (self.scan.begins(), self.scan.position());
            last = Some(Checkpoint { global: header.global, hash: [0; 32], begins, ends });
        }
        let Some(mut last) = last else { return Ok(None) };
        last.hash = frame::hash(&frame);
        for head in runs.iter().filter_map(|run| self.heads.get(*run)) {
            chunk.head(head).map_err(Stopped::Chunk)?;
        }
        chunk.checkpoint(&last).map_err(Stopped::Chunk)?;
        Ok(Some((chunk, last.global)))
    }

    /// Opens the store and compares it with the log.
    fn open(&mut self) -> Report {
        let durable = self.shared.durable().global;
        let existed = self.path().exists();
        let mut report = Report::default();
        let why = match self.open_sound(&mut report) {
            Ok(()) if durable == self.applied => return report,
            Ok(()) if existed => {
                report.notes.push(RecoveryNote::StoreCaughtUp { records: durable - self.applied });
                return report;
            }
            Ok(()) => "it was missing".to_owned(),
            Err(Damaged(why)) => {
                self.abandon();
                why
            }
        };
        let moved_to = if existed { self.start_over() } else { None };
        let note = match &self.db {
            Some(_) => RecoveryNote::StoreRebuilt { reason: why, records: durable, moved_to },
            None => RecoveryNote::StoreLost { reason: why },
        };
        Report { notes: vec![note], ..Report::default() }
    }

    fn open_sound(&mut self, report: &mut Report) -> Result<(), Damaged> {
        let db = self.db.insert(Db::open(&self.dir.join("store"), self.limits.patience)?);
        let Some(checkpoint) = db.checkpoint()? else { return Ok(()) };
        let durable = self.shared.durable().global;
        if checkpoint.global > durable {
            let lost = format!("records {} to {} are in it and no longer in the log", durable + 1, checkpoint.global);
            return Err(Damaged(format!("it was ahead of the log: {lost}")));
        }
        let heads = db.heads()?;
        for head in &heads {
            self.heads.insert(*head);
        }
        if !self.heads.complete(checkpoint.global) {
            return Err(Damaged("its heads do not add up".to_owned()));
        }
        if checkpoint.global <= FULL_CHECK_RECORDS {
            check_all(db, &self.heads, checkpoint.global)?;
        }
        match scan::record_at(self.log_dir.clone(), checkpoint.begins) {
            Ok(Some((header, hash))) if header.global == checkpoint.global && hash == checkpoint.hash => {}
            Ok(_) | Err(_) => return Err(Damaged("it was made from another log".to_owned())),
        }
        self.applied = checkpoint.global;
        self.scan = Scanner::new(self.log_dir.clone(), checkpoint.ends);
        report.applied = Some(checkpoint.ends);
        report.heads = heads;
        Ok(())
    }

    /// Makes the store anew while the worker goes on.
    fn rebuild(&mut self, damaged: &Damaged) {
        tracing::warn!(why = damaged.0, "the store is damaged; it is made anew from the log");
        self.abandon();
        self.start_over();
    }

    fn lose(&mut self, why: &str) {
        tracing::error!(why, "the store can't follow the log; runs are read from the log");
        self.abandon();
    }

    fn abandon(&mut self) {
        if let Some(db) = self.db.take() {
            db.abandon();
        }
    }

    /// Moves the store aside and opens an empty one; answers where the old one is.
    fn start_over(&mut self) -> Option<PathBuf> {
        self.heads = Heads::default();
        self.applied = 0;
        self.next_note.clear();
        self.scan = Scanner::new(self.log_dir.clone(), Position::START);
        let moved = move_aside(&self.dir, &self.path());
        match moved.as_ref().map_err(|e| Damaged(e.to_string())).and_then(|_| Db::open(&self.path(), self.limits.patience)) {
            Ok(db) => self.db = Some(db),
            Err(Damaged(why)) => self.lose(&why),
        }
        moved.ok()
    }

    fn path(&self) -> PathBuf {
        self.dir.join("store")
    }
}

/// Why the store can't follow.
enum Stopped {
    Log(JournalError),
    Chunk(Damaged),
}

/// Keeps the last two: they may tell what happened, and more of them only fill the disk.
fn move_aside(dir: &Path, store: &Path) -> std::io::Result<PathBuf> {
    let (newest, older) = (dir.join("store.damaged-1"), dir.join("store.damaged-2"));
    if newest.exists() {
        match fs::symlink_metadata(&older) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(&older)?,
            Ok(_) => fs::remove_file(&older)?,
            Err(_) => {}
        }
        fs::rename(&newest, &older)?;
    }
    fs::rename(store, &newest)?;
    Ok(newest)
}

fn checked_page(db: &Db, run: RunId, from: u64, last_seq: u64) -> Result<Vec<Vec<u8>>, Damaged> {
    let wanted = usize::try_from(last_seq - from + 1).map_or(CHUNK_RECORDS, |left| left.min(CHUNK_RECORDS));
    let page = db.page(run, from, wanted)?;
    if page.len() < wanted {
        return Err(Damaged(format!("events of run {run} are missing from {} on", from + page.len() as u64)));
    }
    for (seq, (found, bytes)) in (from..).zip(&page) {
        if *found != seq || !is_event(bytes, run, seq) {
            return Err(Damaged(format!("event {seq} of run {run} is damaged")));
        }
    }
    Ok(page.into_iter().map(|(_, bytes)| bytes).collect())
}

fn check_all(db: &Db, heads: &Heads, records: u64) -> Result<(), Damaged> {
    let count = db.walk(&mut |key, bytes| {
        let place = db::parse_key(key).filter(|(run, seq)| {
            heads.get(*run).is_some_and(|head| *seq >= 1 && *seq <= head.last_seq) && is_event(bytes, *run, *seq)
        });
        place.map(|_| ()).ok_or_else(|| Damaged("an event is damaged".to_owned()))
    })?;
    if count == records { Ok(()) } else { Err(Damaged(format!("it has {count} of {records} events"))) }
}

fn is_event(bytes: &[u8], run: RunId, seq: u64) -> bool {
    match frame::check(bytes) {
        Checked::Whole(header) => header.run == run && header.seq == seq && header.frame_bytes() == bytes.len(),
        Checked::Short(_) | Checked::Bad(_) | Checked::Newer { .. } => false,
    }
}
