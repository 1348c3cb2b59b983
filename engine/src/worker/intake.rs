//! What reaches the worker from outside: requests, questions, and what attempts say of themselves.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::control::{Grounds, Refusal, Request, What, decide};
use crate::event::{Event, Record};
use crate::ids::{CommandId, RunId};
use crate::journal::OperationalNote;
use crate::replay::Machine;
use crate::state::OpenRun;
use crate::worker::said::Said;
use crate::worker::{After, Driven, Progress, Update, Worker};

impl Worker {
    pub(super) fn on_request(&mut self, request: &Request, reply: oneshot::Sender<Result<(), Refusal>>) {
        let answer = self.obey(request);
        // The answer leaves after the events are on disk.
        self.after.push(After::Reply { reply, answer });
    }

    fn obey(&mut self, request: &Request) -> Result<(), Refusal> {
        let run = request.run;
        if self.stopping {
            return Err(Refusal::NoSuchRun { run });
        }
        if let What::Start { workflow, .. } = &request.what
            && self.registry.find_workflow(workflow).is_none()
        {
            return Err(Refusal::NoSuchWorkflow { workflow: workflow.clone() });
        }
        let state = self.runs.get(&run).and_then(|driven| driven.state());
        let grounds = Grounds { registry: &self.registry, under_way: &|command| self.under_way(run, command) };
        let events = decide(state, request, &grounds)?;
        let stood_still = self.stands_still(run);
        let step = events.iter().find_map(overridden);
        for event in events {
            if matches!(event, Event::RunStarted { .. }) {
                self.create(run, event);
            } else {
                self.record(run, event);
            }
        }
        if let Some(command) = step {
            self.overrode(run, command, &request.what);
        }
        match &request.what {
            What::Cancel => self.break_off_ended(run, stood_still),
            What::Unpark | What::Unpause | What::Retry { .. } => self.let_go(run),
            What::Skip { .. } | What::MarkDone { .. } if stood_still => self.let_go(run),
            What::Start { .. }
            | What::Signal { .. }
            | What::Approve { .. }
            | What::Reject { .. }
            | What::Pause
            | What::Skip { .. }
            | What::MarkDone { .. }
            | What::SetTimeout { .. }
            | What::Note { .. } => {}
        }
        self.advance(run);
        Ok(())
    }

    fn create(&mut self, run: RunId, event: Event) {
        let at = self.now;
        self.batch.push(crate::event::NewEvent { run, seq: 1, at, event: event.clone() });
        let first = Record { global: 0, run, seq: 1, at, event };
        let bare = OpenRun::begin(&first);
        let (machine, broken) = match Machine::load(vec![first], &self.registry, self.options.scrutiny) {
            Ok(machine) => (Some(machine), None),
            Err(mismatch) => (None, Some(mismatch)),
        };
        let bare = if machine.is_some() { None } else { bare };
        self.runs.insert(run, Driven { machine, bare, attempts: BTreeMap::new(), progress: BTreeMap::new() });
        if let Some(mismatch) = broken {
            self.park_broken(run, mismatch);
        }
    }

    /// An override changed what is in flight for a step.
    fn overrode(&mut self, run: RunId, command: CommandId, what: &What) {
        if matches!(what, What::SetTimeout { .. }) {
            self.move_timeout(run, command);
        } else {
            self.give_up(run, command);
        }
    }

    /// Whether an attempt is in flight or about to be made; a probe changes nothing.
    fn under_way(&self, run: RunId, command: CommandId) -> bool {
        let begun = self.runs.get(&run).and_then(|driven| driven.attempts.get(&command)).is_some_and(|running| !running.probing);
        begun
            || self.after.iter().any(|after| matches!(after, After::Attempt { run: r, command: c } if (*r, *c) == (run, command)))
    }

    /// Nothing holds the run up any more, or a step of it: everything open is set in motion again.
    fn let_go(&mut self, run: RunId) {
        if !self.stands_still(run) {
            self.pick_up_open(run);
        }
    }

    /// A cancellation ended some commands by the fold; their attempts and deadlines go with them.
    fn break_off_ended(&mut self, run: RunId, stood_still: bool) {
        let Some(driven) = self.runs.get_mut(&run) else { return };
        let open: Vec<CommandId> = driven.state().map(|state| state.open.keys().copied().collect()).unwrap_or_default();
        driven.attempts.retain(|command, _| open.contains(command));
        driven.progress.retain(|command, _| open.contains(command));
        self.deadlines.forget(run, |command| !open.contains(&command));
        if stood_still {
            self.pick_up_open(run);
        }
    }

    pub(super) fn on_progress(&mut self, run: RunId, command: CommandId, text: String) {
        let at = self.now;
        let Some(driven) = self.runs.get_mut(&run) else { return };
        if !driven.attempts.contains_key(&command) {
            return;
        }
        if let Some((said, is_noted)) = Said::news(driven.progress.get(&command), &text, at) {
            if is_noted {
                self.journal.note(OperationalNote { run, at, command: Some(command), text: text.clone() });
            }
            let _ = self.updates.send(Update::Progress(Progress { run, command, text, at: said.since }));
            driven.progress.insert(command, said);
        }
        self.extend_heartbeat(run, command);
    }

    pub(super) fn on_ask_progress(&mut self, reply: oneshot::Sender<Vec<Progress>>) {
        let of_run = |(run, driven): (&RunId, &Driven)| -> Vec<Progress> {
            let progress = driven.progress.iter();
            progress
                .map(|(command, said)| Progress { run: *run, command: *command, text: said.text.clone(), at: said.since })
                .collect()
        };
        // Whoever asked may have gone.
        let _ = reply.send(self.runs.iter().flat_map(of_run).collect());
    }
}

/// The step that an override is about.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other event is no override of a step")]
fn overridden(event: &Event) -> Option<CommandId> {
    match event {
        Event::RetryRequested { command, .. }
        | Event::StepSkipped { command, .. }
        | Event::StepMarkedDone { command, .. }
        | Event::TimeoutChanged { command, .. } => Some(*command),
        _ => None,
    }
}
