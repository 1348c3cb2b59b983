//! The state that a workflow's futures share with the machine that polls them.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::panic::Location;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::context::ActivityOptions;
use crate::event::Event;
use crate::ids::{CommandId, RunId};
use crate::json::Json;
use crate::replay::command::place;
use crate::replay::mismatch::compare;
use crate::replay::{Ahead, Command, CommandKind, Outcome};
use crate::time::Timestamp;

/// Shared by the context, its futures and the machine; only one of them runs at a time, so the lock is never contended.
pub(crate) struct Shared(Mutex<Inner>);

pub(crate) struct Inner {
    pub(crate) run: RunId,
    /// The time of the event that is being processed; a workflow's only clock.
    pub(crate) now: Timestamp,
    /// Asked for by the code, not yet matched with the history nor taken for recording.
    pub(crate) asked: VecDeque<Command>,
    pub(crate) slots: BTreeMap<CommandId, Slot>,
    next_command: u32,
    last_asked: Option<LastAsked>,
    /// Decisions about gates that are not open yet.
    early_decisions: BTreeMap<String, Outcome>,
    early_signals: BTreeMap<String, VecDeque<Json>>,
    /// A cancellation that found nothing to end; the next wait takes it.
    pub(crate) cancel_undelivered: bool,
    /// What of the history is not replayed yet.
    ahead: Ahead,
    patches: BTreeMap<String, bool>,
    draws: u64,
    pub(crate) status: Option<String>,
    /// A rule that the workflow broke; ends the replay.
    pub(crate) violation: Option<String>,
    /// The machine is being dropped: futures that go with it ask for nothing any more.
    pub(crate) ending: bool,
}

/// A command that has not been answered, or whose answer has not been read.
pub(crate) struct Slot {
    pub(crate) answer: Option<Outcome>,
    pub(crate) wait: Wait,
    /// Where in the source the history says that it was asked for.
    pub(crate) recorded_at: Option<String>,
}

/// The command that the code asked for last.
struct LastAsked {
    kind: &'static str,
    name: Cow<'static, str>,
    site: &'static Location<'static>,
}

/// What a slot waits for.
pub(crate) enum Wait {
    Activity(ActivityOptions),
    Timer,
    Signal(String),
    Gate(String),
}

