//! Reading an export: every line is checked, nothing in it is trusted.

use std::fmt;
use std::io::{self, BufRead, Read as _};

use serde::Deserialize;

use super::format::{
    self, AnyHeader, Chain, Digest, EVENTS_IN, EXPORT_FORMAT, EventLine, Header, KIND, MAX_DEPTH, MAX_LINE_BYTES, TRAILER_BEGINS,
    Trailer, UNLINKED_FORMAT, UnlinkedLine,
};
use crate::event::{Event, Record};
use crate::ids::RunId;
use crate::journal::{DecodeFailure, decode_event};
use crate::signature::signed_by;

/// What an export says of itself, and what is proven of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Archive {
    /// The format of the file.
    pub format: u32,
    /// The build that wrote it.
    pub build: String,
    /// The run whose history it is.
    pub run: RunId,
    /// What named the journal that it was in.
    pub journal: Option<String>,
    /// How many events it has.
    pub events: u64,
    /// Whether the last of them ended the run.
    pub ended: bool,
    /// The events in which something was replaced: their content is not proven, their place and order are.
    pub redacted: Vec<u64>,
    /// The first event that has more to it than this build knows, so that it can't be carried on without loss.
    pub beyond: Option<u64>,
    /// What kept the export from reading on in its journal.
    pub damage: Option<String>,
    /// The public key (Ed25519, base64) that signed all of it; `None` for the format that proves nothing.
    pub signer: Option<String>,
}

/// A part of an export.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The first line.
    Header,
    /// An event, by its place in the run.
    Event(u64),
    /// The last line.
    Trailer,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("the header"),
            Self::Event(seq) => write!(f, "event {seq}"),
            Self::Trailer => f.write_str("the trailer"),
        }
    }
}

/// Why a file is not the history that it should be.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system did not give it.
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("it is no exported history: {0}")]
    Foreign(String),
    /// A newer windlass wrote it.
    #[error("it has format {found}, this windlass reads formats up to {known}")]
    NewerFormat {
        /// The file's.
        found: u32,
        /// This build's.
        known: u32,
    },
    /// An event that this build does not know; nothing is wrong with it.
    #[error("event {seq} is an event {name:?}, which this windlass does not know; a newer one wrote it")]
    UnknownEvent {
        /// Its place.
        seq: u64,
        /// The variant.
        name: String,
    },
    /// Something was changed, dropped, added, doubled or moved.
    #[error("{part} {detail}")]
    Wrong {
        /// Where.
        part: Part,
        /// What is wrong, as the rest of the sentence.
        detail: String,
    },
}

/// Reads a whole export and hands over its events. They are what they claim to be only once the answer is `Ok`.
///
/// Memory is bounded by the longest line that there may be, whatever the source gives.
pub fn read(source: &mut dyn BufRead, each: &mut dyn FnMut(Record)) -> Result<Archive, ReadError> {
    let mut lines = Lines { source, line: Vec::new() };
    let foreign = |detail: &dyn fmt::Display| ReadError::Foreign(detail.to_string());
    if !lines.next(Part::Header).map_err(|e| no_header(e, foreign))? {
        return Err(foreign(&"it is empty"));
    }
    let header: AnyHeader = serde_json::from_slice(&lines.line).map_err(|e| foreign(&e))?;
    if header.windlass != KIND {
        return Err(foreign(&format!("it says that it is a {:?}", header.windlass)));
    }
    let AnyHeader { format, build, run, .. } = header;
    let archive = Archive {
        format,
        build,
        run,
        journal: None,
        events: 0,
        ended: false,
        redacted: Vec::new(),
        beyond: None,
        damage: None,
        signer: None,
    };
    match format {
        UNLINKED_FORMAT => read_unlinked(lines, archive, each),
        EXPORT_FORMAT => Linked { archive, chain: Chain::default(), before: None, each }.read(lines),
        found => Err(ReadError::NewerFormat { found, known: EXPORT_FORMAT }),
    }
}

