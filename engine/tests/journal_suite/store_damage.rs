//! A store spoiled in any way that a disk or a person can: the history is the log's, and it is told once, in words.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use windlass_engine::journal::{Journal, JournalOptions, RecoveryNote, ReplaySource};

use crate::seeds::seeds;
use crate::store::{EVENTS, origin, survives};
use crate::support::{assert_history, copy, files, flip, run, small_segments, try_open};

/// How many cases are drawn in every test run.
const CASES: u64 = 40;

/// Splitmix64: the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % limit.max(1) as u64).unwrap()
    }
}

/// Does something bad to a file; answers what.
fn spoil(file: &Path, dice: &mut Dice) -> String {
    let mut bytes = fs::read(file).unwrap();
    // sled pads its file to a segment; most of it is never read.
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let what = match dice.below(7) {
        0 => {
            fs::remove_file(file).unwrap();
            return "removed".to_owned();
        }
        1 => {
            bytes.truncate(dice.below(bytes.len()));
            format!("cut to {}", bytes.len())
        }
        2 => {
            bytes.clear();
            "emptied".to_owned()
        }
        3 => {
            bytes.fill_with(|| u8::try_from(dice.below(256)).unwrap());
            "filled with garbage".to_owned()
        }
        4 => {
            let from = dice.below(written);
            let to = (from + 1 + dice.below(4096)).min(bytes.len());
            bytes[from.min(to)..to].fill(0);
            format!("zeros from {from} to {to}")
        }
        _ => {
            let places: Vec<usize> = (0..=dice.below(4)).map(|_| dice.below(written)).collect();
            for at in places.iter().filter(|at| **at < written) {
                bytes[*at] ^= u8::try_from(1 + dice.below(255)).unwrap();
            }
            format!("changed at {places:?}")
        }
    };
    fs::write(file, bytes).unwrap();
    what
}

/// Seen to fail with the lock that sled leaves behind for a moment not waited for: a sound store was made anew.
#[test]
fn whatever_is_done_to_its_files_the_history_is_the_same() {
    let (origin, dir) = (origin(), tempfile::tempdir().unwrap());
    let names: Vec<PathBuf> = files(&origin.path().join("store"));
    let mut told = 0;
    for seed in seeds(CASES) {
        let dice = &mut Dice(seed);
        copy(origin.path(), dir.path());
        let mut done = format!("seed {seed}");
        for _ in 0..=dice.below(2) {
            let name = names[dice.below(names.len())].strip_prefix(origin.path()).unwrap();
            let file = dir.path().join(name);
            if file.exists() {
                done = format!("{done}, {} {}", name.display(), spoil(&file, dice));
            }
        }
        told += usize::from(survives(dir.path(), &done).is_some());
    }
    assert!(told > 0, "nothing was ever noticed");
}

/// Without a snapshot sled reads its log from the beginning, and opens empty on some of what it finds there.
///
/// Seen to fail with the lock that sled leaves behind for a moment not waited for: a sound store was made anew.
#[test]
fn a_changed_log_without_a_snapshot_is_survived() {
    let (origin, dir) = (origin(), tempfile::tempdir().unwrap());
    let written = fs::read(origin.path().join("store/db")).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
    for at in (0..48).chain((48..written).step_by(written / 24)) {
        copy(origin.path(), dir.path());
        for file in files(&dir.path().join("store")) {
            if file.file_name().unwrap().to_str().unwrap().starts_with("snap.") {
                fs::remove_file(file).unwrap();
            }
        }
        flip(&dir.path().join("store/db"), at);
        survives(dir.path(), &format!("no snapshot, byte {at} of db flipped"));
    }
}

fn notes_of(dir: &Path, patience: Duration) -> Vec<RecoveryNote> {
    let options = JournalOptions { replay_from: ReplaySource::Store, store_patience: patience, ..small_segments() };
    let mut journal = try_open(dir, options).unwrap();
    let notes = journal.recovery().to_vec();
    for number in [1, 2] {
        assert_history(&mut journal, run(number), EVENTS);
    }
    Box::new(journal).close().unwrap();
    notes
}

/// Seen to fail with the opening waited for without end, and with a file that was moved aside removed as if it were a directory.
#[test]
fn things_that_are_no_store_are_moved_out_of_the_way() {
    let origin = origin();
    let check = |what: &str, expect: &str, spoil: &dyn Fn(&Path)| {
        let dir = tempfile::tempdir().unwrap();
        copy(origin.path(), dir.path());
        // Twice moved aside already, each time a file: neither stands in the way.
        fs::write(dir.path().join("store.damaged-1"), "").unwrap();
        fs::write(dir.path().join("store.damaged-2"), "").unwrap();
        spoil(&dir.path().join("store"));
        let notes = notes_of(dir.path(), Duration::from_millis(500));
        let [RecoveryNote::StoreRebuilt { reason, moved_to: Some(moved_to), .. }] = notes.as_slice() else {
            panic!("{what}: {notes:?}");
        };
        assert!(reason.contains(expect), "{what}: {reason}");
        assert!(fs::symlink_metadata(moved_to).is_ok(), "{what}");
        assert_eq!(notes_of(dir.path(), Duration::from_secs(10)), [], "{what}: it is told once");
    };
    let replace = |path: &Path| {
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    };
    check("a file", "opening it", &|store| {
        replace(store);
        fs::write(store, "not a directory").unwrap();
    });
    for name in ["db", "conf"] {
        check("a directory for a file", "opening it", &|store| {
            replace(&store.join(name));
            fs::create_dir(store.join(name)).unwrap();
        });
    }
    check("a pipe, on which opening waits for ever", "did not end within", &|store| {
        replace(&store.join("conf"));
        rustix::fs::mkfifoat(rustix::fs::CWD, store.join("conf"), rustix::fs::Mode::RUSR).unwrap();
    });
}

/// Root may read everything; for anybody else the store is one that can't be opened.
#[test]
fn a_store_that_may_not_be_read_harms_nothing() {
    let origin = origin();
    for file in files(&origin.path().join("store")) {
        fs::set_permissions(file, fs::Permissions::from_mode(0o000)).unwrap();
    }
    let notes = notes_of(origin.path(), Duration::from_secs(10));
    let told_in_words =
        |note: &RecoveryNote| matches!(note, RecoveryNote::StoreRebuilt { reason, .. } if reason.starts_with("opening it"));
    assert!(notes.iter().all(told_in_words) && notes.len() <= 1, "{notes:?}");
    assert_eq!(notes_of(origin.path(), Duration::from_secs(10)), []);
}
