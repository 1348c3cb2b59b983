//! The windows ahead, in the time of their own zone with UTC beside.

use chrono::TimeDelta;
use serde_json::{Value, json};
use windlass_activities::windows::{Blackout, Calendar, Placement, Window};
use windlass_engine::Timestamp;

use crate::words::{self, Lines as _};

/// What a calendar has ahead.
#[derive(PartialEq, Debug)]
enum Row<'a> {
    /// Work is allowed.
    Open(Window),
    /// A blackout takes away so many windows, or parts of windows.
    Closed(&'a Blackout, usize),
}

/// A step that waits for its window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Planned {
    /// The step, in a few words.
    pub(crate) step: String,
    /// Where it fits.
    pub(crate) placement: Placement,
}

/// The next windows with the steps that fall into them, what blackouts take away between them, and a word if there are none.
/// There are as many as asked for, and more if a step falls into a later one.
pub(crate) fn text(calendar: &Calendar, now: Timestamp, windows: usize, steps: &[Planned]) -> String {
    let mut text = format!("maintenance windows in the time of {}\n", calendar.zone);
    let rows = rows(calendar, now, windows, steps);
    let lines: Vec<[String; 4]> = rows.iter().map(|row| columns(calendar, now, row)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    for ([when, length, utc, remark], row) in lines.iter().zip(&rows) {
        let line = format!("  {when:<0$}  {length:>1$}  {utc:<2$}  {remark}", widths[0], widths[1], widths[2]);
        text.line(line.trim_end());
        for Planned { step, placement } in row.planned(steps) {
            let [from, latest] = [placement.begin_at, placement.latest_start].map(|at| calendar.local(at).format("%a %H:%M"));
            text.line(format!("      {step}: from {from}, not after {latest}"));
        }
    }
    if let Err(error) = calendar.first_from(now) {
        text.line(format!("  {error}"));
    }
    text
}

impl Row<'_> {
    fn planned<'s>(&self, steps: &'s [Planned]) -> impl Iterator<Item = &'s Planned> {
        let window = match self {
            Self::Open(window) => Some(*window),
            Self::Closed(..) => None,
        };
        steps.iter().filter(move |planned| window.is_some_and(|window| is_open(window, planned.placement.begin_at)))
    }
}

/// The next windows with their steps, and the blackouts, for programs.
pub(crate) fn value(calendar: &Calendar, now: Timestamp, windows: usize, steps: &[Planned]) -> Value {
    let rows = rows(calendar, now, windows, steps);
    let open = rows.iter().filter_map(|row| match row {
        Row::Open(window) => Some(json!({
            "begins": words::rfc3339(window.begins),
            "ends": words::rfc3339(window.ends),
            "local_begins": calendar.local(window.begins).to_rfc3339(),
            "local_ends": calendar.local(window.ends).to_rfc3339(),
            "seconds": window.ends.since(window.begins).as_secs(),
            "open": is_open(*window, now),
            "steps": row.planned(steps).map(planned_value).collect::<Vec<_>>(),
        })),
        Row::Closed(..) => None,
    });
    let closed = rows.iter().filter_map(|row| match row {
        Row::Closed(blackout, windows) => Some(json!({
            "first": blackout.first.to_string(),
            "last": blackout.last.to_string(),
            "reason": blackout.reason,
            "windows": windows,
        })),
        Row::Open(_) => None,
    });
    let (open, closed): (Vec<Value>, Vec<Value>) = (open.collect(), closed.collect());
    json!({"zone": calendar.zone, "windows": open, "blackouts": closed})
}

fn planned_value(planned: &Planned) -> Value {
    let Placement { begin_at, latest_start, .. } = planned.placement;
    json!({"step": planned.step, "begin_at": words::rfc3339(begin_at), "latest_start": words::rfc3339(latest_start)})
}

fn rows<'a>(calendar: &'a Calendar, now: Timestamp, windows: usize, steps: &[Planned]) -> Vec<Row<'a>> {
    let (mut rows, mut open) = (Vec::new(), 0);
    let last = steps.iter().map(|planned| planned.placement.begin_at).max();
    for entry in calendar.agenda(now) {
        match (entry.blackout, rows.last_mut()) {
            (Some(blackout), Some(Row::Closed(last, count))) if *last == blackout => *count += 1,
            (Some(blackout), _) => rows.push(Row::Closed(blackout, 1)),
            (None, _) if open >= windows && last.is_none_or(|last| last < entry.window.begins) => break,
            (None, _) => {
                open += 1;
                rows.push(Row::Open(entry.window));
            }
        }
    }
    rows
}

