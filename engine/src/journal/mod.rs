//! The journal: an append-only log that is the truth, and a sled store derived from it. Format: docs/journal.md.

mod disk;
mod frame;
mod heads;
mod identity;
mod lock;
mod log;
mod media;
mod memory;
mod newer;
mod reader;
mod repair;
mod salvage;
mod scan;
mod segment;
mod store;
mod tail;
mod upcast;
mod verify;

pub use disk::{DiskJournal, JournalOptions, ReplaySource};
pub use frame::MAX_PAYLOAD_BYTES;
pub(crate) use frame::{DecodeFailure, FrameHeader, RecordHash, event as decode_event};
pub use identity::JournalId;
pub use media::{FileSystem, Media, MediaFile};
pub use memory::MemoryJournal;
pub use newer::refuse_newer;
pub use reader::{JournalReader, ReadableRuns, Records};
pub use repair::{Examined, Loss, Repair, Repaired, RunLoss, examine};
pub use segment::Position;
pub use tail::LogTail;
pub use verify::{Damage, VerifyReport, verify};

pub(crate) use lock::WorkerLock;
pub(crate) use log::{Durable, Log};
pub(crate) use scan::Scanner;

use std::path::{Path, PathBuf};

use crate::event::{NewEvent, Record};
use crate::ids::RunId;
use crate::time::Timestamp;

/// The version of the journal's layout on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct JournalFormat(pub u32);

impl JournalFormat {
    /// What this build writes, and the newest that it reads.
    pub const CURRENT: Self = Self(1);
}

/// A durable history of runs. One worker writes it; the promise is that what `append` accepted survives a power cut.
pub trait Journal: Send {
    /// Makes the events durable, all in one commit and one sync, in the order given.
    ///
    /// Each event's `seq` must be the next of its run, else nothing is written and the answer is
    /// [`JournalError::Conflict`]. After [`JournalError::SyncFailed`] the journal refuses every further append.
    fn append(&mut self, events: &[NewEvent]) -> Result<(), JournalError>;

    /// The runs, oldest first.
    fn runs(&mut self) -> Result<Vec<RunHead>, JournalError>;

    /// Hands a run's records to `each`, in order, until it breaks off; an unknown run has none.
    fn replay(&mut self, run: RunId, each: &mut dyn FnMut(Record) -> std::ops::ControlFlow<()>) -> Result<(), JournalError>;

    /// Adds to the bounded operational stream: not synced, never replayed, lost without harm.
    fn note(&mut self, note: OperationalNote);

    /// The operational stream of a run, oldest first.
    fn notes(&mut self, run: RunId) -> Vec<OperationalNote>;

    /// Counts the times that this journal was opened for writing, from 1; names a worker's start.
    fn incarnation(&self) -> u64;

    /// What opening had to mend, for the operator.
    ///
    /// The store is opened when it is first needed or the log grows. This needs it and waits, so ask when the runs are under way.
    fn recovery(&self) -> &[RecoveryNote];

    /// Flushes what is derived and gives the lock back. Dropping the journal does the same, but can't tell.
    fn close(self: Box<Self>) -> Result<(), JournalError>;
}

/// Where a run stands, without its history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunHead {
    /// Which run.
    pub run: RunId,
    /// The position of its last event.
    pub last_seq: u64,
    /// Whether its last event ended it.
    pub ended: bool,
}

/// Something that happened during an attempt and is not needed for replay.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct OperationalNote {
    /// The run it belongs to.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
    /// The command it belongs to, if any.
    pub command: Option<crate::ids::CommandId>,
    /// What.
    pub text: String,
}

/// What opening a journal had to mend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecoveryNote {
    /// The log ended in a record that was never acknowledged; it was cut off.
    TailCut {
        /// The segment file.
        segment: PathBuf,
        /// How many bytes were cut.
        bytes: u64,
        /// The last good record.
        last_good: u64,
    },
    /// The store did not match the log and was made anew from it.
    StoreRebuilt {
        /// Why: missing, behind, ahead, damaged.
        reason: String,
        /// How many records were read.
        records: u64,
        /// Where the old one was moved, if there was one.
        moved_to: Option<PathBuf>,
    },
    /// The store can't be used, nor made anew; runs are read from the log.
    StoreLost {
        /// Why.
        reason: String,
    },
    /// The store lacked the last records and was given them.
    StoreCaughtUp {
        /// How many.
        records: u64,
    },
}

/// Why the journal could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another event has that place; two writers, or a bug.
    #[error("run {run}: event {expected} was to be written, but the next free place is {found}")]
    Conflict {
        /// Which run.
        run: RunId,
        /// The place that the event was to take.
        expected: u64,
        /// The place that is free.
        found: u64,
    },
    /// The log is damaged before its tail. Everything before the record is readable.
    #[error("the log is damaged at record {record} ({segment}, byte {offset}): {detail}")]
    Corrupt {
        /// The first record that is not good, counted from 1.
        record: u64,
        /// The segment file's name.
        segment: String,
        /// Where in the file it begins.
        offset: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// A newer windlass wrote this journal.
    #[error("the journal has format {found}, this windlass knows formats up to {known}")]
    NewerFormat {
        /// The journal's.
        found: u32,
        /// This build's.
        known: u32,
    },
    /// A record of a kind that this build does not know; nothing is damaged.
    #[error("record {record} has {detail}, which this windlass does not know; a newer one wrote it")]
    NewerRecord {
        /// Where it stands.
        record: u64,
        /// What is new about it.
        detail: String,
    },
    /// An event that this build does not know; nothing is damaged.
    #[error("record {record} is an event {name:?}, which this windlass does not know; a newer one wrote it")]
    UnknownEvent {
        /// The variant.
        name: String,
        /// Where it stands.
        record: u64,
    },
    /// An event is larger than a record may be; nothing was written.
    #[error("run {run}: event {seq} has {bytes} bytes, above the limit of {limit}")]
    TooLarge {
        /// Which run.
        run: RunId,
        /// The place that the event was to take.
        seq: u64,
        /// Its size.
        bytes: usize,
        /// The largest size.
        limit: usize,
    },
    /// The disk is full; nothing was acknowledged.
    #[error("no space left for the journal at {path}")]
    NoSpace {
        /// The file or directory that could not be written.
        path: PathBuf,
    },
    /// A sync failed: what it covered may or may not be on disk, so this worker must not go on.
    #[error("syncing the journal at {path} failed: {source}")]
    SyncFailed {
        /// The journal's directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Another worker has the journal.
    #[error("another worker holds the journal: {owner}")]
    Locked {
        /// Who.
        owner: LockOwner,
    },
    /// The file that holds the journal's name holds something else.
    #[error("{path} is not a journal's name")]
    BadIdentity {
        /// The file.
        path: PathBuf,
    },
    /// There is no journal there.
    #[error("there is no journal at {path}")]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// The system refused something.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was being done: `opening`, `reading`.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl JournalError {
    fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// The system refused to write; a full disk is told apart, because there the next step is another.
    fn refused(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        if matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) {
            return Self::NoSpace { path: path.to_owned() };
        }
        Self::io(action, path, source)
    }
}

/// The worker that holds a journal's lock.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct LockOwner {
    /// Its process id.
    pub pid: u32,
    /// The machine's name.
    pub host: String,
    /// When it took the lock.
    pub since: Timestamp,
}

impl std::fmt::Display for LockOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pid {} on {}, since {}", self.pid, self.host, self.since)
    }
}
