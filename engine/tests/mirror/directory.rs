//! A mirror in a directory: what it claims survives a power cut, and what is wrong with it is said.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use windlass_engine::NewEvent;
use windlass_engine::journal::{FileSystem, JournalReader, Media, MediaFile};
use windlass_engine::mirror::{Directory, MirrorCopy, MirrorError, MirrorTarget as _, adoptable, read_directory};

use crate::rig::{Dice, Rig, by_run, event, run, until, until_held};
use crate::seeds::seeds;

/// A file system that knows what a power cut would leave, and whose syncs fail at will.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<Synced>>);

#[derive(Default)]
struct Synced {
    lengths: HashMap<PathBuf, u64>,
    failing: u32,
}

struct DiskFile {
    inner: Box<dyn MediaFile>,
    path: PathBuf,
    disk: Disk,
}

impl Disk {
    /// Cuts every file to what was synced.
    fn cut_power(&self) {
        for (path, length) in &self.0.lock().unwrap().lengths {
            fs::OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(*length)).unwrap();
        }
    }

    fn fail_syncs(&self, count: u32) {
        self.0.lock().unwrap().failing = count;
    }

    fn file(&self, inner: Box<dyn MediaFile>, path: &Path, synced: u64) -> Box<dyn MediaFile> {
        self.0.lock().unwrap().lengths.entry(path.to_owned()).or_insert(synced);
        Box::new(DiskFile { inner, path: path.to_owned(), disk: self.clone() })
    }
}

