//! Readers beside a running worker.

use std::fs;
use std::os::unix::fs::FileExt;

use windlass_engine::NewEvent;
use windlass_engine::journal::{Journal, JournalError, JournalReader, verify};

use crate::support::{ending, event, fill, history, open, run, small_segments, try_open};

#[test]
fn a_reader_sees_what_the_worker_wrote_and_reads_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = try_open(dir.path(), small_segments()).unwrap();
    fill(&mut journal, 10);
    let reader = JournalReader::open(dir.path()).unwrap();
    let mut follow = reader.records();
    assert_eq!(follow.by_ref().count(), 20);
    let (mut of_one, position) = (reader.records_of(run(2)), follow.position());
    assert_eq!(of_one.by_ref().map(Result::unwrap).collect::<Vec<_>>(), history(&mut journal, run(2)));
    // New records and new segments appear in the same iterators.
    for seq in 11..=30 {
        journal.append(&[event(run(2), seq)]).unwrap();
        assert_eq!(follow.next().unwrap().unwrap().seq, seq);
        assert!(follow.next().is_none());
    }
    assert_eq!(of_one.count(), 20);
    assert_eq!(reader.records_from(position).count(), 20);
    journal.append(&[ending(run(1), 11)]).unwrap();
    let heads = reader.runs();
    assert!(heads.damage.is_none());
    assert_eq!(heads.runs, journal.runs().unwrap());
}

#[test]
fn a_reader_stops_before_a_record_that_is_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    fill(&mut journal, 5);
    let segment = dir.path().join("log/00000001.seg");
    let before = fs::metadata(&segment).unwrap().len();
    journal.append(&[event(run(1), 6)]).unwrap();
    drop(journal);
    let bytes = fs::read(&segment).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(before).unwrap();
    let reader = JournalReader::open(dir.path()).unwrap();
    let mut follow = reader.records();
    let cut = usize::try_from(before).unwrap();
    assert_eq!(follow.by_ref().count(), 10);
    for at in cut..bytes.len() {
        assert!(follow.next().is_none(), "{} bytes of the record are there", at - cut);
        assert_eq!(reader.runs().runs.iter().map(|head| head.last_seq).sum::<u64>(), 10);
        file.write_all_at(&bytes[at..=at], at as u64).unwrap();
    }
    assert_eq!(follow.next().unwrap().unwrap().seq, 6);
    assert!(verify(dir.path()).unwrap().damage.is_none());
}

#[test]
fn an_event_of_a_newer_windlass_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.append(&[event(run(1), 1), event(run(1), 2)]).unwrap();
    drop(journal);
    // Renames the variant in place and gives the record its checksum anew; it is the last one, so the chain holds.
    let segment = dir.path().join("log/00000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(10).rposition(|window| window == b"TimerFired").unwrap();
    bytes[at..at + 10].copy_from_slice(b"TimerMoved");
    let frame = at - 2 - 96;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[frame..frame + 4]), &bytes[frame + 8..]);
    bytes[frame + 4..frame + 8].copy_from_slice(&crc.to_le_bytes());
    fs::write(&segment, bytes).unwrap();
    let moved = |error: &JournalError| matches!(error, JournalError::UnknownEvent { name, record: 2 } if name == "TimerMoved");
    let refused = try_open(dir.path(), small_segments()).err();
    assert!(refused.as_ref().is_some_and(moved), "{refused:?}");
    let mut records = JournalReader::open(dir.path()).unwrap().records();
    assert_eq!(records.next().unwrap().unwrap().seq, 1);
    let error = records.next().unwrap().unwrap_err();
    assert!(moved(&error), "{error:?}");
    assert!(matches!(verify(dir.path()), Err(JournalError::UnknownEvent { record: 2, .. })));
}

#[test]
fn verify_counts_what_is_good() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = try_open(dir.path(), small_segments()).unwrap();
    fill(&mut journal, 15);
    let report = verify(dir.path()).unwrap();
    let segments = fs::read_dir(dir.path().join("log")).unwrap().count();
    assert_eq!((report.records, report.runs, report.segments, report.damage), (30, 2, segments, None));
    assert!(segments > 3);
    assert_eq!(report.head.len(), 64);
    let NewEvent { run, seq, at, event } = ending(run(1), 16);
    journal.append(&[NewEvent { run, seq, at, event }]).unwrap();
    assert_ne!(verify(dir.path()).unwrap().head, report.head);
}
