//! A run's history in small pieces, for places that take no large ones. The digest of each stands for its place and for all
//! before it, so that one that was changed, removed or put elsewhere is found.

use serde::{Deserialize, Serialize};

use super::MirrorError;
use crate::event::Record;
use crate::ids::RunId;
use crate::journal::{DecodeFailure, JournalFormat, decode_event};
use crate::json::Json;
use crate::time::Timestamp;

/// Stands for a chunk and all before it.
pub type ChunkDigest = [u8; 32];

/// Consecutive events of one run, a JSON object each. An event that is larger than a chunk fills several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// The run.
    pub run: RunId,
    /// Its place, from 1.
    pub number: u32,
    /// The digest of the one before; zeros for the first.
    pub before: ChunkDigest,
    /// The objects, one a line.
    pub text: Vec<u8>,
}

/// What is to be written so that chunks hold more events.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Growth {
    /// The last chunk, if something of it fits there; whole events only.
    pub grown: Option<Chunk>,
    /// Those behind it; they count all together or not at all, for an event may go through several.
    pub new: Vec<Chunk>,
}

/// Why chunks are not a run's history.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct ChunkError {
    /// The first that is not good.
    pub number: u32,
    /// What is wrong with it.
    pub detail: String,
}

/// An event as it stands in a chunk.
#[derive(Serialize, Deserialize)]
struct Line {
    /// The journal's, in which the event is written; a chunk may be begun by one build and go on under another.
    format: u32,
    seq: u64,
    at: Timestamp,
    event: Json,
}

impl Chunk {
    /// The digest of this one and of all before it.
    pub fn digest(&self) -> ChunkDigest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.before).update(self.run.as_bytes()).update(&self.number.to_le_bytes()).update(&self.text);
        *hasher.finalize().as_bytes()
    }

    fn behind(last: Option<&Self>, run: RunId, text: &[u8]) -> Self {
        let (number, before) = last.map_or((1, ChunkDigest::default()), |last| (last.number + 1, last.digest()));
        Self { run, number, before, text: text.to_owned() }
    }

    fn takes(&mut self, line: &[u8], limit: usize) -> bool {
        let fits = self.text.len() + line.len() <= limit;
        if fits {
            self.text.extend_from_slice(line);
        }
        fits
    }
}

/// What to write so that the chunks of a run, of which `last` is the last, hold these records too; none is larger than `limit`.
pub fn grow(run: RunId, last: Option<&Chunk>, records: &[Record], limit: usize) -> Result<Growth, MirrorError> {
    let mut growth = Growth::default();
    for record in records {
        let line = line(record).map_err(MirrorError::refused)?;
        if growth.new.is_empty()
            && let Some(mut grown) = growth.grown.take().or_else(|| last.cloned())
        {
            let fits = grown.takes(&line, limit);
            // What nothing was added to need not be written.
            growth.grown = (fits || Some(&grown) != last).then_some(grown);
            if fits {
                continue;
            }
        }
        if growth.new.last_mut().is_some_and(|new| new.takes(&line, limit)) {
            continue;
        }
        for part in line.chunks(limit.max(1)) {
            let before = growth.new.last().or(growth.grown.as_ref()).or(last);
            let next = Chunk::behind(before, run, part);
            growth.new.push(next);
        }
    }
    Ok(growth)
}

/// The events in all chunks of a run, each of which has to stand in its place behind the one before.
pub fn events(run: RunId, chunks: &[Chunk]) -> Result<Vec<Record>, ChunkError> {
    let mut text = Vec::new();
    let mut last: Option<&Chunk> = None;
    for chunk in chunks {
        let expect = Chunk::behind(last, run, &[]);
        if (chunk.run, chunk.number, chunk.before) != (run, expect.number, expect.before) {
            return Err(ChunkError { number: expect.number, detail: "it does not follow on the one before".to_owned() });
        }
        text.extend_from_slice(&chunk.text);
        last = Some(chunk);
    }
    let number = last.map_or(1, |last| last.number);
    // A recorded value may have newlines of its own, so lines are for people only.
    let lines = serde_json::Deserializer::from_slice(&text).into_iter::<Line>();
    let line = |line: Result<Line, _>| line.map_err(|error| format!("an event can't be read: {error}"));
    lines.map(|read| line(read).and_then(|line| record(run, line)).map_err(|detail| ChunkError { number, detail })).collect()
}

fn line(record: &Record) -> Result<Vec<u8>, serde_json::Error> {
    let event = Json::of(&record.event)?;
    let mut line = serde_json::to_vec(&Line { format: JournalFormat::CURRENT.0, seq: record.seq, at: record.at, event })?;
    line.push(b'\n');
    Ok(line)
}

fn record(run: RunId, Line { format, seq, at, event }: Line) -> Result<Record, String> {
    if format > JournalFormat::CURRENT.0 {
        return Err(format!("event {seq} has format {format}, which only a newer windlass knows"));
    }
    let event = decode_event(event.as_str().as_bytes(), JournalFormat(format)).map_err(|failure| match failure {
        DecodeFailure::Unknown(name) => format!("event {seq} is a {name}, which only a newer windlass knows"),
        DecodeFailure::Malformed(detail) => format!("event {seq} can't be read: {detail}"),
    })?;
    // The number in a journal is that journal's own.
    Ok(Record { global: 0, run, seq, at, event })
}
