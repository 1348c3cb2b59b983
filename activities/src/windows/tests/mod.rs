//! Calendars as tables, and as anything at all.

mod properties;
mod reading;

use std::time::Duration;

use chrono::DateTime;
use windlass_engine::Timestamp;

use super::{Calendar, CalendarError, Window};

pub(super) fn at(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(&format!("{text}:00Z")).unwrap().to_utc().into()
}

pub(super) fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

/// `2026-11-21T21:00 2026-11-22T05:00`, in UTC.
fn utc(window: Window) -> String {
    let text = |at: Timestamp| at.to_datetime().format("%Y-%m-%dT%H:%M").to_string();
    format!("{} {}", text(window.begins), text(window.ends))
}

/// The first windows of a calendar in flow style, against those expected.
fn check(yaml: &str, from: &str, expect: &[&str]) {
    let calendar = Calendar::parse(&format!("{{{yaml}}}")).unwrap();
    let found: Vec<String> = calendar.windows_from(at(from)).take(expect.len()).map(utc).collect();
    assert_eq!(found, expect, "{yaml}");
}

#[test]
fn a_night_keeps_its_wall_clock_ends_whatever_the_clock_does() {
    let night = |zone: &str, from: &str, expect: &[&str]| {
        check(&format!("zone: {zone}, slots: [{{days: [sat], from: '22:00', until: '06:00'}}]"), from, expect);
    };
    let saturdays = ["2026-11-21T21:00 2026-11-22T05:00", "2026-11-28T21:00 2026-11-29T05:00"];
    night("Europe/Berlin", "2026-11-21T12:00", &saturdays);
    // One that has begun counts until it ends, and no longer.
    night("Europe/Berlin", "2026-11-22T04:59", &saturdays);
    night("Europe/Berlin", "2026-11-22T05:00", &saturdays[1..]);
    night("Europe/Berlin", "2026-03-27T12:00", &["2026-03-28T21:00 2026-03-29T04:00", "2026-04-04T20:00 2026-04-05T04:00"]);
    night("Europe/Berlin", "2026-10-23T12:00", &["2026-10-24T20:00 2026-10-25T05:00", "2026-10-31T21:00 2026-11-01T05:00"]);
    night("America/New_York", "2026-03-06T12:00", &["2026-03-08T03:00 2026-03-08T10:00"]);
    night("America/New_York", "2026-10-30T12:00", &["2026-11-01T02:00 2026-11-01T11:00"]);
    night("Australia/Lord_Howe", "2026-10-01T12:00", &["2026-10-03T11:30 2026-10-03T19:00"]);
    night("Australia/Lord_Howe", "2026-04-01T12:00", &["2026-04-04T11:00 2026-04-04T19:30"]);
}

#[test]
fn a_blackout_holds_from_its_first_midnight_to_the_one_after_its_last_day() {
    let slots = "slots: [{days: [sat], from: '22:00', until: '06:00'}]";
    let blackouts = "blackouts: [{from: '2026-12-24', until: '2027-01-02', reason: year end}, {day: '2026-11-27'}]";
    let calendar = Calendar::parse(&format!("{{zone: Europe/Berlin, {slots}, {blackouts}}}")).unwrap();
    let holds = |when: &str, expect: Option<&str>| {
        let found = calendar.blackout_at(at(when)).map(ToString::to_string);
        assert_eq!(found.as_deref(), expect, "{when}");
    };
    holds("2026-12-23T22:59", None);
    holds("2026-12-23T23:00", Some("2026-12-24 to 2027-01-02 (year end)"));
    holds("2027-01-02T22:59", Some("2026-12-24 to 2027-01-02 (year end)"));
    holds("2027-01-02T23:00", None);
    holds("2026-11-27T12:00", Some("2026-11-27"));
}

