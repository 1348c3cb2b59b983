//! Taking up the runs that an earlier worker left, each at the exact step that it reached.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::event::{Event, ParkReason, Record};
use crate::ids::{CommandId, RunId};
use crate::journal::RunHead;
use crate::replay::Machine;
use crate::state::{OpenCommand, OpenRun, Phase};
use crate::worker::{After, Driven, Worker, WorkerError};

impl Worker {
    pub(super) fn load_runs(&mut self) -> Result<(), WorkerError> {
        for head in self.journal.runs()? {
            let wanted = self.options.only.is_none_or(|only| only == head.run);
            if !head.ended && wanted {
                self.load_run(head)?;
            }
        }
        Ok(())
    }

    fn load_run(&mut self, head: RunHead) -> Result<(), WorkerError> {
        let run = head.run;
        let history = self.history(head)?;
        let Some(Event::RunStarted { cluster, .. }) = history.first().map(|record| &record.event) else {
            return Ok(());
        };
        if let (Some(bound), Some(ours)) = (cluster, &self.options.cluster)
            && bound != ours
        {
            self.foreign.push(run);
            return Ok(());
        }
        let driven = |machine, bare| Driven { machine, bare, attempts: BTreeMap::new(), progress: BTreeMap::new() };
        match Machine::load(history, &self.registry, self.options.scrutiny) {
            Ok(machine) => {
                self.runs.insert(run, driven(Some(machine), None));
                self.take_up(run);
            }
            Err(mismatch) => {
                let state = OpenRun::fold(&self.history(head)?);
                self.runs.insert(run, driven(None, state));
                self.park_broken(run, mismatch);
            }
        }
        Ok(())
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
