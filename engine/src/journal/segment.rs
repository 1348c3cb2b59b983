//! A segment file: its name, its header, and which of them there are. Layout: docs/journal.md, "Segment".

use std::io;
use std::path::{Path, PathBuf};

use super::frame::RecordHash;
use super::{JournalError, JournalFormat};
use crate::codec::{self, CodecError};

/// The length of a segment's header.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 76;

const MAGIC: [u8; 8] = *b"windlass";
/// Magic, format and their checksum: the part that every format to come keeps.
const PRELUDE_BYTES: usize = 16;

/// A place in the log: between two records, or before the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position {
    /// The segment's number.
    pub segment: u64,
    /// The byte in its file.
    pub offset: u64,
}

impl Position {
    /// The beginning of the log.
    pub const START: Self = Self { segment: 1, offset: 0 };
}

/// A segment's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    pub(crate) format: JournalFormat,
    pub(crate) segment: u64,
    pub(crate) first_global: u64,
    pub(crate) commit: u64,
    pub(crate) prev: RecordHash,
}

/// Why a segment's header can't be used.
#[derive(Debug)]
pub(crate) enum HeaderProblem {
    /// A newer windlass wrote it.
    Newer(u32),
    /// It is not a header.
    Bad(&'static str),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Result<[u8; SEGMENT_HEADER_BYTES], CodecError> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        codec::encode_into((MAGIC, self.format.0), &mut bytes[..12])?;
        let prelude = crc32c::crc32c(&bytes[..12]);
        codec::encode_into((prelude, self.segment, self.first_global, self.commit, self.prev), &mut bytes[12..72])?;
        let crc = crc32c::crc32c(&bytes[..72]);
        codec::encode_into(crc, &mut bytes[72..])?;
        Ok(bytes)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderProblem> {
        let prelude = bytes.get(..PRELUDE_BYTES).ok_or(HeaderProblem::Bad("the segment's header is cut short"))?;
        let (magic, format, crc): ([u8; 8], u32, u32) = codec::decode(prelude).map_err(|_| HeaderProblem::Bad(BAD_HEADER))?;
        if magic != MAGIC || crc != crc32c::crc32c(&prelude[..12]) {
            return Err(HeaderProblem::Bad(BAD_HEADER));
        }
        let format = JournalFormat(format);
        if format > JournalFormat::CURRENT {
            return Err(HeaderProblem::Newer(format.0));
        }
        if format < JournalFormat::OLDEST {
            return Err(HeaderProblem::Bad("the segment's header has a format that there never was"));
        }
        let bytes = bytes.get(..SEGMENT_HEADER_BYTES).ok_or(HeaderProblem::Bad("the segment's header is cut short"))?;
        let (segment, first_global, commit, prev, crc): (u64, u64, u64, RecordHash, u32) =
            codec::decode(&bytes[PRELUDE_BYTES..]).map_err(|_| HeaderProblem::Bad(BAD_HEADER))?;
        if crc != crc32c::crc32c(&bytes[..72]) {
            return Err(HeaderProblem::Bad(BAD_HEADER));
        }
        Ok(Self { format, segment, first_global, commit, prev })
    }
}

const BAD_HEADER: &str = "the segment's header is damaged";

/// A segment's file name.
pub(crate) fn name(segment: u64) -> String {
    format!("{segment:08}.seg")
}

/// The number in a segment's file name; `None` for any other file.
pub(crate) fn number(file_name: &str) -> Option<u64> {
    let number = file_name.strip_suffix(".seg")?.parse().ok()?;
    (file_name == name(number)).then_some(number)
}

/// A segment's file.
pub(crate) fn path(log_dir: &Path, segment: u64) -> PathBuf {
    log_dir.join(name(segment))
}

/// The numbers of the segments that there are, ascending; none if there is no such directory.
pub(crate) fn list(log_dir: &Path) -> Result<Vec<u64>, JournalError> {
    let entries = match std::fs::read_dir(log_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(JournalError::io("reading", log_dir, error)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| JournalError::io("reading", log_dir, e))?;
        numbers.extend(entry.file_name().to_str().and_then(number));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Whether anything was ever recorded.
pub(crate) fn holds_records(log_dir: &Path) -> bool {
    std::fs::metadata(path(log_dir, 1)).is_ok_and(|first| first.len() > SEGMENT_HEADER_BYTES as u64)
}

/// Refuses a journal that a newer windlass wrote, before anything in it is touched.
pub(crate) fn refuse_newer(log_dir: &Path) -> Result<(), JournalError> {
    for segment in list(log_dir)? {
        if let Err(HeaderProblem::Newer(found)) = header(log_dir, segment)? {
            return Err(JournalError::NewerFormat { found, known: JournalFormat::CURRENT.0 });
        }
    }
    Ok(())
}

/// The first record from which on all stand in today's format; `next` is the one that will be appended next.
pub(crate) fn todays_from(log_dir: &Path, next: u64) -> Result<u64, JournalError> {
    let todays = |segment| Ok(header(log_dir, segment)?.ok().filter(|header| header.format == JournalFormat::CURRENT));
    // Formats never go back: if the first one is today's, all are, and the others need not be opened.
    if JournalFormat::OLDEST == JournalFormat::CURRENT || todays(1)?.is_some() {
        return Ok(1);
    }
    let mut from = next;
    for segment in list(log_dir)?.into_iter().rev() {
        let Some(header) = todays(segment)? else { break };
        from = header.first_global;
    }
    Ok(from)
}

fn header(log_dir: &Path, segment: u64) -> Result<Result<SegmentHeader, HeaderProblem>, JournalError> {
    let path = path(log_dir, segment);
    let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    std::fs::File::open(&path)
        .and_then(|file| io::Read::read_to_end(&mut io::Read::take(file, SEGMENT_HEADER_BYTES as u64), &mut bytes))
        .map_err(|e| JournalError::io("reading", &path, e))?;
    Ok(SegmentHeader::decode(&bytes))
}
