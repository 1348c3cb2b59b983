//! The real worker on a failing disk, a slow one, and under a clock that is set.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use windlass_engine::journal::{DiskJournal, JournalOptions, verify};
use windlass_engine::{
    Clock, CommandId, Event, OpenRun, Record, RunEnd, Timestamp, Until, Update, Worker, WorkerOptions, WorkerReport,
};

use crate::clocks::Wall;
use crate::disk::{Disk, What};
use crate::faults::{FAULTS, assert_explained, assert_no_call_on_what_failed_to_sync};
use crate::seeds::{Chance, each_seed};
use crate::story::scratch;
use crate::upkeep::{Foresight, World, history, registry, start};

/// A journal on a disk of its own, a world, and a clock on the wall.
struct Site {
    root: tempfile::TempDir,
    disk: Disk,
    world: Arc<World>,
    wall: Wall,
    foresight: Arc<Foresight>,
    /// What the worker said is on record.
    told: Vec<Record>,
}

impl Site {
    fn new(seed: u64) -> Self {
        let root = scratch();
        let disk = Disk::below(root.path(), seed);
        let foresight = Foresight::new(&disk, &root.path().join("journal"));
        Self { root, disk, world: Arc::default(), wall: Wall::new(), foresight, told: Vec::new() }
    }

    fn open(&self) -> Result<DiskJournal, windlass_engine::journal::JournalError> {
        let clock: Arc<dyn Clock> = Arc::new(self.wall.clone());
        // Small segments, so that new ones are made while the workflow is under way.
        let options = JournalOptions { segment_bytes: 1_500, media: Arc::new(self.disk.clone()), ..JournalOptions::default() };
        DiskJournal::open(&self.root.path().join("journal"), &clock, options)
    }

    /// Opens the journal, checks that all is there that was told, and drives the run on.
    async fn work(&mut self) -> Result<WorkerReport, String> {
        let mut journal = self.open().map_err(|e| e.to_string())?;
        let found = history(&mut journal);
        assert!(found.len() >= self.told.len(), "{} told, {} found", self.told.len(), found.len());
        let same = |(told, found): (&Record, &Record)| (told.seq, told.at, &told.event) == (found.seq, found.at, &found.event);
        assert!(self.told.iter().zip(&found).all(same));
        self.told.clone_from(&found);
        let hook: Arc<Foresight> = Arc::clone(&self.foresight);
        let options = WorkerOptions { until: Until::Settled, hook: Some(hook), ..WorkerOptions::default() };
        let worker = Worker::new(Box::new(journal), registry(&self.world), Arc::new(self.wall.clone()), options);
        let (handle, mut updates) = (worker.handle(), worker.handle().watch());
        let report =
            if found.is_empty() { futures::future::join(handle.tell(start()), worker.run()).await.1 } else { worker.run().await };
        while let Ok(update) = updates.try_recv() {
            if let Update::Recorded(record) = update {
                self.told.push((*record).clone());
            }
        }
        report.map_err(|e| e.to_string())
    }

    /// The run is complete, each step was made as often as its class allows, and none before it was on record.
    fn assert_done(&mut self, case: &str) -> Vec<Record> {
        let records = history(&mut self.open().unwrap());
        let ended = OpenRun::fold(&records).and_then(|state| state.ended);
        assert!(matches!(ended, Some(RunEnd::Completed(_))), "{case}: {ended:?}");
        assert!(records.iter().map(|record| record.seq).eq(1..=records.len() as u64), "{case}");
        let done = self.world.done();
        for (name, once) in [("set", false), ("first", true), ("flaky", false), ("second", true)] {
            let times = done.iter().filter(|done| *done == name).count();
            assert!(times == 1 || (times > 1 && !once), "{case}: {name} was done {times} times");
        }
        assert_eq!(self.foresight.premature(), Vec::<String>::new(), "{case}");
        assert_eq!(verify(&self.root.path().join("journal")).unwrap().damage, None, "{case}");
        records
    }
}

