use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::media::FileSystem;
use super::*;
use crate::event::Event;
use crate::ids::{CommandId, RunId};
use crate::time::Timestamp;

/// A file system that counts syncs, runs full, and fails.
#[derive(Clone, Default)]
struct Faulty {
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    syncs: AtomicU64,
    dir_syncs: AtomicU64,
    sync_fails: AtomicBool,
    full: AtomicBool,
}

struct FaultyFile {
    inner: Box<dyn MediaFile>,
    counts: Arc<Counts>,
}

impl Media for Faulty {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        FileSystem.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn MediaFile>> {
        Ok(Box::new(FaultyFile { inner: FileSystem.create(path)?, counts: Arc::clone(&self.counts) }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn MediaFile>> {
        Ok(Box::new(FaultyFile { inner: FileSystem.open(path)?, counts: Arc::clone(&self.counts) }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        FileSystem.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.counts.dir_syncs.fetch_add(1, Ordering::Relaxed);
        path.is_dir().then_some(()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl MediaFile for FaultyFile {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.counts.full.load(Ordering::Relaxed) {
            self.inner.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inner.write_all_at(bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        if self.counts.sync_fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("the disk is gone"));
        }
        // What is tested is when it is asked for; the disk's own part only takes time.
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.inner.truncate(length)
    }
}

const BIG: u64 = 1 << 20;

fn open(dir: &Path, segment_bytes: u64) -> Result<Opened, JournalError> {
    open_on(dir, segment_bytes, &Faulty::default())
}

fn open_on(dir: &Path, segment_bytes: u64, media: &Faulty) -> Result<Opened, JournalError> {
    Log::open(dir.to_owned(), Arc::new(media.clone()), segment_bytes)
}

fn event(run: u8, seq: u64) -> NewEvent {
    let command = CommandId(u32::try_from(seq).unwrap());
    NewEvent { run: RunId::from_bytes([run; 16]), seq, at: Timestamp::from_micros(1), event: Event::TimerFired { command } }
}

/// Commits of 1, 2, 3, 1, 2, 3, … events, alternating between two runs.
fn fill(log: &mut Log, commits: u64) {
    let mut seqs = [0, 0, 0];
    for commit in 0..commits {
        let events: Vec<NewEvent> = (0..=commit % 3)
            .map(|i| {
                let run = usize::try_from(i % 2 + 1).unwrap();
                seqs[run] += 1;
                event(u8::try_from(run).unwrap(), seqs[run])
            })
            .collect();
        log.append(&events).map(Iterator::count).unwrap();
    }
}

/// Where the records of the last segment end, and whether each is the last of its commit.
fn boundaries(dir: &Path) -> Vec<(u64, bool)> {
    let last = *segment::list(dir).unwrap().last().unwrap();
    let mut scan = Scanner::new(dir.to_owned(), Position { segment: last, offset: 0 });
    let mut ends = vec![(SEGMENT_HEADER_BYTES as u64, true)];
    while scan.advance().unwrap() {
        ends.push((scan.position().offset, scan.header().unwrap().last_of_commit));
    }
    ends
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn an_append_costs_one_sync_and_a_new_segment_two_more() {
    let dir = tempfile::tempdir().unwrap();
    let media = Faulty::default();
    let mut log = open_on(dir.path(), 1_000, &media).unwrap().log;
    assert_eq!(media.counts.syncs.load(Ordering::Relaxed), 1, "the first segment's header");
    let mut segments = 1;
    for seq in 1..=20 {
        let before = (media.counts.syncs.load(Ordering::Relaxed), media.counts.dir_syncs.load(Ordering::Relaxed));
        log.append(&[event(1, seq)]).map(Iterator::count).unwrap();
        let rotated = log.durable().end.segment - segments;
        segments += rotated;
        assert_eq!(media.counts.syncs.load(Ordering::Relaxed), before.0 + 1 + rotated);
        assert_eq!(media.counts.dir_syncs.load(Ordering::Relaxed), before.1 + rotated);
    }
    assert!(segments > 2);
}

#[test]
fn a_log_cut_at_any_length_opens_with_all_records_before_the_cut() {
    let (origin, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(&mut open(origin.path(), 800).unwrap().log, 9);
    let ends = boundaries(origin.path());
    assert!(ends.len() > 2, "{ends:?}");
    let last = segment::path(dir.path(), *segment::list(origin.path()).unwrap().last().unwrap());
    let all = {
        copy(origin.path(), dir.path());
        open(dir.path(), 800).unwrap().log.durable().global
    };
    for length in 0..ends.last().unwrap().0 {
        copy(origin.path(), dir.path());
        fs::OpenOptions::new().write(true).open(&last).unwrap().set_len(length).unwrap();
        let kept = ends.iter().filter(|(end, _)| *end <= length).count().saturating_sub(1);
        let Opened { mut log, cut, heads, .. } = open(dir.path(), BIG).unwrap();
        let good = all - (ends.len() - 1 - kept) as u64;
        assert_eq!(log.durable().global, good, "cut to {length}");
        let bytes = length - ends.iter().map(|(end, _)| *end).filter(|end| *end <= length).max().unwrap_or(0);
        let header_gone = length < SEGMENT_HEADER_BYTES as u64;
        let said = (bytes > 0 || header_gone).then(|| RecoveryNote::TailCut { segment: last.clone(), bytes, last_good: good });
        assert_eq!(cut, said, "cut to {length}");
        // It goes on where it was cut, also in the middle of a commit, and can be opened again.
        let next = heads.next_seq(RunId::from_bytes([9; 16]));
        log.append(&[event(9, next)]).map(Iterator::count).unwrap();
        log.append(&[event(9, next + 1)]).map(Iterator::count).unwrap();
        drop(log);
        let again = open(dir.path(), BIG).unwrap();
        assert_eq!((again.log.durable().global, again.cut), (good + 2, None), "cut to {length}");
    }
}

#[test]
fn a_flip_in_the_last_commit_is_cut_and_one_before_it_is_damage() {
    let (origin, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(&mut open(origin.path(), BIG).unwrap().log, 6);
    let ends = boundaries(origin.path());
    let last_commit = ends[..ends.len() - 1].iter().rfind(|(_, last)| *last).unwrap().0;
    let path = segment::path(dir.path(), 1);
    for at in SEGMENT_HEADER_BYTES as u64..ends.last().unwrap().0 {
        copy(origin.path(), dir.path());
        let mut bytes = fs::read(&path).unwrap();
        bytes[usize::try_from(at).unwrap()] ^= 1 << (at % 8);
        fs::write(&path, bytes).unwrap();
        let good = ends.iter().filter(|(end, _)| *end <= at).count() as u64 - 1;
        match open(dir.path(), BIG) {
            Ok(Opened { log, cut, .. }) => {
                assert!(at >= last_commit, "byte {at} was acknowledged before a later commit");
                assert_eq!(log.durable().global, good);
                assert!(matches!(cut, Some(RecoveryNote::TailCut { last_good, .. }) if last_good == good));
            }
            Err(JournalError::Corrupt { record, offset, .. }) => {
                assert!(at < last_commit, "byte {at} belongs to the last commit");
                assert_eq!((record, offset), (good + 1, ends[usize::try_from(good).unwrap()].0), "byte {at}");
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

#[test]
fn segments_that_are_missing_renamed_or_spoiled_are_damage() {
    let check = |spoil: &dyn Fn(&Path), record: u64, segment: &str| {
        let dir = tempfile::tempdir().unwrap();
        fill(&mut open(dir.path(), 1_000).unwrap().log, 12);
        spoil(dir.path());
        match open(dir.path(), 1_000).map(|opened| opened.cut) {
            Err(JournalError::Corrupt { record: r, segment: s, .. }) => assert_eq!((r, s.as_str()), (record, segment)),
            other => panic!("{other:?}"),
        }
    };
    let first_of = |segment: u64| {
        let dir = tempfile::tempdir().unwrap();
        fill(&mut open(dir.path(), 1_000).unwrap().log, 12);
        let mut scan = Scanner::new(dir.path().to_owned(), Position { segment, offset: 0 });
        scan.advance().unwrap();
        (scan.header().unwrap().global, *segment::list(dir.path()).unwrap().last().unwrap())
    };
    let (second, last) = first_of(2);
    let at_last = first_of(last).0;
    let file = segment::path;
    check(&|dir| fs::remove_file(file(dir, 2)).unwrap(), second, "00000002.seg");
    check(&|dir| fs::remove_file(file(dir, 1)).unwrap(), 1, "00000001.seg");
    let flip_last = |dir: &Path, at: usize| {
        let mut bytes = fs::read(file(dir, last)).unwrap();
        bytes[at] ^= 4;
        fs::write(file(dir, last), bytes).unwrap();
    };
    for at in 0..SEGMENT_HEADER_BYTES {
        check(&|dir| flip_last(dir, at), at_last, &segment::name(last));
    }
    assert!(at_last > second);
    check(&|dir| assert!(fs::copy(file(dir, 2), file(dir, last)).unwrap() > 0), at_last, &segment::name(last));
}

#[test]
fn a_crash_between_creating_a_segment_and_its_header_loses_nothing() {
    for bytes in [0, 1, 16, SEGMENT_HEADER_BYTES - 1, SEGMENT_HEADER_BYTES] {
        let dir = tempfile::tempdir().unwrap();
        let mut log = open(dir.path(), BIG).unwrap().log;
        fill(&mut log, 5);
        let records = log.durable().global;
        drop(log);
        fs::write(segment::path(dir.path(), 2), vec![0; bytes]).unwrap();
        let Opened { mut log, cut, .. } = open(dir.path(), 1_000).unwrap();
        let segment = segment::path(dir.path(), 2);
        assert_eq!(cut, Some(RecoveryNote::TailCut { segment, bytes: bytes as u64, last_good: records }));
        log.append(&[event(9, 1)]).map(Iterator::count).unwrap();
        assert_eq!(log.durable().end.segment, 2);
        drop(log);
        assert_eq!(open(dir.path(), BIG).unwrap().log.durable().global, records + 1);
    }
}

#[test]
fn a_torn_end_of_a_segment_that_has_a_successor_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open(dir.path(), BIG).unwrap().log, 5);
    let (end, _) = *boundaries(dir.path()).last().unwrap();
    fs::OpenOptions::new().write(true).open(segment::path(dir.path(), 1)).unwrap().set_len(end - 1).unwrap();
    fs::write(segment::path(dir.path(), 2), []).unwrap();
    let error = open(dir.path(), BIG).map(|opened| opened.cut).unwrap_err();
    assert!(matches!(error, JournalError::Corrupt { record: 9, .. }), "{error}");
}

#[test]
fn a_failed_sync_is_final() {
    let dir = tempfile::tempdir().unwrap();
    let media = Faulty::default();
    let mut log = open_on(dir.path(), BIG, &media).unwrap().log;
    log.append(&[event(1, 1)]).map(Iterator::count).unwrap();
    media.counts.sync_fails.store(true, Ordering::Relaxed);
    assert!(matches!(log.append(&[event(1, 2)]).map(Iterator::count), Err(JournalError::SyncFailed { .. })));
    media.counts.sync_fails.store(false, Ordering::Relaxed);
    assert!(matches!(log.append(&[event(1, 2)]).map(Iterator::count), Err(JournalError::SyncFailed { .. })));
    assert_eq!(log.durable().global, 1);
}

#[test]
fn a_full_disk_leaves_nothing_half_written_and_is_got_over() {
    let dir = tempfile::tempdir().unwrap();
    let media = Faulty::default();
    let mut log = open_on(dir.path(), 600, &media).unwrap().log;
    let mut seq = 0;
    for _ in 0..8 {
        let before = log.durable();
        let length = || fs::metadata(segment::path(dir.path(), before.end.segment)).unwrap().len();
        media.counts.full.store(true, Ordering::Relaxed);
        let refused = log.append(&[event(1, seq + 1), event(1, seq + 2)]).map(Iterator::count);
        assert!(matches!(refused, Err(JournalError::NoSpace { .. })), "{refused:?}");
        assert_eq!((length(), log.durable()), (before.end.offset, before));
        media.counts.full.store(false, Ordering::Relaxed);
        seq += 1;
        log.append(&[event(1, seq)]).map(Iterator::count).unwrap();
    }
    assert!(log.durable().end.segment > 1, "a new segment was refused and then made");
    drop(log);
    let opened = open(dir.path(), BIG).unwrap();
    assert_eq!((opened.log.durable().global, opened.cut), (8, None));
}

#[test]
fn an_event_above_the_limit_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path(), BIG).unwrap().log;
    let error = "x".repeat(MAX_PAYLOAD_BYTES);
    let large = NewEvent { event: Event::RunFailed { error }, ..event(1, 2) };
    let refused = log.append(&[event(1, 1), large]).map(Iterator::count);
    assert!(matches!(refused, Err(JournalError::TooLarge { seq: 2, limit: MAX_PAYLOAD_BYTES, .. })), "{refused:?}");
    assert_eq!(log.durable().global, 0);
    log.append(&[event(1, 1)]).map(Iterator::count).unwrap();
}
