//! Reads the log from front to back in constant memory, and knows a torn tail from damage.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::frame::{self, Checked, DecodeFailure, FRAME_HEADER_BYTES, FrameHeader, Glimpse, RecordHash};
use super::salvage::Search;
use super::segment::{self, HeaderProblem, Position, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::{JournalError, JournalFormat};
use crate::event::Record;

/// How much is read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Walks over the records of the log.
pub(crate) struct Scanner {
    log_dir: PathBuf,
    /// Where the next record begins; the unread bytes from there on are `buffer[unread]`.
    at: Position,
    file: Option<File>,
    /// The format of the segment that is open, or was last.
    format: JournalFormat,
    buffer: Vec<u8>,
    unread: Range<usize>,
    limit: Option<Position>,
    chain: bool,
    expect: Expect,
    current: Option<Current>,
    torn: Option<Torn>,
}

/// What the next record must carry; unknown until the first one was seen.
#[derive(Clone, Copy, Default)]
struct Expect {
    global: Option<u64>,
    commit: Option<u64>,
    prev: Option<RecordHash>,
}

struct Current {
    header: FrameHeader,
    at: Position,
    bytes: Range<usize>,
}

/// The end of a log whose last record is not whole.
#[derive(Clone, Debug)]
pub(crate) struct Torn {
    /// Where the good records end.
    pub(crate) at: Position,
    /// How many bytes are behind that.
    pub(crate) bytes: u64,
    /// What is wrong with them.
    pub(crate) detail: String,
}

enum Next {
    Whole(FrameHeader),
    End,
    Bad(String),
}

impl Scanner {
    /// Reads from a place that an earlier scan gave, or from a segment's beginning (offset 0).
    pub(crate) fn new(log_dir: PathBuf, from: Position) -> Self {
        Self {
            log_dir,
            at: from,
            file: None,
            format: JournalFormat::OLDEST,
            buffer: Vec::new(),
            unread: 0..0,
            limit: None,
            chain: false,
            expect: if from == Position::START { Expect::start() } else { Expect::default() },
            current: None,
            torn: None,
        }
    }

    /// Reads nothing from `end` on; everything before it must be good.
    pub(crate) fn until(mut self, end: Position) -> Self {
        self.limit = Some(end);
        self
    }

    /// Moves the end further.
    pub(crate) fn extend(&mut self, end: Position) {
        self.limit = Some(end);
    }

    /// Checks the hash chain too.
    pub(crate) fn checking_chain(mut self) -> Self {
        self.chain = true;
        self
    }

    /// Goes to the next record. `false` at the end; asked again, it sees what was appended meanwhile.
    pub(crate) fn advance(&mut self) -> Result<bool, JournalError> {
        self.torn = None;
        self.current = None;
        loop {
            if self.limit.is_some_and(|limit| self.at >= limit) || (self.file.is_none() && !self.enter()?) {
                return Ok(false);
            }
            let mut next = self.look()?;
            let sealed = !matches!(next, Next::Whole(_)) && self.has_successor()?;
            if sealed {
                // What was appended before the successor was created is visible now.
                self.unread = 0..0;
                next = self.look()?;
            }
            match next {
                Next::Whole(header) => return self.accept(header).map(|()| true),
                Next::End if sealed => {
                    self.at = Position { segment: self.at.segment + 1, offset: 0 };
                    self.file = None;
                }
                Next::End => return Ok(false),
                Next::Bad(detail) => return self.judge(sealed, detail).map(|()| false),
            }
        }
    }

    /// The record that [`Scanner::advance`] went to.
    pub(crate) fn header(&self) -> Option<&FrameHeader> {
        self.current.as_ref().map(|current| &current.header)
    }

    /// Its bytes.
    pub(crate) fn frame(&self) -> &[u8] {
        self.current.as_ref().map_or(&[], |current| &self.buffer[current.bytes.clone()])
    }

    /// Its event as it was written.
    pub(crate) fn payload(&self) -> &[u8] {
        self.frame().get(frame::FRAME_HEADER_BYTES..).unwrap_or_default()
    }

    /// The format that it stands in.
    pub(crate) fn format(&self) -> JournalFormat {
        self.format
    }

    /// Where it begins.
    pub(crate) fn begins(&self) -> Position {
        self.current.as_ref().map_or(self.at, |current| current.at)
    }

    /// Where the next one begins.
    pub(crate) fn position(&self) -> Position {
        self.at
    }

    /// Why the end is not clean, after `advance` said `false`.
    pub(crate) fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }

    /// What the next record must carry, once any is known: global sequence, commit.
    pub(crate) fn expected(&self) -> (Option<u64>, Option<u64>) {
        (self.expect.global, self.expect.commit)
    }

    /// The hash of the last record, if the chain is checked or the position is a segment's beginning.
    pub(crate) fn chain_head(&self) -> Option<RecordHash> {
        self.expect.prev
    }

    /// Decodes the current record.
    pub(crate) fn record(&self) -> Result<Option<Record>, JournalError> {
        let Some(current) = &self.current else { return Ok(None) };
        match frame::record(&current.header, self.frame(), self.format) {
            Ok(record) => Ok(Some(record)),
            Err(DecodeFailure::Unknown(name)) => Err(JournalError::UnknownEvent { name, record: current.header.global }),
            Err(DecodeFailure::Malformed(detail)) => Err(self.damage_here(format!("its event does not decode: {detail}"))),
        }
    }

    /// The current record is not what it should be.
    pub(crate) fn damage_here(&self, detail: String) -> JournalError {
        let (record, at) = self.current.as_ref().map_or((self.next_record(), self.at), |c| (c.header.global, c.at));
        JournalError::Corrupt { record, segment: segment::name(at.segment), offset: at.offset, detail }
    }

    /// What stands behind the last good record is damaged, though it looks torn.
    pub(crate) fn damage_after_last(&self, detail: String) -> JournalError {
        self.damage(detail)
    }

    fn next_record(&self) -> u64 {
        self.expect.global.unwrap_or_else(|| record_number_at(&self.log_dir, self.at))
    }

    fn damage(&self, detail: String) -> JournalError {
        JournalError::Corrupt {
            record: self.next_record(),
            segment: segment::name(self.at.segment),
            offset: self.at.offset,
            detail,
        }
    }

    /// Whether there is any later segment: the next one may be the one that is missing.
    fn has_successor(&self) -> Result<bool, JournalError> {
        let last = match self.limit {
            Some(limit) => Some(limit.segment),
            None => segment::list(&self.log_dir)?.last().copied(),
        };
        Ok(last.is_some_and(|last| last > self.at.segment))
    }

    /// Opens the segment; `false` if it is not there, or not there yet.
    fn enter(&mut self) -> Result<bool, JournalError> {
        let path = segment::path(&self.log_dir, self.at.segment);
        self.unread = 0..0;
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let last = segment::list(&self.log_dir)?.last().copied();
                return match last {
                    Some(last) if last > self.at.segment => Err(self.damage("the segment is missing".to_owned())),
                    Some(_) | None => Ok(false),
                };
            }
            Err(error) => return Err(JournalError::io("opening", &path, error)),
        };
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let got = read_at(&file, &mut bytes, 0).map_err(|e| JournalError::io("reading", &path, e))?;
        match SegmentHeader::decode(&bytes[..got]) {
            Ok(header) => self.follow_on(&header)?,
            Err(HeaderProblem::Newer(found)) => {
                return Err(JournalError::NewerFormat { found, known: JournalFormat::CURRENT.0 });
            }
            Err(HeaderProblem::Bad(detail)) => {
                let length = file.metadata().map_err(|e| JournalError::io("reading", &path, e))?.len();
                // Records come only after the header was synced, so a file without any was being created.
                if length > SEGMENT_HEADER_BYTES as u64 || self.has_successor()? {
                    return Err(self.damage(detail.to_owned()));
                }
                self.torn = Some(Torn { at: self.at, bytes: length, detail: detail.to_owned() });
                return Ok(false);
            }
        }
        self.at.offset = self.at.offset.max(SEGMENT_HEADER_BYTES as u64);
        self.file = Some(file);
        Ok(true)
    }

    fn follow_on(&mut self, header: &SegmentHeader) -> Result<(), JournalError> {
        if header.segment != self.at.segment {
            return Err(self.damage(format!("the file holds segment {}", header.segment)));
        }
        if header.format < self.format {
            let (JournalFormat(format), JournalFormat(before)) = (header.format, self.format);
            return Err(self.damage(format!("the segment has format {format}, behind one of format {before}")));
        }
        self.format = header.format;
        if self.at.offset > SEGMENT_HEADER_BYTES as u64 {
            return Ok(());
        }
        let found = Expect { global: Some(header.first_global), commit: Some(header.commit), prev: Some(header.prev) };
        self.meet(found).map_err(|what| self.damage(format!("the segment does not follow on the one before: {what}")))?;
        self.expect = found;
        Ok(())
    }

    fn meet(&self, found: Expect) -> Result<(), String> {
        let unlike = |what: &str, want: Option<u64>, got: Option<u64>| match (want, got) {
            (Some(want), Some(got)) if want != got => Err(format!("{what} {got} where {want} must stand")),
            (Some(_) | None, Some(_) | None) => Ok(()),
        };
        unlike("record", self.expect.global, found.global)?;
        unlike("commit", self.expect.commit, found.commit)?;
        if self.chain && self.expect.prev.is_some() && self.expect.prev != found.prev {
            return Err("the hash of the record before does not match".to_owned());
        }
        Ok(())
    }

    /// Looks at what begins at `self.at`, reading as much as that takes.
    fn look(&mut self) -> Result<Next, JournalError> {
        loop {
            let bytes = &self.buffer[self.unread.clone()];
            let need = match frame::check(bytes) {
                Checked::Whole(header) => return Ok(Next::Whole(header)),
                Checked::Bad(detail) => return Ok(Next::Bad(detail)),
                Checked::Newer { global, detail } => return Err(JournalError::NewerRecord { record: global, detail }),
                Checked::Short(need) => need,
            };
            if self.fill(need)? {
                continue;
            }
            return Ok(match self.unread.len() {
                0 => Next::End,
                left => Next::Bad(format!("it needs {need} bytes and {left} are left")),
            });
        }
    }

    /// Reads on until `need` bytes are unread, and as many more as fit; `false` if the file ends before.
    fn fill(&mut self, need: usize) -> Result<bool, JournalError> {
        let have = self.unread.len();
        if self.buffer.len() < need.max(CHUNK_BYTES) {
            // Zeroed by the system, and only where it is used: most logs are shorter than the buffer.
            let mut larger = vec![0; need.max(CHUNK_BYTES)];
            larger[..have].copy_from_slice(&self.buffer[self.unread.clone()]);
            self.buffer = larger;
        } else {
            self.buffer.copy_within(self.unread.clone(), 0);
        }
        self.unread = 0..have;
        let from = self.at.offset + have as u64;
        let mut room = self.buffer.len() - have;
        if let Some(limit) = self.limit.filter(|limit| limit.segment == self.at.segment) {
            room = room.min(usize::try_from(limit.offset.saturating_sub(from)).unwrap_or(usize::MAX));
        }
        let Some(file) = &self.file else { return Ok(false) };
        let got = read_at(file, &mut self.buffer[have..have + room], from)
            .map_err(|e| JournalError::io("reading", &segment::path(&self.log_dir, self.at.segment), e))?;
        self.unread.end += got;
        Ok(self.unread.len() >= need)
    }

    fn accept(&mut self, header: FrameHeader) -> Result<(), JournalError> {
        let found = Expect { global: Some(header.global), commit: Some(header.commit), prev: Some(header.prev) };
        self.meet(found).map_err(|what| self.damage(what))?;
        let bytes = self.unread.start..self.unread.start + header.frame_bytes();
        self.expect = Expect {
            global: Some(header.global + 1),
            commit: Some(header.next_commit()),
            prev: self.chain.then(|| frame::hash(&self.buffer[bytes.clone()])),
        };
        self.current = Some(Current { header, at: self.at, bytes: bytes.clone() });
        self.at.offset += bytes.len() as u64;
        self.unread.start = bytes.end;
        Ok(())
    }

    /// Tells a torn tail from damage: docs/journal.md, "Torn tail".
    fn judge(&mut self, sealed: bool, detail: String) -> Result<(), JournalError> {
        // A writer may be replacing these bytes, so they are read afresh next time.
        self.unread = 0..0;
        if sealed || self.limit.is_some() {
            return Err(self.damage(detail));
        }
        let Some(file) = &self.file else { return Ok(()) };
        let path = segment::path(&self.log_dir, self.at.segment);
        let length = file.metadata().map_err(|e| JournalError::io("reading", &path, e))?.len();
        let behind = length.saturating_sub(self.at.offset);
        // No more commits can stand there than records.
        let (commit, most) = (self.expect.commit.unwrap_or(0), behind / FRAME_HEADER_BYTES as u64 + 1);
        let later = |seen: &Glimpse| seen.commit.checked_sub(commit).is_some_and(|ahead| ahead > 0 && ahead <= most);
        let found = Search::new(file, self.at.offset + 1).next(later).map(|found| found.is_some());
        if found.map_err(|e| JournalError::io("reading", &path, e))? {
            return Err(self.damage(detail));
        }
        self.torn = Some(Torn { at: self.at, bytes: behind, detail });
        Ok(())
    }
}

/// The hash of the record that begins at a place, and its header.
pub(crate) fn record_at(log_dir: PathBuf, at: Position) -> Result<Option<(FrameHeader, RecordHash)>, JournalError> {
    let mut scan = Scanner::new(log_dir, at);
    if scan.advance()? && scan.begins() == at {
        return Ok(scan.header().map(|header| (*header, frame::hash(scan.frame()))));
    }
    Ok(None)
}

/// The number of the record that stands at a place, counted from what stands before it.
pub(crate) fn record_number_at(log_dir: &Path, at: Position) -> u64 {
    let segment = if at.offset == 0 { at.segment - 1 } else { at.segment };
    if segment == 0 {
        return 1;
    }
    let mut scan = Scanner::new(log_dir.to_owned(), Position { segment, offset: 0 }).until(at);
    while matches!(scan.advance(), Ok(true)) {}
    scan.next_record()
}

impl Expect {
    fn start() -> Self {
        Self { global: Some(1), commit: Some(1), prev: Some([0; 32]) }
    }
}

/// Fills the buffer from a byte of the file on, as far as the file goes; answers how much that is.
pub(crate) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < into.len() {
        match file.read_at(&mut into[got..], offset + got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests;
