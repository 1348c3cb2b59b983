//! Operators override what a run does, without a worker: what is said, what is recorded, and what is refused.

mod support;

use std::fmt::Write as _;

use support::{Place, append, crafted, id, open};
use windlass_engine::{ActivityError, CommandId, Effect, Event, ParkReason, Timestamp};

/// The last eight characters of a crafted run's id.
fn short(number: u8) -> String {
    let id = id(number).to_string();
    id[id.len() - 8..].to_owned()
}

fn place() -> Place {
    let place = Place::new();
    crafted(&place.journal());
    place
}

/// Every call and what came of it.
fn told(place: &Place, calls: &[&[&str]]) -> String {
    let mut text = String::new();
    for args in calls {
        let said = place.windlass(args);
        let _ = write!(text, "$ windlass {}\n{}{}(exit {})\n\n", args.join(" "), said.out, said.err, said.code);
    }
    text
}

/// The logbook without times and lengths of time, which count up to today.
fn logbook(place: &Place, run: &str) -> String {
    let said = place.windlass(&["history", run]).out;
    let line = |line: &str| {
        let words: String = line.chars().skip(22).collect();
        match (words.find(" ("), words.find(" h): ")) {
            (Some(from), Some(to)) if from < to => format!("{} (LONG){}\n", &words[..from], &words[to + 3..]),
            _ => words + "\n",
        }
    };
    said.lines().filter(|line| !line.starts_with('─')).map(line).collect()
}

#[test]
fn overrides_are_recorded_with_a_name_and_a_reason() {
    let place = place();
    let set = support::scheduled(4, "set-channel", Effect::Declare, "set the channel to eus-4.18");
    append(&mut open(&place.journal()), id(8), 1, vec![(30_000, support::started()), (30_001, set)]);
    let (parked, running, cut_off) = (short(3), short(7), short(8));
    let result = r#"{"channel":"eus-4.18","before":"stable-4.16"}"#;
    let calls: [&[&str]; 9] = [
        &["note", &parked, "asked the network team"],
        &["set-timeout", &parked, "pause-pool", "1h30m", "--reason", "a slow API today"],
        &["retry", &parked, "1", "--reason", "the lock is gone"],
        &["pause", &running, "--reason", "storage is being moved"],
        &["resume", &running],
        &["status", &running],
        &["explain", &running],
        &["unpause", &running],
        &["mark-done", &cut_off, "4", "--evidence", "spec.channel reads so", "--result", result, "--reason", "set by hand"],
    ];
    insta::assert_snapshot!("overrides", without_moments(&told(&place, &calls)));
    insta::assert_snapshot!("overrides_logbook", [parked, running, cut_off].map(|run| logbook(&place, &run)).join("---\n"));
}

/// What happened just now has another time on each run of the test.
fn without_moments(text: &str) -> String {
    let today = Timestamp::from(chrono_now()).to_string();
    let line = |line: &str| match line.find(&today[..10]) {
        Some(at) => format!("{}NOW{}\n", &line[..at], line[at..].chars().skip(19).collect::<String>()),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn chrono_now() -> chrono::DateTime<chrono::Utc> {
    std::time::SystemTime::now().into()
}

#[test]
fn what_does_not_fit_the_run_is_refused_and_nothing_is_recorded() {
    let place = place();
    let (waiting, exhausted, ended, running) = (short(2), short(3), short(1), short(7));
    let calls: [&[&str]; 12] = [
        &["retry", &waiting, "2", "--reason", "r"],
        &["retry", &exhausted, "9", "--reason", "r"],
        &["retry", &exhausted, "1"],
        &["retry", &ended, "1", "--reason", "r"],
        &["mark-done", &exhausted, "1", "--evidence", "e", "--result", "{", "--reason", "r"],
        &["mark-done", &exhausted, "1", "--evidence", "e", "--result", "7", "--reason", "r"],
        &["set-timeout", &exhausted, "1", "soon", "--reason", "r"],
        &["unpause", &running],
        &["pause", &running, "--reason", " "],
        &["approve", &waiting, "release-pool-worker", "--digest", "0123456789abcdef"],
        &["approve", &waiting, "release-pool-worker", "--plan", "0123456789abcdef"],
        &["note", &running, ""],
    ];
    insta::assert_snapshot!("overrides_refused", told(&place, &calls));
    assert!(place.windlass(&["verify"]).out.starts_with("37 records"), "a refusal was recorded");
}

#[test]
fn a_step_in_doubt_is_never_offered_what_would_repeat_it() {
    let place = Place::new();
    let error = ActivityError::transient("conflict", "the pool changed");
    let run = id(8);
    let asked = support::scheduled(1, "request-update", Effect::Once, "ask the cluster to update to 4.17.11");
    let doubt = Event::ActivityInDoubt { command: CommandId(1), attempt: 1, reason: "connection reset".to_owned() };
    let retry = Event::ActivityRetryScheduled { command: CommandId(2), attempt: 3, error, due_at: support::at(90_000) };
    let pool = support::scheduled(2, "pause-pool", Effect::Declare, "pause pool worker");
    let why = ParkReason::InDoubt {
        command: CommandId(1),
        summary: "ask the cluster to update to 4.17.11".to_owned(),
        evidence: "history[0] is of another update".to_owned(),
    };
    let events = vec![(0, support::started()), (1, asked), (2, doubt), (2, pool), (3, retry), (4, Event::RunParked { why })];
    append(&mut open(&place.journal()), run, 1, events);
    insta::assert_snapshot!("overrides_explain_in_doubt", place.windlass(&["explain", &short(8)]).whole());
}
