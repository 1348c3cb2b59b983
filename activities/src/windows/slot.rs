//! What a calendar is made of: slots that come again, single windows, and days without any.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDate};
use croner::parser::{CronParser, Seconds, Year};
use serde::{Deserialize, Serialize};

use super::text::{Day, LocalTime, TimeOfDay, date, days, length, length_text};

/// A window that opens again and again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "SlotText", into = "SlotText")]
pub enum Slot {
    /// On days of the week.
    Weekly {
        /// The days it opens on, in the week's order.
        days: Vec<Day>,
        /// When it opens.
        from: TimeOfDay,
        /// When it closes; on the next day if that is not later than it opens.
        until: TimeOfDay,
    },
    /// Whenever a cron expression says.
    Cron {
        /// When it opens.
        cron: Cron,
        /// For how long, on the wall clock.
        length: Duration,
    },
}

/// A cron expression of five fields, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cron {
    text: String,
    pub(super) pattern: Box<croner::Cron>,
}

/// A slot as it is written.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SlotText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) days: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cron: Option<String>,
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub(super) length: Option<String>,
}

/// A cron slot may not be longer: what is open for more than a week is written as days.
const LONGEST_SLOT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl TryFrom<SlotText> for Slot {
    type Error = String;

    fn try_from(text: SlotText) -> Result<Self, String> {
        match text {
            SlotText { days: Some(names), from: Some(from), until: Some(until), cron: None, length: None } => {
                let days = days(names.iter().map(String::as_str))?;
                let (from, until) = (from.parse::<TimeOfDay>()?, until.parse::<TimeOfDay>()?);
                if from.is_end_of_day() {
                    return Err("a slot can't open at 24:00; write 00:00 of the next day".to_owned());
                }
                if from == until || until.is_midnight() && from.is_midnight() {
                    return Err(format!("a slot that opens and closes at {from} may be none or a day; write 00:00 until 24:00"));
                }
                Ok(Self::Weekly { days, from, until })
            }
            SlotText { days: None, from: None, until: None, cron: Some(cron), length: Some(text) } => {
                let (cron, length) = (Cron::new(&cron)?, length(&text)?);
                if length > LONGEST_SLOT {
                    return Err(format!("{text} is longer than a week; write days, from and until"));
                }
                Ok(Self::Cron { cron, length })
            }
            SlotText { .. } => Err("a slot has days, from and until, or it has cron and for".to_owned()),
        }
    }
}

impl From<Slot> for SlotText {
    fn from(slot: Slot) -> Self {
        match slot {
            Slot::Weekly { days, from, until } => Self {
                days: Some(days.into_iter().map(String::from).collect()),
                from: Some(from.into()),
                until: Some(until.into()),
                ..Self::default()
            },
            Slot::Cron { cron, length } => Self { cron: Some(cron.text), length: Some(length_text(length)), ..Self::default() },
        }
    }
}

impl Cron {
    /// Reads minute, hour, day of the month, month and day of the week. The minute must be one number: a window that opens
    /// more often than hourly is always open.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let minute = text.split(' ').next().unwrap_or_default();
        if minute.is_empty() || !minute.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("cron {text}: the first field must be one minute; write 0 22 * * 6"));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let pattern = parser.parse(&text).map_err(|error| {
            format!("cron {text}: {error}; minute, hour, day of the month, month and day of the week are needed")
        })?;
        if pattern.find_next_occurrence(&DateTime::UNIX_EPOCH, true).is_err() {
            return Err(format!("cron {text}: it never opens; name a day that there is"));
        }
        Ok(Self { text, pattern: Box::new(pattern) })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// One window.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "OnceText", into = "OnceText")]
pub struct Once {
    /// When it opens.
    pub from: LocalTime,
    /// When it closes.
    pub until: LocalTime,
}

/// A single window as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnceText {
    from: LocalTime,
    until: LocalTime,
}

impl Once {
    /// A window between two times; refused if it ends before it begins.
    pub fn new(from: LocalTime, until: LocalTime) -> Result<Self, String> {
        if until <= from {
            return Err(format!("it closes at {until}, which is not after it opens, at {from}; swap them"));
        }
        Ok(Self { from, until })
    }
}

impl TryFrom<OnceText> for Once {
    type Error = String;

    fn try_from(text: OnceText) -> Result<Self, String> {
        Self::new(text.from, text.until)
    }
}

impl From<Once> for OnceText {
    fn from(once: Once) -> Self {
        Self { from: once.from, until: once.until }
    }
}

/// Days without windows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "BlackoutText", into = "BlackoutText")]
pub struct Blackout {
    /// The first day.
    pub first: NaiveDate,
    /// The last day; it is without windows, too.
    pub last: NaiveDate,
    /// Why; may be empty.
    pub reason: String,
}

/// Days without windows as they are written.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlackoutText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
}

impl Blackout {
    /// The days from the first to the last; refused if that is the wrong order.
    pub fn new(first: NaiveDate, last: NaiveDate, reason: &str) -> Result<Self, String> {
        if last < first {
            return Err(format!("its last day, {last}, is before its first, {first}; swap them"));
        }
        Ok(Self { first, last, reason: reason.trim().to_owned() })
    }
}

impl fmt::Display for Blackout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last != self.first {
            write!(f, " to {}", self.last)?;
        }
        if self.reason.is_empty() { Ok(()) } else { write!(f, " ({})", self.reason) }
    }
}

impl TryFrom<BlackoutText> for Blackout {
    type Error = String;

    fn try_from(text: BlackoutText) -> Result<Self, String> {
        let (first, last) = match (&text.day, &text.from, &text.until) {
            (Some(day), None, None) => (day, day),
            (None, Some(first), Some(last)) => (first, last),
            _ => return Err("a blackout has a day, or from and until, and a reason".to_owned()),
        };
        Self::new(date(first)?, date(last)?, &text.reason)
    }
}

impl From<Blackout> for BlackoutText {
    fn from(blackout: Blackout) -> Self {
        let Blackout { first, last, reason } = blackout;
        if first == last {
            return Self { day: Some(first.to_string()), reason, ..Self::default() };
        }
        Self { day: None, from: Some(first.to_string()), until: Some(last.to_string()), reason }
    }
}
