//! A mirror in a directory: a share, a stick, another disk. Every call is made beside the event loop, because a share may hang.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{Held, MirrorError, MirrorTarget};
use crate::event::{NewEvent, Record};
use crate::journal::{FileSystem, JournalError, Log, Media, Scanner, WorkerLock};
use crate::time::Clock;

/// As in a journal.
const SEGMENT_BYTES: u64 = 64 << 20;

/// What the mirror says of itself.
pub(super) const ABOUT: &str = "mirror.json";

/// A mirror in a directory; each journal has a folder of its own in it, named by the journal's id.
pub struct Directory {
    root: PathBuf,
    journal: String,
    media: Arc<dyn Media>,
    clock: Arc<dyn Clock>,
    open: Option<Open>,
}

/// What a mirror says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct About {
    /// The journal's id.
    pub(super) journal: String,
    /// Whether nothing was changed outside before the mirror had the intent.
    pub(super) required: bool,
}

struct Open {
    log: Log,
    // Two windlasses with copies of one journal must not write here both.
    _lock: WorkerLock,
}

impl Directory {
    /// The mirror of a journal in a directory that exists.
    pub fn new(root: &Path, journal: &str, clock: Arc<dyn Clock>) -> Self {
        Self { root: root.to_owned(), journal: journal.to_owned(), media: Arc::new(FileSystem), clock, open: None }
    }

    /// Writes the log through something else than the file system, for tests.
    #[must_use]
    pub fn on(mut self, media: Arc<dyn Media>) -> Self {
        self.media = media;
        self
    }
}

impl MirrorTarget for Directory {
    fn name(&self) -> String {
        self.root.display().to_string()
    }

    fn open(&mut self, required: bool) -> BoxFuture<'_, Result<Held, MirrorError>> {
        // The lock goes back before it is taken again.
        self.open = None;
        let (root, journal, media, clock) = (self.root.clone(), self.journal.clone(), self.media.clone(), self.clock.clone());
        async move {
            let opened = tokio::task::spawn_blocking(move || open(&root, journal, required, (&media, clock.as_ref())));
            let (open, held) = opened.await.map_err(MirrorError::trouble)??;
            self.open = Some(open);
            Ok(held)
        }
        .boxed()
    }

    fn vouch(&mut self) -> BoxFuture<'_, Result<(), MirrorError>> {
        let about = About { journal: self.journal.clone(), required: true };
        let (dir, media) = (self.root.join(&self.journal), self.media.clone());
        async move { tokio::task::spawn_blocking(move || say(&dir, &about, media.as_ref())).await.map_err(MirrorError::trouble)? }
            .boxed()
    }

    fn put(&mut self, records: Vec<Record>) -> BoxFuture<'_, Result<(), MirrorError>> {
        // Whatever goes wrong, it is opened and read again: what is on a disk after an error is not to be guessed.
        let open = self.open.take();
        async move {
            let mut open = open.ok_or_else(|| MirrorError::trouble("it is not open"))?;
            let written = tokio::task::spawn_blocking(move || open.append(records).map(|()| open));
            self.open = Some(written.await.map_err(MirrorError::trouble)?.map_err(|error| in_words(&error))?);
            Ok(())
        }
        .boxed()
    }
}

impl Open {
    fn append(&mut self, records: Vec<Record>) -> Result<(), JournalError> {
        let event = |Record { run, seq, at, event, .. }| NewEvent { run, seq, at, event };
        let events: Vec<NewEvent> = records.into_iter().map(event).collect();
        self.log.append(&events).map(drop)
    }
}

fn open(
    root: &Path,
    journal: String,
    required: bool,
    (media, clock): (&Arc<dyn Media>, &dyn Clock),
) -> Result<(Open, Held), MirrorError> {
    if !root.is_dir() {
        return Err(MirrorError::trouble("there is no such directory"));
    }
    let dir = root.join(&journal);
    let log_dir = dir.join("log");
    make(&dir, &log_dir, root, media.as_ref())?;
    let lock = WorkerLock::take(&dir, clock.now()).map_err(|error| in_words(&error))?;
    let mut opened = Log::open(log_dir.clone(), Arc::clone(media), SEGMENT_BYTES).map_err(|error| in_words(&error))?;
    // The log of a mirror has one writer for ever, so its records need not tell the starts of it apart.
    opened.log.set_incarnation(1);
    let held = read(log_dir, &opened.log)?;
    let vouches = said(&dir.join(ABOUT)).is_some_and(|about| about.required);
    say(&dir, &About { journal, required: required && vouches }, media.as_ref())?;
    Ok((Open { log: opened.log, _lock: lock }, held))
}

/// Reads the whole mirror, its chain too.
fn read(log_dir: PathBuf, log: &Log) -> Result<Held, MirrorError> {
    let mut scan = Scanner::new(log_dir, crate::journal::Position::START).checking_chain().until(log.durable().end);
    let mut held = Held::default();
    while scan.advance().map_err(|error| in_words(&error))? {
        if let Some(record) = scan.record().map_err(|error| in_words(&error))? {
            held.absorb(&record).map_err(|detail| in_words(&scan.damage_here(detail)))?;
        }
    }
    Ok(held)
}

fn make(dir: &Path, log_dir: &Path, root: &Path, media: &dyn Media) -> Result<(), MirrorError> {
    let failed = |error: std::io::Error| MirrorError::trouble(format!("making {}: {error}", dir.display()));
    if log_dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(log_dir).map_err(failed)?;
    media.sync_dir(dir).and_then(|()| media.sync_dir(root)).map_err(failed)
}

/// Makes durable what the mirror says of itself, unless it says so already.
fn say(dir: &Path, about: &About, media: &dyn Media) -> Result<(), MirrorError> {
    let path = dir.join(ABOUT);
    if said(&path).is_some_and(|known| known == *about) {
        return Ok(());
    }
    let failed = |error: std::io::Error| MirrorError::trouble(format!("writing {}: {error}", path.display()));
    let text = serde_json::to_vec(about).map_err(MirrorError::trouble)?;
    let new = dir.join("mirror.json.new");
    let write = |mut file: File| file.write_all(&text).and_then(|()| file.sync_all());
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).and_then(write).map_err(failed)?;
    fs::rename(&new, &path).and_then(|()| media.sync_dir(dir)).map_err(failed)
}

pub(super) fn said(path: &Path) -> Option<About> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Damage is a person's to look at; whatever else a file system says may pass.
fn in_words(error: &JournalError) -> MirrorError {
    match error {
        JournalError::Corrupt { .. }
        | JournalError::NewerFormat { .. }
        | JournalError::NewerRecord { .. }
        | JournalError::UnknownEvent { .. } => MirrorError::refused(format!("it can't be used: {error}")),
        JournalError::NoSpace { .. } => MirrorError::trouble("no space left"),
        JournalError::Locked { owner } => MirrorError::trouble(format!("another windlass writes to it: {owner}")),
        JournalError::Conflict { .. }
        | JournalError::TooLarge { .. }
        | JournalError::SyncFailed { .. }
        | JournalError::Missing { .. }
        | JournalError::BadIdentity { .. }
        | JournalError::Io { .. } => MirrorError::trouble(error),
    }
}
