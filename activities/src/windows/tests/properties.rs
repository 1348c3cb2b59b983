//! What holds for every calendar, against a slow and simple reading of it.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, Days, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use proptest::collection::vec;
use proptest::prelude::*;
use windlass_engine::Timestamp;

use super::super::{Calendar, CalendarError, Slot, Window};

const ZONES: [&str; 6] = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu"];
const MINUTE: Duration = Duration::from_secs(60);

/// A day near one of the changes of the clock, or any other of 2026.
fn day() -> impl Strategy<Value = NaiveDate> {
    let changes =
        [(3, 8), (3, 29), (4, 5), (10, 4), (10, 25), (11, 1)].map(|(month, day)| NaiveDate::from_ymd_opt(2026, month, day));
    let near = (proptest::sample::select(changes.map(Option::unwrap).to_vec()), 0..8_u64);
    let near = near.prop_map(|(change, before)| change - Days::new(before));
    prop_oneof![3 => near, 1 => (1..366_u32).prop_map(|day| NaiveDate::from_yo_opt(2026, day).unwrap_or_default())]
}

fn time() -> impl Strategy<Value = String> {
    // Quarters of an hour: they meet each other, and the changes of the clock.
    (0..24_u32, 0..4_u32).prop_map(|(hour, quarter)| format!("{hour:02}:{:02}", quarter * 15))
}

