//! Says what is waited for, and everything that somebody who waits should know.

use std::time::Duration;

use windlass_engine::ActivityContext;

use super::drains::Drains;
use super::machines::Machines;
use crate::cluster::Cluster;
use crate::condition::{Asides, Reason, Verdict, merged};
use crate::snapshot::Snapshot;

/// Says what is waited for when that changes, and now and then all the same, so that the attempt counts as alive.
pub(super) struct Reporter<'a> {
    cx: &'a ActivityContext<Cluster>,
    said: String,
    asides: Asides,
    drains: Drains,
    machines: Machines,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(cx: &'a ActivityContext<Cluster>) -> Self {
        Self { cx, said: String::new(), asides: Asides::default(), drains: Drains::default(), machines: Machines::default() }
    }

    pub(super) fn say(&mut self, text: String) {
        if self.said != text {
            self.cx.progress(text.clone());
            self.said = text;
        }
    }

    /// Says nothing until there is something new: somebody else speaks.
    pub(super) fn hush(&mut self) {
        self.said.clear();
    }

    pub(super) fn beat(&self) {
        if !self.said.is_empty() {
            self.cx.progress(self.said.clone());
        }
    }

    /// Compares the picture with those before it; every picture must pass here, or a change goes unseen.
    pub(super) fn compare(&mut self, snapshot: &Snapshot) -> Vec<Reason> {
        self.asides.look(snapshot)
    }

    /// Says why the condition does not hold yet, with what was noticed beside it.
    pub(super) async fn explain(&mut self, verdict: &Verdict, mut noticed: Vec<Reason>, snapshot: &Snapshot) {
        noticed.extend(self.drains.look(self.cx.world(), snapshot, verdict.reasons()).await);
        noticed.extend(self.machines.look(self.cx.world(), snapshot).await);
        let reasons = merged(verdict.reasons(), noticed);
        self.say(Verdict::NotYet { reasons }.to_string());
    }

    /// How long until something is to be looked at, if anything is.
    pub(super) fn pause(&self, snapshot: &Snapshot) -> Option<Duration> {
        [self.drains.pause(snapshot.now), self.machines.pause(snapshot.now)].into_iter().flatten().min()
    }
}
