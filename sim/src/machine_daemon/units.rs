//! Transient systemd units on the nodes, of which only those that reboot their node do anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

use crate::containers::Output;

/// What every node's systemd has been told.
#[derive(Debug, Default)]
pub(crate) struct Units {
    armed: Mutex<BTreeMap<String, BTreeMap<String, RebootUnit>>>,
    /// The nodes that are off or boot.
    off: Mutex<BTreeSet<String>>,
    /// Since when each host runs that has rebooted.
    boots: Mutex<BTreeMap<String, DateTime<Utc>>>,
    /// Told when something was armed.
    pub(crate) news: Notify,
}

/// A timer that reboots its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RebootUnit {
    /// When it elapses.
    pub(crate) due: DateTime<Utc>,
    /// The only boot that it ends; any, if none.
    pub(crate) boot_id: Option<String>,
    /// Whether it does so whatever the node is doing: nobody asks its system.
    pub(crate) hard: bool,
}

/// A machine whose power its cloud takes away and gives back; unless it is hard, its system is asked to go down first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PowerCycle {
    /// The node that the machine is.
    pub(crate) node: String,
    /// Whether nobody asks its system.
    pub(crate) hard: bool,
}

/// The unit that stands for `shutdown -r`, of which there is one at a time.
const SHUTDOWN: &str = "systemd-shutdownd";

/// The unit that stands for what a machine's cloud does to it.
const POWER: &str = "power cycle";

impl Units {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, RebootUnit>>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `systemd-run --unit=NAME --on-active=SECONDS … /bin/sh -c SCRIPT`.
    pub(super) fn arm(&self, node: &str, arguments: &[&str], now: DateTime<Utc>) -> Output {
        let option = |name: &str| arguments.iter().find_map(|word| word.strip_prefix(name));
        let seconds = option("--on-active=").and_then(|text| text.trim_end_matches('s').parse::<i64>().ok());
        let (Some(unit), Some(seconds), Some(script)) = (option("--unit="), seconds, arguments.last()) else {
            return Output::failed(1, "Command line to execute required.\n");
        };
        if !script.contains("systemctl reboot") {
            return Output::said(format!("Running timer as unit: {unit}.timer\n"));
        }
        let mut armed = self.lock();
        let units = armed.entry(node.to_owned()).or_default();
        if units.contains_key(unit) {
            let text =
                format!("Failed to start transient timer unit: Unit {unit}.timer was already loaded or has a fragment file.\n");
            return Output::failed(1, text);
        }
        units.insert(
            unit.to_owned(),
            RebootUnit { due: now + TimeDelta::seconds(seconds), boot_id: named_boot(script), hard: false },
        );
        drop(armed);
        self.news.notify_one();
        Output {
            stderr: format!("Running timer as unit: {unit}.timer\nWill run service as unit: {unit}.service\n").into_bytes(),
            ..Output::default()
        }
    }

    /// `shutdown -r +1`.
    pub(super) fn schedule_shutdown(&self, node: &str, now: DateTime<Utc>) {
        let unit = RebootUnit { due: now + TimeDelta::seconds(60), boot_id: None, hard: false };
        self.lock().entry(node.to_owned()).or_default().insert(SHUTDOWN.to_owned(), unit);
        self.news.notify_one();
    }

    /// Has a machine's cloud reboot it.
    pub(crate) fn power_cycle(&self, cycle: &PowerCycle, now: DateTime<Utc>) {
        let due = now + TimeDelta::seconds(if cycle.hard { 1 } else { 5 });
        let unit = RebootUnit { due, boot_id: None, hard: cycle.hard };
        self.lock().entry(cycle.node.clone()).or_default().insert(POWER.to_owned(), unit);
        self.news.notify_one();
    }

    /// Whether a timer of this name waits on a node.
    pub(super) fn is_armed(&self, node: &str, unit: &str) -> bool {
        self.lock().get(node).is_some_and(|units| units.contains_key(unit.trim_end_matches(".timer")))
    }

    /// Takes the timers that have elapsed, each with its node.
    pub(crate) fn take_due(&self, now: DateTime<Utc>) -> Vec<(String, RebootUnit)> {
        let mut due = vec![];
        for (node, units) in self.lock().iter_mut() {
            let elapsed: BTreeSet<String> =
                units.iter().filter(|(_, unit)| unit.due <= now).map(|(name, _)| name.clone()).collect();
            due.extend(elapsed.iter().filter_map(|name| units.remove(name)).map(|unit| (node.clone(), unit)));
        }
        due
    }

    /// When the next one elapses.
    pub(crate) fn next_due(&self) -> Option<DateTime<Utc>> {
        self.lock().values().flat_map(BTreeMap::values).map(|unit| unit.due).min()
    }

    /// Takes note of the nodes that are off or boot, all of them.
    pub(crate) fn note_off(&self, nodes: BTreeSet<String>) {
        *self.off.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
    }

    /// Whether a node is off or boots.
    pub(super) fn is_off(&self, node: &str) -> bool {
        self.off.lock().unwrap_or_else(PoisonError::into_inner).contains(node)
    }

    /// A host runs since this moment; transient units do not outlive a boot.
    pub(crate) fn boot(&self, node: &str, at: DateTime<Utc>) {
        self.lock().remove(node);
        self.boots.lock().unwrap_or_else(PoisonError::into_inner).insert(node.to_owned(), at);
    }

    /// Since when a host runs, if it has rebooted.
    pub(super) fn runs_since(&self, node: &str) -> Option<DateTime<Utc>> {
        self.boots.lock().unwrap_or_else(PoisonError::into_inner).get(node).copied()
    }
}

/// The only boot that a script ends, if it looks for one.
fn named_boot(script: &str) -> Option<String> {
    let is_boot_id = |word: &&str| word.len() == 36 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    script.split(['"', '\'', ' ']).find(is_boot_id).map(str::to_owned)
}
