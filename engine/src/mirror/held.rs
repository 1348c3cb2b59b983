//! What a place holds of each run, in a form that is equal only for equal histories.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::Record;
use crate::ids::RunId;

/// How much of a run is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldRun {
    /// The last event's place in the run.
    pub last_seq: u64,
    /// Stands for all events up to that one: their places, times and contents.
    pub digest: [u8; 32],
}

/// What a mirror holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Held {
    /// How much it has of each run.
    pub runs: BTreeMap<RunId, HeldRun>,
    /// Ended runs that it had and let go; they are not brought again.
    pub let_go: BTreeSet<RunId>,
}

impl Held {
    /// Takes in the next record of a run; one that leaves a gap is refused in words.
    pub fn absorb(&mut self, record: &Record) -> Result<(), String> {
        let held = self.runs.entry(record.run).or_insert(HeldRun { last_seq: 0, digest: [0; 32] });
        if record.seq != held.last_seq + 1 {
            return Err(format!("event {} of run {} where event {} must stand", record.seq, record.run, held.last_seq + 1));
        }
        let event = serde_json::to_vec(&record.event).map_err(|error| error.to_string())?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&held.digest).update(&record.seq.to_le_bytes()).update(&record.at.as_micros().to_le_bytes()).update(&event);
        *held = HeldRun { last_seq: record.seq, digest: *hasher.finalize().as_bytes() };
        Ok(())
    }

    /// How far it has a run; 0 if it has nothing of it.
    pub fn last_seq(&self, run: RunId) -> u64 {
        self.runs.get(&run).map_or(0, |held| held.last_seq)
    }
}
