//! What really happened in the cluster, for tests to hold against what should have happened.

use chrono::{DateTime, Utc};

use crate::store::{Change, ChangeKind};
use crate::world::json::{name, namespace};

/// One reboot of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reboot {
    /// The node.
    pub node: String,
    /// When its kubelet spoke again.
    pub at: DateTime<Utc>,
    /// Its new boot id.
    pub boot_id: String,
    /// The rendered config that it rebooted into.
    pub config: String,
    /// The release that it runs since.
    pub version: String,
    /// Whether the scenario asked for it, and nothing else did.
    pub scripted: bool,
}

/// How many nodes of a pool its operator had out of service at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disruption {
    /// The pool.
    pub pool: String,
    /// The moment.
    pub at: DateTime<Utc>,
    /// Nodes that were being updated.
    pub updating: usize,
    /// The most that the pool allowed.
    pub allowed: usize,
}

/// A machine that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineDeletion {
    /// The machine.
    pub machine: String,
    /// Its node; empty when it had none.
    pub node: String,
    /// When it was seen.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub by: Deleter,
}

/// Who deleted a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleter {
    /// A client of the API.
    Client,
    /// A machine health check.
    HealthCheck,
    /// The scenario.
    Scenario,
}

/// A node that a NodeHealthCheck had rebooted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remediation {
    /// The check.
    pub check: String,
    /// The node.
    pub node: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A stretch of time during which the API did not answer because a control-plane node rebooted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiOutage {
    /// When it began.
    pub from: DateTime<Utc>,
    /// When the API was back; none while it is away.
    pub to: Option<DateTime<Utc>>,
}

/// An update that the version operator accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The version.
    pub version: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Everything that tests may want to count.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Every reboot, in order.
    pub reboots: Vec<Reboot>,
    /// Every change of the number of nodes that a pool updates at once.
    pub disruptions: Vec<Disruption>,
    /// Every deleted machine.
    pub machine_deletions: Vec<MachineDeletion>,
    /// Every node that a NodeHealthCheck had rebooted.
    pub remediations: Vec<Remediation>,
    /// Every time that the API went away with a control-plane node.
    pub api_outages: Vec<ApiOutage>,
    /// Every accepted update.
    pub accepted: Vec<Accepted>,
    /// Changes of stored objects since the start.
    pub changes: u64,
    hasher: blake3::Hasher,
}

impl Ledger {
    /// A digest over every change: what, which object, when. Two runs that agree in it did the same.
    pub fn digest(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    /// Whether the scenario took this node by deleting its machine.
    pub(crate) fn lost(&self, node: &str) -> bool {
        self.machine_deletions.iter().any(|deletion| deletion.by == Deleter::Scenario && deletion.node == node)
    }

    pub(super) fn note(&mut self, change: &Change, now: DateTime<Utc>) {
        self.changes += 1;
        let kind = match change.kind {
            ChangeKind::Added => 0_u8,
            ChangeKind::Modified => 1,
            ChangeKind::Deleted => 2,
        };
        let object = &change.object;
        for part in [change.resource.plural, "/", namespace(object), "/", name(object), "\n"] {
            self.hasher.update(part.as_bytes());
        }
        self.hasher.update(&[kind]).update(&change.revision.to_le_bytes()).update(&now.timestamp_millis().to_le_bytes());
    }
}
