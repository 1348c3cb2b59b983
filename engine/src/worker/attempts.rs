//! Starting attempts and probes, and bounding them in time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;

use crate::activity::{ActivityError, Attempt, Effect};
use crate::event::{Event, ParkReason};
use crate::ids::{CommandId, RunId};
use crate::json::Json;
use crate::worker::deadlines::Due;
use crate::worker::hook::{AttemptInfo, Before};
use crate::worker::{After, Message, Running, Worker, WorkerError};
use crate::workflow::{ActivityEntry, AttemptFuture, AttemptSetting};

/// After a stop is asked for, attempts that change the world get this long to say how they ended, which spares a probe.
const STOP_GRACE: Duration = Duration::from_secs(5);

impl Worker {
    /// Begins the attempt that is on record.
    pub(super) fn start_attempt(&mut self, run: RunId, command: CommandId) {
        let Some((entry, info, input)) = self.find_attempt(run, command) else { return };
        self.forget_progress(run, command);
        let setting = self.setting(info.attempt);
        let (sender, number, hook) = (self.sender.clone(), info.attempt.number, self.options.hook.clone());
        let attempt = async move {
            let make = || (entry.run)(&input, setting.clone());
            let before = hook.as_ref().map_or(Before::Proceed, |hook| hook.before(&info));
            let result = match before {
                Before::Fail(error) => Err(error),
                Before::Proceed => settle(make()).await,
                Before::Repeat => {
                    // The first result is what a repeat must not depend on.
                    drop(settle(make()).await);
                    settle(make()).await
                }
            };
            let result = match &hook {
                Some(hook) => hook.after(&info, result),
                None => result,
            };
            // A worker that is gone learns of it by a probe when it comes back.
            let _ = sender.send(Message::AttemptEnded { run, command, number, result });
        };
        let task = tokio::spawn(attempt).abort_handle();
        self.watch_over(run, command, number, false, task);
    }

    /// Looks whether the attempt in doubt took effect.
    pub(super) fn start_probe(&mut self, run: RunId, command: CommandId) {
        let Some((entry, info, input)) = self.find_attempt(run, command) else { return };
        let setting = self.setting(info.attempt);
        let (sender, number) = (self.sender.clone(), info.attempt.number);
        let probe = async move {
            let result = match (entry.probe)(&input, setting) {
                Ok(probe) => AssertUnwindSafe(probe).catch_unwind().await.unwrap_or_else(|_| Err(panicked())),
                Err(e) => Err(unreadable(&e)),
            };
            let _ = sender.send(Message::ProbeEnded { run, command, number, result });
        };
        let task = tokio::spawn(probe).abort_handle();
        self.watch_over(run, command, number, true, task);
    }

    fn find_attempt(&mut self, run: RunId, command: CommandId) -> Option<(ActivityEntry, AttemptInfo, Json)> {
        let activity = self.runs.get(&run)?.state()?.activity(command)?;
        let attempt = Attempt { run, command, number: activity.attempt };
        let info = AttemptInfo { attempt, activity: activity.name.clone(), class: activity.class };
        let (name, input) = (activity.name.clone(), activity.input.clone());
        let Some(entry) = self.registry.find_activity(&name) else {
            let message = format!("run {run}: this build has no activity {name}\n  next: resume it with the build that has it");
            self.park(run, ParkReason::Unsupported { message });
            return None;
        };
        Some((entry.clone(), info, input))
    }

    fn setting(&self, attempt: Attempt) -> AttemptSetting {
        let sender: mpsc::UnboundedSender<Message> = self.sender.clone();
        let (run, command) = (attempt.run, attempt.command);
        let progress = Arc::new(move |text: String| {
            let _ = sender.send(Message::Progress { run, command, text });
        });
        AttemptSetting { attempt, clock: self.clock.clone(), progress }
    }

    fn watch_over(&mut self, run: RunId, command: CommandId, number: u32, probing: bool, task: tokio::task::AbortHandle) {
        let (now, speed) = (self.now, self.clock.speed());
        let Some(driven) = self.runs.get_mut(&run) else { return };
        let options = driven.options(command, probing);
        let timeout_at = Some(now.plus(options.timeout.mul_f64(speed)));
        let heartbeat_at = options.heartbeat.filter(|_| !probing).map(|limit| now.plus(limit.mul_f64(speed)));
        let earlier = driven.attempts.remove(&command);
        let (lost_reply, probe_failures) = earlier.as_ref().map_or((false, 0), |r| (r.lost_reply, r.probe_failures));
        drop(earlier);
        let running =
            Running { number, probing, lost_reply, probe_failures, task: Some(task), begun_at: now, timeout_at, heartbeat_at };
        driven.attempts.insert(command, running);
        for (at, due) in [(timeout_at, Due::Timeout), (heartbeat_at, Due::Heartbeat)] {
            if let Some(at) = at {
                self.deadlines.insert(at, run, command, due);
            }
        }
    }