/// A first line that is not even a line is another file, not a damaged one.
fn no_header(error: ReadError, foreign: impl Fn(&dyn fmt::Display) -> ReadError) -> ReadError {
    match error {
        ReadError::Wrong { detail, .. } => foreign(&format!("its first line {detail}")),
        ReadError::Io(_) | ReadError::Foreign(_) | ReadError::NewerFormat { .. } | ReadError::UnknownEvent { .. } => error,
    }
}

fn wrong<T>(part: Part, detail: impl Into<String>) -> Result<T, ReadError> {
    Err(ReadError::Wrong { part, detail: detail.into() })
}

/// The lines of a source, one at a time.
struct Lines<'a> {
    source: &'a mut dyn BufRead,
    line: Vec<u8>,
}

impl Lines<'_> {
    /// Goes to the next line, which should be that part; `false` at the end.
    fn next(&mut self, part: Part) -> Result<bool, ReadError> {
        self.line.clear();
        let most = MAX_LINE_BYTES as u64 + 1;
        (&mut *self.source).take(most).read_until(b'\n', &mut self.line)?;
        match self.line.pop() {
            None => return Ok(false),
            Some(b'\n') => {}
            Some(_) if self.line.len() >= MAX_LINE_BYTES => return wrong(part, format!("is longer than {MAX_LINE_BYTES} bytes")),
            Some(_) if self.line.starts_with(TRAILER_BEGINS) => return wrong(Part::Trailer, "is cut off"),
            Some(_) => return wrong(part, "is cut off"),
        }
        if std::str::from_utf8(&self.line).is_err() {
            return wrong(part, "is not text");
        }
        if depth(&self.line) > MAX_DEPTH {
            return wrong(part, format!("is nested deeper than {MAX_DEPTH} levels"));
        }
        Ok(true)
    }
}

