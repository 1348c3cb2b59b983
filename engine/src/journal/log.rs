//! The log, open for writing. What it promises and why: docs/journal.md.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{self, FRAME_HEADER_BYTES, FrameHeader, MAX_PAYLOAD_BYTES, RecordHash};
use super::heads::Heads;
use super::media::{Media, MediaFile};
use super::scan::{self, Scanner};
use super::segment::{self, Position, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::{JournalError, JournalFormat, RecoveryNote};
use crate::event::NewEvent;

/// The log, open for writing.
pub(crate) struct Log {
    dir: PathBuf,
    media: Arc<dyn Media>,
    segment_bytes: u64,
    incarnation: u32,
    file: Box<dyn MediaFile>,
    end: Position,
    /// Whether the segment at hand is of an older format, so that nothing may go into it.
    outdated: bool,
    next: Next,
    buffer: Vec<u8>,
    offsets: Vec<usize>,
    poison: Option<(io::ErrorKind, String)>,
}

/// What the next record will carry.
#[derive(Clone, Copy)]
struct Next {
    global: u64,
    commit: u64,
    prev: RecordHash,
}

/// What opening the log found.
pub(crate) struct Opened {
    pub(crate) log: Log,
    /// The runs that have records in the last segment.
    pub(crate) heads: Heads,
    /// The incarnation of the last record.
    pub(crate) incarnation: u32,
    pub(crate) cut: Option<RecoveryNote>,
}

/// How much was appended and is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Durable {
    /// The last record.
    pub(crate) global: u64,
    /// Where it ends.
    pub(crate) end: Position,
}

impl Log {
    /// Opens the log, or creates it, and cuts off what a crash left half-written.
    pub(crate) fn open(log_dir: PathBuf, media: Arc<dyn Media>, segment_bytes: u64) -> Result<Opened, JournalError> {
        let segments = segment::list(&log_dir)?;
        if let Some((gap, _)) = (1..).zip(&segments).find(|(want, have)| want != *have) {
            return Err(JournalError::Corrupt {
                record: scan::record_number_at(&log_dir, Position { segment: gap, offset: 0 }),
                segment: segment::name(gap),
                offset: 0,
                detail: "the segment is missing".to_owned(),
            });
        }
        let Some(&last) = segments.last() else {
            return Self::create(log_dir, media, segment_bytes);
        };
        // A worker may have died between creating or removing a segment and syncing its name.
        media.sync_dir(&log_dir).map_err(|source| JournalError::SyncFailed { path: log_dir.clone(), source })?;
        let mut tail = Tail::read(log_dir.clone(), last)?;
        let mut cut = None;
        if tail.scan.position().offset == 0 {
            // The header never became whole: forget the file. The segment before it had been synced as a whole.
            cut = tail.cut();
            let path = segment::path(&log_dir, last);
            media.remove(&path).map_err(|e| JournalError::io("removing", &path, e))?;
            media.sync_dir(&log_dir).map_err(|source| JournalError::SyncFailed { path: log_dir.clone(), source })?;
            if last == 1 {
                return Self::create(log_dir, media, segment_bytes).map(|opened| Opened { cut, ..opened });
            }
            tail = Tail::read(log_dir.clone(), last - 1)?;
            if let (Some(RecoveryNote::TailCut { last_good, .. }), Some(next)) = (&mut cut, tail.scan.expected().0) {
                *last_good = next - 1;
            }
            if let Some(torn) = tail.scan.torn() {
                return Err(tail.scan.damage_after_last(torn.detail.clone()));
            }
        }
        let end = tail.scan.position();
        let path = segment::path(&log_dir, end.segment);
        let mut file = media.open(&path).map_err(|e| JournalError::io("opening", &path, e))?;
        if let Some(note) = tail.cut() {
            file.truncate(end.offset).map_err(|e| JournalError::refused("cutting", &path, e))?;
            cut = Some(note);
        }
        // A sync may have failed that covered these bytes: then the system shows what is not on disk and calls it clean, and
        // only writing it again makes the next sync mean it. Docs: docs/journal.md, "Reopening".
        file.write_all_at(&tail.unproven()?, tail.unproven_from).map_err(|e| JournalError::refused("writing", &path, e))?;
        file.sync_data().map_err(|source| JournalError::SyncFailed { path: log_dir.clone(), source })?;
        let log = Self {
            dir: log_dir.clone(),
            media,
            segment_bytes,
            incarnation: 0,
            file,
            end,
            outdated: tail.scan.format() < JournalFormat::CURRENT,
            next: tail.next()?,
            buffer: Vec::new(),
            offsets: Vec::new(),
            poison: None,
        };
        let incarnation = last_incarnation(&log_dir, &tail)?;
        Ok(Opened { log, heads: tail.heads, incarnation, cut })
    }

