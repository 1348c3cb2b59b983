//! Taking up the runs that an earlier worker left, each at the exact step that it reached.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::event::{Event, ParkReason, Record};
use crate::ids::{CommandId, RunId};
use crate::journal::{Journal, JournalError, RunHead};
use crate::replay::{Ahead, Machine};
use crate::state::{OpenCommand, OpenRun, Phase};
use crate::worker::{After, Driven, Worker, WorkerError};

/// From so many events on, a thread costs less than it saves.
const LONG_HISTORY: u64 = 1_000;

/// How many records a reader hands over at once.
const PART_RECORDS: usize = 256;

/// How many parts a reader may be ahead of the replay: memory stays bounded, and neither waits for the other's hiccups.
const PARTS_UNDER_WAY: usize = 16;

impl Worker {
    pub(super) fn load_runs(&mut self) -> Result<(), WorkerError> {
        for head in self.journal.runs()? {
            let wanted = self.options.only.is_none_or(|only| only == head.run) && !self.options.leave.contains(&head.run);
            if !head.ended && wanted {
                self.load_run(head)?;
            }
        }
        Ok(())
    }

    fn load_run(&mut self, head: RunHead) -> Result<(), WorkerError> {
        let (run, registry, options) = (head.run, self.registry.clone(), self.options.clone());
        let loaded = self.with_history(head, |history| {
            let foreign = history.first(|first| is_foreign(first, options.cluster.as_deref()))??;
            Some((!foreign).then(|| Machine::load(history, &registry, options.scrutiny)))
        })?;
        let driven = |machine, bare| Driven { machine, bare, attempts: BTreeMap::new(), progress: BTreeMap::new() };
        match loaded {
            None => {}
            Some(None) => self.foreign.push(run),
            Some(Some(Ok(machine))) => {
                self.runs.insert(run, driven(Some(machine), None));
                self.take_up(run);
            }
            Some(Some(Err(mismatch))) => {
                let state = OpenRun::fold(&self.history(head)?);
                self.runs.insert(run, driven(None, state));
                self.park_broken(run, mismatch);
            }
        }
        Ok(())
    }

    /// Hands a run's history to its replay. A long one is read and decoded on a thread of its own, beside the replay.
    fn with_history<T>(&mut self, head: RunHead, replay: impl FnOnce(Ahead) -> T) -> Result<T, WorkerError> {
        if head.last_seq < LONG_HISTORY {
            return Ok(replay(self.history(head)?.into()));
        }
        let journal = self.journal.as_mut();
        let (parts, arriving) = sync_channel(PARTS_UNDER_WAY);
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || read_parts(journal, head.run, &parts));
            let replayed = replay(Ahead::arriving(arriving));
            reader.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            Ok(replayed)
        })
    }

    fn history(&mut self, head: RunHead) -> Result<Vec<Record>, WorkerError> {
        let mut history = Vec::with_capacity(usize::try_from(head.last_seq).unwrap_or_default());
        self.journal.replay(head.run, &mut |record| {
            history.push(record);
            ControlFlow::Continue(())
        })?;
        Ok(history)
    }

    /// Records that this worker has the run now, and goes on from where it stands.
    fn take_up(&mut self, run: RunId) {
        let Some(state) = self.runs.get(&run).and_then(|driven| driven.state()) else { return };
        let replayable_now = matches!(state.parked, Some(ParkReason::Nondeterminism { .. } | ParkReason::Unsupported { .. }));
        if replayable_now {
            let reason = Some("this build replays the run".to_owned());
            self.record(run, Event::RunUnparked { by: "windlass".to_owned(), reason });
        }
        if self.stands_still(run) {
            return;
        }
        self.record(
            run,
            Event::RunResumed {
                incarnation: self.journal.incarnation(),
                build: self.options.build.clone(),
                host: self.options.host.clone(),
                pid: std::process::id(),
                epoch: self.options.epoch,
            },
        );
        self.pick_up_open(run);
        self.advance(run);
    }

    /// Sets everything open in motion again: timers, retries, and the attempts whose end nobody knows.
    pub(super) fn pick_up_open(&mut self, run: RunId) {
        let Some(state) = self.runs.get(&run).and_then(|driven| driven.state()) else { return };
        let open: Vec<(CommandId, Phase, bool, bool, u32)> = state
            .open
            .iter()
            .filter_map(|(command, open)| match open {
                OpenCommand::Activity(a) => {
                    let observes = a.class == crate::activity::Effect::Observe;
                    Some((*command, a.phase.clone(), observes, a.class.needs_probe(), a.attempt))
                }
                OpenCommand::Timer { .. } | OpenCommand::Signal { .. } | OpenCommand::Gate { .. } => None,
            })
            .collect();
        self.arm(run);
        for (command, phase, observes, needs_probe, attempt) in open {
            let in_flight = self.runs.get(&run).is_some_and(|driven| driven.attempts.contains_key(&command))
                || self.after.iter().any(|after| after.is_of(run, command));
            match phase {
                _ if in_flight => {}
                Phase::Began if observes => self.after.push(After::Attempt { run, command }),
                Phase::Began if needs_probe => {
                    let reason = "the worker that began it is gone".to_owned();
                    self.record(run, Event::ActivityInDoubt { command, attempt, reason });
                    self.after.push(After::Probe { run, command });
                }
                Phase::InDoubt => self.after.push(After::Probe { run, command }),
                Phase::Began | Phase::Cleared => self.begin_next_attempt(run, command),
                Phase::RetryDue { .. } => {}
            }
        }
    }
}

/// Reads a run's records in parts, for as long as somebody takes them.
fn read_parts(journal: &mut dyn Journal, run: RunId, parts: &SyncSender<Vec<Record>>) -> Result<(), JournalError> {
    let mut part = Vec::with_capacity(PART_RECORDS);
    journal.replay(run, &mut |record| {
        part.push(record);
        if part.len() < PART_RECORDS {
            return ControlFlow::Continue(());
        }
        match parts.send(std::mem::replace(&mut part, Vec::with_capacity(PART_RECORDS))) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    // A replay that failed takes nothing more.
    let _ = parts.send(part);
    Ok(())
}

/// Whether a run is bound to another cluster than ours; `None` if this is no run's first record.
#[expect(clippy::wildcard_enum_match_arm, reason = "only one event begins a run")]
fn is_foreign(first: &Record, ours: Option<&str>) -> Option<bool> {
    match &first.event {
        Event::RunStarted { cluster: Some(bound), .. } => Some(ours.is_some_and(|ours| ours != bound)),
        Event::RunStarted { cluster: None, .. } => Some(false),
        _ => None,
    }
}
