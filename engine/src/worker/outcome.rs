//! What an attempt's end means: completed, tried again, in doubt, handed to the workflow, or parked.

use std::time::Duration;

use crate::activity::{ActivityError, Attempt, FailureKind, Probe};
use crate::event::{Event, ParkReason, ProbeVerdict};
use crate::ids::{CommandId, RunId};
use crate::json::Json;
use crate::state::OpenActivity;
use crate::worker::deadlines::Due;
use crate::worker::{After, Running, Worker};

pub(super) type ProbeResult = Result<Probe<Json>, ActivityError>;

impl Worker {
    pub(super) fn on_attempt_ended(&mut self, run: RunId, command: CommandId, number: u32, result: Result<Json, ActivityError>) {
        if !self.is_current(run, command, number, false) {
            return;
        }
        self.land(run, command);
        self.forget_progress(run, command);
        if result.as_ref().is_err_and(|error| error.code == ActivityError::FENCED) {
            // Somebody else acts now. The attempt stays open, as after a crash: its end is theirs to find out, or the next worker's.
            self.stopping = true;
            return;
        }
        match result {
            Ok(output) => {
                self.record(run, Event::ActivityCompleted { command, attempt: number, output, evidence: None });
                self.advance(run);
            }
            Err(error) => self.on_failure(run, command, number, error),
        }
    }

    /// An attempt's time, or its permitted silence, is over.
    pub(super) fn on_timeout(&mut self, run: RunId, command: CommandId, silent: bool) {
        let Some(running) = self.land(run, command) else { return };
        let limit = self.runs.get(&run).map(|driven| driven.options(command, running.probing)).unwrap_or_default();
        let last = self.runs.get(&run).and_then(|d| d.progress.get(&command)).map(|said| format!("; last seen: {}", said.text));
        let last = last.unwrap_or_default();
        let message = if silent {
            format!("no sign of progress for {}{last}", in_words(limit.heartbeat.unwrap_or_default()))
        } else {
            format!("not done after {}{last}", in_words(limit.timeout))
        };
        let number = running.number;
        if running.probing {
            drop(running);
            self.on_probe_failed(run, command, number, 0, &ActivityError::transient("timed-out", message));
            return;
        }
        drop(running);
        self.forget_progress(run, command);
        self.on_failure(run, command, number, ActivityError::unknown("timed-out", message));
    }

    fn on_failure(&mut self, run: RunId, command: CommandId, number: u32, error: ActivityError) {
        let Some(activity) = self.activity(run, command) else { return };
        match error.kind {
            FailureKind::Permanent => {
                self.record(run, Event::ActivityFailed { command, attempt: number, error });
                self.advance(run);
            }
            FailureKind::Unknown if activity.class.needs_probe() => {
                self.record(run, Event::ActivityInDoubt { command, attempt: number, reason: error.message });
                self.mark_lost_reply(run, command, number);
                self.after.push(After::Probe { run, command });
            }
            FailureKind::Unknown | FailureKind::Transient => self.try_again(run, command, number, error),
        }
    }

    /// Schedules the next attempt, or parks when they are used up.
    fn try_again(&mut self, run: RunId, command: CommandId, number: u32, error: ActivityError) {
        let Some(activity) = self.activity(run, command) else { return };
        let failures = activity.failures + 1;
        let summary = activity.summary.clone();
        match self.next_delay(run, command, number, failures, &error) {
            Some(delay) => {
                let due_at = self.now.plus(delay);
                self.record(run, Event::ActivityRetryScheduled { command, attempt: number, error, due_at });
                self.deadlines.insert(due_at, run, command, Due::Retry);
            }
            None => self.park(run, ParkReason::RetriesExhausted { command, summary, attempts: failures, error }),
        }
    }