/// How deep the arrays and objects of a JSON text are nested.
fn depth(text: &[u8]) -> usize {
    let (mut now, mut most, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

fn parse<'a, T: Deserialize<'a>>(part: Part, line: &'a [u8]) -> Result<T, ReadError> {
    serde_json::from_slice(line).or_else(|error| wrong(part, format!("is not as it was written: {error}")))
}

/// The place that an event says it has must be the next one.
fn check_place(seq: u64, expected: u64) -> Result<(), ReadError> {
    match seq {
        _ if seq == expected => Ok(()),
        _ if seq > expected => wrong(Part::Event(expected), format!("is missing: event {seq} stands in its place")),
        _ => wrong(Part::Event(seq), format!("stands there a second time, in the place of event {expected}")),
    }
}

fn decode(seq: u64, text: &str) -> Result<Event, ReadError> {
    decode_event(text.as_bytes(), EVENTS_IN).or_else(|failure| match failure {
        DecodeFailure::Unknown(name) => Err(ReadError::UnknownEvent { seq, name }),
        DecodeFailure::Malformed(detail) => wrong(Part::Event(seq), format!("is no event: {detail}")),
    })
}

fn read_unlinked(mut lines: Lines<'_>, mut archive: Archive, each: &mut dyn FnMut(Record)) -> Result<Archive, ReadError> {
    while lines.next(Part::Event(archive.events + 1))? {
        let seq = archive.events + 1;
        let line: UnlinkedLine<'_> = parse(Part::Event(seq), &lines.line)?;
        check_place(line.seq, seq)?;
        let event = decode(seq, line.event.get())?;
        (archive.events, archive.ended) = (seq, event.ends_run());
        each(Record { global: seq, run: archive.run, seq, at: line.at, event });
    }
    Ok(archive)
}

/// An export whose lines are linked, as far as it was read.
struct Linked<'a> {
    archive: Archive,
    chain: Chain,
    /// The record of the event before: its global number and its hash.
    before: Option<(u64, Digest)>,
    each: &'a mut dyn FnMut(Record),
}

impl Linked<'_> {
    fn read(mut self, mut lines: Lines<'_>) -> Result<Archive, ReadError> {
        let claimed = format::take_link(&mut lines.line);
        let header: Header = parse(Part::Header, &lines.line)?;
        self.follow(Part::Header, &lines.line, claimed)?;
        self.archive.journal = header.journal;
        loop {
            let next = Part::Event(self.archive.events + 1);
            if !lines.next(next)? {
                return wrong(Part::Trailer, format!("is missing: the file is cut off behind event {}", self.archive.events));
            }
            if lines.line.starts_with(TRAILER_BEGINS) {
                self.close(&mut lines.line, header.key)?;
                break;
            }
            self.take_event(&mut lines.line)?;
        }
        if lines.next(Part::Trailer)? {
            return wrong(Part::Trailer, "is not the last line");
        }
        Ok(self.archive)
    }

    /// The line must be the one that its link was made for, and so must be all lines before it.
    fn follow(&mut self, part: Part, body: &[u8], link: Option<Digest>) -> Result<(), ReadError> {
        match link {
            Some(link) if self.chain.add(body) == link => Ok(()),
            Some(_) => wrong(part, "was changed, or belongs to another export: its link does not match"),
            None => wrong(part, "does not end in its link"),
        }
    }

    fn take_event(&mut self, line: &mut Vec<u8>) -> Result<(), ReadError> {
        let expected = self.archive.events + 1;
        let claimed = format::take_link(line);
        let entry: EventLine<'_> = parse(Part::Event(expected), line)?;
        check_place(entry.seq, expected)?;
        let (seq, part) = (entry.seq, Part::Event(entry.seq));
        let text = entry.event.get();
        if entry.redacted.is_empty() {
            self.check_content(&entry)?;
        } else {
            self.archive.redacted.push(seq);
        }
        self.check_record(&entry)?;
        self.follow(part, line, claimed)?;
        let event = decode(seq, text)?;
        if self.archive.beyond.is_none() && loses(&event, text) {
            self.archive.beyond = Some(seq);
        }
        self.before = Some((entry.global, entry.hash));
        (self.archive.events, self.archive.ended) = (seq, event.ends_run());
        (self.each)(Record { global: entry.global, run: self.archive.run, seq, at: entry.at, event });
        Ok(())
    }

    /// The record that the line describes must have the hash that it says.
    fn check_content(&self, entry: &EventLine<'_>) -> Result<(), ReadError> {
        let payload = entry.event.get().as_bytes();
        let header = entry.frame_header(self.archive.run, payload.len());
        match header.map(|header| header.hash_with(payload)) {
            Some(Ok(hash)) if Digest(hash) == entry.hash => Ok(()),
            Some(_) | None => wrong(Part::Event(entry.seq), "was changed: it is not the record whose hash it says"),
        }
    }

    /// Records of one run rise in the journal, and one right behind the other carries its hash.
    fn check_record(&self, entry: &EventLine<'_>) -> Result<(), ReadError> {
        let part = Part::Event(entry.seq);
        match self.before {
            Some((global, _)) if entry.global <= global => {
                wrong(part, format!("was record {} of the journal, behind record {global}", entry.global))
            }
            Some((global, hash)) if entry.global == global + 1 && entry.prev != hash => {
                wrong(part, "does not follow on the event before: the hash that it has of it is another")
            }
            Some(_) | None => Ok(()),
        }
    }

    fn close(&mut self, line: &mut Vec<u8>, key: String) -> Result<(), ReadError> {
        let signature = format::take_signature(line);
        let claimed = format::take_link(line);
        let trailer: Trailer = parse(Part::Trailer, line)?;
        let there = self.archive.events;
        if trailer.events > there {
            return wrong(Part::Event(there + 1), format!("is missing: there were {} events", trailer.events));
        }
        if trailer.events < there {
            return wrong(Part::Event(trailer.events + 1), format!("was added: there were {} events", trailer.events));
        }
        self.follow(Part::Trailer, line, claimed)?;
        let Some(signature) = signature else { return wrong(Part::Trailer, "does not end in a signature") };
        if !signed_by(&key, &self.chain.signed(), &signature) {
            return wrong(Part::Trailer, format!("is not signed by {key}: something before it was changed, or its signature"));
        }
        self.archive.damage = trailer.damage;
        self.archive.signer = Some(key);
        Ok(())
    }
}

/// Whether writing the event down again would lose something that it says.
fn loses(event: &Event, text: &str) -> bool {
    serde_json::to_string(event).map_or(true, |again| again != text)
}
