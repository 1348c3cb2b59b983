//! One thing that goes wrong in the cluster, and when.

use serde::{Deserialize, Serialize};

use super::terms::Terms;
use crate::world::graph::Applies;

/// When a fault begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Count the minutes from this accepted update (1 is the first) instead of from the start of the simulation.
    pub update: Option<u32>,
    /// Minutes to let pass.
    pub after_minutes: f64,
}

/// One thing that goes wrong in the cluster. Nodes are named, or counted as `POOL/INDEX`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum WorldFault {
    /// A pod on the node may not be evicted: its budget allows no disruption, until somebody removes the budget.
    DrainBlocked {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
        /// Minutes after which the budget goes by itself.
        minutes: Option<f64>,
    },
    /// The node's next reboot takes this long, or for ever.
    NodeStuck {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
        /// Minutes after which the node comes back.
        minutes: Option<f64>,
    },
    /// A person cordons the node.
    NodeCordoned {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
        /// Minutes after which the person uncordons it.
        minutes: Option<f64>,
    },
    /// The node's kubelet stops speaking, without a reboot.
    NodeSilent {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
        /// Minutes after which it speaks again.
        minutes: Option<f64>,
    },
    /// The node loses its power: what runs on it is gone at once, and its kubelet says nothing more.
    NodeOff {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
        /// Minutes after which it has power again, and what ran there is started.
        minutes: Option<f64>,
    },
    /// A cluster operator reports Degraded, and does not get on with an update.
    OperatorDegraded {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The cluster operator.
        operator: String,
        /// The condition's reason.
        reason: String,
        /// The condition's message.
        message: String,
        /// Minutes after which it recovers.
        minutes: Option<f64>,
    },
    /// A cluster operator takes longer over its next update.
    OperatorSlow {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The cluster operator.
        operator: String,
        /// The minutes it takes longer.
        minutes: f64,
    },
    /// The version operator cannot load the release.
    UpdateRefused {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// Why.
        reason: Refusal,
        /// The release; every one when absent.
        version: Option<String>,
        /// Minutes after its first try at which it can.
        minutes: Option<f64>,
    },
    /// A node's configuration daemon reports an error, which degrades its pool.
    PoolDegraded {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The pool.
        pool: String,
        /// What the daemon reports.
        reason: String,
        /// Minutes after which it recovers.
        minutes: Option<f64>,
    },
    /// The update service takes an update back.
    EdgeWithdrawn {
        /// When it happens.
        #[serde(default)]
        when: When,
        /// The version to update.
        from: String,
        /// The version to update to.
        to: String,
    },
    /// Somebody adds a MachineConfig, which makes the pool render again.
    MachineConfigAdded {
        /// When it happens.
        #[serde(default)]
        when: When,
        /// The pool.
        pool: String,
    },
    /// A person pauses a pool.
    PoolPaused {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The pool.
        pool: String,
        /// Minutes after which the person unpauses it.
        minutes: Option<f64>,
    },
    /// The kube-apiserver-to-kubelet signer turns out to end in this many days.
    SignerEnds {
        /// When it shows.
        #[serde(default)]
        when: When,
        /// The days that are left.
        days: i64,
    },
    /// Slow disks under etcd stretch every operator's update that starts while it lasts.
    EtcdSlow {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// How many times longer things take.
        factor: f64,
        /// Minutes after which the disks are fast again.
        minutes: Option<f64>,
    },
    /// A node's kubelet reports that it runs out of something.
    NodePressure {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
        /// What it runs out of.
        #[serde(default)]
        of: Pressure,
        /// Minutes after which it has enough again; a reboot helps, too.
        minutes: Option<f64>,
    },
    /// A kubelet's request for a serving certificate waits for approval.
    SigningRequestPending {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
        /// Minutes after which somebody approves it.
        minutes: Option<f64>,
    },
    /// The node boots twice when it is rebooted next.
    NodeRebootsTwice {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
    },
    /// A pod on the node has a finalizer that nobody takes away: evicted, it stays Terminating.
    PodStuck {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
        /// Minutes after which somebody takes the finalizer away.
        minutes: Option<f64>,
    },
    /// Somebody deletes the machine under the node.
    MachineDeleted {
        /// When it happens.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
    },
    /// Another actor uncordons the node as soon as it is being drained, once.
    NodeUncordoned {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
    },
    /// The update service says something else about the risk of a conditional update, or makes a plain one conditional.
    RiskChanged {
        /// When it happens.
        #[serde(default)]
        when: When,
        /// The version to update; every one of a minor version if it is written as `4.16`.
        from: String,
        /// The version to update to; every one of a minor version if it is written as `4.17`.
        to: String,
        /// The risk's name.
        risk: String,
        /// Whether it applies.
        applies: Applies,
    },
    /// What runs in a node's pod of ovn-central is off the network; commands in the pod still run.
    RaftCut {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
        /// Minutes after which the network is back.
        minutes: Option<f64>,
    },
    /// The servers in a node's pod of ovn-central answer no command any more; they go on otherwise.
    RaftHangs {
        /// When it begins.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
        /// Minutes after which they answer again.
        minutes: Option<f64>,
    },
    /// Both servers in a node's pod of ovn-central end as by a crash.
    RaftCrashes {
        /// When it happens.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
    },
    /// Somebody takes a node out of both databases and in again: its servers have other ids at the same address.
    RaftRejoins {
        /// When it happens.
        #[serde(default)]
        when: When,
        /// The node.
        node: String,
    },
    /// Time leaps ahead at once, as after a machine that was suspended.
    ClockJump {
        /// When it happens.
        #[serde(default)]
        when: When,
        /// How many hours.
        hours: f64,
    },
}

