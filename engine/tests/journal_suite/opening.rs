//! Opening: the lock, the format number, permissions, the count of starts.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use windlass_engine::journal::{Journal, JournalError, JournalOptions, JournalReader, verify};

use crate::support::{copy, event, files, fill, open, run, small_segments, try_open};

#[test]
fn a_second_worker_is_told_who_the_first_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    match try_open(dir.path(), JournalOptions::default()).map(|_| ()) {
        Err(JournalError::Locked { owner }) => {
            assert_eq!(owner.pid, std::process::id());
            assert!(!owner.host.is_empty());
            assert_eq!(owner.since.to_string(), "2023-11-14T22:13:20.000Z");
        }
        other => panic!("{other:?}"),
    }
    drop(first);
    assert_eq!(open(dir.path()).incarnation(), 2, "the refused start did not count");
}

#[test]
fn a_newer_format_is_refused_and_nothing_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let mut first = try_open(&journal, small_segments()).unwrap();
    fill(&mut first, 20);
    drop(first);
    // The second segment says format 2, with the checksum that all formats have at this place.
    let segment = journal.join("log/00000002.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..12]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(&segment, bytes).unwrap();
    let before = dir.path().join("before");
    copy(&journal, &before);
    let refused = [
        try_open(&journal, JournalOptions::default()).map(|_| ()),
        JournalReader::open(&journal).map(|_| ()),
        verify(&journal).map(|_| ()),
    ];
    for answer in refused {
        assert!(matches!(answer, Err(JournalError::NewerFormat { found: 2, known: 1 })), "{answer:?}");
    }
    let contents = |dir: &std::path::Path| -> Vec<_> { files(dir).iter().map(|file| fs::read(file).unwrap()).collect() };
    assert!(contents(&journal) == contents(&before));
}

#[test]
fn only_the_owner_may_look() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("state/journal");
    fill(&mut try_open(&journal, small_segments()).unwrap(), 20);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for directory in [journal.clone(), journal.join("log"), journal.join("store")] {
        assert_eq!(mode(&directory), 0o700, "{}", directory.display());
    }
    for file in ["worker.lock", "incarnation", "log/00000001.seg", "log/00000002.seg", "store/db", "store/conf"] {
        assert_eq!(mode(&journal.join(file)), 0o600, "{file}");
    }
}

#[test]
fn starts_are_counted_without_the_store() {
    let dir = tempfile::tempdir().unwrap();
    for start in 1..=3 {
        let mut journal = open(dir.path());
        assert_eq!(journal.incarnation(), start);
        journal.append(&[event(run(1), start)]).unwrap();
        drop(journal);
        fs::remove_dir_all(dir.path().join("store")).unwrap();
    }
    fs::remove_file(dir.path().join("incarnation")).unwrap();
    assert_eq!(open(dir.path()).incarnation(), 4, "the log's last record knows its own");
}

#[test]
fn a_reader_does_not_make_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("journal");
    assert!(matches!(JournalReader::open(&missing), Err(JournalError::Missing { path }) if path == missing));
    assert!(matches!(verify(&missing), Err(JournalError::Missing { .. })));
    assert!(!missing.exists());
}