    /// A person changed the limit of an attempt that may be in flight; its time counts from its begin.
    pub(super) fn move_timeout(&mut self, run: RunId, command: CommandId) {
        let speed = self.clock.speed();
        let Some(driven) = self.runs.get_mut(&run) else { return };
        let limit = driven.options(command, false).timeout;
        let Some(running) = driven.attempts.get_mut(&command).filter(|running| !running.probing) else { return };
        let next = running.begun_at.plus(limit.mul_f64(speed));
        if let Some(before) = running.timeout_at.replace(next) {
            self.deadlines.remove(before, run, command, Due::Timeout);
        }
        self.deadlines.insert(next, run, command, Due::Timeout);
    }

    /// Takes an attempt out of flight and drops its deadlines.
    pub(super) fn land(&mut self, run: RunId, command: CommandId) -> Option<Running> {
        let running = self.runs.get_mut(&run)?.attempts.remove(&command)?;
        for (at, due) in [(running.timeout_at, Due::Timeout), (running.heartbeat_at, Due::Heartbeat)] {
            if let Some(at) = at {
                self.deadlines.remove(at, run, command, due);
            }
        }
        Some(running)
    }

    /// A retry's time has come: the begin goes on record before the attempt is made.
    pub(super) fn begin_next_attempt(&mut self, run: RunId, command: CommandId) {
        let Some(state) = self.runs.get(&run).and_then(|driven| driven.state()) else { return };
        if state.stands_still() {
            return;
        }
        let Some(attempt) = state.activity(command).map(|activity| activity.attempt + 1) else { return };
        self.record(run, Event::ActivityStarted { command, attempt });
        self.after.push(After::Attempt { run, command });
    }

    /// Moves the end of an attempt's permitted silence.
    pub(super) fn extend_heartbeat(&mut self, run: RunId, command: CommandId) {
        let (now, speed) = (self.now, self.clock.speed());
        let Some(driven) = self.runs.get_mut(&run) else { return };
        let Some(limit) = driven.machine.as_ref().and_then(|machine| machine.options(command).heartbeat) else { return };
        let Some(running) = driven.attempts.get_mut(&command) else { return };
        let next = now.plus(limit.mul_f64(speed));
        if let Some(before) = running.heartbeat_at.replace(next) {
            self.deadlines.remove(before, run, command, Due::Heartbeat);
        }
        self.deadlines.insert(next, run, command, Due::Heartbeat);
    }

    /// Breaks off what only waits, and gives what changes the world a moment to finish and be recorded.
    pub(super) async fn wind_down(&mut self) -> Result<(), WorkerError> {
        self.stopping = true;
        for driven in self.runs.values_mut() {
            let state = driven.machine.as_ref().map(|machine| &machine.state).or(driven.bare.as_ref());
            let changing =
                |command: &CommandId| state.and_then(|s| s.activity(*command)).is_some_and(|a| a.class != Effect::Observe);
            driven.attempts.retain(|command, running| !running.probing && changing(command));
        }
        let until = self.clock.now().plus(STOP_GRACE.mul_f64(self.clock.speed()));
        while self.runs.values().any(|driven| !driven.attempts.is_empty()) {
            let message = tokio::select! {
                biased;
                message = self.mailbox.recv() => message,
                () = self.clock.sleep_until(until) => None,
            };
            self.now = self.clock.now();
            match message {
                Some(Message::AttemptEnded { run, command, number, result }) => {
                    self.on_attempt_ended(run, command, number, result);
                }
                Some(_) => {}
                None => break,
            }
            self.journal.append(&self.batch)?;
            self.batch.clear();
            self.after.clear();
        }
        for driven in self.runs.values_mut() {
            driven.attempts.clear();
        }
        Ok(())
    }
}

async fn settle(attempt: Result<AttemptFuture, serde_json::Error>) -> Result<Json, ActivityError> {
    match attempt {
        Ok(attempt) => AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(|_| Err(panicked())),
        Err(e) => Err(unreadable(&e)),
    }
}

fn panicked() -> ActivityError {
    ActivityError::unknown("panicked", "the activity panicked; this is a bug in windlass")
}

fn unreadable(error: &serde_json::Error) -> ActivityError {
    ActivityError::permanent("unreadable-input", format!("the recorded input can't be read by this build: {error}"))
}
