//! The machine that drives one workflow function along a history, and past its end.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::context::WorkflowContext;
use crate::event::{Event, Record};
use crate::ids::CommandId;
use crate::json::Json;
use crate::replay::mismatch::{Deviation, Mismatch, compare};
use crate::replay::trail::Trail;
use crate::replay::{Ahead, Command, Outcome, Scrutiny, Shared};
use crate::state::OpenRun;
use crate::time::Timestamp;
use crate::workflow::{Registry, WorkflowFuture, WorkflowResult};

/// What replaying a history leads to.
#[derive(Debug)]
pub struct Step {
    /// The commands that the code gives next and that are not on record, as the events that would record them.
    pub asked: Vec<Event>,
    /// How the workflow ended, if it did.
    pub ended: Option<WorkflowResult<Json>>,
    /// What is open.
    pub state: OpenRun,
}

/// Replays a history with the workflow that it names; a pure function.
///
/// # Errors
/// A [`Mismatch`] when the code does not ask for what is recorded, in order: kind, name and input.
pub fn replay(history: Vec<Record>, registry: &Registry) -> Result<Step, Mismatch> {
    replay_with(history, registry, Scrutiny::default())
}

/// As [`replay`], as closely as asked.
///
/// # Errors
/// A [`Mismatch`], also when the code asks differently from one replay to the next and is watched for that.
pub fn replay_with(history: Vec<Record>, registry: &Registry, scrutiny: Scrutiny) -> Result<Step, Mismatch> {
    let mut machine = Machine::load(history, registry, scrutiny)?;
    Ok(Step {
        asked: machine.take_asked().iter().map(Command::to_event).collect(),
        ended: machine.ended.take(),
        state: machine.state.clone(),
    })
}

/// One run's workflow, polled along its history.
pub(crate) struct Machine {
    pub(crate) state: OpenRun,
    pub(super) shared: Arc<Shared>,
    future: Option<WorkflowFuture>,
    pub(super) ended: Option<WorkflowResult<Json>>,
    trail: Trail,
    /// Led along the same records, to see whether the code asks for the same again.
    pub(super) twin: Option<Box<Machine>>,
    sentinel: Arc<Sentinel>,
    waker: Waker,
}

/// The waker that workflow futures are polled with. Ours never keep it, so a kept clone betrays a foreign future.
struct Sentinel;

impl Wake for Sentinel {
    fn wake(self: Arc<Self>) {}
}

/// The sentinel itself and the machine's waker.
const OWN_WAKERS: usize = 2;

impl Machine {
    /// Replays a whole history.
    pub(crate) fn load(history: impl Into<Ahead>, registry: &Registry, scrutiny: Scrutiny) -> Result<Self, Mismatch> {
        let ahead = history.into();
        let Some(first) = ahead.next() else {
            return Err(Mismatch::unsupported("the history is empty".to_owned()));
        };
        let begin = || Self::begin(&first, ahead.clone(), registry);
        let mut machine = begin()?;
        if scrutiny == Scrutiny::Twice {
            machine.accompany(begin()?, first.seq)?;
        }
        while let Some(record) = ahead.next() {
            machine.apply(record)?;
        }
        Ok(machine)
    }

    fn begin(first: &Record, ahead: Ahead, registry: &Registry) -> Result<Self, Mismatch> {
        let unsupported = Mismatch::unsupported;
        let Some(state) = OpenRun::begin(first) else {
            return Err(unsupported(format!("run {}: its history does not begin with RunStarted", first.run)));
        };
        let Some(entry) = registry.find_workflow(&state.workflow) else {
            let known: Vec<_> = registry.workflow_names().collect();
            let (run, workflow) = (state.run, &state.workflow);
            let known = known.join(", ");
            return Err(unsupported(format!(
                "run {run}: this build has no workflow {workflow} (it has: {known})\n  next: `windlass resume {run}` with a build that \
                 has it"
            )));
        };
        let shared = Arc::new(Shared::new(state.run, first.at, ahead));
        let future = (entry.make)(WorkflowContext::new(shared.clone()), &state.input)
            .map_err(|e| unsupported(format!("run {}: this build can't read the input of {}: {e}", state.run, state.workflow)))?;
        let sentinel = Arc::new(Sentinel);
        let waker = Waker::from(sentinel.clone());
        let trail = Trail::default();
        let mut machine = Self { state, shared, future: Some(future), ended: None, trail, twin: None, sentinel, waker };
        machine.note_build(&first.event);
        machine.poll(first.seq)?;
        Ok(machine)
    }

