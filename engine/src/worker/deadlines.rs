//! Every point in time that the worker waits for, in one ordered set.

use std::collections::BTreeSet;

use crate::ids::{CommandId, RunId};
use crate::time::Timestamp;

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Due {
    /// A durable timer of the workflow.
    Timer,
    /// The next attempt.
    Retry,
    /// The next probe.
    ProbeRetry,
    /// The end of an attempt's time.
    Timeout,
    /// The end of an attempt's silence.
    Heartbeat,
}

/// The set; entries are removed when they lose their meaning, so it never outgrows what is open.
#[derive(Default)]
pub(super) struct Deadlines(BTreeSet<(Timestamp, RunId, CommandId, Due)>);

impl Deadlines {
    pub(super) fn insert(&mut self, at: Timestamp, run: RunId, command: CommandId, due: Due) {
        self.0.insert((at, run, command, due));
    }

    pub(super) fn remove(&mut self, at: Timestamp, run: RunId, command: CommandId, due: Due) {
        self.0.remove(&(at, run, command, due));
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, ..)| *at)
    }

    /// Takes one that is due by `now`.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(RunId, CommandId, Due)> {
        let first = self.0.first().copied().filter(|(at, ..)| *at <= now)?;
        self.0.remove(&first);
        Some((first.1, first.2, first.3))
    }

    /// Forgets what is due for those commands of a run; only done when something is given up, which is rare.
    pub(super) fn forget(&mut self, run: RunId, gone: impl Fn(CommandId) -> bool) {
        self.0.retain(|(_, r, command, _)| *r != run || !gone(*command));
    }
}
