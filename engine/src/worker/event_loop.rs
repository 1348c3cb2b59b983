//! The loop: wait, take in what came, commit once, act.

use std::sync::Arc;

use crate::event::{Event, NewEvent, ParkReason, Record};
use crate::ids::{CommandId, RunId};
use crate::replay::{Command, CommandKind, Mismatch};
use crate::state::OpenCommand;
use crate::time::{Clock, Timestamp};
use crate::worker::barrier;
use crate::worker::deadlines::Due;
use crate::worker::{After, Message, Until, Update, Worker, WorkerError, WorkerReport};
use crate::workflow::{WorkflowError, WorkflowResult};

/// Taken in before a commit at the most, so that one turn stays short while ten thousand runs knock.
const TURN_LIMIT: usize = 4096;

impl Worker {
    /// Loads the open runs and drives them until [`super::WorkerOptions::until`] is reached or it is told to stop.
    ///
    /// # Errors
    /// The journal's, at once: an event that could not be made durable ends the worker.
    pub async fn run(mut self) -> Result<WorkerReport, WorkerError> {
        self.now = self.clock.now();
        self.load_runs()?;
        self.flush()?;
        while !self.stopping && !self.reached_its_end() {
            self.wait().await;
            self.flush()?;
        }
        self.wind_down().await?;
        let Self { journal, runs, foreign, .. } = self;
        let runs = runs.into_values().filter_map(|driven| driven.state().cloned()).collect();
        journal.close()?;
        Ok(WorkerReport { runs, foreign })
    }

    /// Waits for something to happen, then takes in everything that has.
    async fn wait(&mut self) {
        let due = self.deadlines.next();
        let held_back = !self.after.is_empty();
        let first = tokio::select! {
            biased;
            message = self.mailbox.recv() => message,
            () = due_at(self.clock.as_ref(), due) => None,
            () = barrier::moved(self.options.barrier.as_mut().filter(|_| held_back)) => None,
        };
        self.now = self.clock.now();
        if let Some(message) = first {
            self.take_in(message);
        }
        for _ in 0..TURN_LIMIT {
            match self.mailbox.try_recv() {
                Ok(message) => self.take_in(message),
                Err(_) => break,
            }
        }
        while let Some((run, command, due)) = self.deadlines.pop_due(self.now) {
            self.on_due(run, command, due);
        }
    }

    fn take_in(&mut self, message: Message) {
        match message {
            Message::AttemptEnded { run, command, number, result } => self.on_attempt_ended(run, command, number, result),
            Message::ProbeEnded { run, command, number, result } => self.on_probe_ended(run, command, number, result),
            Message::Progress { run, command, text } => self.on_progress(run, command, text),
            Message::Request { request, reply } => self.on_request(&request, reply),
            Message::AskProgress { reply } => self.on_ask_progress(reply),
            Message::Stop => self.stopping = true,
        }
    }

    fn on_due(&mut self, run: RunId, command: CommandId, due: Due) {
        match due {
            // It is set again when a person lets the run go on.
            Due::Timer if self.stands_still(run) => {}
            Due::Timer => {
                self.record(run, Event::TimerFired { command });
                self.advance(run);
            }
            Due::Retry => self.begin_next_attempt(run, command),
            Due::ProbeRetry => self.after.push(After::Probe { run, command }),
            Due::Timeout => self.on_timeout(run, command, false),
            Due::Heartbeat => self.on_timeout(run, command, true),
        }
    }

    /// Makes this turn's events durable, then does what waited for that.
    pub(super) fn flush(&mut self) -> Result<(), WorkerError> {
        // Acting may need another event on record first (an activity that this build does not have parks its run).
        while !self.batch.is_empty() || self.after.iter().any(|after| !self.is_held_back(after)) {
            if !self.batch.is_empty() {
                self.journal.append(&self.batch)?;
                self.announce();
                // What the disk took is not taken from the time of the attempts that begin now.
                self.now = self.clock.now();
            }
            for after in std::mem::take(&mut self.after) {
                if self.is_held_back(&after) {
                    self.after.push(after);
                    continue;
                }
                match after {
                    After::Attempt { run, command } => self.start_attempt(run, command),
                    After::Probe { run, command } => self.start_probe(run, command),
                    After::Reply { reply, answer } => {
                        // Whoever asked may have gone; the event is on record all the same.
                        let _ = reply.send(answer);
                    }
                }
            }
        }
        self.say_held_back();
        Ok(())
    }