/// At every fault at every call the worker ends with the cause, and the next one goes on where it was.
///
/// Seen to fail with: a worker that goes on after an append that failed; a journal that goes on after a failed sync; the last
/// commit not written again on opening; a step in doubt that is made again without a probe.
#[tokio::test(start_paused = true)]
async fn the_worker_stops_at_every_fault_and_goes_on_when_it_is_gone() {
    for (what, lasting) in FAULTS.into_iter().flat_map(|what| [(what, false), (what, true)]) {
        let mut place = 0;
        while stops_and_goes_on(what, lasting, place).await {
            place += 1;
        }
        assert!((5..200).contains(&place), "{what:?} struck {place} times");
    }
}

/// Whether there was a call for the fault to strike.
async fn stops_and_goes_on(what: What, lasting: bool, place: usize) -> bool {
    let case = format!("{what:?} at call {place}, lasting {lasting}");
    let mut site = Site::new(place as u64);
    site.disk.trouble(what, place, lasting);
    let stopped = site.work().await.err();
    assert_no_call_on_what_failed_to_sync(&site.disk.calls(), &case);
    site.disk.heal();
    if place.is_multiple_of(2) {
        site.disk.cut_power();
    }
    if let Some(text) = &stopped {
        assert_explained(text, what, site.root.path(), &case);
        site.work().await.unwrap();
    }
    site.assert_done(&case);
    stopped.is_some()
}

/// The time that a disk takes is nobody's fault: an attempt's limit counts from its begin.
///
/// Seen to fail with the limit counted from before its intent was synced.
#[tokio::test(start_paused = true)]
async fn a_slow_disk_costs_time_and_nothing_else() {
    let mut site = Site::new(0);
    let wall = site.wall.clone();
    site.disk.at_each_sync(move || wall.jump(20));
    site.work().await.unwrap();
    let records = site.assert_done("slow");
    let retries = records.iter().filter(|record| matches!(record.event, Event::ActivityRetryScheduled { .. })).count();
    assert_eq!(retries, 1, "only what is flaky was tried again");
}

/// A clock that is set forth and back by hours, under workers that die.
///
/// Seen to fail with timers that fire an hour early, and a retry that is made at once by the next worker.
#[test]
fn timers_and_retries_keep_to_a_clock_that_jumps() {
    let (tried, went_back) = (AtomicUsize::new(0), AtomicUsize::new(0));
    each_seed(40, |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        went_back.fetch_add(usize::from(runtime.block_on(jumps(seed))), Ordering::Relaxed);
        tried.fetch_add(1, Ordering::Relaxed);
    });
    let (tried, went_back) = (tried.into_inner(), went_back.into_inner());
    assert!(tried == 1 || went_back * 2 > tried, "time went back in {went_back} of {tried} histories");
}

/// Whether a record has an earlier time than the one before it: their order is that of the sequence.
async fn jumps(seed: u64) -> bool {
    let (mut site, mut chance) = (Site::new(seed), Chance::of(seed));
    for _ in 0..3 {
        let wall = site.wall.clone();
        let death = Duration::from_secs(1 + chance.next() % 3_000);
        let clockwork = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1 + chance.next() % 900)).await;
                wall.jump(i64::try_from(chance.below(4 * 3_600)).unwrap() - 2 * 3_600);
            }
        };
        tokio::select! {
            report = site.work() => drop(report.unwrap()),
            () = tokio::time::sleep(death) => {}
            () = clockwork => {}
        }
        site.wall.jump(-2 * 3_600);
    }
    site.work().await.unwrap();
    let records = site.assert_done(&format!("seed {seed}"));
    assert_on_time(&records);
    records.windows(2).any(|pair| pair[1].at < pair[0].at)
}

/// What was due at a time happened when the clock had reached it, and once.
fn assert_on_time(records: &[Record]) {
    let mut due: BTreeMap<CommandId, Timestamp> = BTreeMap::new();
    for record in records {
        #[expect(clippy::wildcard_enum_match_arm, reason = "no other event is about a time")]
        match &record.event {
            Event::TimerStarted { command, due_at, .. } | Event::ActivityRetryScheduled { command, due_at, .. } => {
                due.insert(*command, *due_at);
            }
            Event::TimerFired { command } => {
                let at = due.remove(command);
                assert!(at.is_some_and(|at| at <= record.at), "{command} fired at {}, due {at:?}", record.at);
            }
            Event::ActivityStarted { command, .. } => {
                let at = due.remove(command);
                assert!(at.is_none_or(|at| at <= record.at), "{command} began at {}, due {at:?}", record.at);
            }
            _ => {}
        }
    }
}