    fn create(log_dir: PathBuf, media: Arc<dyn Media>, segment_bytes: u64) -> Result<Opened, JournalError> {
        let next = Next { global: 1, commit: 1, prev: [0; 32] };
        let (file, end) = create_segment(&log_dir, media.as_ref(), 1, next)?;
        let log = Self {
            dir: log_dir,
            media,
            segment_bytes,
            incarnation: 0,
            file,
            end,
            outdated: false,
            next,
            buffer: Vec::new(),
            offsets: Vec::new(),
            poison: None,
        };
        Ok(Opened { log, heads: Heads::default(), incarnation: 0, cut: None })
    }

    /// Sets which start of a worker the records are marked with.
    pub(crate) fn set_incarnation(&mut self, incarnation: u32) {
        self.incarnation = incarnation;
    }

    pub(crate) fn durable(&self) -> Durable {
        Durable { global: self.next.global - 1, end: self.end }
    }

    /// Makes the events durable in one commit; answers where each of them begins.
    pub(crate) fn append(&mut self, events: &[NewEvent]) -> Result<impl Iterator<Item = (u64, Position)> + '_, JournalError> {
        self.check_poison()?;
        let after = self.encode(events)?;
        let full = self.end.offset + self.buffer.len() as u64 > self.segment_bytes;
        if self.outdated || (full && self.end.offset > SEGMENT_HEADER_BYTES as u64) {
            self.rotate()?;
        }
        if let Err(error) = self.file.write_all_at(&self.buffer, self.end.offset) {
            return Err(self.undo_write(error));
        }
        if let Err(error) = self.file.sync_data() {
            return Err(self.poisoned_by(&error));
        }
        let (first, begin) = (self.next.global, self.end);
        self.end.offset += self.buffer.len() as u64;
        self.next = after;
        let places = self.offsets.iter().map(move |offset| Position { offset: begin.offset + *offset as u64, ..begin });
        Ok((first..).zip(places))
    }

    fn check_poison(&self) -> Result<(), JournalError> {
        match &self.poison {
            Some((kind, text)) => {
                Err(JournalError::SyncFailed { path: self.dir.clone(), source: io::Error::new(*kind, text.clone()) })
            }
            None => Ok(()),
        }
    }

    fn poisoned_by(&mut self, error: &io::Error) -> JournalError {
        self.poison = Some((error.kind(), error.to_string()));
        JournalError::SyncFailed { path: self.dir.clone(), source: io::Error::new(error.kind(), error.to_string()) }
    }

    /// Fills the buffer with the commit's records; nothing is written yet.
    fn encode(&mut self, events: &[NewEvent]) -> Result<Next, JournalError> {
        self.buffer.clear();
        self.offsets.clear();
        let mut next = self.next;
        for (i, new) in events.iter().enumerate() {
            let begin = self.buffer.len();
            self.buffer.resize(begin + FRAME_HEADER_BYTES, 0);
            serde_json::to_writer(&mut self.buffer, &new.event).map_err(|e| self.encoding(io::Error::from(e)))?;
            let length = self.buffer.len() - begin - FRAME_HEADER_BYTES;
            if length > MAX_PAYLOAD_BYTES {
                return Err(JournalError::TooLarge { run: new.run, seq: new.seq, bytes: length, limit: MAX_PAYLOAD_BYTES });
            }
            let header = FrameHeader {
                // Below the limit, so it fits.
                length: u32::try_from(length).unwrap_or(u32::MAX),
                global: next.global,
                run: new.run,
                seq: new.seq,
                at: new.at,
                commit: next.commit,
                incarnation: self.incarnation,
                last_of_commit: i + 1 == events.len(),
                ends_run: new.event.ends_run(),
                prev: next.prev,
            };
            header.seal(&mut self.buffer[begin..]).map_err(|e| self.encoding(io::Error::other(e)))?;
            self.offsets.push(begin);
            next = Next { global: next.global + 1, commit: header.next_commit(), prev: frame::hash(&self.buffer[begin..]) };
        }
        Ok(next)
    }

    fn encoding(&self, error: io::Error) -> JournalError {
        JournalError::io("encoding an event for", &self.dir, error)
    }

    /// Takes back what a failed write left, so that the next append may succeed.
    fn undo_write(&mut self, error: io::Error) -> JournalError {
        // Synced, so that a crash in the next commit can't mix its blocks with those of this one.
        if let Err(error) = self.file.truncate(self.end.offset).and_then(|()| self.file.sync_data()) {
            return self.poisoned_by(&error);
        }
        JournalError::refused("writing", &segment::path(&self.dir, self.end.segment), error)
    }

    fn rotate(&mut self) -> Result<(), JournalError> {
        let segment = self.end.segment + 1;
        match create_segment(&self.dir, self.media.as_ref(), segment, self.next) {
            Ok((file, end)) => {
                (self.file, self.end, self.outdated) = (file, end, false);
                Ok(())
            }
            Err(JournalError::SyncFailed { source, .. }) => Err(self.poisoned_by(&source)),
            Err(refused) => {
                // A leftover would stand in the way of the next try and make this segment look sealed, after a crash too.
                let path = segment::path(&self.dir, segment);
                if path.exists()
                    && let Err(error) = self.media.remove(&path).and_then(|()| self.media.sync_dir(&self.dir))
                {
                    return Err(self.poisoned_by(&error));
                }
                Err(refused)
            }
        }
    }
}