impl Media for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn MediaFile>> {
        Ok(self.file(FileSystem.create(path)?, path, 0))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn MediaFile>> {
        Ok(self.file(FileSystem.open(path)?, path, fs::metadata(path)?.len()))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        FileSystem.create_dir(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().lengths.remove(path);
        FileSystem.remove(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl MediaFile for DiskFile {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_all_at(bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut synced = self.disk.0.lock().unwrap();
        if synced.failing > 0 {
            synced.failing -= 1;
            return Err(io::Error::other("the disk is gone"));
        }
        let length = fs::metadata(&self.path)?.len();
        synced.lengths.insert(self.path.clone(), length);
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.inner.truncate(length)
    }
}

fn directory(rig: &Rig, disk: &Disk) -> Directory {
    fs::create_dir_all(rig.path("share")).unwrap();
    Directory::new(&rig.path("share"), "j1", rig.clock.clone()).on(Arc::new(disk.clone()))
}

/// Ends a follower, and waits for the call that it leaves behind: virtual time stands still while a thread is at work.
async fn stop(following: tokio::task::JoinHandle<()>) {
    following.abort();
    let _ = following.await;
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}

/// Seen to fail with the sync of the mirror's log left out.
#[tokio::test(start_paused = true)]
async fn what_is_claimed_is_there_after_a_power_cut() {
    for seed in seeds(6) {
        let (mut rig, disk, mut dice) = (Rig::new(), Disk::default(), Dice::new(seed));
        let mut seqs = [0_u64; 3];
        for _ in 0..5 {
            let (watch, following) = rig.follow(directory(&rig, &disk));
            for _ in 0..dice.below(6) {
                let number = usize::try_from(dice.below(3)).unwrap();
                seqs[number] += 1;
                rig.append(&[event(u8::try_from(number).unwrap(), seqs[number])]);
                if dice.below(4) == 0 {
                    disk.fail_syncs(u32::try_from(dice.below(3)).unwrap());
                }
                // Virtual time passes only when the threads that write to the mirror are done; else they are cut off anywhere.
                if dice.below(2) == 0 {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
            stop(following).await;
            let claimed = watch.clone();
            disk.fail_syncs(0);
            disk.cut_power();
            let held = directory(&rig, &disk).open(false).await.unwrap();
            for (number, last) in seqs.iter().enumerate() {
                let run = run(u8::try_from(number).unwrap());
                let claims = (1..=*last).take_while(|seq| claimed.holds(run, *seq)).last().unwrap_or(0);
                let there = held.last_seq(run);
                assert!(claims <= there && there <= *last, "seed {seed}: {claims} claimed, {there} there, {last} recorded");
            }
        }
        let (watch, _following) = rig.follow(directory(&rig, &disk));
        let all = rig.records();
        until_held(&watch, all.len() as u64).await;
        let reader = JournalReader::open(&rig.path("share/j1")).unwrap();
        let there: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(by_run(&there), by_run(&all), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mirror_is_a_journal_that_can_be_read_and_says_what_it_is() {
    let (mut rig, disk) = (Rig::new(), Disk::default());
    rig.append(&[event(1, 1), event(2, 1), event(1, 2)]);
    rig.append(&[NewEvent { event: ended(), ..event(2, 2) }]);
    let follower = rig.follower(directory(&rig, &disk), &windlass_engine::mirror::MirrorState::default()).required(true);
    let watch = follower.watch();
    let following = tokio::spawn(follower.run());
    until_held(&watch, 4).await;
    let vouches = || read_directory(&rig.path("share")).unwrap()[0].required;
    until("it vouches", vouches).await;
    let other = directory(&rig, &disk).open(false).await.unwrap_err();
    assert!(other.to_string().contains("another windlass writes to it"), "{other}");
    stop(following).await;
    let copies = read_directory(&rig.path("share")).unwrap();
    assert_eq!(copies, read_directory(&rig.path("share/j1")).unwrap());
    let [copy] = copies.as_slice() else { panic!("{copies:?}") };
    assert_eq!((copy.journal.as_str(), copy.required, copy.open.len()), ("j1", true, 1));
    assert_eq!((copy.open[&run(1)].len(), copy.ended.contains(&run(2))), (2, true));
    for (path, mode) in [("share/j1", 0o700), ("share/j1/mirror.json", 0o600), ("share/j1/log/00000001.seg", 0o600)] {
        assert_eq!(fs::metadata(rig.path(path)).unwrap().permissions().mode() & 0o777, mode, "{path}");
    }
}

/// Seen to fail with a required directory vouching when it is opened.
#[tokio::test(start_paused = true)]
async fn a_directory_vouches_from_when_it_is_told_until_it_is_opened_without_being_required() {
    let (rig, disk) = (Rig::new(), Disk::default());
    let mut share = directory(&rig, &disk);
    let vouches = || read_directory(&rig.path("share")).unwrap()[0].required;
    for (required, told, expect) in
        [(true, false, false), (true, true, true), (true, false, true), (false, false, false), (true, false, false)]
    {
        share.open(required).await.unwrap();
        if told {
            share.vouch().await.unwrap();
        }
        assert_eq!(vouches(), expect, "{required} {told}");
    }
}

fn ended() -> windlass_engine::Event {
    windlass_engine::Event::RunCompleted { output: windlass_engine::Json::null() }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_mirror_is_refused_by_the_follower_and_by_whoever_adopts() {
    let (mut rig, disk) = (Rig::new(), Disk::default());
    for seq in 1..=5 {
        rig.append(&[event(1, seq)]);
    }
    let (watch, following) = rig.follow(directory(&rig, &disk));
    until_held(&watch, 5).await;
    rig.append(&[event(1, 6)]);
    until_held(&watch, 6).await;
    stop(following).await;
    let segment = rig.path("share/j1/log/00000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[200] ^= 4;
    fs::write(&segment, bytes).unwrap();
    let error = directory(&rig, &disk).open(false).await.unwrap_err();
    assert!(matches!(&error, MirrorError::Refused(text) if text.contains("damaged at record 1")), "{error}");
    let error = read_directory(&rig.path("share")).unwrap_err();
    assert!(matches!(&error, MirrorError::Refused(text) if text.contains("damaged at record 1")), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_not_there_is_not_made() {
    let rig = Rig::new();
    let error = Directory::new(&rig.path("mnt"), "j1", rig.clock.clone()).open(false).await.unwrap_err();
    assert_eq!(error, MirrorError::Trouble("there is no such directory".to_owned()));
    assert!(!rig.path("mnt").exists());
}

fn copy(journal: &str, events: &[NewEvent]) -> MirrorCopy {
    let mut rig = Rig::new();
    rig.append(events);
    MirrorCopy::of(journal.to_owned(), true, rig.records().into_iter().map(Ok)).unwrap()
}

/// Seen to fail with the longest history taken whatever stands in it.
#[tokio::test(start_paused = true)]
async fn of_several_mirrors_a_run_is_taken_as_it_went_on_last() {
    let adopted =
        windlass_engine::Event::RunAdopted { from: "m".to_owned(), host: "b".to_owned(), by: "bo".to_owned(), reason: None };
    let adopted = |number, seq| NewEvent { event: adopted.clone(), ..event(number, seq) };
    let first = copy("j1", &[event(1, 1), event(1, 2), event(1, 3), event(1, 4), event(2, 1), event(3, 1), event(3, 2)]);
    let second = copy("j2", &[event(1, 1), event(1, 2), adopted(1, 3), event(2, 1), event(2, 2), event(3, 1), ended_at(3, 2)]);
    for copies in [[first.clone(), second.clone()], [second, first.clone()]] {
        let found: Vec<_> =
            adoptable(&copies).unwrap().into_iter().map(|run| (run.run, run.journal, run.records.len())).collect();
        assert_eq!(found, [(run(1), "j2".to_owned(), 3), (run(2), "j2".to_owned(), 2)]);
    }
    let parted = copy("j3", &[event(1, 1), NewEvent { at: windlass_engine::Timestamp::from_micros(7), ..event(1, 2) }]);
    let error = adoptable(&[first, parted]).unwrap_err();
    assert!(error.to_string().contains("went on in two ways"), "{error}");
}

fn ended_at(number: u8, seq: u64) -> NewEvent {
    NewEvent { event: ended(), ..event(number, seq) }
}
