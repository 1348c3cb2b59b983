//! What was told to a journal, against which every opening of it is checked.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use windlass_engine::journal::{DiskJournal, Journal, JournalError, JournalOptions, JournalReader, verify};
use windlass_engine::{Clock, Event, NewEvent, Record, RunId, Timestamp};

use crate::disk::Disk;
use crate::seeds::Chance;

/// A directory in memory where there is one: what is under test is the disk of the model, not the one below it.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// How many runs write to a journal at once.
const RUNS: u8 = 3;

/// One journal through all of its openings.
pub(crate) struct Story {
    pub(crate) disk: Disk,
    pub(crate) dir: PathBuf,
    /// What `append` accepted, and what an opening found beside it.
    pub(crate) acknowledged: Vec<NewEvent>,
    /// The commit that was begun last and never acknowledged.
    pub(crate) begun: Vec<NewEvent>,
    /// The last opening that recorded anything.
    recorded: u64,
    segment_bytes: u64,
    told: u64,
}

impl Story {
    pub(crate) fn new(disk: &Disk, root: &Path, segment_bytes: u64) -> Self {
        let dir = root.join("state/windlass");
        let (acknowledged, begun) = (Vec::new(), Vec::new());
        Self { disk: disk.clone(), dir, acknowledged, begun, recorded: 0, segment_bytes, told: 0 }
    }

    /// Opens the journal and checks everything that is in it.
    pub(crate) fn open(&mut self) -> Result<DiskJournal, JournalError> {
        let clock: Arc<dyn Clock> = Arc::new(Still);
        let media = Arc::new(self.disk.clone());
        let options = JournalOptions { segment_bytes: self.segment_bytes, media, ..JournalOptions::default() };
        let mut journal = DiskJournal::open(&self.dir, &clock, options)?;
        self.check(&mut journal);
        assert!(journal.incarnation() > self.recorded, "opening {} comes again", journal.incarnation());
        Ok(journal)
    }

    fn check(&mut self, journal: &mut DiskJournal) {
        let records: Vec<Record> = JournalReader::open(&self.dir).unwrap().records().collect::<Result<_, _>>().unwrap();
        assert!(records.iter().map(|record| record.global).eq(1..=records.len() as u64));
        let found: Vec<NewEvent> = records.into_iter().map(plain).collect();
        let known: Vec<NewEvent> = self.acknowledged.iter().chain(&self.begun).cloned().collect();
        assert!(found.len() >= self.acknowledged.len(), "{} acknowledged, {} found", self.acknowledged.len(), found.len());
        assert!(found.len() <= known.len() && found == known[..found.len()], "what was never told is there, or in another order");
        self.acknowledged = found;
        self.begun.clear();
        for run in (0..RUNS).map(run) {
            let expect: Vec<NewEvent> = self.acknowledged.iter().filter(|event| event.run == run).cloned().collect();
            let head = journal.runs().unwrap().into_iter().find(|head| head.run == run);
            assert_eq!(head.map_or(0, |head| head.last_seq), expect.len() as u64);
            assert_eq!(history(journal, run), expect);
        }
        assert_eq!(verify(&self.dir).unwrap().damage, None);
    }

    /// Tells the journal a commit of chance's size; no two are alike.
    pub(crate) fn tell(&mut self, journal: &mut DiskJournal, chance: &mut Chance) -> Result<(), JournalError> {
        self.begun.clear();
        for _ in 0..=chance.below(4) {
            let event = self.event(chance);
            self.begun.push(event);
        }
        if let Err(error) = journal.append(&self.begun) {
            // Only a failed sync leaves it open what is on disk; what was refused never comes back.
            if !matches!(error, JournalError::SyncFailed { .. }) {
                self.begun.clear();
            }
            return Err(error);
        }
        self.recorded = journal.incarnation();
        self.acknowledged.append(&mut self.begun);
        Ok(())
    }

    fn event(&mut self, chance: &mut Chance) -> NewEvent {
        let run = run(u8::try_from(chance.below(usize::from(RUNS))).unwrap());
        let known = self.acknowledged.iter().chain(&self.begun).filter(|event| event.run == run).count();
        self.told += 1;
        // Most are shorter than a sector, some span several.
        let most = if chance.once_in(5) { 1_800 } else { 120 };
        let length = chance.below(most);
        let text = format!("{} {}", self.told, "x".repeat(length));
        let at = Timestamp::from_micros(i64::try_from(chance.below(1_000_000)).unwrap());
        NewEvent { run, seq: known as u64 + 1, at, event: Event::NoteAdded { by: "ada".to_owned(), text } }
    }
}

fn run(number: u8) -> RunId {
    RunId::from_bytes([number + 1; 16])
}

fn history(journal: &mut DiskJournal, run: RunId) -> Vec<NewEvent> {
    let mut events = Vec::new();
    let each = &mut |record| {
        events.push(plain(record));
        ControlFlow::Continue(())
    };
    journal.replay(run, each).unwrap();
    events
}

fn plain(record: Record) -> NewEvent {
    NewEvent { run: record.run, seq: record.seq, at: record.at, event: record.event }
}

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000)
    }

    fn sleep_until(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}
