//! A calendar: read, checked, and asked.

use serde::{Deserialize, Serialize};

use super::zone::zone;
use super::{Blackout, CalendarError, Once, Slot};

/// When work is allowed, in the wall-clock time of one zone.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// The zone by its IANA name: `Europe/Berlin`.
    pub zone: String,
    /// Windows that come again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<Slot>,
    /// Single windows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub once: Vec<Once>,
    /// Days without windows, whatever the slots say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blackouts: Vec<Blackout>,
}

/// Nobody keeps more than this in mind, and two years of that many hourly ones are still looked through in a second.
const SLOTS: usize = 30;
/// One a day for two years, and some.
const SINGLE: usize = 1000;

impl Calendar {
    /// Reads a calendar file and checks it.
    pub fn parse(yaml: &str) -> Result<Self, CalendarError> {
        let calendar: Self = serde_saphyr::from_str(yaml).map_err(|error| CalendarError::Unreadable(first_line(&error)))?;
        calendar.checked()
    }

    /// The calendar with more days without windows, as `--blackout` gives them: `2026-12-24..2027-01-02 year end`.
    pub fn with_blackouts(mut self, blackouts: &[String]) -> Result<Self, CalendarError> {
        for text in blackouts {
            self.blackouts.push(super::flags::blackout(text)?);
        }
        self.checked()
    }

    /// The calendar if it can be used at all; whether anything is ahead depends on when one asks.
    pub(super) fn checked(self) -> Result<Self, CalendarError> {
        zone(&self.zone)?;
        if self.slots.is_empty() && self.once.is_empty() {
            return Err(CalendarError::Empty);
        }
        let counts =
            [("slots", self.slots.len(), SLOTS), ("once", self.once.len(), SINGLE), ("blackouts", self.blackouts.len(), SINGLE)];
        match counts.into_iter().find(|(_, count, limit)| count > limit) {
            Some((what, count, limit)) => Err(CalendarError::TooMany { what, count, limit }),
            None => Ok(self),
        }
    }
}

/// What is wrong and where, without the excerpt below it.
fn first_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().trim_end_matches(':').to_owned()
}
