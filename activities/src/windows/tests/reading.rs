//! What is read, and what is refused with which words.

use super::super::Calendar;

#[test]
fn a_calendar_file_is_read_and_written_again() {
    let file = "
zone: Europe/Berlin
slots:
  - days: [Sunday, sat, mon-tue]
    from: 22:00
    until: 06:00
  - cron: 0  22 * * 6
    for: 90m
once:
  - {from: 2026-12-05T22:00, until: 2026-12-06 06:00}
blackouts:
  - {from: 2026-12-24, until: 2027-01-02, reason: year end}
  - day: 2026-11-27
";
    let calendar = Calendar::parse(file).unwrap();
    let expect = serde_json::json!({
        "zone": "Europe/Berlin",
        "slots": [
            {"days": ["mon", "tue", "sat", "sun"], "from": "22:00", "until": "06:00"},
            {"cron": "0 22 * * 6", "for": "1h30m"},
        ],
        "once": [{"from": "2026-12-05T22:00", "until": "2026-12-06T06:00"}],
        "blackouts": [{"from": "2026-12-24", "until": "2027-01-02", "reason": "year end"}, {"day": "2026-11-27"}],
    });
    assert_eq!(serde_json::to_value(&calendar).unwrap(), expect);
    assert_eq!(serde_json::from_value::<Calendar>(expect).unwrap(), calendar);
}

#[test]
fn a_file_that_can_mean_nothing_is_refused() {
    let refuse = |yaml: &str, part: &str| {
        let said = Calendar::parse(&format!("{{{yaml}}}")).unwrap_err().to_string();
        assert!(said.contains(part), "{said}");
        assert!(said.contains("; "), "no advice: {said}");
        assert!(!said.contains('\n'), "{said}");
    };
    let weekly =
        |days: &str, from: &str, until: &str| format!("zone: UTC, slots: [{{days: [{days}], from: '{from}', until: '{until}'}}]");
    let cron = |cron: &str, length: &str| format!("zone: UTC, slots: [{{cron: '{cron}', for: {length}}}]");
    let once = |from: &str, until: &str| format!("zone: UTC, once: [{{from: {from}, until: {until}}}]");
    let closed = |blackout: &str| format!("{}, blackouts: [{{{blackout}}}]", weekly("sat", "22:00", "06:00"));

    refuse("zone: UTC", "the calendar has no window");
    refuse("zone: Europe/Berln, once: [{from: 2026-12-05T22:00, until: 2026-12-06T06:00}]", "did you mean Europe/Berlin?");
    refuse("slots: []", "zone");
    refuse("zone: UTC, slot: []", "slot");
    refuse("zone: UTC, slots: [{days: [sat], from: '22:00'}]", "a slot has days, from and until, or it has cron and for");
    refuse("zone: UTC, slots: [{days: [sat], from: '22:00', until: '06:00', to: 1}]", "to");
    refuse(&weekly("caturday", "22:00", "06:00"), "there is no day caturday");
    refuse(&weekly("", "22:00", "06:00"), "no day is named");
    refuse(&weekly("sat", "25:00", "06:00"), "there is no time 25:00");
    refuse(&weekly("sat", "22:60", "06:00"), "there is no time 22:60");
    refuse(&weekly("sat", "24:00", "06:00"), "can't open at 24:00");
    refuse(&weekly("sat", "22:00", "22:00"), "opens and closes at 22:00");
    refuse(&cron("* 22 * * 6", "8h"), "the first field must be one minute");
    refuse(&cron("*/5 22 * * 6", "8h"), "the first field must be one minute");
    refuse(&cron("0 22 * 6", "8h"), "cron 0 22 * 6");
    refuse(&cron("0 0 22 * * 6", "8h"), "cron 0 0 22 * * 6");
    refuse(&cron("0 25 * * 6", "8h"), "cron 0 25 * * 6");
    refuse(&cron("0 22 30 2 *", "8h"), "it never opens");
    refuse(&cron("0 22 * * 6", "8"), "8 is no length");
    refuse(&cron("0 22 * * 6", "0h"), "0h is no length");
    refuse(&cron("0 22 * * 6", "8d"), "8d is longer than a week");
    refuse(&once("2026-12-06T06:00", "2026-12-05T22:00"), "not after it opens");
    refuse(&once("2026-12-06T06:00", "2026-12-06T06:00"), "not after it opens");
    refuse(&once("2026-02-30T06:00", "2026-12-06T06:00"), "there is no day 2026-02-30");
    refuse(&closed("from: 2026-12-24, until: 2026-12-23"), "is before its first");
    refuse(&closed("day: 2026-12-24, until: 2026-12-25"), "a blackout has a day, or from and until");
    let many = "{days: [sat], from: '22:00', until: '06:00'},".repeat(31);
    refuse(&format!("zone: UTC, slots: [{many}]"), "31 slots, at most 30 are kept");
    let many = "{from: 2026-12-05T22:00, until: 2026-12-06T06:00},".repeat(1001);
    refuse(&format!("zone: UTC, once: [{many}]"), "1001 once, at most 1000 are kept");
}

