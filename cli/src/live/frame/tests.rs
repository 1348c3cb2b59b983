use console::Style;
use windlass_engine::view::RunView;
use windlass_engine::{ActivityError, CommandId, Effect, Event, Json, Progress, Record, RunId};
use windlass_workflows::{Plan, PlannedStep};

use super::*;
use crate::procedure::PLAN_SIGNAL;

fn plain(width: usize, height: usize) -> Canvas {
    let none = || Style::new().force_styling(false);
    Canvas { width, height, head: none(), good: none(), bad: none(), now: none(), dim: none() }
}

fn seconds(at: i64) -> Timestamp {
    Timestamp::from_micros(at * 1_000_000)
}

/// A board of a run; each event comes ten seconds after the one before.
fn board(events: Vec<Event>) -> Board {
    let run = RunId::from_bytes([0xab; 16]);
    let started = Event::RunStarted {
        workflow: "eus-update".to_owned(),
        revision: 1,
        build: "0.1.0".to_owned(),
        input: Json::null(),
        cluster: None,
        by: "ana@bastion".to_owned(),
    };
    let mut records = (1..).zip(std::iter::once(started).chain(events)).map(|(seq, event)| {
        let at = seconds(i64::try_from(seq).unwrap_or(0) * 10 - 10);
        Record { global: seq, run, seq, at, event }
    });
    let first = records.next().expect("a run has a first event");
    let mut board = Board::new(RunView::begin(&first).expect("it is RunStarted"));
    records.for_each(|record| assert!(board.apply(&record)));
    board
}

fn begin(command: u32, summary: &str) -> Event {
    Event::ActivityScheduled {
        command: CommandId(command),
        activity: "act".to_owned(),
        class: Effect::Observe,
        input: Json::null(),
        summary: summary.to_owned(),
        site: "eus.rs:1".to_owned(),
        approval: None,
    }
}

fn done(command: u32) -> Event {
    Event::ActivityCompleted { command: CommandId(command), attempt: 1, output: Json::null(), evidence: None }
}

fn plan() -> Event {
    let step = |summary: &str, gate: Option<&str>, p50: u64| PlannedStep {
        summary: summary.to_owned(),
        class: Effect::Observe,
        gate: gate.map(str::to_owned),
        requests: Vec::new(),
        expected_at: None,
        p50_seconds: p50,
        p90_seconds: p50 * 10,
    };
    let plan = Plan {
        workflow: "eus-update".to_owned(),
        cluster: "c".to_owned(),
        steps: vec![
            step("pause pool worker", None, 1),
            step("wait for hop 1", None, 4860),
            step("unpause pool worker", Some("go"), 1),
        ],
        digest: "d".to_owned(),
        ..Plan::default()
    };
    Event::SignalReceived {
        signal: PLAN_SIGNAL.to_owned(),
        payload: Json::of(&plan).expect("a plan is JSON"),
        by: "ana@bastion".to_owned(),
    }
}

fn check(board: &Board, now: i64, size: (usize, usize), expect: &[&str]) {
    let lines = frame(board, seconds(now), &plain(size.0, size.1));
    assert_eq!(lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>(), expect);
    for line in &lines {
        assert!(console::measure_text_width(line) <= size.0, "{line:?} is too wide");
    }
    assert!(lines.len() < size.1, "{} lines on {}", lines.len(), size.1);
}

#[test]
fn a_frame_shows_what_was_what_is_and_what_comes() {
    let mut board = board(vec![plan(), begin(0, "pause pool worker"), done(0), begin(1, "wait for hop 1")]);
    let text = "27 of 33 operators done\nwaiting for network".to_owned();
    let run = board.view.state.run;
    board.hear(&Progress { run, command: CommandId(1), text, at: seconds(100) });
    board.status = Some("hop-1: to 4.17.11".to_owned());
    check(
        &board,
        400,
        (60, 24),
        &[
            "eus-update  run …abababababab                     6 min 40 s",
            "hop-1: to 4.17.11                     about 1 h 15 min to go",
            " ✓ pause pool worker                                    10 s",
            " ▸ wait fo…  6 min of about 1 h 21 min (at most 13 h 30 min)",
            "     27 of 33 operators done",
            "     waiting for network",
            "     (nothing new for 5 min)",
            " · unpause pool worker (gate go)",
        ],
    );
}

#[test]
fn what_does_not_fit_is_counted() {
    let steps = (0..9).flat_map(|n| [begin(n, &format!("step {n}")), done(n)]);
    let board = board(steps.chain([begin(9, "step 9")]).collect());
    check(
        &board,
        200,
        (44, 6),
        &[
            "eus-update  run …abababababab     3 min 20 s",
            " ✓ 7 steps before",
            " ✓ step 7                               10 s",
            " ✓ step 8                               10 s",
            " ▸ step 9                               10 s",
        ],
    );
}

#[test]
fn trouble_is_marked_and_explained() {
    let error = ActivityError::transient("conflict", "the pool changed meanwhile");
    let retry = Event::ActivityRetryScheduled { command: CommandId(0), attempt: 1, error, due_at: seconds(75) };
    check(
        &board(vec![begin(0, "pause pool worker"), retry]),
        40,
        (50, 12),
        &[
            "eus-update  run …abababababab                 40 s",
            " ! pause pool worker                          30 s",
            "     attempt 1 failed; next in 35 s",
            "     the pool changed meanwhile",
        ],
    );
    let gate = Event::GateOpened {
        command: CommandId(0),
        gate: "go".to_owned(),
        text: "shall it?".to_owned(),
        site: "eus.rs:2".to_owned(),
    };
    check(
        &board(vec![gate]),
        40,
        (50, 12),
        &["eus-update  run …abababababab                 40 s", "waiting", " ? gate go                                    30 s"],
    );
}