#[test]
fn a_time_that_does_not_exist_counts_at_the_jump() {
    let sunday = |zone: &str, from: &str, until: &str, day: &str, expect: &str| {
        let slot = format!("{{days: [sun], from: '{from}', until: '{until}'}}");
        check(&format!("zone: {zone}, slots: [{slot}]"), day, &[expect]);
    };
    // 02:00 to 03:00 is left out.
    sunday("Europe/Berlin", "02:30", "05:00", "2026-03-28T12:00", "2026-03-29T01:00 2026-03-29T03:00");
    sunday("Europe/Berlin", "01:00", "02:30", "2026-03-28T12:00", "2026-03-29T00:00 2026-03-29T01:00");
    sunday("America/New_York", "02:30", "05:00", "2026-03-07T12:00", "2026-03-08T07:00 2026-03-08T09:00");
    sunday("America/New_York", "01:00", "02:30", "2026-03-07T12:00", "2026-03-08T06:00 2026-03-08T07:00");
    // 02:00 to 02:30 is left out.
    sunday("Australia/Lord_Howe", "02:15", "03:00", "2026-10-03T12:00", "2026-10-03T15:30 2026-10-03T16:00");
    // All of it is left out: the next is a week later.
    sunday("Europe/Berlin", "02:15", "02:45", "2026-03-28T12:00", "2026-04-05T00:15 2026-04-05T00:45");
    sunday("Australia/Lord_Howe", "02:05", "02:25", "2026-10-03T12:00", "2026-10-10T15:05 2026-10-10T15:25");
}

#[test]
fn a_time_that_exists_twice_opens_the_second_time_and_closes_the_first() {
    let sunday = |zone: &str, from: &str, until: &str, day: &str, expect: &str| {
        let slot = format!("{{days: [sun], from: '{from}', until: '{until}'}}");
        check(&format!("zone: {zone}, slots: [{slot}]"), day, &[expect]);
    };
    // 02:00 to 03:00 comes twice.
    sunday("Europe/Berlin", "02:30", "05:00", "2026-10-24T12:00", "2026-10-25T01:30 2026-10-25T04:00");
    sunday("Europe/Berlin", "01:00", "02:30", "2026-10-24T12:00", "2026-10-24T23:00 2026-10-25T00:30");
    sunday("Europe/Berlin", "02:15", "02:45", "2026-10-24T12:00", "2026-10-25T01:15 2026-10-25T01:45");
    // 01:00 to 02:00 comes twice.
    sunday("America/New_York", "01:30", "05:00", "2026-10-31T12:00", "2026-11-01T06:30 2026-11-01T10:00");
    sunday("America/New_York", "00:00", "01:30", "2026-10-31T12:00", "2026-11-01T04:00 2026-11-01T05:30");
    // 01:30 to 02:00 comes twice.
    sunday("Australia/Lord_Howe", "01:45", "03:00", "2026-04-04T12:00", "2026-04-04T15:15 2026-04-04T16:30");
    sunday("Australia/Lord_Howe", "01:00", "01:45", "2026-04-04T12:00", "2026-04-04T14:00 2026-04-04T14:45");
}

#[test]
fn windows_that_touch_are_one() {
    let weekend = "{days: [fri], from: '22:00', until: '24:00'}, {days: [sat, sun], from: '00:00', until: '24:00'}, \
                   {days: [mon], from: '00:00', until: '06:00'}";
    let expect = ["2026-11-20T21:00 2026-11-23T05:00", "2026-11-27T21:00 2026-11-30T05:00"];
    check(&format!("zone: Europe/Berlin, slots: [{weekend}]"), "2026-11-22T12:00", &expect);
    // Midnight exists twice there: nothing comes apart.
    check(
        "zone: America/Havana, slots: [{days: [sat, sun], from: '00:00', until: '24:00'}]",
        "2026-10-31T12:00",
        &["2026-10-31T04:00 2026-11-02T05:00"],
    );
    let once = "once: [{from: 2026-11-22T06:00, until: 2026-11-22T09:00}]";
    let slot = "slots: [{days: [sat], from: '22:00', until: '06:00'}]";
    check(&format!("zone: UTC, {slot}, {once}"), "2026-11-21T12:00", &["2026-11-21T22:00 2026-11-22T09:00"]);
    let endless = Calendar::parse("{zone: UTC, slots: [{days: [daily], from: '00:00', until: '24:00'}]}").unwrap();
    let windows: Vec<Window> = endless.windows_from(at("2026-11-21T12:00")).collect();
    assert_eq!(windows.len(), 1);
    assert!(windows[0].begins < at("2026-11-21T12:00") && windows[0].ends > at("2028-11-20T00:00"));
}

