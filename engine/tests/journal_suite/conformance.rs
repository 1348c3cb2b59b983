//! What every journal promises, checked on each of them.

use std::ops::ControlFlow;

use windlass_engine::Timestamp;
use windlass_engine::journal::{Journal, JournalError, MemoryJournal, OperationalNote, RunHead};

use crate::support::{assert_history, ending, event, fill, history, open, open_on_store, run};

/// A way to open the same journal again and again.
type Open<'a> = &'a mut dyn FnMut() -> Box<dyn Journal>;

fn conforms(open: Open<'_>) {
    keeps_order(open);
    refuses_conflicts_and_gaps(open);
    breaks_off(open);
    knows_the_runs(open);
    bounds_its_notes(open);
}

fn keeps_order(open: Open<'_>) {
    let mut journal = open();
    assert_eq!((journal.incarnation(), journal.runs().unwrap()), (1, Vec::new()));
    journal.append(&[]).unwrap();
    fill(journal.as_mut(), 40);
    assert_history(journal.as_mut(), run(1), 40);
    assert_history(journal.as_mut(), run(2), 40);
    assert_eq!(history(journal.as_mut(), run(9)), Vec::new(), "an unknown run has no records");
    journal.close().unwrap();
    let mut journal = open();
    assert_eq!(journal.incarnation(), 2);
    assert_history(journal.as_mut(), run(1), 40);
    journal.append(&[event(run(1), 41)]).unwrap();
    assert_history(journal.as_mut(), run(1), 41);
    let globals: Vec<u64> = history(journal.as_mut(), run(2)).iter().map(|record| record.global).collect();
    assert_eq!(globals, (1..=40).map(|n| n * 2).collect::<Vec<_>>());
}

fn refuses_conflicts_and_gaps(open: Open<'_>) {
    let mut journal = open();
    let mut check = |seqs: &[u64], wanted: u64, free: u64| {
        let events: Vec<_> = seqs.iter().map(|seq| event(run(3), *seq)).collect();
        match journal.append(&events) {
            Err(JournalError::Conflict { run: of, expected, found }) => assert_eq!((of, expected, found), (run(3), wanted, free)),
            other => panic!("{seqs:?}: {other:?}"),
        }
        assert_eq!(history(journal.as_mut(), run(3)), Vec::new(), "nothing of a refused commit is written");
    };
    check(&[0], 0, 1);
    check(&[2], 2, 1);
    check(&[1, 1], 1, 2);
    check(&[1, 3], 3, 2);
    journal.append(&[event(run(3), 1), event(run(3), 2)]).unwrap();
    assert!(matches!(journal.append(&[event(run(3), 2)]), Err(JournalError::Conflict { expected: 2, found: 3, .. })));
    assert_history(journal.as_mut(), run(3), 2);
}

fn breaks_off(open: Open<'_>) {
    let mut journal = open();
    let mut seen = 0;
    let mut each = |record: windlass_engine::Record| {
        seen = record.seq;
        if record.seq == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    journal.replay(run(1), &mut each).unwrap();
    assert_eq!(seen, 7);
}

fn knows_the_runs(open: Open<'_>) {
    let mut journal = open();
    journal.append(&[event(run(0), 1), ending(run(2), 41)]).unwrap();
    let expect = [(1, 41, false), (2, 41, true), (3, 2, false), (0, 1, false)].map(|(n, last_seq, ended)| RunHead {
        run: run(n),
        last_seq,
        ended,
    });
    assert_eq!(journal.runs().unwrap(), expect, "the oldest first");
    journal.close().unwrap();
    assert_eq!(open().runs().unwrap(), expect);
}

fn bounds_its_notes(open: Open<'_>) {
    let note = |n: i64| OperationalNote { run: run(1), at: Timestamp::from_micros(n), command: None, text: format!("note {n}") };
    let mut journal = open();
    for n in 0..1_500 {
        journal.note(note(n));
        // The stream may drop what it can't keep up with, so it is given the time.
        if n % 500 == 0 {
            journal.notes(run(1));
        }
    }
    assert_eq!(journal.notes(run(1)), (500..1_500).map(note).collect::<Vec<_>>());
    assert_eq!(journal.notes(run(2)), Vec::new());
    journal.close().unwrap();
    let mut journal = open();
    journal.note(note(1_500));
    assert_eq!(journal.notes(run(1)), (501..=1_500).map(note).collect::<Vec<_>>());
}

#[test]
fn the_memory_journal_conforms() {
    let mut journal = None;
    conforms(&mut || {
        let next = journal.as_ref().map_or_else(MemoryJournal::new, MemoryJournal::reopen);
        journal = Some(next.clone());
        Box::new(next)
    });
}

#[test]
fn the_disk_journal_conforms() {
    let dir = tempfile::tempdir().unwrap();
    conforms(&mut || Box::new(open(dir.path())));
}

#[test]
fn the_disk_journal_conforms_when_it_replays_from_the_store_and_has_many_segments() {
    let dir = tempfile::tempdir().unwrap();
    conforms(&mut || Box::new(open_on_store(dir.path())));
}

#[test]
fn the_memory_journal_crashes_where_it_is_told() {
    let mut journal = MemoryJournal::new();
    journal.fail_after(2);
    assert!(journal.append(&[event(run(1), 1), event(run(1), 2)]).is_ok());
    assert!(journal.append(&[event(run(1), 3)]).is_ok());
    for _ in 0..2 {
        assert!(matches!(journal.append(&[event(run(1), 4)]), Err(JournalError::SyncFailed { .. })));
    }
    let mut again = journal.reopen();
    assert_eq!((again.incarnation(), again.appends()), (2, 2));
    assert_history(&mut again, run(1), 3);
    again.append(&[event(run(1), 4)]).unwrap();
    let mut cut = MemoryJournal::truncated(&again.records(), 2);
    assert_history(&mut cut, run(1), 2);
}
