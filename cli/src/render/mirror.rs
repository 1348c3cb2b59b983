//! How a mirror stands, with and without a worker.

use serde_json::{Value, json};
use windlass_engine::Timestamp;
use windlass_engine::mirror::MirrorState;

use crate::books::Books;
use crate::failure::Failure;
use crate::mirror::{CLUSTER, Remembered};
use crate::words;

/// The mirror of a run, and what the journal has that it lacks.
pub(crate) struct MirrorStanding {
    target: String,
    required: bool,
    state: MirrorState,
    behind: u64,
    since: Option<Timestamp>,
}

impl MirrorStanding {
    /// Compares what the mirror was last seen to have with what the journal has, as far as it is of the mirror's concern.
    pub(crate) fn look(books: &Books, run_of: Option<&str>) -> Result<Option<Self>, Failure> {
        let Some(remembered) = Remembered::current(&books.dir)? else { return Ok(None) };
        let state = remembered.seen(run_of).state;
        let (behind, since) = books.beyond(state.held_to, run_of.filter(|_| remembered.target == CLUSTER));
        let Remembered { target, required, .. } = remembered;
        Ok(Some(Self { target, required, state, behind, since }))
    }

    /// In one line, for people.
    pub(crate) fn text(&self, now: Timestamp) -> String {
        let Self { target, required, state, .. } = self;
        let required = if *required { ", required" } else { "" };
        let error = state.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        let lag = match self.since {
            Some(since) => {
                let records = words::count(usize::try_from(self.behind).unwrap_or(usize::MAX), "record");
                format!("{records} behind for {}", words::duration(now.since(since)))
            }
            None => "has every record".to_owned(),
        };
        format!("{target}{required}: {lag}{error}")
    }

    /// For programs.
    pub(crate) fn object(&self) -> Value {
        let Self { target, required, state, .. } = self;
        json!({
            "target": target,
            "required": required,
            "held_to": state.held_to,
            "behind": self.behind,
            "since": self.since.map(words::rfc3339),
            "error": state.error,
            "refused": state.refused,
        })
    }
}