#[test]
fn cron_opens_by_the_wall_clock() {
    let cron = |cron: &str, expect: &[&str]| {
        check(&format!("zone: Europe/Berlin, slots: [{{cron: '{cron}', for: 8h}}]"), "2026-10-20T12:00", expect);
    };
    // The first is over the change: it closes at six, after nine hours.
    cron("0 22 * * 6", &["2026-10-24T20:00 2026-10-25T05:00", "2026-10-31T21:00 2026-11-01T05:00"]);
    cron("0 22 * * SAT", &["2026-10-24T20:00 2026-10-25T05:00"]);
    // Classic: day of the month or day of the week.
    cron(
        "30 1 1 * 6",
        &["2026-10-23T23:30 2026-10-24T07:30", "2026-10-31T00:30 2026-10-31T08:30", "2026-11-01T00:30 2026-11-01T08:30"],
    );
    cron("0 22 * * 6L", &["2026-10-31T21:00 2026-11-01T05:00", "2026-11-28T21:00 2026-11-29T05:00"]);
    cron("0 0,4 24 12 *", &["2026-12-23T23:00 2026-12-24T11:00"]);
}

#[test]
fn blackouts_cut_what_they_touch() {
    let slot = "slots: [{days: [sat, sun], from: '22:00', until: '06:00'}]";
    let cut = |blackouts: &str, expect: &[&str]| {
        check(&format!("zone: Europe/Berlin, {slot}, blackouts: [{blackouts}]"), "2026-12-19T12:00", expect);
    };
    let nights = ["2026-12-19T21:00 2026-12-20T05:00", "2026-12-20T21:00 2026-12-21T05:00"];
    cut("", &nights);
    cut("{day: 2026-12-18}", &nights);
    // The day takes the second half of one night and the first half of the next.
    cut("{day: 2026-12-20, reason: fair}", &["2026-12-19T21:00 2026-12-19T23:00", "2026-12-20T23:00 2026-12-21T05:00"]);
    cut("{from: 2026-12-20, until: 2026-12-21}", &["2026-12-19T21:00 2026-12-19T23:00", "2026-12-26T21:00 2026-12-27T05:00"]);
    cut("{day: 2026-12-21}, {from: 2026-12-19, until: 2027-01-02}", &["2027-01-02T23:00 2027-01-03T05:00"]);
    let week = "once: [{from: 2026-12-19T12:00, until: 2026-12-27T12:00}], blackouts: [{from: 2026-12-20, until: 2026-12-23}, \
                {day: 2026-12-21}]";
    let around = ["2026-12-19T12:00 2026-12-20T00:00", "2026-12-24T00:00 2026-12-27T12:00"];
    check(&format!("zone: UTC, {week}"), "2026-12-19T12:00", &around);
    let calendar = Calendar::parse(&format!("{{zone: UTC, {slot}, blackouts: [{{day: 2026-12-20, reason: fair}}]}}")).unwrap();
    let agenda: Vec<(String, Option<&str>)> = calendar
        .agenda(at("2026-12-19T12:00"))
        .take(4)
        .map(|entry| (utc(entry.window), entry.blackout.map(|blackout| blackout.reason.as_str())))
        .collect();
    let expect = [
        ("2026-12-19T22:00 2026-12-20T00:00", None),
        ("2026-12-20T00:00 2026-12-20T06:00", Some("fair")),
        ("2026-12-20T22:00 2026-12-21T00:00", Some("fair")),
        ("2026-12-21T00:00 2026-12-21T06:00", None),
    ];
    assert_eq!(agenda, expect.map(|(window, reason)| (window.to_owned(), reason)));
}

