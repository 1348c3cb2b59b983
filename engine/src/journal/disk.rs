//! The journal on disk: the log, its store, and the worker's lock on both.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::heads::{Head, Heads};
use super::identity::JournalId;
use super::lock::{self, WorkerLock};
use super::log::{Durable, Log, Opened};
use super::media::{FileSystem, Media};
use super::scan::Scanner;
use super::segment::{self, Position};
use super::store::{Limits, Store};
use super::{Journal, JournalError, LogTail, OperationalNote, RecoveryNote, RunHead, refuse_newer};
use crate::event::{NewEvent, Record};
use crate::ids::RunId;
use crate::time::Clock;

/// A segment's size: large enough that the store is rarely needed to open, small enough to be scanned in milliseconds.
const SEGMENT_BYTES: u64 = 64 << 20;

/// How many operational notes of a run are kept; a week of heartbeats is not worth more.
const NOTES_PER_RUN: usize = 1_000;

/// A sound store opens in milliseconds; a busy disk is given more.
const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// Reading a record from the store costs as much as passing over so many in the log (benches/journal.rs).
const STORE_COST: u64 = 8;

/// So many records are passed over in about a millisecond, whoever they belong to.
const ALWAYS_LOG_RECORDS: u64 = 4_096;

/// The journal of one worker.
pub struct DiskJournal {
    log_dir: PathBuf,
    log: Log,
    heads: Heads,
    store: Store,
    /// Who follows the log, once there is somebody.
    tail: Option<watch::Sender<Durable>>,
    cut: Option<RecoveryNote>,
    recovery: std::sync::OnceLock<Vec<RecoveryNote>>,
    incarnation: u32,
    id: JournalId,
    replay_from: ReplaySource,
    /// From this record on all stand in today's format.
    todays_from: u64,
    /// The next free places of the runs in the commit at hand.
    staged: HashMap<RunId, u64>,
    // Last, so that the lock is given back when everything else is done.
    _lock: WorkerLock,
}

/// How a journal is opened.
#[derive(Clone)]
pub struct JournalOptions {
    /// The size at which a new segment begins.
    pub segment_bytes: u64,
    /// How many operational notes are kept of each run.
    pub notes_per_run: usize,
    /// How long the store may take to answer before it is given up.
    pub store_patience: Duration,
    /// Where runs are replayed from.
    pub replay_from: ReplaySource,
    /// Where the journal's files are written, all but the store's.
    pub media: Arc<dyn Media>,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            notes_per_run: NOTES_PER_RUN,
            store_patience: STORE_PATIENCE,
            replay_from: ReplaySource::Cheapest,
            media: Arc::new(FileSystem),
        }
    }
}

impl fmt::Debug for JournalOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalOptions")
            .field("segment_bytes", &self.segment_bytes)
            .field("notes_per_run", &self.notes_per_run)
            .field("store_patience", &self.store_patience)
            .field("replay_from", &self.replay_from)
            .finish_non_exhaustive()
    }
}

/// Where a run is replayed from; the answer is the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReplaySource {
    /// The log, where the run's records are dense in it, else the store.
    #[default]
    Cheapest,
    /// Always the log.
    Log,
    /// Always the store, and the log only where the store fails.
    Store,
}

impl DiskJournal {
    /// Opens a journal for writing, creates it if it is missing, and mends what a crash left.
    pub fn open(dir: &Path, clock: &Arc<dyn Clock>, options: JournalOptions) -> Result<Self, JournalError> {
        let JournalOptions { segment_bytes, notes_per_run, store_patience, replay_from, media } = options;
        let log_dir = dir.join("log");
        refuse_newer(dir)?;
        create_directories(dir, &log_dir, media.as_ref())?;
        let lock = WorkerLock::take(dir, clock.now())?;
        let id = JournalId::ensure(dir)?;
        let Opened { mut log, heads: tail, incarnation: last_recorded, cut } =
            Log::open(log_dir.clone(), Arc::clone(&media), segment_bytes)?;
        let incarnation = lock::next_incarnation(dir, last_recorded, media.as_ref())?;
        log.set_incarnation(incarnation);
        let limits = Limits { notes_per_run, patience: store_patience };
        let store = Store::start(dir, log_dir.clone(), log.durable(), limits)?;
        let heads = all_heads(&log_dir, &log, tail, &store)?;
        let todays_from = segment::todays_from(&log_dir, log.durable().global + 1)?;
        Ok(Self {
            log_dir,
            log,
            heads,
            store,
            tail: None,
            cut,
            recovery: std::sync::OnceLock::new(),
            incarnation,
            id,
            replay_from,
            todays_from,
            staged: HashMap::new(),
            _lock: lock,
        })
    }

    /// The journal's name, the same for as long as it exists.
    pub fn id(&self) -> JournalId {
        self.id
    }

    /// Follows the log from its first record on, as it grows, until the journal is closed.
    pub fn tail(&mut self) -> LogTail {
        let durable = self.log.durable();
        let tail = self.tail.get_or_insert_with(|| watch::Sender::new(durable));
        LogTail::new(self.log_dir.clone(), tail.subscribe())
    }

    fn refuse_conflicts(&mut self, events: &[NewEvent]) -> Result<(), JournalError> {
        self.staged.clear();
        for event in events {
            let next = self.staged.entry(event.run).or_insert_with(|| self.heads.next_seq(event.run));
            if event.seq != *next {
                return Err(JournalError::Conflict { run: event.run, expected: event.seq, found: *next });
            }
            *next += 1;
        }
        Ok(())
    }

