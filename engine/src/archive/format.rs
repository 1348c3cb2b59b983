//! The lines of an export and what links them: docs/journal.md, "Export".

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::ids::RunId;
use crate::journal::{FrameHeader, JournalFormat, MAX_PAYLOAD_BYTES, RecordHash};
use crate::time::Timestamp;

/// The format of exports that this build writes, and the newest that it reads.
pub const EXPORT_FORMAT: u32 = 2;

/// What the first field of every export says.
pub(super) const KIND: &str = "history";

/// The format whose lines were not linked, and whose end was not signed.
pub(super) const UNLINKED_FORMAT: u32 = 1;

/// The journal's format in which the events of all these exports stand.
pub(super) const EVENTS_IN: JournalFormat = JournalFormat(1);

// An event is exported as it stands in the journal. Once there are two formats of that, each event must say which it is in, which
// is another format of exports; and what an event would lose (`loses`) is to be seen by its raised text.
const _: () = assert!(EVENTS_IN.0 == JournalFormat::CURRENT.0);

/// An event, what a redaction may make of it, and the fields around it are never longer.
pub(super) const MAX_LINE_BYTES: usize = 4 * MAX_PAYLOAD_BYTES;

/// What is nested deeper was not written by us: serde_json itself stops at 128, and an event adds a few levels.
pub(super) const MAX_DEPTH: usize = 160;

/// Every trailer begins with it, and no other line.
pub(super) const TRAILER_BEGINS: &[u8] = br#"{"events":"#;

const LINK_FIELD: &[u8] = br#","link":""#;
const SIGNATURE_FIELD: &[u8] = br#","signature":""#;
const FIELD_END: &[u8] = br#""}"#;
const LINK_CHARS: usize = 64;
const SIGNATURE_CHARS: usize = 88;

/// The first line: what this is, and who vouches for it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) windlass: String,
    pub(super) format: u32,
    pub(super) build: String,
    pub(super) run: RunId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) journal: Option<String>,
    pub(super) key: String,
}

/// One event: the record's fields, its payload as it stands in the journal, and the hash of both.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventLine<'a> {
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    #[serde(borrow)]
    pub(super) event: &'a RawValue,
    /// Where something else stands than in the journal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) redacted: Vec<String>,
    pub(super) global: u64,
    pub(super) commit: u64,
    pub(super) incarnation: u32,
    pub(super) flags: u8,
    pub(super) prev: Digest,
    pub(super) hash: Digest,
}

/// The last line: how much there was, and where the journal stood.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trailer {
    pub(super) events: u64,
    /// What kept the export from reading on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) damage: Option<String>,
    /// The last good record of the whole journal at that time.
    pub(super) head: Head,
}

/// A record of the journal, of whichever run.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) record: u64,
    pub(super) hash: Digest,
}

/// A line as it was before there were links.
#[derive(Deserialize)]
pub(super) struct UnlinkedLine<'a> {
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    #[serde(borrow)]
    pub(super) event: &'a RawValue,
}

/// What every format says in its first line.
#[derive(Deserialize)]
pub(super) struct AnyHeader {
    pub(super) windlass: String,
    pub(super) format: u32,
    pub(super) build: String,
    pub(super) run: RunId,
}

impl EventLine<'_> {
    /// The header of the record that it was in the journal, if its payload had so many bytes.
    pub(super) fn frame_header(&self, run: RunId, payload: usize) -> Option<FrameHeader> {
        let (last_of_commit, ends_run) = FrameHeader::read_flags(self.flags)?;
        Some(FrameHeader {
            length: u32::try_from(payload).ok()?,
            global: self.global,
            run,
            seq: self.seq,
            at: self.at,
            commit: self.commit,
            incarnation: self.incarnation,
            last_of_commit,
            ends_run,
            prev: self.prev.0,
        })
    }
}

/// A BLAKE3 hash, as hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest(pub(super) RecordHash);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes())).map_err(D::Error::custom)
    }
}

/// The links of the lines so far: each stands for its line and all before it.
#[derive(Default)]
pub(super) struct Chain {
    link: RecordHash,
}

impl Chain {
    /// Adds a line, given as the object without its link.
    pub(super) fn add(&mut self, body: &[u8]) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.link).update(body);
        self.link = *hasher.finalize().as_bytes();
        Digest(self.link)
    }

    /// What is signed at the end.
    pub(super) fn signed(&self) -> Vec<u8> {
        [b"windlass history, format 2: ".as_slice(), &self.link].concat()
    }
}

/// Puts the link into a line, which is an object without it.
pub(super) fn put_link(line: &mut Vec<u8>, digest: Digest) {
    put_last(line, LINK_FIELD, &digest.to_string());
}

/// Puts the signature behind the link.
pub(super) fn put_signature(line: &mut Vec<u8>, signature: &str) {
    put_last(line, SIGNATURE_FIELD, signature);
}

/// Takes the link out of a line and leaves the object without it; `None` if it does not end in one.
pub(super) fn take_link(line: &mut Vec<u8>) -> Option<Digest> {
    let hex = take_last(line, LINK_FIELD, LINK_CHARS)?;
    let digest = blake3::Hash::from_hex(&hex).ok().map(|hash| Digest(*hash.as_bytes()))?;
    // Nothing covers the link itself, so it has one spelling only.
    (digest.to_string().as_bytes() == hex).then_some(digest)
}

/// Takes the signature out of a line; `None` if it does not end in one.
pub(super) fn take_signature(line: &mut Vec<u8>) -> Option<String> {
    String::from_utf8(take_last(line, SIGNATURE_FIELD, SIGNATURE_CHARS)?).ok()
}

fn put_last(line: &mut Vec<u8>, field: &[u8], value: &str) {
    line.pop();
    line.extend_from_slice(field);
    line.extend_from_slice(value.as_bytes());
    line.extend_from_slice(FIELD_END);
}

/// The field must be the last one, spelled as we spell it: nothing may stand in a line that no link covers.
fn take_last(line: &mut Vec<u8>, field: &[u8], chars: usize) -> Option<Vec<u8>> {
    let rest = line.strip_suffix(FIELD_END)?;
    let (rest, value) = rest.split_at_checked(rest.len().checked_sub(chars)?)?;
    let (body, value) = (rest.strip_suffix(field)?.len(), value.to_vec());
    line.truncate(body);
    line.push(b'}');
    Some(value)
}
