//! The store is derived: whatever happens to it, the history is the log's.

use std::fs;
use std::path::Path;

use windlass_engine::journal::{Journal, RecoveryNote};

use crate::support::{assert_history, copy, event, files, fill, open, open_on_store, run, small_segments, try_open};

pub(crate) const EVENTS: u64 = 60;

fn rebuilt(journal: &dyn Journal) -> Option<String> {
    journal.recovery().iter().find_map(|note| match note {
        RecoveryNote::StoreRebuilt { reason, .. } => Some(reason.clone()),
        RecoveryNote::TailCut { .. } | RecoveryNote::StoreLost { .. } | RecoveryNote::StoreCaughtUp { .. } => None,
    })
}

/// Opens a journal whose store was spoiled; whatever is said, the history is whole, now and after another start.
pub(crate) fn survives(dir: &Path, what: &str) -> Option<String> {
    let mut journal = open_on_store(dir);
    let said = rebuilt(&journal);
    for number in [1, 2] {
        assert_history(&mut journal, run(number), EVENTS);
    }
    journal.append(&[event(run(1), EVENTS + 1)]).unwrap();
    assert_history(&mut journal, run(1), EVENTS + 1);
    Box::new(journal).close().unwrap();
    let mut journal = open_on_store(dir);
    assert_eq!(rebuilt(&journal), None, "{what}: the store is good again");
    assert_history(&mut journal, run(1), EVENTS + 1);
    said
}

/// A closed journal with a store.
pub(crate) fn origin() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = try_open(dir.path(), small_segments()).unwrap();
    fill(&mut journal, EVENTS);
    Box::new(journal).close().unwrap();
    dir
}

/// A journal that shares its first records' places with [`origin`], and nothing else.
fn anothers() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    fill(&mut journal, EVENTS / 2);
    Box::new(journal).close().unwrap();
    dir
}

#[test]
fn a_deleted_store_is_made_anew() {
    let dir = origin();
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    assert_eq!(survives(dir.path(), "deleted").as_deref(), Some("it was missing"));
}

// Seen to fail with the store opened at once.
#[test]
fn the_store_is_left_alone_until_it_is_needed() {
    let dir = anothers();
    let store = dir.path().join("store");
    fs::remove_dir_all(&store).unwrap();
    let mut journal = open(dir.path());
    assert_history(&mut journal, run(1), EVENTS / 2);
    Box::new(journal).close().unwrap();
    assert!(!store.exists(), "nothing asked for it");
    let mut journal = open(dir.path());
    journal.append(&[event(run(1), EVENTS / 2 + 1)]).unwrap();
    Box::new(journal).close().unwrap();
    assert!(store.exists(), "the log grew");
}

#[test]
fn a_store_with_any_file_missing_cut_or_flipped_harms_nothing() {
    let (origin, dir) = (origin(), tempfile::tempdir().unwrap());
    let mut told = 0;
    let mut check = |what: &str, spoil: &dyn Fn(&Path)| {
        copy(origin.path(), dir.path());
        spoil(dir.path());
        told += u32::from(survives(dir.path(), what).is_some());
    };
    for file in files(&origin.path().join("store")) {
        let name = file.strip_prefix(origin.path()).unwrap().to_owned();
        let length = fs::metadata(&file).unwrap().len();
        check("removed", &|dir| fs::remove_file(dir.join(&name)).unwrap());
        for part in [0, length / 3, length - length.min(1)] {
            let cut = |dir: &Path| fs::OpenOptions::new().write(true).open(dir.join(&name)).unwrap().set_len(part).unwrap();
            check("cut", &cut);
        }
        // sled's file is padded to a segment of its own, most of it never read: the written part is walked densely.
        let written = fs::read(&file).unwrap().iter().rposition(|byte| *byte != 0).unwrap_or(0);
        for at in (0..written).step_by((written / 24).max(1)) {
            check("flipped", &|dir| crate::support::flip(&dir.join(&name), at));
        }
    }
    assert!(told > 10, "only {told} times was damage found");
}

#[test]
fn a_store_of_another_journal_is_not_believed() {
    let (mine, other) = (origin(), anothers());
    copy(&other.path().join("store"), &mine.path().join("store"));
    assert_eq!(survives(mine.path(), "another's").as_deref(), Some("it was made from another log"));
}

#[test]
fn a_store_that_is_behind_is_caught_up() {
    let (dir, old) = (origin(), tempfile::tempdir().unwrap());
    copy(&dir.path().join("store"), old.path());
    let mut journal = open(dir.path());
    let more: Vec<_> = (1..=9).map(|seq| event(run(7), seq)).collect();
    journal.append(&more).unwrap();
    Box::new(journal).close().unwrap();
    copy(old.path(), &dir.path().join("store"));
    let mut journal = open_on_store(dir.path());
    assert_eq!(journal.recovery(), [RecoveryNote::StoreCaughtUp { records: 9 }]);
    assert_history(&mut journal, run(7), 9);
    assert_history(&mut journal, run(2), EVENTS);
}

#[test]
fn two_damaged_stores_are_kept_and_no_more() {
    let (dir, other) = (origin(), anothers());
    for _ in 0..4 {
        copy(&other.path().join("store"), &dir.path().join("store"));
        let journal = open(dir.path());
        assert!(matches!(journal.recovery(), [RecoveryNote::StoreRebuilt { moved_to: Some(path), .. }]
            if path.ends_with("store.damaged-1")));
        Box::new(journal).close().unwrap();
    }
    let kept = fs::read_dir(dir.path()).unwrap().filter(|e| e.as_ref().unwrap().path().to_string_lossy().contains("damaged"));
    assert_eq!(kept.count(), 2);
}
