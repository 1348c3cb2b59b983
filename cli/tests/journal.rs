//! What the commands print that need nothing but a journal, word for word.

mod support;

use support::{Place, append, crafted, held, id, open, started};
use windlass_engine::Event;

fn place() -> Place {
    let place = Place::new();
    crafted(&place.journal());
    place
}

/// The last eight characters of a crafted run's id.
fn short(number: u8) -> String {
    let id = id(number).to_string();
    id[id.len() - 8..].to_owned()
}

fn check(name: &str, args: &[&str]) {
    insta::with_settings!({ description => format!("windlass {}", args.join(" ")), omit_expression => true }, {
        insta::assert_snapshot!(name, place().windlass(args).whole());
    });
}

#[test]
fn list_shows_every_run() {
    check("list_table", &["list"]);
    check("list_open", &["list", "--open"]);
    check("list_json", &["list", "-o", "json"]);
    check("list_yaml", &["list", "--open", "-o", "yaml"]);
}

#[test]
fn status_shows_what_a_run_waits_for() {
    for (number, state) in [(1, "completed"), (2, "waiting"), (3, "exhausted"), (4, "in_doubt"), (5, "failed"), (7, "running")] {
        check(&format!("status_{state}"), &["status", &short(number)]);
    }
    check("status_waiting_json", &["status", &short(2), "-o", "json"]);
}

/// Seen to fail with: runs that have ended left out.
#[test]
fn leftovers_show_what_is_out() {
    let place = place();
    let failed = Event::RunFailed { error: "pool worker could not be asked".to_owned() };
    append(&mut open(&place.journal()), id(8), 1, vec![(26_000, started()), (26_001, held(0)), (26_005, failed)]);
    insta::assert_snapshot!("leftovers", place.windlass(&["leftovers"]).whole());
    insta::assert_snapshot!("leftovers_json", place.windlass(&["leftovers", "-o", "json"]).whole());
    let nothing = Place::new().windlass(&["leftovers"]);
    assert_eq!((nothing.code, nothing.out.as_str()), (0, ""), "{}", nothing.whole());
}

#[test]
fn history_reads_like_a_logbook() {
    check("history_table", &["history", &short(1)]);
    check("history_json", &["history", &short(1), "-o", "json"]);
    check("history_cancelled", &["history", &short(6), "--follow"]);
}

#[test]
fn explain_says_why_and_what_to_type() {
    for (number, state) in [(1, "completed"), (2, "waiting"), (3, "exhausted"), (4, "in_doubt"), (7, "undriven")] {
        check(&format!("explain_{state}"), &["explain", &short(number)]);
    }
}

#[test]
fn export_writes_the_events_as_they_stand() {
    let place = place();
    let file = place.path("run.jsonl").display().to_string();
    let said = place.windlass(&["export", &short(1), &file]);
    assert!(said.code == 0 && said.err.starts_with("19 events written to PLACE/run.jsonl\n"), "{}", said.whole());
    let text = std::fs::read_to_string(&file).expect("it is there");
    assert_eq!(text.lines().count(), 21, "a header, the events, a trailer");
    assert_eq!(place.windlass(&["export", &short(1)]).out, text, "the same on stdout");
    assert_eq!(place.windlass(&["export", &short(1), &file]).code, 2, "it must not overwrite");
}

#[test]
fn verify_counts_what_is_good() {
    let said = place().windlass(&["verify"]);
    assert_eq!((said.code, said.out.lines().next()), (0, Some("37 records of 7 runs in 1 segment, all good")));
}

#[test]
fn decisions_are_recorded_without_a_worker() {
    let place = place();
    let tell = |args: &[&str]| place.windlass(args).whole();
    let text = [
        tell(&["approve", &short(2), "release-pool-worker", "--reason", "graphs are quiet"]),
        tell(&["approve", &short(2), "release-pool-worker"]),
        tell(&["cancel", &short(3), "--reason", "window over"]),
        tell(&["cancel", &short(3)]),
        tell(&["reject", &short(1), "release-pool-worker"]),
        tell(&["list"]),
    ];
    insta::assert_snapshot!("decisions", text.concat());
}

#[test]
fn a_part_of_an_id_must_mean_one_run() {
    let code = |part: &str| place().windlass(&["status", part]).code;
    assert_eq!(code(&id(1).to_string()), 0);
    assert_eq!(code(&short(1).to_uppercase()), 0);
    assert_eq!(code("1111"), 0);
    check("run_ambiguous", &["status", "019a48ba"]);
    check("run_unknown", &["status", "deadbeef"]);
    check("run_malformed", &["history", "../etc"]);
}

#[test]
fn a_held_journal_is_left_to_its_worker() {
    let place = place();
    let held = open(&place.journal());
    let said = place.windlass(&["approve", &short(2), "release-pool-worker"]);
    assert_eq!(said.code, 5, "{}", said.err);
    assert!(said.err.contains(&format!("pid {}", std::process::id())), "{}", said.err);
    assert!(said.err.lines().last().is_some_and(|line| line.starts_with("next: ")), "{}", said.err);
    // Readers need no lock.
    assert_eq!(place.windlass(&["list"]).code, 0);
    drop(held);
}

#[test]
fn a_damaged_journal_stays_readable_up_to_the_damage() {
    let place = place();
    let segment = place.journal().join("log/00000001.seg");
    let mut bytes = std::fs::read(&segment).expect("the segment is there");
    let place_of = |bytes: &[u8], text: &str| bytes.windows(text.len()).position(|window| window == text.as_bytes());
    let flip = place_of(&bytes, "window over").expect("run 6 was cancelled for that");
    bytes[flip] ^= 1;
    std::fs::write(&segment, bytes).expect("the segment can be written");
    let commands: [&[&str]; 5] = [
        &["list"],
        &["history", &short(1)],
        &["history", &short(7)],
        &["verify"],
        &["approve", &short(2), "release-pool-worker"],
    ];
    for args in commands {
        let said = place.windlass(args);
        assert_eq!(said.code, if args[0] == "history" && args[1] == short(1) { 0 } else { 6 }, "{args:?}: {}", said.whole());
        assert!(said.code == 0 || said.err.contains("damaged at record 34"), "{args:?}: {}", said.err);
    }
    let list = place.windlass(&["list"]);
    assert_eq!(list.out.lines().count(), 7, "the header, and six runs before the damage: {}", list.out);
}

#[test]
fn no_journal_is_no_error_for_a_list() {
    let place = Place::new();
    insta::assert_snapshot!("no_journal_list", place.windlass(&["list", "-o", "json"]).whole());
    insta::assert_snapshot!("no_journal_status", place.windlass(&["status", "deadbeef"]).whole());
}
