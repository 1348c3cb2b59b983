//! Times and durations in words.

use std::time::Duration;

use chrono::{DateTime, Local};
use windlass_engine::Timestamp;

/// Text that grows line by line.
pub(crate) trait Lines {
    /// Adds a line and its end.
    fn line(&mut self, line: impl AsRef<str>);
}

impl Lines for String {
    fn line(&mut self, line: impl AsRef<str>) {
        self.push_str(line.as_ref());
        self.push('\n');
    }
}

/// A duration in at most two units: `42 s`, `12 min 5 s`, `3 h 12 min`, `2 d 4 h`.
pub(crate) fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    let two = |big: u64, big_unit: &str, small: u64, small_unit: &str| {
        if small == 0 { format!("{big} {big_unit}") } else { format!("{big} {big_unit} {small} {small_unit}") }
    };
    match seconds {
        0 => "0 s".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        86_400.. => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// Reads `45s`, `90m`, `2h`, `1d12h`: whole numbers, each with its unit.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write it as in 90m, 2h or 1d12h");
    let mut rest = text.trim();
    let mut seconds: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = match rest[digits..].chars().next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            Some(_) | None => return Err(wrong()),
        };
        seconds = number.checked_mul(unit).and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
        rest = &rest[digits + 1..];
    }
    if seconds == 0 { Err(wrong()) } else { Ok(Duration::from_secs(seconds)) }
}

/// Time since a run began, in a column: `0:42`, `1:02:03`.
pub(crate) fn elapsed(length: Duration) -> String {
    let seconds = length.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    if hours == 0 { format!("{minutes}:{seconds:02}") } else { format!("{hours}:{minutes:02}:{seconds:02}") }
}

fn local(at: Timestamp) -> DateTime<Local> {
    at.to_datetime().with_timezone(&Local)
}

/// The local day.
pub(crate) fn day(at: Timestamp) -> String {
    local(at).format("%Y-%m-%d").to_string()
}

/// The local time of day.
pub(crate) fn clock(at: Timestamp) -> String {
    local(at).format("%H:%M:%S").to_string()
}

/// The local day and time.
pub(crate) fn moment(at: Timestamp) -> String {
    local(at).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A time as the reader of another time needs it: without the day if it is the same.
pub(crate) fn moment_near(at: Timestamp, near: Timestamp) -> String {
    if day(at) == day(near) { clock(at) } else { moment(at) }
}

/// What a temporary change changed: ` (was false)`; nothing if there was nothing before it.
pub(crate) fn was(prior: &windlass_engine::Json) -> String {
    if prior.as_str() == "null" { String::new() } else { format!(" (was {prior})") }
}

/// A time for programs: RFC 3339, UTC.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    at.to_string()
}

/// `1 step`, `2 steps`.
pub(crate) fn count(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

/// The text on one line of at most `width` characters.
pub(crate) fn one_line(text: &str, width: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    console::truncate_str(&flat, width, "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        let check = |seconds: u64, words: &str, column: &str| {
            let length = Duration::from_secs(seconds);
            assert_eq!((duration(length).as_str(), elapsed(length).as_str()), (words, column));
        };
        check(0, "0 s", "0:00");
        check(59, "59 s", "0:59");
        check(60, "1 min", "1:00");
        check(725, "12 min 5 s", "12:05");
        check(3600, "1 h", "1:00:00");
        check(11_525, "3 h 12 min", "3:12:05");
        check(187_200, "2 d 4 h", "52:00:00");
    }

    #[test]
    fn a_duration_is_read_in_units() {
        let check =
            |text: &str, expect: Option<u64>| assert_eq!(parse_duration(text).ok().map(|d| d.as_secs()), expect, "{text}");
        check("45s", Some(45));
        check("90m", Some(5400));
        check("1d12h", Some(129_600));
        check("2", None);
        check("0m", None);
        check("", None);
        check("2 h", None);
        check("-2h", None);
        check("99999999999999999999d", None);
    }

    #[test]
    fn a_line_is_cut_where_the_column_ends() {
        let check = |text: &str, width: usize, expect: &str| assert_eq!(one_line(text, width), expect);
        check("two\n  lines", 20, "two lines");
        check("exactly ten", 11, "exactly ten");
        check("exactly ten", 8, "exactly…");
    }
}