fn texts(flags: &[&str]) -> Vec<String> {
    flags.iter().map(|&flag| flag.to_owned()).collect()
}

#[test]
fn flags_say_the_same_as_a_file() {
    let check = |windows: &[&str], blackouts: &[&str], yaml: &str| {
        let calendar = Calendar::from_flags(&texts(windows), &texts(blackouts)).unwrap().unwrap();
        assert_eq!(calendar, Calendar::parse(&format!("{{{yaml}}}")).unwrap(), "{windows:?}");
    };
    let weekly = "slots: [{days: [sat, sun], from: '22:00', until: '06:00'}]";
    let berlin = |rest: &str| format!("zone: Europe/Berlin, {rest}");
    check(&["Sat,Sun 22:00-06:00 Europe/Berlin"], &[], &berlin(weekly));
    check(&["sun-sun,Saturday  22:00-6:00  Europe/Berlin"], &[], &berlin(weekly));
    check(&["cron 0 22 * * 6 8h Europe/Berlin"], &[], &berlin("slots: [{cron: 0 22 * * 6, for: 8h}]"));
    let once = "once: [{from: 2026-12-05T22:00, until: 2026-12-06T06:00}]";
    check(&["2026-12-05 22:00..2026-12-06 06:00 Europe/Berlin"], &[], &berlin(once));
    check(&["2026-12-05T22:00 .. 2026-12-06T06:00 Europe/Berlin"], &[], &berlin(once));
    // One zone is enough for all.
    check(&["Sat,Sun 22:00-06:00", "2026-12-05T22:00..2026-12-06T06:00 UTC"], &[], &format!("zone: UTC, {weekly}, {once}"));
    let closed = "blackouts: [{from: 2026-12-24, until: 2027-01-02, reason: year end}, {day: 2026-11-27}]";
    let blackouts = ["2026-12-24..2027-01-02 year end", "2026-11-27"];
    check(&["sat,sun 22:00-06:00 Europe/Berlin"], &blackouts, &berlin(&format!("{weekly}, {closed}")));
    assert_eq!(Calendar::from_flags(&[], &[]), Ok(None));
}

#[test]
fn flags_that_can_mean_nothing_are_refused_and_named() {
    let refuse = |windows: &[&str], blackouts: &[&str], expect: &str| {
        let said = Calendar::from_flags(&texts(windows), &texts(blackouts)).unwrap_err().to_string();
        assert!(said.starts_with(expect), "{said}");
        assert!(said.contains("; "), "no advice: {said}");
    };
    refuse(&["Sat 22:00-06:00"], &[], "window Sat 22:00-06:00 names no time zone; end one window with a zone");
    refuse(&["Sat 22:00-06:00 Europe/Berln"], &[], "there is no time zone Europe/Berln; did you mean Europe/Berlin?");
    refuse(&["Sat 22:00-06:00 UTC", "Sun 22:00-06:00 Europe/Berlin"], &[], "the windows are in UTC and in Europe/Berlin");
    refuse(&["Sat"], &[], "window Sat: that is no window; write \"Sat,Sun 22:00-06:00 Europe/Berlin\"");
    refuse(&["Sat 22:00 06:00 UTC"], &[], "window Sat 22:00 06:00 UTC: that is no window; write");
    refuse(&["cron 0 22 * * 8h UTC"], &[], "window cron 0 22 * * 8h UTC: ");
    refuse(&["2026-12-06 06:00..2026-12-05 22:00 UTC"], &[], "window 2026-12-06 06:00..2026-12-05 22:00 UTC: it closes at");
    refuse(&["Sat 22:00-06:00 UTC"], &["christmas"], "blackout christmas: there is no day christmas");
    refuse(&["Sat 22:00-06:00 UTC"], &["2027-01-02..2026-12-24"], "blackout 2027-01-02..2026-12-24: its last day");
    refuse(&[], &["2026-12-24"], "blackout 2026-12-24: there is no window it could be cut from");
}