    fn next_delay(&self, run: RunId, command: CommandId, number: u32, failures: u32, error: &ActivityError) -> Option<Duration> {
        let machine = self.runs.get(&run)?.machine.as_ref()?;
        let delay = machine.options(command).retry.delay(Attempt { run, command, number }, failures)?;
        Some(delay.max(Duration::from_secs(error.retry_after_seconds.unwrap_or(0))))
    }

    pub(super) fn on_probe_ended(&mut self, run: RunId, command: CommandId, number: u32, result: ProbeResult) {
        if !self.is_current(run, command, number, true) {
            return;
        }
        let Some(running) = self.land(run, command) else { return };
        let (lost_reply, failures) = (running.lost_reply, running.probe_failures);
        drop(running);
        match result {
            Ok(Probe::Happened { output, evidence }) => {
                let evidence = Some(evidence);
                self.record(run, Event::ActivityCompleted { command, attempt: number, output, evidence });
                self.advance(run);
            }
            Ok(Probe::DidNotHappen(evidence)) => {
                let verdict = ProbeVerdict::DidNotHappen;
                self.record(run, Event::ActivityProbed { command, attempt: number, verdict, evidence: evidence.clone() });
                if lost_reply {
                    let error = ActivityError::transient("did-not-happen", evidence);
                    self.try_again(run, command, number, error);
                } else {
                    self.begin_next_attempt(run, command);
                }
            }
            Ok(Probe::CannotTell(evidence)) => self.park_in_doubt(run, command, number, evidence),
            Err(error) => self.on_probe_failed(run, command, number, failures, &error),
        }
    }

    fn on_probe_failed(&mut self, run: RunId, command: CommandId, number: u32, failures: u32, error: &ActivityError) {
        let failures = failures + 1;
        match self.next_delay(run, command, number, failures, error) {
            Some(delay) if error.kind != FailureKind::Permanent => {
                self.mark_lost_reply(run, command, number);
                if let Some(running) = self.runs.get_mut(&run).and_then(|driven| driven.attempts.get_mut(&command)) {
                    running.probe_failures = failures;
                }
                self.deadlines.insert(self.now.plus(delay), run, command, Due::ProbeRetry);
            }
            Some(_) | None => {
                self.park_in_doubt(run, command, number, format!("the probe failed {failures} times, last: {error}"));
            }
        }
    }

    fn park_in_doubt(&mut self, run: RunId, command: CommandId, attempt: u32, evidence: String) {
        let Some(summary) = self.activity(run, command).map(|activity| activity.summary.clone()) else { return };
        let verdict = ProbeVerdict::CannotTell;
        self.record(run, Event::ActivityProbed { command, attempt, verdict, evidence: evidence.clone() });
        self.park(run, ParkReason::InDoubt { command, summary, evidence });
    }

    /// Remembers that the coming probe follows a reply that was lost just now, and keeps the command's place in flight.
    fn mark_lost_reply(&mut self, run: RunId, command: CommandId, number: u32) {
        let Some(driven) = self.runs.get_mut(&run) else { return };
        let waiting = Running {
            number,
            probing: true,
            lost_reply: true,
            probe_failures: 0,
            task: None,
            begun_at: self.now,
            timeout_at: None,
            heartbeat_at: None,
        };
        driven.attempts.insert(command, waiting);
    }

    fn activity(&self, run: RunId, command: CommandId) -> Option<&OpenActivity> {
        self.runs.get(&run)?.state()?.activity(command)
    }

    /// Whether a message is about what is in flight now, not about something broken off meanwhile.
    fn is_current(&self, run: RunId, command: CommandId, number: u32, probing: bool) -> bool {
        self.runs
            .get(&run)
            .and_then(|driven| driven.attempts.get(&command))
            .is_some_and(|running| running.number == number && running.probing == probing)
    }

    pub(super) fn forget_progress(&mut self, run: RunId, command: CommandId) {
        if let Some(driven) = self.runs.get_mut(&run) {
            driven.progress.remove(&command);
        }
    }
}

/// `90 s`, `15 min`, `4 h`: short and exact enough for a message.
fn in_words(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
