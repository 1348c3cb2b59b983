//! How a mirror stands, with and without a worker.

use serde_json::{Value, json};
use windlass_engine::Timestamp;

use crate::books::Books;
use crate::failure::Failure;
use crate::mirror::Remembered;
use crate::words;

/// A mirror and what the journal has that it lacks.
pub(crate) struct MirrorStanding {
    remembered: Remembered,
    behind: u64,
    since: Option<Timestamp>,
}

impl MirrorStanding {
    /// Compares what the mirror was last seen to have with what the journal has.
    pub(crate) fn look(books: &Books) -> Result<Option<Self>, Failure> {
        let Some(remembered) = Remembered::read(&books.dir)? else { return Ok(None) };
        let (behind, since) = books.beyond(remembered.state.held_to);
        Ok(Some(Self { remembered, behind, since }))
    }

    /// In one line, for people.
    pub(crate) fn text(&self, now: Timestamp) -> String {
        let Remembered { target, required, state, .. } = &self.remembered;
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
        let Remembered { target, required, state, .. } = &self.remembered;
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
