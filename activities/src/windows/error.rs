//! Why a calendar is no good, or has no window for a step.

use std::time::Duration;

use super::Window;
use super::text::length_text;

/// A calendar that can't be used, or that has no window for what is asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CalendarError {
    /// The file is not a calendar.
    #[error("the calendar can't be read: {0}; docs/windows.md has one to start from")]
    Unreadable(String),
    /// One part of it can't be.
    #[error("{what}: {cause}")]
    Malformed {
        /// The window or blackout, as it was written.
        what: String,
        /// What is wrong, and how it should be written.
        cause: String,
    },
    /// The time zone does not exist.
    #[error("there is no time zone {zone}; {}", advice(.close))]
    UnknownZone {
        /// As it was written.
        zone: String,
        /// Zones with similar names.
        close: Vec<String>,
    },
    /// The windows name several zones, or none.
    #[error("{0}; end one window with a zone such as Europe/Berlin, it holds for all")]
    Zones(String),
    /// There is no window in it.
    #[error("the calendar has no window; give it slots or once, or leave it out")]
    Empty,
    /// There is more in it than anybody can keep in mind.
    #[error("the calendar has {count} {what}, at most {limit} are kept; write them as weekly slots or spans of days")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// No window opens any more.
    #[error("no window opens in the two years from {from}: {why}; add a window, or shorten the blackouts")]
    NothingAhead {
        /// Counted from here, in the calendar's zone.
        from: String,
        /// What became of those that the calendar has.
        why: String,
    },
    /// No window is as long as needed.
    #[error(
        "no window is long enough: {} are needed, the longest has {}, from {}; lengthen it, or make the step shorter",
        length_text(*.needed), length_text(*.longest), .opens
    )]
    NeverFits {
        /// What the step needs.
        needed: Duration,
        /// What is left of the longest window.
        longest: Duration,
        /// When that window opens, in the calendar's zone.
        opens: String,
        /// That window.
        window: Window,
    },
}

fn advice(close: &[String]) -> String {
    if close.is_empty() {
        return "name one of the IANA database, such as Europe/Berlin or UTC".to_owned();
    }
    format!("did you mean {}?", close.join(" or "))
}

impl CalendarError {
    /// A short name for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NothingAhead { .. } => "no-window-ahead",
            Self::NeverFits { .. } => "window-too-short",
            Self::Unreadable(_)
            | Self::Malformed { .. }
            | Self::UnknownZone { .. }
            | Self::Zones(_)
            | Self::Empty
            | Self::TooMany { .. } => "bad-calendar",
        }
    }

    pub(super) fn malformed(what: impl Into<String>, cause: impl Into<String>) -> Self {
        Self::Malformed { what: what.into(), cause: cause.into() }
    }
}
