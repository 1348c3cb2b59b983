//! Brings every record that is durable here to the mirror, in order, for as long as the journal is open.

use std::collections::{BTreeSet, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::watch::Board;
use super::{Held, MirrorError, MirrorState, MirrorTarget, MirrorWatch};
use crate::event::{Event, Record};
use crate::ids::RunId;
use crate::journal::{Durable, JournalError, LogTail};
use crate::time::Clock;

/// As many records go in one commit of the mirror: what gathers in a busy second.
const BATCH_RECORDS: usize = 1_024;

/// And so many bytes, about; a single record may be larger.
const BATCH_BYTES: usize = 1 << 20;

/// The first pause after an error.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A mirror that comes back is noticed within a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A place that is silent for so long is said to be in trouble; it is waited for all the same, so that nothing is written twice.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which runs a mirror keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selection {
    /// All.
    All,
    /// Those that are bound to this cluster or to none, as a worker on it drives them.
    OfCluster(String),
}

/// Brings records to a mirror.
pub struct Follower {
    tail: Option<LogTail>,
    durable: watch::Receiver<Durable>,
    target: Box<dyn MirrorTarget>,
    required: bool,
    selection: Selection,
    unwanted: HashSet<RunId>,
    clock: Arc<dyn Clock>,
    board: Board,
    failures: u32,
}

