//! Time zones: by name, and from the time on the wall to instants.

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::CalendarError;

/// The zone of that name.
pub(super) fn zone(name: &str) -> Result<Tz, CalendarError> {
    name.parse().map_err(|_| CalendarError::UnknownZone { zone: name.to_owned(), close: close_to(name) })
}

/// How many similar names are worth reading.
const SUGGESTIONS: usize = 3;
/// More wrong letters than this is another name.
const TYPING_ERRORS: usize = 2;

/// Zones with a similar name: another case, the city alone, or a typing error.
fn close_to(name: &str) -> Vec<String> {
    let wanted = name.to_lowercase().replace(' ', "_");
    let distance_of = |tz: &Tz| {
        let name = tz.name().to_lowercase();
        let city = name.rsplit('/').next().unwrap_or_default();
        distance(&wanted, &name).min(distance(&wanted, city))
    };
    let mut close: Vec<(usize, &str)> = TZ_VARIANTS.iter().map(|tz| (distance_of(tz), tz.name())).collect();
    close.retain(|(distance, _)| *distance <= TYPING_ERRORS.min(wanted.chars().count() / 3));
    close.sort_unstable();
    close.into_iter().take(SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
}

/// How many letters must be put in, left out or changed to come from one text to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let cost = (diagonal + usize::from(a != *b)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[to.len()]
}

/// The first and the last instant at which the wall clock shows a time; both the instant of the jump if it leaves it out.
pub(super) fn instants(zone: Tz, local: NaiveDateTime) -> (DateTime<Utc>, DateTime<Utc>) {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) => (at.to_utc(), at.to_utc()),
        LocalResult::Ambiguous(first, second) => (first.to_utc(), second.to_utc()),
        LocalResult::None => {
            let jump = jump_over(zone, local);
            (jump, jump)
        }
    }
}

/// The instant at which the clock jumps over a time: with the offset from before, the time lies after the jump by as much as
/// the clock shows too much.
fn jump_over(zone: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    // Offsets are less than a day, so a day and more before the jump is certainly before it.
    let before = zone.offset_from_utc_datetime(&(local - TimeDelta::days(2))).fix().local_minus_utc();
    let mut low = local - TimeDelta::days(2);
    let mut high = local - TimeDelta::seconds(before.into());
    // The clock shows less than `local` at `low`, and at least as much at `high`: halve until they meet.
    while high - low > TimeDelta::seconds(1) {
        let middle = low + (high - low) / 2;
        let middle = middle - TimeDelta::nanoseconds(middle.and_utc().timestamp_subsec_nanos().into());
        if zone.from_utc_datetime(&middle).naive_local() < local { low = middle } else { high = middle }
    }
    high.and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_zone_is_refused_with_those_it_may_mean() {
        let check = |name: &str, expect: &str| assert_eq!(zone(name).unwrap_err().to_string(), expect);
        check("Europe/Berln", "there is no time zone Europe/Berln; did you mean Europe/Berlin?");
        check("europe/berlin", "there is no time zone europe/berlin; did you mean Europe/Berlin?");
        check("Berlin", "there is no time zone Berlin; did you mean Europe/Berlin?");
        check("new york", "there is no time zone new york; did you mean America/New_York?");
        check("Mars/Olympus", "there is no time zone Mars/Olympus; name one of the IANA database, such as Europe/Berlin or UTC");
        check("", "there is no time zone ; name one of the IANA database, such as Europe/Berlin or UTC");
        assert_eq!(zone("Australia/Lord_Howe"), Ok(chrono_tz::Australia::Lord_Howe));
    }

    #[test]
    fn a_time_on_the_wall_may_come_once_twice_or_not_at_all() {
        let check = |name: &str, local: &str, first: &str, second: &str| {
            let local = NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M").unwrap();
            let (a, b) = instants(zone(name).unwrap(), local);
            let text = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
            assert_eq!((text(a), text(b)), (format!("{first}:00"), format!("{second}:00")), "{local} {name}");
        };
        check("Europe/Berlin", "2026-07-01 02:30", "2026-07-01 00:30", "2026-07-01 00:30");
        check("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:00", "2026-03-29 01:00");
        check("Europe/Berlin", "2026-03-29 02:00", "2026-03-29 01:00", "2026-03-29 01:00");
        check("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 00:30", "2026-10-25 01:30");
        check("America/New_York", "2026-03-08 02:30", "2026-03-08 07:00", "2026-03-08 07:00");
        check("America/New_York", "2026-11-01 01:30", "2026-11-01 05:30", "2026-11-01 06:30");
        // Half an hour: +10:30 to +11:00 on 2026-10-04, back on 2026-04-05.
        check("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:30", "2026-10-03 15:30");
        check("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04 14:45", "2026-04-04 15:15");
        // Clocks there are changed at midnight, and one day was left out altogether.
        check("America/Havana", "2026-03-08 00:30", "2026-03-08 05:00", "2026-03-08 05:00");
        check("Pacific/Apia", "2011-12-30 12:00", "2011-12-30 10:00", "2011-12-30 10:00");
    }
}