    fn announce(&mut self) {
        let watched = self.updates.receiver_count() > 0;
        if !watched {
            self.batch.clear();
            return;
        }
        for NewEvent { run, seq, at, event } in self.batch.drain(..) {
            // Nobody watching any more is no failure. The global number is the reader's to know.
            let _ = self.updates.send(Update::Recorded(Arc::new(Record { global: 0, run, seq, at, event })));
        }
    }

    /// Puts an event into this turn's batch and lets the run take it in.
    pub(super) fn record(&mut self, run: RunId, event: Event) {
        let Some(driven) = self.runs.get_mut(&run) else { return };
        let Some(seq) = driven.state().map(|state| state.next_seq) else { return };
        let record = Record { global: 0, run, seq, at: self.now, event };
        self.batch.push(NewEvent { run, seq, at: self.now, event: record.event.clone() });
        let result = match (&mut driven.machine, &mut driven.bare) {
            (Some(machine), _) if record.event.asked().is_some() => {
                machine.recorded(&record);
                Ok(())
            }
            (Some(machine), _) => machine.apply(record),
            (None, Some(state)) => {
                state.apply(&record);
                Ok(())
            }
            (None, None) => Ok(()),
        };
        if let Err(mismatch) = result {
            self.park_broken(run, mismatch);
        }
    }

    /// Takes what the workflow asks for now, records it, and arranges for it to be done.
    pub(super) fn advance(&mut self, run: RunId) {
        // While winding down nothing new is put on record: an intent whose effect can't follow would be in doubt for nothing.
        while !self.stopping {
            let Some(driven) = self.runs.get_mut(&run) else { return };
            let Some(machine) = driven.machine.as_mut() else { return };
            if let Some(text) = machine.take_status() {
                let _ = self.updates.send(Update::Status { run, text });
            }
            if machine.state.stands_still() || machine.state.ended.is_some() {
                return;
            }
            let asked = machine.take_asked();
            let end = machine.take_end();
            if asked.is_empty() && end.is_none() {
                return;
            }
            for command in asked {
                if !self.ask(run, &command) {
                    return;
                }
            }
            if let Some(end) = end {
                self.end_run(run, end);
                return;
            }
        }
    }

    /// Records one command and arranges for it; `false` when the run had to be parked instead.
    fn ask(&mut self, run: RunId, command: &Command) -> bool {
        if let CommandKind::Activity(asked) = &command.kind
            && asked.class == crate::activity::Effect::Irreversible
        {
            let approved = |gate: &String| self.runs[&run].state().is_some_and(|state| state.approved.contains(gate));
            if !asked.approval.as_ref().is_some_and(approved) {
                let message = format!(
                    "run {run}: {} is irreversible and no approval for it is on record\n  next: mend the workflow so that it \
                     passes a gate first, then `windlass resume {run}` with the new build",
                    asked.summary
                );
                self.park_broken(run, Mismatch { nondeterminism: false, message });
                return false;
            }
        }
        self.record(run, command.to_event());
        match &command.kind {
            CommandKind::Activity(_) => self.after.push(After::Attempt { run, command: command.id }),
            CommandKind::Timer { due_at, .. } => self.deadlines.insert(*due_at, run, command.id, Due::Timer),
            CommandKind::Cancel { target } => self.give_up(run, *target),
            CommandKind::Signal { .. }
            | CommandKind::Gate { .. }
            | CommandKind::Patch { .. }
            | CommandKind::Hold { .. }
            | CommandKind::GiveBack { .. } => {}
        }
        true
    }

