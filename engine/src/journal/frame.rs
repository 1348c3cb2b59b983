//! One record as bytes: a fixed header and the event as JSON. Layout: docs/journal.md, "Record".

use super::JournalFormat;
use super::upcast;
use crate::codec::{self, CodecError};
use crate::event::{Event, Record};
use crate::ids::RunId;
use crate::time::Timestamp;

/// The largest payload of a record; inputs and outputs are facts about a cluster, not its images.
pub const MAX_PAYLOAD_BYTES: usize = 4 << 20;

/// The length of a record's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 96;

/// BLAKE3 of a whole record.
pub(crate) type RecordHash = [u8; 32];

const CRC_AT: std::ops::Range<usize> = 4..8;
const LAST_OF_COMMIT: u8 = 1;
const ENDS_RUN: u8 = 2;
const CODEC_JSON: u8 = 1;

/// A record's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FrameHeader {
    pub(crate) length: u32,
    pub(crate) global: u64,
    pub(crate) run: RunId,
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) commit: u64,
    pub(crate) incarnation: u32,
    pub(crate) last_of_commit: bool,
    pub(crate) ends_run: bool,
    pub(crate) prev: RecordHash,
}

type Layout = ((u32, u32, u64), ([u8; 16], u64, i64), (u64, u32, u8, u8, u16), RecordHash);

impl FrameHeader {
    /// The length of the whole record.
    pub(crate) fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.length as usize
    }

    /// The number that the record after this one carries as its commit.
    pub(crate) fn next_commit(&self) -> u64 {
        self.commit + u64::from(self.last_of_commit)
    }

    /// The flags as they stand in the record.
    pub(crate) fn flags(&self) -> u8 {
        let last = if self.last_of_commit { LAST_OF_COMMIT } else { 0 };
        last | if self.ends_run { ENDS_RUN } else { 0 }
    }

    /// What flags mean: last of its commit, ends its run; `None` if this format does not have them.
    pub(crate) fn read_flags(flags: u8) -> Option<(bool, bool)> {
        (flags & !(LAST_OF_COMMIT | ENDS_RUN) == 0).then_some((flags & LAST_OF_COMMIT != 0, flags & ENDS_RUN != 0))
    }

    /// The hash of the whole record that this header makes of a payload.
    pub(crate) fn hash_with(&self, payload: &[u8]) -> Result<RecordHash, CodecError> {
        let mut frame = vec![0; FRAME_HEADER_BYTES];
        frame.extend_from_slice(payload);
        self.seal(&mut frame)?;
        Ok(hash(&frame))
    }

    /// Writes the header in front of the payload that stands in `frame` already, and its checksum.
    pub(crate) fn seal(&self, frame: &mut [u8]) -> Result<(), CodecError> {
        let layout: Layout = (
            (self.length, 0, self.global),
            (*self.run.as_bytes(), self.seq, self.at.as_micros()),
            (self.commit, self.incarnation, self.flags(), CODEC_JSON, 0),
            self.prev,
        );
        codec::encode_into(layout, &mut frame[..FRAME_HEADER_BYTES])?;
        let crc = checksum(frame);
        frame[CRC_AT].copy_from_slice(&crc.to_le_bytes());
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Self, Checked> {
        let layout: Layout = codec::decode(bytes).map_err(|e| Checked::Bad(e.to_string()))?;
        let ((length, _, global), (run, seq, at), (commit, incarnation, flags, codec, reserved), prev) = layout;
        let (Some((last_of_commit, ends_run)), CODEC_JSON, 0) = (Self::read_flags(flags), codec, reserved) else {
            return Err(Checked::Newer { global, detail: format!("flags {flags}, codec {codec} and reserved {reserved}") });
        };
        if [global, seq, commit].contains(&u64::MAX) {
            return Err(Checked::Bad("it has a number that no other can follow".to_owned()));
        }
        Ok(Self {
            length,
            global,
            run: RunId::from_bytes(run),
            seq,
            at: Timestamp::from_micros(at),
            commit,
            incarnation,
            last_of_commit,
            ends_run,
            prev,
        })
    }
}

/// What stands at the beginning of some bytes.
pub(crate) enum Checked {
    /// A record that is whole and has its checksum.
    Whole(FrameHeader),
    /// Too few bytes for the record; it needs so many.
    Short(usize),
    /// Not a record.
    Bad(String),
    /// A whole record with its checksum, of a kind that only a newer windlass writes.
    Newer {
        /// Its number.
        global: u64,
        /// What is new about it.
        detail: String,
    },
}

