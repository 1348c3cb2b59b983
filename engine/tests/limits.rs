//! The store where sled can't write, and the journal in a process without file handles. sled opens its files itself, so the limits
//! of a process of its own stand in for the disk of the model. A program of its own, because a child that is being made holds the
//! locks of all journals that are open beside it for a moment.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use windlass_engine::journal::{DiskJournal, Journal, JournalError, JournalOptions, JournalReader, ReplaySource};
use windlass_engine::{Clock, Event, NewEvent, RunId, SystemClock, Timestamp};

/// Names the journal to the inner tests, which do nothing without it.
const LIMITED: &str = "WINDLASS_LIMITED_JOURNAL";

/// Calls an inner test in a process under a limit, such as a shell sets it.
fn limited(limit: &str, inner: &str, journal: &Path) -> Output {
    // Without the trap the system would end a process that writes beyond its limit, instead of answering with an error.
    let script = format!("trap '' XFSZ; ulimit {limit}; exec \"$0\" --exact {inner} --nocapture");
    let this = std::env::current_exe().unwrap();
    Command::new("sh").arg("-c").arg(script).arg(this).env(LIMITED, journal).output().unwrap()
}

fn open(dir: &Path) -> Result<DiskJournal, JournalError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let options = JournalOptions { segment_bytes: 4_000, replay_from: ReplaySource::Store, ..JournalOptions::default() };
    DiskJournal::open(dir, &clock, options)
}

fn event(seq: u64) -> NewEvent {
    let event = Event::NoteAdded { by: "ada".to_owned(), text: "x".repeat(200) };
    NewEvent { run: RunId::from_bytes([1; 16]), seq, at: Timestamp::from_micros(1), event }
}

/// The events that replaying shows.
fn replayed(journal: &mut DiskJournal) -> Result<u64, JournalError> {
    let mut count = 0;
    let each = &mut |_| {
        count += 1;
        std::ops::ControlFlow::Continue(())
    };
    journal.replay(RunId::from_bytes([1; 16]), each)?;
    Ok(count)
}

/// Opens a journal, replays it as far as it goes, adds to it, and says how many events it acknowledged.
fn inner() {
    let Some(dir) = std::env::var_os(LIMITED) else { return };
    let said = || -> Result<u64, JournalError> {
        let mut journal = open(Path::new(&dir))?;
        let before = replayed(&mut journal)?;
        for seq in before + 1..=before + 40 {
            journal.append(&[event(seq)])?;
        }
        assert_eq!(replayed(&mut journal)?, before + 40);
        Box::new(journal).close()?;
        Ok(before + 40)
    }();
    match said {
        Ok(count) => println!("acknowledged {count}"),
        Err(error) => println!("refused: {error}"),
    }
}

#[test]
fn writes_forty_events() {
    inner();
}

/// A file-size limit below what sled makes of its first file, and above a segment.
///
/// Seen to fail with a replay that ends where the store ends.
#[test]
fn a_store_that_cannot_be_written_is_done_without() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("journal");
    for opening in 1..=3 {
        let output = limited("-f 32", "writes_forty_events", &dir);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(&format!("acknowledged {}", opening * 40)), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
    let mut journal = open(&dir).unwrap();
    assert_eq!(replayed(&mut journal).unwrap(), 120);
    assert!(!journal.recovery().is_empty(), "the store was made anew, and the operator is told");
}

/// From too few handles to begin with up to enough for everything.
///
/// Seen to fail with a new segment's failure passed over.
#[test]
fn a_process_without_file_handles_refuses_or_goes_on_and_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("journal");
    let (mut acknowledged, mut refused) = (0, 0);
    for handles in (5..26).step_by(2) {
        let output = limited(&format!("-n {handles}"), "writes_forty_events", &dir);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if said.contains(&format!("acknowledged {}", acknowledged + 40)) {
            acknowledged += 40;
        } else {
            assert!(said.contains("open files") || said.contains("open shared object"), "{handles} handles: {said}");
            assert!(!said.contains("panicked at engine"), "{handles} handles: {said}");
            refused += 1;
            assert!(readable(&dir) >= acknowledged, "{handles} handles");
            acknowledged = readable(&dir);
        }
        assert_eq!(readable(&dir), acknowledged, "{handles} handles");
    }
    assert!(refused > 0 && acknowledged >= 40, "{refused} refused, {acknowledged} acknowledged");
}

fn readable(dir: &Path) -> u64 {
    JournalReader::open(dir).map_or(0, |reader| reader.records().map(Result::unwrap).count() as u64)
}