fn create_segment(
    log_dir: &Path,
    media: &dyn Media,
    segment: u64,
    next: Next,
) -> Result<(Box<dyn MediaFile>, Position), JournalError> {
    let path = segment::path(log_dir, segment);
    let format = JournalFormat::CURRENT;
    let header = SegmentHeader { format, segment, first_global: next.global, commit: next.commit, prev: next.prev };
    let header = header.encode().map_err(|e| JournalError::io("encoding the header of", &path, io::Error::other(e)))?;
    let mut file = media.create(&path).map_err(|e| JournalError::refused("creating", &path, e))?;
    file.write_all_at(&header, 0).map_err(|e| JournalError::refused("writing", &path, e))?;
    file.sync_data()
        .and_then(|()| media.sync_dir(log_dir))
        .map_err(|source| JournalError::SyncFailed { path: log_dir.to_owned(), source })?;
    Ok((file, Position { segment, offset: SEGMENT_HEADER_BYTES as u64 }))
}

/// The last segment, read to its end.
struct Tail {
    scan: Scanner,
    heads: Heads,
    /// Where the last record begins, and its incarnation.
    last: Option<(Position, u32)>,
    /// Where the last commit begins, or the header if there is none: nothing was written later that proves it synced.
    unproven_from: u64,
    log_dir: PathBuf,
}

impl Tail {
    fn read(log_dir: PathBuf, segment: u64) -> Result<Self, JournalError> {
        let mut scan = Scanner::new(log_dir.clone(), Position { segment, offset: 0 });
        let (mut heads, mut last) = (Heads::default(), None);
        let (mut commit, mut unproven_from) = (None, 0);
        while scan.advance()? {
            if let Some(header) = scan.header() {
                heads.absorb(header, scan.begins()).map_err(|detail| scan.damage_here(detail))?;
                last = Some((scan.begins(), header.incarnation));
                if commit.replace(header.commit) != Some(header.commit) {
                    unproven_from = scan.begins().offset;
                }
            }
        }
        Ok(Self { scan, heads, last, unproven_from, log_dir })
    }

    /// The bytes from [`Tail::unproven_from`] to the end of what is good.
    fn unproven(&self) -> Result<Vec<u8>, JournalError> {
        let end = self.scan.position();
        let path = segment::path(&self.log_dir, end.segment);
        // As long as one commit, which its writer held in memory too.
        let mut bytes = vec![0; usize::try_from(end.offset - self.unproven_from).unwrap_or(usize::MAX)];
        File::open(&path)
            .and_then(|file| file.read_exact_at(&mut bytes, self.unproven_from))
            .map_err(|e| JournalError::io("reading", &path, e))?;
        Ok(bytes)
    }

    fn next(&self) -> Result<Next, JournalError> {
        let (global, commit) = self.scan.expected();
        let last = match self.last {
            Some((at, _)) => scan::record_at(self.log_dir.clone(), at)?.map(|(_, hash)| hash),
            None => self.scan.chain_head(),
        };
        Ok(Next { global: global.unwrap_or(1), commit: commit.unwrap_or(1), prev: last.unwrap_or_default() })
    }

    fn cut(&self) -> Option<RecoveryNote> {
        let torn = self.scan.torn()?;
        Some(RecoveryNote::TailCut {
            segment: segment::path(&self.log_dir, torn.at.segment),
            bytes: torn.bytes,
            last_good: self.scan.expected().0.map_or(0, |next| next - 1),
        })
    }
}

/// Which start of a worker wrote the last record. The last segment may have none, and so may one of an older format before it.
fn last_incarnation(log_dir: &Path, tail: &Tail) -> Result<u32, JournalError> {
    let (mut last, mut segment) = (tail.last, tail.scan.position().segment);
    while last.is_none() && segment > 1 {
        segment -= 1;
        last = Tail::read(log_dir.to_owned(), segment)?.last;
    }
    Ok(last.map_or(0, |(_, incarnation)| incarnation))
}

#[cfg(test)]
mod tests;