    fn replay_from_log(&self, head: &Head, from: u64, each: Each<'_>) -> Result<(), JournalError> {
        let mut scan = Scanner::new(self.log_dir.clone(), head.first).until(self.log.durable().end);
        let mut next = 1;
        while next <= head.last_seq && scan.advance()? {
            let Some(header) = scan.header().filter(|header| header.run == head.run) else { continue };
            if header.seq != next {
                return Err(scan.damage_here(format!("event {} of run {} where event {next} must stand", header.seq, head.run)));
            }
            if next >= from
                && let Some(record) = scan.record()?
                && each(record).is_break()
            {
                return Ok(());
            }
            next += 1;
        }
        Ok(())
    }

    fn wants_log(&self, head: &Head) -> bool {
        // The store has records as they stand in the log, and only the log says in which format that is.
        if head.first_global < self.todays_from {
            return true;
        }
        let span = self.log.durable().global.saturating_sub(head.first_global);
        match self.replay_from {
            ReplaySource::Log => true,
            ReplaySource::Store => false,
            ReplaySource::Cheapest => span <= ALWAYS_LOG_RECORDS || head.last_seq.saturating_mul(STORE_COST) >= span,
        }
    }
}

type Each<'a> = &'a mut dyn FnMut(Record) -> ControlFlow<()>;

impl Journal for DiskJournal {
    fn append(&mut self, events: &[NewEvent]) -> Result<(), JournalError> {
        if events.is_empty() {
            return Ok(());
        }
        self.refuse_conflicts(events)?;
        let places = self.log.append(events)?;
        for (event, (global, at)) in events.iter().zip(places) {
            self.heads.advance(event, global, at);
        }
        self.store.follow(self.log.durable());
        if let Some(tail) = &self.tail {
            tail.send_replace(self.log.durable());
        }
        Ok(())
    }

    fn runs(&mut self) -> Result<Vec<RunHead>, JournalError> {
        Ok(self.heads.sorted())
    }

    fn replay(&mut self, run: RunId, each: Each<'_>) -> Result<(), JournalError> {
        let Some(head) = self.heads.get(run).copied() else { return Ok(()) };
        if self.wants_log(&head) {
            return self.replay_from_log(&head, 1, each);
        }
        match self.store.replay(run, head.last_seq, each)? {
            ControlFlow::Break(()) => Ok(()),
            ControlFlow::Continue(next) if next > head.last_seq => Ok(()),
            ControlFlow::Continue(next) => self.replay_from_log(&head, next, each),
        }
    }

    fn note(&mut self, note: OperationalNote) {
        self.store.note(note);
    }

    fn notes(&mut self, run: RunId) -> Vec<OperationalNote> {
        self.store.notes(run)
    }

    fn incarnation(&self) -> u64 {
        self.incarnation.into()
    }

    fn recovery(&self) -> &[RecoveryNote] {
        self.recovery.get_or_init(|| self.cut.iter().chain(&self.store.report().notes).cloned().collect())
    }

    fn close(mut self: Box<Self>) -> Result<(), JournalError> {
        self.store.close();
        Ok(())
    }
}

/// The heads of all runs: from the last segment, and for those before it from the store, or else from the log itself.
fn all_heads(log_dir: &Path, log: &Log, tail: Heads, store: &Store) -> Result<Heads, JournalError> {
    let durable = log.durable();
    if tail.complete(durable.global) {
        return Ok(tail);
    }
    let report = store.report();
    let mut heads = tail.clone();
    if let Some(applied) = report.applied {
        heads.extend_back(read_heads(log_dir, Position { segment: applied.segment, offset: 0 }, durable.end)?.into_all());
        heads.extend_back(report.heads.iter().copied());
    }
    if heads.complete(durable.global) {
        return Ok(heads);
    }
    let mut heads = tail;
    heads.extend_back(read_heads(log_dir, Position::START, durable.end)?.into_all());
    Ok(heads)
}

/// The heads that the segments say from one on, up to the last; the last one was read already.
fn read_heads(log_dir: &Path, from: Position, end: Position) -> Result<Heads, JournalError> {
    let mut heads = Heads::default();
    let mut scan = Scanner::new(log_dir.to_owned(), from).until(Position { segment: end.segment, offset: 0 });
    while scan.advance()? {
        if let Some(header) = scan.header() {
            heads.absorb(header, scan.begins()).map_err(|detail| scan.damage_here(detail))?;
        }
    }
    Ok(heads)
}

/// Makes the directories that are missing, and their names durable before the first record rests on them.
fn create_directories(dir: &Path, log_dir: &Path, media: &dyn Media) -> Result<(), JournalError> {
    if segment::holds_records(log_dir) {
        return Ok(());
    }
    let missing: Vec<&Path> = log_dir.ancestors().take_while(|path| !within(path).is_dir()).collect();
    for path in missing.iter().rev() {
        match media.create_dir(path) {
            Ok(()) => {}
            // Another command came first.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(JournalError::refused("creating", path, error)),
        }
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(|e| JournalError::refused("protecting", dir, e))?;
    sync_names(log_dir, media)
}

/// Makes a directory's name durable, and those above it: a worker may have died after it made any of them.
fn sync_names(log_dir: &Path, media: &dyn Media) -> Result<(), JournalError> {
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).map_err(|e| JournalError::io("reading", path, e));
    let home = device(log_dir)?;
    for path in log_dir.ancestors().skip(1).map(within) {
        // A mount point was not made here, and its file system may not know how to sync.
        if device(path)? != home {
            break;
        }
        match media.sync_dir(path) {
            Ok(()) => {}
            // Nor was what its owner lets nobody read.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            Err(source) => return Err(JournalError::SyncFailed { path: path.to_owned(), source }),
        }
    }
    Ok(())
}

/// The parent of a relative path's first part is the working directory.
fn within(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}
