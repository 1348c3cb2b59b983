//! A journal on disk, a mirror in memory that fails as it is told, and a generator of histories.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use windlass_engine::journal::{DiskJournal, Journal, JournalOptions};
use windlass_engine::mirror::{Follower, Held, MirrorError, MirrorState, MirrorTarget, MirrorWatch, Selection};
use windlass_engine::{Clock, CommandId, Event, Json, NewEvent, Record, RunId, Timestamp, TokioClock};

/// What goes wrong with a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// It fails and nothing was done.
    Before,
    /// It is done, and fails all the same.
    After,
    /// A part of it is done, then it fails.
    Half,
    /// It waits until it is let go, and is done then.
    Hang,
}

/// A mirror in memory; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Shelf(Arc<Inner>);

#[derive(Default)]
struct Inner {
    records: Mutex<Vec<Record>>,
    required: Mutex<Option<bool>>,
    /// Runs that it let go; only if it has little room.
    gone: Mutex<Option<BTreeSet<RunId>>>,
    faults: Mutex<VecDeque<Fault>>,
    calls: Mutex<u64>,
    go: Notify,
}

impl Shelf {
    /// The next calls go wrong so.
    pub(crate) fn plan(&self, faults: &[Fault]) {
        self.0.faults.lock().unwrap().extend(faults);
    }

    pub(crate) fn let_go(&self) {
        self.0.go.notify_one();
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.0.records.lock().unwrap().clone()
    }

    /// With little room: it lets ended runs go, and let these go before.
    pub(crate) fn thrifty(self, gone: &[RunId]) -> Self {
        *self.0.gone.lock().unwrap() = Some(gone.iter().copied().collect());
        self
    }

    pub(crate) fn gone(&self) -> Vec<RunId> {
        self.0.gone.lock().unwrap().iter().flatten().copied().collect()
    }

    pub(crate) fn holding(self, records: &[Record]) -> Self {
        self.0.records.lock().unwrap().extend_from_slice(records);
        self
    }

    pub(crate) fn empty(&self) {
        self.0.records.lock().unwrap().clear();
    }

    pub(crate) fn calls(&self) -> u64 {
        *self.0.calls.lock().unwrap()
    }

    pub(crate) fn required(&self) -> Option<bool> {
        *self.0.required.lock().unwrap()
    }

    /// Each run's events, by place; a gap or a double fails.
    pub(crate) fn runs(&self) -> BTreeMap<RunId, Vec<Record>> {
        by_run(&self.records())
    }

    async fn fault(&self) -> Fault {
        *self.0.calls.lock().unwrap() += 1;
        let fault = self.0.faults.lock().unwrap().pop_front().unwrap_or(Fault::None);
        if fault == Fault::Hang {
            self.0.go.notified().await;
        }
        fault
    }
}

impl MirrorTarget for Shelf {
    fn name(&self) -> String {
        "shelf".to_owned()
    }

    fn open(&mut self, required: bool) -> BoxFuture<'_, Result<Held, MirrorError>> {
        async move {
            if self.fault().await == Fault::Before {
                return Err(MirrorError::trouble("not reachable"));
            }
            let vouches = *self.0.required.lock().unwrap() == Some(true);
            *self.0.required.lock().unwrap() = Some(required && vouches);
            let mut held = Held::default();
            self.records().iter().try_for_each(|record| held.absorb(record)).map_err(MirrorError::refused)?;
            held.let_go.extend(self.gone());
            Ok(held)
        }
        .boxed()
    }

    fn let_go(&mut self, ended: BTreeSet<RunId>) -> BoxFuture<'_, Result<BTreeSet<RunId>, MirrorError>> {
        async move {
            let mut gone = self.0.gone.lock().unwrap();
            let Some(gone) = gone.as_mut() else { return Ok(BTreeSet::new()) };
            gone.extend(&ended);
            self.0.records.lock().unwrap().retain(|record| !ended.contains(&record.run));
            Ok(ended)
        }
        .boxed()
    }

    fn vouch(&mut self) -> BoxFuture<'_, Result<(), MirrorError>> {
        async move {
            *self.0.required.lock().unwrap() = Some(true);
            Ok(())
        }
        .boxed()
    }

    fn put(&mut self, records: Vec<Record>) -> BoxFuture<'_, Result<(), MirrorError>> {
        async move {
            let fault = self.fault().await;
            let count = match fault {
                Fault::Before => 0,
                Fault::Half => records.len() / 2,
                Fault::None | Fault::After | Fault::Hang => records.len(),
            };
            self.0.records.lock().unwrap().extend_from_slice(&records[..count]);
            match fault {
                Fault::None | Fault::Hang => Ok(()),
                Fault::Before | Fault::After | Fault::Half => Err(MirrorError::trouble("no space left")),
            }
        }
        .boxed()
    }
}