impl Shared {
    pub(crate) fn new(run: RunId, now: Timestamp, ahead: Ahead) -> Self {
        Self(Mutex::new(Inner {
            run,
            now,
            asked: VecDeque::new(),
            slots: BTreeMap::new(),
            next_command: 0,
            last_asked: None,
            early_decisions: BTreeMap::new(),
            early_signals: BTreeMap::new(),
            cancel_undelivered: false,
            ahead,
            patches: BTreeMap::new(),
            draws: 0,
            status: None,
            violation: None,
            ending: false,
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in workflow code is caught and parks the run; the state behind it is not used again.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Asks for something that will be answered; `Err` is an answer at once, without a command.
    pub(crate) fn ask(&mut self, kind: CommandKind, site: &'static Location<'static>) -> Result<CommandId, Outcome> {
        if std::mem::take(&mut self.cancel_undelivered) {
            return Err(Outcome::Cancelled);
        }
        let (wait, answer) = match &kind {
            CommandKind::Activity(asked) => (Wait::Activity(asked.options), None),
            CommandKind::Timer { .. } => (Wait::Timer, None),
            CommandKind::Signal { name } => (Wait::Signal(name.clone()), self.buffered_signal(name)),
            CommandKind::Gate { name, .. } => (Wait::Gate(name.clone()), self.early_decisions.remove(name)),
            CommandKind::Cancel { .. } | CommandKind::Patch { .. } | CommandKind::Hold { .. } | CommandKind::GiveBack { .. } => {
                return Ok(self.mark(kind, site));
            }
        };
        let id = self.mark(kind, site);
        self.slots.insert(id, Slot { answer, wait, recorded_at: None });
        Ok(id)
    }

    /// Asks for something that only needs to be on record.
    pub(crate) fn mark(&mut self, kind: CommandKind, site: &'static Location<'static>) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        let (of, name) = kind.label();
        self.last_asked = Some(LastAsked { kind: of, name, site });
        self.asked.push_back(Command { id, kind, site });
        id
    }

    /// Where the code stands: what it asked for last.
    pub(crate) fn standing(&self) -> String {
        match &self.last_asked {
            Some(LastAsked { kind, name, site }) if name.is_empty() => format!("it last asked for a {kind} at {}", place(site)),
            Some(LastAsked { kind, name, site }) => format!("it last asked for {kind} {name} at {}", place(site)),
            None => "it has not asked for anything yet".to_owned(),
        }
    }

    /// Whether the code asks for what an event records, but after something else.
    pub(crate) fn asks_later(&self, event: &Event) -> Option<String> {
        let later = self.asked.iter().find(|command| compare(event, command).is_none())?;
        Some(format!("order: what is recorded is asked for later, at {}", place(later.site)))
    }

    /// Takes the answer of a command, if there is one.
    pub(crate) fn take_answer(&mut self, id: CommandId) -> Option<Outcome> {
        let answer = self.slots.get_mut(&id)?.answer.take()?;
        self.slots.remove(&id);
        Some(answer)
    }

    /// A future was dropped before its answer came.
    pub(crate) fn give_up(&mut self, id: CommandId, site: &'static Location<'static>) {
        if self.ending {
            return;
        }
        let unanswered = self.slots.remove(&id).is_some_and(|slot| slot.answer.is_none());
        if unanswered {
            self.mark(CommandKind::Cancel { target: id }, site);
        }
    }

    pub(crate) fn answer(&mut self, id: CommandId, outcome: Outcome) {
        // A command that the workflow gave up has no slot any more; its answer is history and nothing else.
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.answer.get_or_insert(outcome);
        }
    }

    /// A person says what came of a step.
    pub(crate) fn assume(&mut self, id: CommandId, output: Json) {
        let timer = matches!(self.slots.get(&id).map(|slot| &slot.wait), Some(Wait::Timer));
        self.answer(id, if timer { Outcome::Fired } else { Outcome::Completed(output) });
    }

    pub(crate) fn signal(&mut self, name: &str, payload: Json) {
        match self.first_waiting(|wait| matches!(wait, Wait::Signal(n) if n == name)) {
            Some(id) => self.answer(id, Outcome::Signal(payload)),
            None => self.early_signals.entry(name.to_owned()).or_default().push_back(payload),
        }
    }

    pub(crate) fn decide(&mut self, gate: &str, decision: Outcome) {
        match self.first_waiting(|wait| matches!(wait, Wait::Gate(n) if n == gate)) {
            Some(id) => self.answer(id, decision),
            None => drop(self.early_decisions.insert(gate.to_owned(), decision)),
        }
    }

    /// Whether code on the new side of a change runs; the rule is in docs/architecture.md.
    pub(crate) fn patched(&mut self, name: &str, site: &'static Location<'static>) -> bool {
        if let Some(known) = self.patches.get(name) {
            return *known;
        }
        let new_side = self.ahead.allows_patch(name, self.asked.len());
        self.patches.insert(name.to_owned(), new_side);
        if new_side {
            self.mark(CommandKind::Patch { name: name.to_owned() }, site);
        }
        new_side
    }

    /// The next sixteen bytes of the run's own deterministic randomness.
    pub(crate) fn draw(&mut self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"windlass draw");
        hasher.update(self.run.as_bytes());
        hasher.update(&self.draws.to_le_bytes());
        self.draws += 1;
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        bytes
    }

    /// Whether anything that was asked for can still be answered.
    pub(crate) fn waits(&self) -> bool {
        self.slots.values().any(|slot| slot.answer.is_none())
    }

    fn buffered_signal(&mut self, name: &str) -> Option<Outcome> {
        self.early_signals.get_mut(name)?.pop_front().map(Outcome::Signal)
    }

    fn first_waiting(&self, wanted: impl Fn(&Wait) -> bool) -> Option<CommandId> {
        self.slots.iter().find(|(_, slot)| slot.answer.is_none() && wanted(&slot.wait)).map(|(id, _)| *id)
    }
}