/// What a node runs out of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pressure {
    /// Space on its disk.
    #[default]
    Disk,
    /// Memory.
    Memory,
    /// Process ids.
    Pid,
}

/// Why a release cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The image or its signature cannot be fetched.
    RetrievePayload,
    /// The image is another version than its name says.
    VerifyPayloadVersion,
    /// The image's manifests cannot be read.
    LoadPayload,
}

impl WorldFault {
    /// When it begins.
    pub fn when(&self) -> When {
        self.terms().when
    }

    /// How long it lasts; none when it doesn't end by itself.
    pub fn minutes(&self) -> Option<f64> {
        self.terms().minutes
    }

    /// When it begins, how long it lasts, and what it names.
    pub fn terms(&self) -> Terms<'_> {
        match self {
            Self::DrainBlocked { when, node, minutes }
            | Self::NodeStuck { when, node, minutes }
            | Self::NodeCordoned { when, node, minutes }
            | Self::NodeSilent { when, node, minutes }
            | Self::NodeOff { when, node, minutes }
            | Self::NodePressure { when, node, minutes, .. }
            | Self::SigningRequestPending { when, node, minutes }
            | Self::PodStuck { when, node, minutes }
            | Self::RaftCut { when, node, minutes }
            | Self::RaftHangs { when, node, minutes } => Terms::of(*when, *minutes).node(node),
            Self::NodeRebootsTwice { when, node }
            | Self::MachineDeleted { when, node }
            | Self::NodeUncordoned { when, node }
            | Self::RaftCrashes { when, node }
            | Self::RaftRejoins { when, node } => Terms::of(*when, None).node(node),
            Self::OperatorDegraded { when, operator, minutes, .. } => Terms::of(*when, *minutes).operator(operator),
            Self::OperatorSlow { when, operator, .. } => Terms::of(*when, None).operator(operator),
            Self::UpdateRefused { when, version, minutes, .. } => Terms::of(*when, *minutes).releases(version.as_deref(), None),
            Self::PoolDegraded { when, pool, minutes, .. } | Self::PoolPaused { when, pool, minutes } => {
                Terms::of(*when, *minutes).pool(pool)
            }
            Self::MachineConfigAdded { when, pool } => Terms::of(*when, None).pool(pool),
            Self::EdgeWithdrawn { when, from, to } | Self::RiskChanged { when, from, to, .. } => {
                Terms::of(*when, None).releases(Some(from), Some(to))
            }
            Self::EtcdSlow { when, minutes, .. } => Terms::of(*when, *minutes),
            Self::SignerEnds { when, .. } | Self::ClockJump { when, .. } => Terms::of(*when, None),
        }
    }

    /// The node that it names, to be written otherwise.
    pub(super) fn node_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::DrainBlocked { node, .. }
            | Self::NodeStuck { node, .. }
            | Self::NodeCordoned { node, .. }
            | Self::NodeSilent { node, .. }
            | Self::NodeOff { node, .. }
            | Self::NodePressure { node, .. }
            | Self::SigningRequestPending { node, .. }
            | Self::PodStuck { node, .. }
            | Self::NodeRebootsTwice { node, .. }
            | Self::MachineDeleted { node, .. }
            | Self::NodeUncordoned { node, .. }
            | Self::RaftCut { node, .. }
            | Self::RaftHangs { node, .. }
            | Self::RaftCrashes { node, .. }
            | Self::RaftRejoins { node, .. } => Some(node),
            Self::OperatorDegraded { .. }
            | Self::OperatorSlow { .. }
            | Self::UpdateRefused { .. }
            | Self::PoolDegraded { .. }
            | Self::PoolPaused { .. }
            | Self::MachineConfigAdded { .. }
            | Self::EdgeWithdrawn { .. }
            | Self::RiskChanged { .. }
            | Self::EtcdSlow { .. }
            | Self::SignerEnds { .. }
            | Self::ClockJump { .. } => None,
        }
    }
}