/// Looks for a record at the beginning of `bytes`.
pub(crate) fn check(bytes: &[u8]) -> Checked {
    let Some(header) = bytes.get(..FRAME_HEADER_BYTES) else {
        return Checked::Short(FRAME_HEADER_BYTES);
    };
    let length = le_u32(header, 0) as usize;
    if length > MAX_PAYLOAD_BYTES {
        return Checked::Bad(format!("a length of {length} bytes, above the limit of {MAX_PAYLOAD_BYTES}"));
    }
    let Some(frame) = bytes.get(..FRAME_HEADER_BYTES + length) else {
        return Checked::Short(FRAME_HEADER_BYTES + length);
    };
    if checksum(frame) != le_u32(frame, CRC_AT.start) {
        return Checked::Bad("its checksum does not match".to_owned());
    }
    match FrameHeader::decode(header) {
        Ok(header) => Checked::Whole(header),
        Err(other) => other,
    }
}

/// What the bytes of a record's header say, before its checksum is known to be right.
pub(crate) struct Glimpse {
    pub(crate) global: u64,
    pub(crate) commit: u64,
}

/// A look at what may be a header; `None` if it is none, whatever its checksum.
pub(crate) fn glimpse(bytes: &[u8]) -> Option<Glimpse> {
    let header = bytes.get(..FRAME_HEADER_BYTES)?;
    let possible =
        header[61] == CODEC_JSON && header[62] == 0 && header[63] == 0 && le_u32(header, 0) as usize <= MAX_PAYLOAD_BYTES;
    possible.then(|| Glimpse { global: le_u64(header, 8), commit: le_u64(header, 48) })
}

/// BLAKE3 of a whole record.
pub(crate) fn hash(frame: &[u8]) -> RecordHash {
    *blake3::hash(frame).as_bytes()
}

/// The name of the event that a whole frame holds, as it stands there; two events of one kind have the same.
pub(crate) fn kind(frame: &[u8]) -> &[u8] {
    let payload = frame.get(FRAME_HEADER_BYTES..).unwrap_or_default();
    payload.split(|byte| *byte == b'"').nth(1).unwrap_or_default()
}

/// Why a payload is not an event.
pub(crate) enum DecodeFailure {
    /// A newer windlass wrote it.
    Unknown(String),
    /// The JSON is not that of an event.
    Malformed(String),
}

/// The record that a whole frame of a segment of that format holds.
pub(crate) fn record(header: &FrameHeader, frame: &[u8], format: JournalFormat) -> Result<Record, DecodeFailure> {
    let event = event(&frame[FRAME_HEADER_BYTES..], format)?;
    Ok(Record { global: header.global, run: header.run, seq: header.seq, at: header.at, event })
}

/// The event that a payload of that format holds.
pub(crate) fn event(payload: &[u8], format: JournalFormat) -> Result<Event, DecodeFailure> {
    // Checked once as a whole, so that serde_json need not check each string.
    let text = std::str::from_utf8(payload).map_err(|error| DecodeFailure::Malformed(error.to_string()))?;
    let text = upcast::raised(text, format).map_err(DecodeFailure::Malformed)?;
    serde_json::from_str(&text).map_err(|error| {
        let error = error.to_string();
        // serde's own words, frozen by a test; the tag alone could not name a variant inside an event.
        match error.strip_prefix("unknown variant `").and_then(|rest| rest.split_once('`')) {
            Some((name, _)) => DecodeFailure::Unknown(name.to_owned()),
            None => DecodeFailure::Malformed(error),
        }
    })
}

fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..CRC_AT.start]), &frame[CRC_AT.end..])
}

fn le_u32(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn le_u64(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_variants_are_named_and_damage_is_not_mistaken_for_them() {
        let check = |payload: &str, expect: &str| {
            let found = match event(payload.as_bytes(), JournalFormat::CURRENT) {
                Ok(event) => format!("{event:?}"),
                Err(DecodeFailure::Unknown(name)) => format!("unknown {name}"),
                Err(DecodeFailure::Malformed(_)) => "malformed".to_owned(),
            };
            assert_eq!(found, expect);
        };
        check(r#"{"TimerFired":{"command":3}}"#, "TimerFired { command: #3 }");
        check(r#"{"TimerFired":{"command":3,"since":7}}"#, "TimerFired { command: #3 }");
        check(r#"{"TimerStopped":{"command":3}}"#, "unknown TimerStopped");
        check(r#"{"RunParked":{"why":{"Bored":{}}}}"#, "unknown Bored");
        check(r#"{"TimerFired":{}}"#, "malformed");
        check(r#"{"TimerFired":{"command":3}"#, "malformed");
    }
}
