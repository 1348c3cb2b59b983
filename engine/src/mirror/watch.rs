//! How a mirror stands, for the status, and the barrier that holds a worker back until the mirror has what is on record.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Held, MirrorError};
use crate::event::Record;
use crate::ids::RunId;
use crate::time::Timestamp;

/// How a mirror stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct MirrorState {
    /// Every record of the journal up to this number is there, or is none of this mirror's concern.
    pub held_to: u64,
    /// How many runs it has something of.
    #[serde(default)]
    pub runs: usize,
    /// Why it does not take more, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Since when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Whether a person must look before it takes anything again.
    #[serde(default)]
    pub refused: bool,
}

/// Follows how a mirror stands; cheap to clone.
#[derive(Clone)]
pub struct MirrorWatch {
    known: Arc<Mutex<Known>>,
    changes: watch::Receiver<u64>,
}

/// The follower's side.
pub(super) struct Board {
    known: Arc<Mutex<Known>>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Known {
    state: MirrorState,
    runs: HashMap<RunId, u64>,
    /// Whether it was found to be a mirror of this journal, and says itself whether it is required.
    attached: bool,
}

/// What must be so before a worker changes anything outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Demand {
    /// The mirror has every event of the run.
    Holds,
    /// The mirror knows that it is not required any more: until then it vouches for more than it has.
    KnowsItIsNotRequired,
}

/// Holds a worker back from changing anything outside.
#[derive(Clone)]
pub struct Barrier {
    watch: MirrorWatch,
    demand: Demand,
}

impl Board {
    pub(super) fn new(state: MirrorState) -> Self {
        let known = Known { state, ..Known::default() };
        Self { known: Arc::new(Mutex::new(known)), changes: watch::Sender::new(0) }
    }

    pub(super) fn watch(&self) -> MirrorWatch {
        MirrorWatch { known: Arc::clone(&self.known), changes: self.changes.subscribe() }
    }

    /// How many runs it is known to have had something of.
    pub(super) fn runs(&self) -> usize {
        lock(&self.known).state.runs
    }

    pub(super) fn attached(&self, held: &Held) {
        self.change(|known| {
            known.runs = held.runs.iter().map(|(run, held)| (*run, held.last_seq)).collect();
            known.state.runs = known.runs.len() + held.let_go.len();
            known.attached = true;
            (known.state.error, known.state.since, known.state.refused) = (None, None, false);
        });
    }

    pub(super) fn put(&self, records: &[Record]) {
        self.change(|known| {
            let before = known.runs.len();
            known.runs.extend(records.iter().map(|record| (record.run, record.seq)));
            known.state.runs += known.runs.len() - before;
        });
    }

    pub(super) fn held_to(&self, global: u64) {
        self.change(|known| {
            known.state.held_to = global;
            (known.state.error, known.state.since) = (None, None);
        });
    }

    pub(super) fn failed(&self, error: &MirrorError, now: Timestamp) {
        self.change(|known| {
            known.state.error = Some(error.to_string());
            known.state.since.get_or_insert(now);
            known.state.refused = matches!(error, MirrorError::Refused(_));
        });
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut lock(&self.known));
        self.changes.send_modify(|count| *count += 1);
    }
}

impl MirrorWatch {
    /// How the mirror stands now.
    pub fn state(&self) -> MirrorState {
        lock(&self.known).state.clone()
    }

    /// Whether it was found to be a mirror of this journal.
    pub fn is_attached(&self) -> bool {
        lock(&self.known).attached
    }

    /// Whether it has the run's events up to a place.
    pub fn holds(&self, run: RunId, seq: u64) -> bool {
        lock(&self.known).runs.get(&run).is_some_and(|held| *held >= seq)
    }

    /// Returns when something changed since the last time; `false` when the follower has ended.
    pub async fn changed(&mut self) -> bool {
        self.changes.changed().await.is_ok()
    }

    /// A barrier for a worker.
    pub fn barrier(&self, demand: Demand) -> Barrier {
        Barrier { watch: self.clone(), demand }
    }
}

impl Barrier {
    /// Whether a run whose last event is `seq` may change something outside now.
    pub(crate) fn lets(&self, run: RunId, seq: u64) -> bool {
        match self.demand {
            Demand::Holds => self.watch.holds(run, seq),
            Demand::KnowsItIsNotRequired => self.watch.is_attached(),
        }
    }

    /// What is waited for, and why not yet.
    pub(crate) fn why(&self) -> String {
        let what = match self.demand {
            Demand::Holds => "waits until the mirror has what is on record",
            Demand::KnowsItIsNotRequired => "waits until the mirror knows that it is not required any more",
        };
        let error = self.watch.state().error.map(|error| format!(": {error}")).unwrap_or_default();
        format!("{what}{error}")
    }

    /// Waits for a change; for ever once the follower has ended.
    pub(crate) async fn changed(&mut self) {
        if !self.watch.changed().await {
            std::future::pending::<()>().await;
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    // Nothing in these few lines can panic half-way.
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