impl Follower {
    /// Sets a follower up; `known` is how the mirror stood when it was last seen. [`Follower::run`] starts it.
    pub fn new(
        tail: LogTail,
        target: Box<dyn MirrorTarget>,
        selection: Selection,
        known: &MirrorState,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            durable: tail.durable(),
            tail: Some(tail),
            target,
            required: false,
            selection,
            unwanted: HashSet::new(),
            clock,
            board: Board::new(MirrorState { held_to: known.held_to, runs: known.runs, ..MirrorState::default() }),
            failures: 0,
        }
    }

    /// Lets the mirror say that nothing was changed outside before it had the intent.
    #[must_use]
    pub fn required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    /// Follows how the mirror stands.
    pub fn watch(&self) -> MirrorWatch {
        self.board.watch()
    }

    /// Runs until the journal is closed and the mirror has everything, or until it refuses.
    pub async fn run(mut self) {
        while let Err(error) = self.session().await {
            self.board.failed(&error, self.clock.now());
            if matches!(error, MirrorError::Refused(_)) {
                return;
            }
            let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(6)).min(LONGEST_PAUSE);
            self.failures += 1;
            self.clock.sleep_until(self.clock.now().plus(pause.mul_f64(self.clock.speed()))).await;
        }
    }

    /// From opening the mirror to the first error, or to the end of the journal.
    async fn session(&mut self) -> Result<(), MirrorError> {
        let held = patiently(&self.board, &self.clock, self.target.open(self.required)).await?;
        let ended = self.verify(&held).await?;
        let held = self.without(ended, held).await?;
        self.board.attached(&held);
        self.rewind();
        let mut must_vouch = self.required;
        loop {
            let records = self.read().await?;
            let read_to = self.tail.as_ref().map_or(0, LogTail::read_to);
            if records.is_empty() && std::mem::take(&mut must_vouch) {
                patiently(&self.board, &self.clock, self.target.vouch()).await?;
                continue;
            }
            if records.is_empty() {
                if self.durable.changed().await.is_err() && self.at_end() {
                    return Ok(());
                }
                continue;
            }
            let lacking = self.lacking(records, &held);
            if !lacking.is_empty() {
                patiently(&self.board, &self.clock, self.target.put(lacking.clone())).await?;
                self.board.put(&lacking);
            }
            self.failures = 0;
            self.board.held_to(read_to);
        }
    }

    /// Lets the mirror let go of runs that have ended.
    async fn without(&mut self, mut ended: BTreeSet<RunId>, mut held: Held) -> Result<Held, MirrorError> {
        ended.retain(|run| !held.let_go.contains(run));
        if !ended.is_empty() {
            held.let_go.extend(patiently(&self.board, &self.clock, self.target.let_go(ended)).await?);
            held.runs.retain(|run, _| !held.let_go.contains(run));
        }
        Ok(held)
    }

    /// Refuses a mirror that has what this journal does not have, and says which of the runs that it wants have ended here.
    async fn verify(&mut self, held: &Held) -> Result<BTreeSet<RunId>, MirrorError> {
        // A share that is not mounted is an empty folder.
        let had = self.board.runs();
        if had > 0 && held.runs.is_empty() && held.let_go.is_empty() {
            return Err(MirrorError::refused(format!(
                "it is empty, though it had something of {had} runs: is it mounted? was it deleted?"
            )));
        }
        self.rewind();
        let (mut ours, mut open, mut ended) = (Held::default(), BTreeSet::new(), BTreeSet::new());
        loop {
            let records = self.read().await?;
            if records.is_empty() {
                break;
            }
            for record in &records {
                open.insert(record.run);
                if record.event.ends_run() {
                    ended.insert(record.run);
                }
                // Only a look, so that it is known which runs are not wanted.
                self.wants(record);
                if record.seq <= held.last_seq(record.run) {
                    ours.absorb(record).map_err(MirrorError::refused)?;
                    same_so_far(record, &ours, held)?;
                }
            }
        }
        open.retain(|run| !ended.contains(run));
        if let Some(run) = open.intersection(&held.let_go).next() {
            return Err(MirrorError::refused(format!("it knows that run {run} has ended, and this journal does not")));
        }
        ended.retain(|run| !self.unwanted.contains(run));
        let ahead = held.runs.iter().find(|(run, there)| ours.last_seq(**run) < there.last_seq);
        ahead.map_or(Ok(ended), |(run, there)| {
            let (last, have) = (there.last_seq, ours.last_seq(*run));
            Err(MirrorError::refused(format!(
                "it has {last} events of run {run}, this journal has {have}: adopt them from it first"
            )))
        })
    }

    fn rewind(&mut self) {
        if let Some(tail) = &mut self.tail {
            tail.rewind();
        }
    }

    fn at_end(&self) -> bool {
        self.tail.as_ref().is_none_or(|tail| tail.read_to() >= self.durable.borrow().global)
    }

    /// The next durable records; the files are read beside the event loop.
    async fn read(&mut self) -> Result<Vec<Record>, MirrorError> {
        let Some(mut tail) = self.tail.take() else {
            return Err(MirrorError::refused(
                "the reader of the journal broke down; this is a bug in windlass: please report it",
            ));
        };
        let read = tokio::task::spawn_blocking(move || {
            let records = tail.next_batch(BATCH_RECORDS, BATCH_BYTES);
            (tail, records)
        });
        let (tail, records) = read.await.map_err(MirrorError::refused)?;
        self.tail = Some(tail);
        records.map_err(|error: JournalError| MirrorError::refused(format!("the journal can't be read: {error}")))
    }

    /// Those that the mirror wants and does not have.
    fn lacking(&mut self, records: Vec<Record>, held: &Held) -> Vec<Record> {
        let mut lacking = records;
        lacking
            .retain(|record| self.wants(record) && !held.let_go.contains(&record.run) && record.seq > held.last_seq(record.run));
        lacking
    }

    /// Whether a record is of the mirror's concern; a run says at its start which cluster it is bound to.
    fn wants(&mut self, record: &Record) -> bool {
        if let (Event::RunStarted { cluster: Some(bound), .. }, Selection::OfCluster(ours)) = (&record.event, &self.selection)
            && bound != ours
        {
            self.unwanted.insert(record.run);
        }
        !self.unwanted.contains(&record.run)
    }
}

/// Refuses a mirror whose history of a run is not this journal's, at the last event that it has.
fn same_so_far(record: &Record, ours: &Held, held: &Held) -> Result<(), MirrorError> {
    let run = record.run;
    if record.seq == held.last_seq(run) && ours.runs.get(&run) != held.runs.get(&run) {
        return Err(MirrorError::refused(format!("it has another history of run {run} than this journal")));
    }
    Ok(())
}

/// Waits for a place, and says so when it takes long.
async fn patiently<T>(board: &Board, clock: &Arc<dyn Clock>, answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(answer);
    let asked = clock.now();
    tokio::select! {
        biased;
        answered = &mut answer => return answered,
        () = clock.sleep_until(asked.plus(PATIENCE.mul_f64(clock.speed()))) => {}
    }
    board.failed(&MirrorError::trouble("it does not answer"), asked);
    answer.await
}