    /// Takes in the next record of the history, or one that the worker has just recorded.
    pub(crate) fn apply(&mut self, record: Record) -> Result<(), Mismatch> {
        match self.twin.take() {
            None => self.lead(record),
            Some(twin) => self.lead_both(twin, record),
        }
    }

    /// Takes in a record, without a look at the twin.
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other event is no command or answers nothing")]
    pub(super) fn lead(&mut self, mut record: Record) -> Result<(), Mismatch> {
        if let Some(command) = record.event.asked() {
            self.match_command(command, &mut record)?;
            self.state.keep(record);
            return Ok(());
        }
        if matches!(record.event, Event::CancelRequested { .. }) {
            return self.cancel(&record);
        }
        self.state.apply(&record);
        let (seq, at) = (record.seq, record.at);
        if record.event.ends_run() {
            return self.check_end(&record);
        }
        self.note_build(&record.event);
        match record.event {
            Event::ActivityCompleted { command, output, .. } => self.answer(seq, at, command, Outcome::Completed(output)),
            Event::ActivityFailed { command, error, .. } => self.answer(seq, at, command, Outcome::Failed(error)),
            Event::StepSkipped { command, output, .. } | Event::StepMarkedDone { command, output, .. } => {
                self.wake(seq, at, |shared| shared.lock().assume(command, output))
            }
            Event::TimerFired { command } => self.answer(seq, at, command, Outcome::Fired),
            Event::SignalReceived { signal, payload, .. } => self.wake(seq, at, |shared| shared.lock().signal(&signal, payload)),
            Event::GateApproved { gate, by, reason, .. } => {
                self.wake(seq, at, |shared| shared.lock().decide(&gate, Outcome::Approved { by, reason }))
            }
            Event::GateRejected { gate, by, reason } => {
                self.wake(seq, at, |shared| shared.lock().decide(&gate, Outcome::Rejected { by, reason }))
            }
            _ => Ok(()),
        }
    }

    /// The record of a command that was just taken with [`Machine::take_asked`].
    pub(crate) fn recorded(&mut self, record: &Record) {
        self.state.apply(record);
        if let Some(twin) = &mut self.twin {
            twin.recorded(record);
        }
    }

    /// The commands that are not on record yet.
    pub(crate) fn take_asked(&mut self) -> VecDeque<Command> {
        if let Some(twin) = &mut self.twin {
            twin.take_asked();
        }
        std::mem::take(&mut self.shared.lock().asked)
    }

    /// How the workflow ended, once.
    pub(crate) fn take_end(&mut self) -> Option<WorkflowResult<Json>> {
        if let Some(twin) = &mut self.twin {
            twin.take_end();
        }
        self.ended.take()
    }

    /// What the workflow last said it was doing.
    pub(crate) fn take_status(&mut self) -> Option<String> {
        self.shared.lock().status.take()
    }

    /// The options of an open activity, as the code gives them today.
    pub(crate) fn options(&self, command: CommandId) -> crate::context::ActivityOptions {
        match self.shared.lock().slots.get(&command).map(|slot| &slot.wait) {
            Some(super::shared::Wait::Activity(options)) => *options,
            Some(_) | None => crate::context::ActivityOptions::default(),
        }
    }

    fn answer(&mut self, seq: u64, at: Timestamp, command: CommandId, outcome: Outcome) -> Result<(), Mismatch> {
        self.wake(seq, at, |shared| shared.lock().answer(command, outcome))
    }

    fn wake(&mut self, seq: u64, at: Timestamp, change: impl FnOnce(&Shared)) -> Result<(), Mismatch> {
        change(&self.shared);
        self.shared.lock().now = at;
        self.poll(seq)
    }

    /// Ends what a cancellation ends, by the same fold that readers use.
    fn cancel(&mut self, record: &Record) -> Result<(), Mismatch> {
        let before: Vec<CommandId> = self.state.open.keys().copied().collect();
        self.state.apply(record);
        let ended: Vec<CommandId> = before.into_iter().filter(|id| !self.state.open.contains_key(id)).collect();
        self.wake(record.seq, record.at, |shared| {
            let mut inner = shared.lock();
            inner.cancel_undelivered = ended.is_empty();
            for id in ended {
                inner.answer(id, Outcome::Cancelled);
            }
        })
    }

    fn note_build(&mut self, event: &Event) {
        if let Event::RunStarted { build, .. } | Event::RunResumed { build, .. } = event {
            self.trail.built_by(build);
        }
    }