pub(crate) fn by_run(records: &[Record]) -> BTreeMap<RunId, Vec<Record>> {
    let mut runs: BTreeMap<RunId, Vec<Record>> = BTreeMap::new();
    for record in records {
        let run = runs.entry(record.run).or_default();
        assert_eq!(record.seq, run.len() as u64 + 1, "run {}", record.run);
        // The number in the journal is the journal's own.
        run.push(Record { global: 0, ..record.clone() });
    }
    runs
}

/// A folder with a journal, on virtual time.
pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) journal: Option<DiskJournal>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(Timestamp::from_micros(1_800_000_000_000_000)));
        let mut rig = Self { dir, clock, journal: None };
        rig.open();
        rig
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn open(&mut self) {
        self.journal = None;
        self.journal = Some(open(&self.path("journal"), &self.clock));
    }

    pub(crate) fn journal(&mut self) -> &mut DiskJournal {
        self.journal.as_mut().unwrap()
    }

    pub(crate) fn append(&mut self, events: &[NewEvent]) {
        self.journal().append(events).unwrap();
    }

    pub(crate) fn records(&mut self) -> Vec<Record> {
        let runs = self.journal().runs().unwrap();
        let mut records = Vec::new();
        for head in runs {
            records.extend(history(self.journal(), head.run));
        }
        records
    }

    /// A follower that knows how the mirror stood.
    pub(crate) fn follower(&mut self, target: impl MirrorTarget, known: &MirrorState) -> Follower {
        let tail = self.journal().tail();
        Follower::new(tail, Box::new(target), Selection::All, known, self.clock.clone())
    }

    /// A follower at work.
    pub(crate) fn follow(&mut self, target: impl MirrorTarget) -> (MirrorWatch, tokio::task::JoinHandle<()>) {
        let follower = self.follower(target, &MirrorState::default());
        (follower.watch(), tokio::spawn(follower.run()))
    }
}

pub(crate) fn open(dir: &Path, clock: &Arc<dyn Clock>) -> DiskJournal {
    let options = JournalOptions { segment_bytes: 2_000, ..JournalOptions::default() };
    DiskJournal::open(dir, clock, options).unwrap()
}

pub(crate) fn history(journal: &mut dyn Journal, run: RunId) -> Vec<Record> {
    let mut records = Vec::new();
    journal
        .replay(run, &mut |record| {
            records.push(record);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    records
}

pub(crate) fn run(number: u8) -> RunId {
    RunId::from_bytes([number; 16])
}

pub(crate) fn event(number: u8, seq: u64) -> NewEvent {
    let command = CommandId(u32::try_from(seq).unwrap());
    let event = match seq {
        1 => Event::RunStarted {
            workflow: "w".to_owned(),
            revision: 1,
            build: "test".to_owned(),
            input: Json::null(),
            cluster: Some(format!("cluster-{number}")),
            by: "ada".to_owned(),
        },
        _ => Event::ActivityCompleted { command, attempt: 1, output: Json::of(&[seq, seq]).unwrap(), evidence: None },
    };
    NewEvent { run: run(number), seq, at: Timestamp::from_micros(1_000 + i64::from(command.0)), event }
}

/// Waits until the mirror has everything up to a record; on virtual time an hour costs nothing.
pub(crate) async fn until_held(watch: &MirrorWatch, global: u64) {
    let mut watch = watch.clone();
    let waited = tokio::time::timeout(Duration::from_secs(3600), async {
        while watch.state().held_to < global {
            assert!(watch.changed().await, "the follower has ended: {:?}", watch.state());
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{:?}", watch.state()));
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(3600), async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{what}"));
}

/// Waits until a follower ends, which on virtual time is at once or never.
pub(crate) async fn ends(following: tokio::task::JoinHandle<()>) {
    tokio::time::timeout(Duration::from_secs(3600), following).await.expect("the follower ends").unwrap();
}

/// A generator that gives the same numbers for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