#[test]
fn a_step_goes_where_it_fits() {
    let slots = "slots: [{days: [wed], from: '20:00', until: '22:00'}, {days: [sat], from: '22:00', until: '06:00'}]";
    let calendar = Calendar::parse(&format!("{{zone: UTC, {slots}}}")).unwrap();
    // 2026-11-25 is a Wednesday.
    let check = |from: &str, need: u64, begin: &str, latest: &str| {
        let placed = calendar.place(at(from), hours(need)).unwrap();
        assert_eq!((placed.begin_at, placed.latest_start), (at(begin), at(latest)), "{need} h from {from}");
    };
    check("2026-11-23T12:00", 1, "2026-11-25T20:00", "2026-11-25T21:00");
    check("2026-11-25T20:30", 1, "2026-11-25T20:30", "2026-11-25T21:00");
    check("2026-11-25T21:00", 1, "2026-11-25T21:00", "2026-11-25T21:00");
    check("2026-11-25T21:01", 1, "2026-11-28T22:00", "2026-11-29T05:00");
    check("2026-11-23T12:00", 3, "2026-11-28T22:00", "2026-11-29T03:00");
    check("2026-11-29T01:00", 8, "2026-12-05T22:00", "2026-12-05T22:00");
    check("2026-11-25T22:00", 0, "2026-11-28T22:00", "2026-11-29T06:00");
    assert_eq!(calendar.longest(at("2026-11-23T12:00")), hours(8));
    let placed = calendar.place(at("2026-11-23T12:00"), hours(1)).unwrap();
    let holds = |now: &str, expect: bool| assert_eq!(placed.holds_at(at(now)), expect, "{now}");
    holds("2026-11-25T19:59", false);
    holds("2026-11-25T20:00", true);
    holds("2026-11-25T21:00", true);
    holds("2026-11-25T21:01", false);
}

#[test]
fn a_step_that_fits_nowhere_is_refused_with_the_longest_window() {
    let refuse = |yaml: &str, need: u64, code: &str, expect: &str| {
        let calendar = Calendar::parse(&format!("{{zone: Europe/Berlin, {yaml}}}")).unwrap();
        let error = calendar.place(at("2026-11-21T12:00"), hours(need)).unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (code, expect));
    };
    let slot = "slots: [{days: [wed], from: '20:00', until: '22:30'}]";
    refuse(
        slot,
        5,
        "window-too-short",
        "no window is long enough: 5h are needed, the longest has 2h30m, from Wed 2026-11-25 20:00 Europe/Berlin; \
         lengthen it, or make the step shorter",
    );
    let over = "once: [{from: 2026-11-14T22:00, until: 2026-11-15T06:00}]";
    refuse(
        over,
        1,
        "no-window-ahead",
        "no window opens in the two years from Sat 2026-11-21 13:00 Europe/Berlin: they all lie in the past; \
         add a window, or shorten the blackouts",
    );
    let frozen = "once: [{from: 2026-12-26T22:00, until: 2026-12-27T06:00}], \
                  blackouts: [{from: 2026-12-24, until: 2027-01-02, reason: year end}]";
    refuse(
        frozen,
        1,
        "no-window-ahead",
        "no window opens in the two years from Sat 2026-11-21 13:00 Europe/Berlin: those ahead are all blacked out (year end); \
         add a window, or shorten the blackouts",
    );
    let unknown = Calendar { zone: "Europe/Berln".to_owned(), ..Calendar::default() };
    let close = vec!["Europe/Berlin".to_owned()];
    assert_eq!(
        unknown.place(at("2026-11-21T12:00"), hours(1)),
        Err(CalendarError::UnknownZone { zone: "Europe/Berln".to_owned(), close })
    );
}