    fn match_command(&mut self, command: CommandId, record: &mut Record) -> Result<(), Mismatch> {
        let mut inner = self.shared.lock();
        let found = match inner.asked.pop_front() {
            None => Err((None, "command: recorded one more than asked".to_owned())),
            Some(asked) => match compare(&record.event, &asked) {
                None => Ok(()),
                Some(field) => Err((
                    Some(asked.describe()),
                    inner.asks_later(&record.event).unwrap_or_else(|| field.in_words("recorded", "asked")),
                )),
            },
        };
        let Err((asked, differs)) = found else {
            let site = self.trail.passed(command, &mut record.event);
            if let Some(slot) = inner.slots.get_mut(&command) {
                slot.recorded_at = site;
            }
            return Ok(());
        };
        let asked = asked.unwrap_or_else(|| {
            let returned = if self.future.is_none() { ": the workflow has returned" } else { "" };
            format!("nothing{returned}; {}", inner.standing())
        });
        let given_up = if let Event::CommandCancelled { target, .. } = &record.event { inner.slots.get(target) } else { None };
        let given_up = given_up.and_then(|slot| slot.recorded_at.as_deref());
        let recorded = self.trail.describe(&record.event, given_up);
        drop(inner);
        Err(self.deviation(record.seq, &Deviation { recorded, asked, differs }))
    }

    /// The history says that the run ended here: the code asks for nothing more, and ends as well as it did.
    fn check_end(&mut self, record: &Record) -> Result<(), Mismatch> {
        let inner = self.shared.lock();
        let completed = matches!(record.event, Event::RunCompleted { .. });
        let (asked, differs) = match (inner.asked.front(), &self.ended) {
            (Some(command), _) => (command.describe(), "command: asked one more than recorded"),
            (None, None) if self.future.is_some() => {
                (format!("to wait on; {}", inner.standing()), "end: recorded, not asked for")
            }
            (None, Some(Ok(_))) if !completed => (format!("to complete; {}", inner.standing()), "end: recorded bad, asked good"),
            (None, Some(Err(error))) if completed => {
                (format!("to give up ({error}); {}", inner.standing()), "end: recorded good, asked bad")
            }
            // In the worker the end was taken before it was recorded.
            (None, None | Some(_)) => return Ok(()),
        };
        let recorded = format!("the end of the run, {}", self.trail.after());
        drop(inner);
        Err(self.deviation(record.seq, &Deviation { recorded, asked, differs: differs.to_owned() }))
    }

    fn poll(&mut self, seq: u64) -> Result<(), Mismatch> {
        let Some(future) = self.future.as_mut() else {
            return Ok(());
        };
        let mut cx = Context::from_waker(&self.waker);
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
        let violation = match polled {
            Ok(Poll::Ready(end)) => {
                self.drop_future();
                self.ended = Some(end);
                None
            }
            Ok(Poll::Pending) => self.foreign_wait(),
            Err(panic) => Some(format!("the workflow panicked: {}", panic_text(panic.as_ref()))),
        };
        match violation.or_else(|| self.shared.lock().violation.take()) {
            None => Ok(()),
            Some(violation) => {
                let (run, workflow) = (self.state.run, &self.state.workflow);
                let message = format!(
                    "run {run} ({workflow}) broke a rule of workflows after event {seq}\n  {violation}\n  next: mend the \
                     workflow, then `windlass resume {run}` with the new build; nothing was lost"
                );
                Err(Mismatch { nondeterminism: false, message })
            }
        }
    }

    fn foreign_wait(&self) -> Option<String> {
        if Arc::strong_count(&self.sentinel) > OWN_WAKERS {
            let standing = self.shared.lock().standing();
            return Some(format!("it awaits a future that is not from its context; only ctx.* may be awaited; {standing}"));
        }
        let inner = self.shared.lock();
        let answerable = inner.waits() || inner.asked.iter().any(|c| inner.slots.contains_key(&c.id));
        (!answerable).then(|| {
            let standing = inner.standing();
            format!(
                "it is pending but asked for nothing: it awaits something foreign, or a future that was already done; {standing}"
            )
        })
    }

    fn deviation(&self, seq: u64, found: &Deviation) -> Mismatch {
        Mismatch::deviates(&self.state, seq, self.trail.build(), found)
    }

    /// Drops the workflow's future; what it still had open is not given up by its own will.
    fn drop_future(&mut self) {
        self.shared.lock().ending = true;
        self.future = None;
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.drop_future();
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "without a message"
    }
}