/// When, how long, when in UTC, and a remark.
fn columns(calendar: &Calendar, now: Timestamp, row: &Row) -> [String; 4] {
    match row {
        Row::Open(window) => {
            let (begins, ends) = (calendar.local(window.begins), calendar.local(window.ends));
            // After six days the name of a day is that of another one.
            let end = if ends - begins < TimeDelta::days(6) { "%a %H:%M" } else { "%a %Y-%m-%d %H:%M" };
            let local = format!("{} to {}", begins.format("%a %Y-%m-%d %H:%M"), ends.format(end));
            let [begins_utc, ends_utc] = [window.begins, window.ends].map(|at| at.to_datetime().format("%m-%d %H:%M"));
            let length = words::duration(window.ends.since(window.begins));
            let open = is_open(*window, now).then(|| format!("open now, {} left", words::duration(window.ends.since(now))));
            let change = (begins.offset() != ends.offset()).then(|| "clocks change".to_owned());
            let remark = [open, change].into_iter().flatten().collect::<Vec<_>>().join("; ");
            [local, length, format!("{begins_utc} to {ends_utc} UTC"), remark]
        }
        Row::Closed(blackout, windows) => {
            let days = if blackout.first == blackout.last {
                blackout.first.format("%a %Y-%m-%d").to_string()
            } else {
                format!("{} to {}", blackout.first.format("%a %Y-%m-%d"), blackout.last.format("%a %Y-%m-%d"))
            };
            let reason = if blackout.reason.is_empty() { String::new() } else { format!(": {}", blackout.reason) };
            let remark = format!("no work{reason}; {} cut", words::count(*windows, "window"));
            [days, String::new(), String::new(), remark]
        }
    }
}

fn is_open(window: Window, now: Timestamp) -> bool {
    window.begins <= now && now < window.ends
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(text: &str) -> Timestamp {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
    }

    fn calendar(windows: &[&str], blackouts: &[&str]) -> Calendar {
        let texts = |flags: &[&str]| flags.iter().map(|&flag| flag.to_owned()).collect::<Vec<_>>();
        Calendar::from_flags(&texts(windows), &texts(blackouts)).unwrap().unwrap()
    }

    #[test]
    fn windows_ahead() {
        let windows = ["Sat,Sun 22:00-06:00 Europe/Berlin", "2026-12-22 18:00..2026-12-24 18:00"];
        let blackouts = ["2026-12-24..2027-01-02 year end", "2026-12-13 fair", "2026-12-20"];
        let calendar = calendar(&windows, &blackouts);
        insta::assert_snapshot!(text(&calendar, at("2026-12-06T01:30:00Z"), 8, &[]));
    }

    /// Three pools, one after the other, each in the first window that has room for it.
    fn planned(calendar: &Calendar, from: &str) -> Vec<Planned> {
        let mut now = at(from);
        let place = |(pool, hours): (&str, u64)| {
            let need = std::time::Duration::from_secs(hours * 3600);
            let placement = calendar.place(now, need).unwrap();
            now = placement.begin_at.plus(need);
            Planned { step: format!("unpause {pool}"), placement }
        };
        [("infra", 3), ("canary", 4), ("worker", 5)].map(place).into()
    }

    #[test]
    fn steps_in_their_windows() {
        let calendar = calendar(&["Sat 22:00-06:00 Europe/Berlin"], &["2026-12-12..2026-12-13 fair"]);
        let now = "2026-12-06T01:30:00Z";
        insta::assert_snapshot!(text(&calendar, at(now), 2, &planned(&calendar, now)));
    }

    #[test]
    fn windows_over_a_change_of_the_clock() {
        let mut all = String::new();
        for (zone, now) in [
            ("Europe/Berlin", "2026-03-26T12:00:00Z"),
            ("Europe/Berlin", "2026-10-22T12:00:00Z"),
            ("America/New_York", "2026-03-06T12:00:00Z"),
            ("America/New_York", "2026-10-30T12:00:00Z"),
            ("Australia/Lord_Howe", "2026-10-01T12:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-02T12:00:00Z"),
        ] {
            all.push_str(&text(&calendar(&[&format!("Sat 22:00-06:00 {zone}")], &[]), at(now), 2, &[]));
        }
        insta::assert_snapshot!(all);
    }

    #[test]
    fn nothing_ahead_and_always_open() {
        let over = calendar(&["2026-12-05 22:00..2026-12-06 06:00 Europe/Berlin"], &[]);
        let frozen = calendar(&["2026-12-25 22:00..2026-12-26 06:00 Europe/Berlin"], &["2026-12-24..2027-01-02 year end"]);
        let always = calendar(&["daily 00:00-24:00 UTC"], &[]);
        let now = at("2026-12-07T12:00:00Z");
        let all = [&over, &frozen, &always].map(|calendar| text(calendar, now, 4, &[])).concat();
        insta::assert_snapshot!(all);
    }

    #[test]
    fn for_programs() {
        let calendar = calendar(&["Sat 22:00-06:00 Europe/Berlin"], &["2026-12-12 fair"]);
        let value = value(&calendar, at("2026-12-06T01:30:00Z"), 2, &planned(&calendar, "2026-12-06T01:30:00Z"));
        insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());
    }
}
