//! Where a step fits.

use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};
use windlass_engine::Timestamp;

use super::zone::zone;
use super::{Calendar, CalendarError, Window};

/// A window in which a step fits, and when it may begin there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Placement {
    /// The first moment at which it may begin.
    pub begin_at: Timestamp,
    /// The window.
    pub window: Window,
    /// The last moment at which it may begin and still end in the window.
    pub latest_start: Timestamp,
}

impl Placement {
    /// Whether the step may begin now: the window is open and the step still ends in it. If not, another window must be found;
    /// the machine may have been off when this one came.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.begin_at <= now && now <= self.latest_start
    }
}

impl Calendar {
    /// The first moment from `at` on from which `need` fits inside one window.
    pub fn place(&self, at: Timestamp, need: Duration) -> Result<Placement, CalendarError> {
        self.first_from(at)?;
        let fits = |window: Window| {
            let begin_at = at.max(window.begins);
            let latest_start = Timestamp::from_micros(window.ends.as_micros().saturating_sub_unsigned(micros(need)));
            (begin_at <= latest_start).then_some(Placement { begin_at, window, latest_start })
        };
        self.windows_from(at).find_map(fits).map_or_else(|| Err(self.too_short(at, need)), Ok)
    }

    /// The window that is open at `at` or the first to open later; if there is none, why.
    pub fn first_from(&self, at: Timestamp) -> Result<Window, CalendarError> {
        zone(&self.zone)?;
        self.windows_from(at).next().ok_or_else(|| {
            let mut reasons: Vec<&str> =
                self.agenda(at).filter_map(|entry| entry.blackout).map(|blackout| blackout.reason.as_str()).collect();
            reasons.dedup();
            let why = if reasons.is_empty() {
                "they all lie in the past".to_owned()
            } else {
                reasons.retain(|reason| !reason.is_empty());
                let named = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
                format!("those ahead are all blacked out{named}")
            };
            CalendarError::NothingAhead { from: self.local_text(at), why }
        })
    }

    /// How long a step may be at most that begins at `at` or later; zero if no window is ahead.
    pub fn longest(&self, at: Timestamp) -> Duration {
        self.windows_from(at).map(|window| usable(window, at)).max().unwrap_or_default()
    }

    fn too_short(&self, at: Timestamp, needed: Duration) -> CalendarError {
        let window = self.windows_from(at).reduce(|a, b| if usable(b, at) > usable(a, at) { b } else { a });
        let window = window.unwrap_or(Window { begins: at, ends: at });
        let opens = self.local_text(at.max(window.begins));
        CalendarError::NeverFits { needed, longest: usable(window, at), opens, window }
    }

    /// A moment as the wall clock of the calendar's zone shows it; in UTC if the zone is unknown.
    pub fn local(&self, at: Timestamp) -> DateTime<FixedOffset> {
        let at = at.to_datetime();
        zone(&self.zone).map_or_else(|_| at.fixed_offset(), |zone| at.with_timezone(&zone).fixed_offset())
    }

    /// A moment on the wall clock of the calendar's zone, with the zone.
    pub fn local_text(&self, at: Timestamp) -> String {
        format!("{} {}", self.local(at).format("%a %Y-%m-%d %H:%M"), self.zone)
    }
}

fn usable(window: Window, at: Timestamp) -> Duration {
    window.ends.since(at.max(window.begins))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
