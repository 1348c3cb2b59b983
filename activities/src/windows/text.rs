//! Days, times and lengths as people write them.

use std::fmt;
use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Weekday};
use serde::{Deserialize, Serialize};

/// A day of the week: `sat`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(pub Weekday);

/// A time on the wall, from `00:00` to `24:00`, in minutes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

/// A day and a time on the wall: `2026-12-05T22:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LocalTime(pub NaiveDateTime);

const DAY_MINUTES: u16 = 24 * 60;

impl TimeOfDay {
    /// This time of a day; `24:00` is the next day's midnight.
    pub(super) fn on(self, day: NaiveDate) -> NaiveDateTime {
        day.and_time(NaiveTime::MIN) + TimeDelta::minutes(self.0.into())
    }

    /// Whether a day begins with this time.
    pub(super) fn is_midnight(self) -> bool {
        self.0 == 0
    }

    /// Whether a day ends with this time.
    pub(super) fn is_end_of_day(self) -> bool {
        self.0 == DAY_MINUTES
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string().to_lowercase())
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%dT%H:%M"))
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}
as_text!(Day, TimeOfDay, LocalTime);

impl std::str::FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.trim().parse().map(Self).map_err(|_| format!("there is no day {text}; days are mon, tue, wed, thu, fri, sat, sun"))
    }
}

impl std::str::FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.trim().split_once(':').and_then(|(hours, minutes)| Some((number(hours)?, number(minutes)?)));
        match numbers {
            Some((24, 0)) => Ok(Self(DAY_MINUTES)),
            Some((hours @ 0..24, minutes @ 0..60)) => Ok(Self(hours * 60 + minutes)),
            Some(_) | None => Err(format!("there is no time {text}; times are 00:00 to 24:00")),
        }
    }
}

impl std::str::FromStr for LocalTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is no day and time; write 2026-12-05T22:00");
        let (day, time) = text.trim().split_once(['T', ' ']).ok_or_else(wrong)?;
        let time: TimeOfDay = time.parse()?;
        Ok(Self(time.on(date(day)?)))
    }
}

fn number(text: &str) -> Option<u16> {
    (matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A day: `2026-12-24`.
pub(super) fn date(text: &str) -> Result<NaiveDate, String> {
    NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").map_err(|_| format!("there is no day {text}; write 2026-12-24"))
}

/// The days that a list names, in the week's order: `sat,sun`, `mon-fri`, `daily`.
pub(super) fn days<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Day>, String> {
    let mut week = [false; 7];
    for name in names.into_iter().flat_map(|names| names.split(',')) {
        let (first, last) = match name.trim().split_once('-') {
            _ if name.trim().eq_ignore_ascii_case("daily") => (Day(Weekday::Mon), Day(Weekday::Sun)),
            Some((first, last)) => (first.parse()?, last.parse()?),
            None => (name.parse::<Day>()?, name.parse()?),
        };
        let mut day = first.0;
        week[day.num_days_from_monday() as usize] = true;
        while day != last.0 {
            day = day.succ();
            week[day.num_days_from_monday() as usize] = true;
        }
    }
    let all = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];
    let days: Vec<Day> = all.into_iter().zip(week).filter(|(_, named)| *named).map(|(day, _)| Day(day)).collect();
    if days.is_empty() { Err("no day is named; days are mon, tue, wed, thu, fri, sat, sun".to_owned()) } else { Ok(days) }
}

/// A length in whole minutes: `8h`, `90m`, `1h30m`, `2d`.
pub(super) fn length(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is no length; write 8h, 90m or 1h30m");
    let (mut minutes, mut written) = (0_u64, String::new());
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        let unit = match c {
            '0'..='9' => {
                written.push(c);
                continue;
            }
            'd' => 24 * 60,
            'h' => 60,
            'm' => 1,
            _ => return Err(wrong()),
        };
        let count: u64 = std::mem::take(&mut written).parse().map_err(|_| wrong())?;
        minutes = count.checked_mul(unit).and_then(|more| minutes.checked_add(more)).ok_or_else(wrong)?;
    }
    if !written.is_empty() || minutes == 0 {
        return Err(wrong());
    }
    minutes.checked_mul(60).map(Duration::from_secs).ok_or_else(wrong)
}

/// A length as [`length`] reads it, to the minute begun.
pub(super) fn length_text(length: Duration) -> String {
    let minutes = length.as_secs().div_ceil(60);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes}m"),
        (hours, 0) => format!("{hours}h"),
        (hours, minutes) => format!("{hours}h{minutes}m"),
    }
}