    /// The workflow dropped a command: a wait is broken off, a change of the world is left to finish.
    pub(super) fn give_up(&mut self, run: RunId, target: CommandId) {
        let Some(driven) = self.runs.get_mut(&run) else { return };
        driven.attempts.remove(&target);
        driven.progress.remove(&target);
        self.deadlines.forget(run, |command| command == target);
        self.after.retain(|after| !after.is_of(run, target));
    }

    /// Sets the durable timers and retries of a run.
    pub(super) fn arm(&mut self, run: RunId) {
        let Some(state) = self.runs.get(&run).and_then(|driven| driven.state()) else { return };
        for (command, open) in &state.open {
            match open {
                OpenCommand::Timer { due_at } => self.deadlines.insert(*due_at, run, *command, Due::Timer),
                OpenCommand::Activity(activity) => {
                    if let crate::state::Phase::RetryDue { due_at, .. } = activity.phase {
                        self.deadlines.insert(due_at, run, *command, Due::Retry);
                    }
                }
                OpenCommand::Signal { .. } | OpenCommand::Gate { .. } => {}
            }
        }
    }

    fn end_run(&mut self, run: RunId, end: WorkflowResult<crate::json::Json>) {
        let cancelling = self.runs[&run].state().is_some_and(|state| state.cancelling);
        let event = match end {
            Ok(output) => Event::RunCompleted { output },
            Err(error @ WorkflowError::Cancelled) => Event::RunCancelled { error: error.to_string() },
            Err(error) if cancelling => Event::RunCancelled { error: error.to_string() },
            Err(error) => Event::RunFailed { error: error.to_string() },
        };
        let had_open = self.runs[&run].state().is_some_and(|state| !state.open.is_empty());
        self.record(run, event);
        if had_open {
            self.deadlines.forget(run, |_| true);
        }
        if let Some(driven) = self.runs.get_mut(&run) {
            driven.attempts.clear();
            driven.progress.clear();
            // The state stays for the report; the workflow's future is done.
            driven.bare = driven.machine.take().map(|machine| machine.state.clone());
        }
    }

    /// Parks a run that this binary can't drive; only another binary can.
    pub(super) fn park_broken(&mut self, run: RunId, mismatch: Mismatch) {
        let message = mismatch.message;
        let why =
            if mismatch.nondeterminism { ParkReason::Nondeterminism { message } } else { ParkReason::Unsupported { message } };
        if let Some(driven) = self.runs.get_mut(&run) {
            if let Some(machine) = driven.machine.take() {
                driven.bare = Some(machine.state.clone());
            }
            driven.attempts.clear();
            driven.progress.clear();
        }
        self.deadlines.forget(run, |_| true);
        self.park(run, why);
    }

    /// Stops driving a run until a person decides. What is in flight may finish and is recorded.
    pub(super) fn park(&mut self, run: RunId, why: ParkReason) {
        let known = self.runs.get(&run).and_then(|driven| driven.state()).and_then(|state| state.parked.as_ref());
        if known != Some(&why) {
            self.record(run, Event::RunParked { why });
        }
    }

    /// Whether nothing may begin in a run until a person says so.
    pub(super) fn stands_still(&self, run: RunId) -> bool {
        self.runs.get(&run).and_then(|driven| driven.state()).is_some_and(crate::state::OpenRun::stands_still)
    }

    fn reached_its_end(&self) -> bool {
        let ended = |driven: &super::Driven| {
            driven.state().is_none_or(|state| state.ended.is_some() || (state.stands_still() && driven.attempts.is_empty()))
        };
        let settled = |driven: &super::Driven| {
            driven.attempts.is_empty() && driven.state().is_none_or(crate::state::OpenRun::waits_for_people)
        };
        // What is in the mailbox may begin or move a run.
        let quiet = self.mailbox.is_empty();
        match self.options.until {
            Until::Stopped => false,
            Until::Ended => quiet && self.runs.values().all(ended),
            Until::Settled => quiet && self.runs.values().all(settled),
        }
    }
}

/// Waits until something is due; for ever if nothing is.
async fn due_at(clock: &dyn Clock, at: Option<Timestamp>) {
    match at {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}