fn slot() -> impl Strategy<Value = serde_json::Value> {
    let days = proptest::sample::subsequence(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"], 1..=7);
    let weekly = (days, time(), time()).prop_filter("none or a day", |(_, from, until)| from != until);
    let weekly = weekly.prop_map(|(days, from, until)| serde_json::json!({"days": days, "from": from, "until": until}));
    let cron = (0..4_u32, 0..24_u32, 0..7_u32, 1..600_u32);
    let cron = cron.prop_map(|(quarter, hour, weekday, minutes)| {
        serde_json::json!({"cron": format!("{} {hour} * * {weekday}", quarter * 15), "for": format!("{minutes}m")})
    });
    prop_oneof![2 => weekly, 1 => cron]
}

fn calendar() -> impl Strategy<Value = Calendar> {
    let once = (day(), time(), 1..9_u64, time()).prop_map(|(day, from, days, until)| {
        serde_json::json!({"from": format!("{day}T{from}"), "until": format!("{}T{until}", day + Days::new(days))})
    });
    let blackout = (day(), 0..4_u64).prop_map(
        |(day, days)| serde_json::json!({"from": day.to_string(), "until": (day + Days::new(days)).to_string(), "reason": "x"}),
    );
    let parts = (proptest::sample::select(ZONES.to_vec()), vec(slot(), 1..4), vec(once, 0..3), vec(blackout, 0..3));
    parts.prop_map(|(zone, slots, once, blackouts)| {
        let text = serde_json::json!({"zone": zone, "slots": slots, "once": once, "blackouts": blackouts});
        Calendar::parse(&text.to_string()).unwrap()
    })
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (day(), 0..24 * 60_i64)
        .prop_map(|(day, minute)| (day.and_time(chrono::NaiveTime::MIN) + TimeDelta::minutes(minute)).and_utc().into())
}

/// Whether work is allowed at a time on the wall, read slot by slot.
fn allowed(calendar: &Calendar, local: NaiveDateTime) -> bool {
    let blacked_out = calendar.blackouts.iter().any(|blackout| (blackout.first..=blackout.last).contains(&local.date()));
    let inside = |from: NaiveDateTime, until: NaiveDateTime| from <= local && local < until;
    let once = calendar.once.iter().any(|once| inside(once.from.0, once.until.0));
    let slot = calendar.slots.iter().any(|slot| match slot {
        Slot::Weekly { days, from, until } => [0, 1].into_iter().any(|ago| {
            let day = local.date() - Days::new(ago);
            let closes = if until <= from { day + Days::new(1) } else { day };
            days.iter().any(|named| named.0 == day.weekday()) && inside(from.on(day), until.on(closes))
        }),
        Slot::Cron { cron, length } => (0..8 * 24 * 4).any(|quarters| {
            let floor = local - TimeDelta::minutes(i64::from(chrono::Timelike::minute(&local) % 15));
            let from = floor - TimeDelta::minutes(quarters * 15);
            TimeDelta::from_std(*length).is_ok_and(|length| inside(from, from + length))
                && cron.pattern.is_time_matching(&from.and_utc()).unwrap()
        }),
    });
    !blacked_out && (once || slot)
}

fn local(calendar: &Calendar, at: Timestamp) -> (NaiveDateTime, bool) {
    let zone: Tz = calendar.zone.parse().unwrap();
    let local = at.to_datetime().with_timezone(&zone).naive_local();
    (local, matches!(zone.from_local_datetime(&local), LocalResult::Ambiguous(..)))
}

fn is_open(calendar: &Calendar, from: Timestamp, at: Timestamp) -> bool {
    let mut windows = calendar.windows_from(from).take_while(|window| window.begins <= at);
    windows.any(|window| at < window.ends)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn windows_are_open_when_the_wall_clock_says_so(calendar in calendar(), from in moment(), after in 0..10 * 24 * 60_u32) {
        let at = from.plus(MINUTE * after);
        let (local, twice) = local(&calendar, at);
        let open = is_open(&calendar, from, at);
        prop_assert!(!open || allowed(&calendar, local), "open at {local}");
        // Where the clock shows a time twice, one of the two may stay closed.
        prop_assert!(open || twice || !allowed(&calendar, local), "closed at {local}");
    }

    #[test]
    fn windows_come_in_order_and_apart(calendar in calendar(), from in moment()) {
        let windows: Vec<Window> = calendar.windows_from(from).take(50).collect();
        prop_assert!(windows.iter().all(|window| window.begins < window.ends && window.ends > from));
        // Between two of them there is time; if it is none, a blackout of no length would have cut them.
        prop_assert!(windows.is_sorted_by(|a, b| a.ends < b.begins));
    }

    #[test]
    fn a_placed_step_lies_in_a_window_and_nowhere_earlier(calendar in calendar(), at in moment(), minutes in 0..15 * 60_u32, probe in 0.0..1.0_f64) {
        let need = MINUTE * minutes;
        match calendar.place(at, need) {
            Ok(placed) => {
                let end = placed.begin_at.plus(need);
                prop_assert!(placed.begin_at >= at && placed.begin_at >= placed.window.begins && end <= placed.window.ends);
                prop_assert!(placed.begin_at <= placed.latest_start && placed.latest_start.plus(need) == placed.window.ends);
                for minute in 0..minutes {
                    let (local, _) = local(&calendar, placed.begin_at.plus(MINUTE * minute));
                    prop_assert!(allowed_or_known(&calendar, local), "{local} is not allowed");
                }
                let earlier = at.plus(placed.begin_at.since(at).mul_f64(probe));
                let fits = |window: Window| window.begins <= earlier && earlier.plus(need) <= window.ends && earlier < window.ends;
                prop_assert!(earlier == placed.begin_at || !calendar.windows_from(at).take(200).any(fits), "fits at {earlier}");
            }
            Err(CalendarError::NeverFits { longest, .. }) => {
                prop_assert!(longest < need && longest == calendar.longest(at));
                prop_assert!(calendar.place(at, longest).is_ok());
            }
            Err(error) => prop_assert!(matches!(error, CalendarError::NothingAhead { .. }), "{error}"),
        }
    }

    #[test]
    fn a_calendar_in_the_journal_is_the_one_that_was_written(calendar in calendar()) {
        let text = serde_json::to_string(&calendar).unwrap();
        prop_assert_eq!(serde_json::from_str::<Calendar>(&text).unwrap(), calendar);
    }
}

/// The slow reading, for every quarter of an hour: more would take minutes.
fn allowed_or_known(calendar: &Calendar, local: NaiveDateTime) -> bool {
    !chrono::Timelike::minute(&local).is_multiple_of(15) || allowed(calendar, local)
}

#[test]
fn the_slow_reading_knows_open_from_closed() {
    let calendar = Calendar::parse("{zone: UTC, slots: [{days: [sat], from: '22:00', until: '06:00'}]}").unwrap();
    let check = |text: &str, expect: bool| {
        let local = DateTime::parse_from_rfc3339(text).unwrap().naive_utc();
        assert_eq!(allowed(&calendar, local), expect, "{text}");
    };
    check("2026-11-21T21:59:00Z", false);
    check("2026-11-21T22:00:00Z", true);
    check("2026-11-22T05:59:00Z", true);
    check("2026-11-22T06:00:00Z", false);
}
