//! What goes wrong in a simulated cluster, and when.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::api::Verb;
use crate::faults::{self, ApiFault, Effect, Match};

/// Everything scripted that goes wrong: at the API server and in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// What the scenario is called.
    pub name: String,
    /// Faults of the API server and of the network before it.
    pub api: Vec<ApiFault>,
    /// Faults of the cluster itself.
    pub world: Vec<WorldFault>,
}

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
        match self {
            Self::DrainBlocked { when, .. }
            | Self::NodeStuck { when, .. }
            | Self::NodeCordoned { when, .. }
            | Self::NodeSilent { when, .. }
            | Self::OperatorDegraded { when, .. }
            | Self::OperatorSlow { when, .. }
            | Self::UpdateRefused { when, .. }
            | Self::PoolDegraded { when, .. }
            | Self::EdgeWithdrawn { when, .. }
            | Self::MachineConfigAdded { when, .. }
            | Self::PoolPaused { when, .. }
            | Self::SignerEnds { when, .. }
            | Self::EtcdSlow { when, .. } => *when,
        }
    }

    /// How long it lasts; none when it doesn't end by itself.
    pub fn minutes(&self) -> Option<f64> {
        match self {
            Self::DrainBlocked { minutes, .. }
            | Self::NodeStuck { minutes, .. }
            | Self::NodeCordoned { minutes, .. }
            | Self::NodeSilent { minutes, .. }
            | Self::OperatorDegraded { minutes, .. }
            | Self::UpdateRefused { minutes, .. }
            | Self::PoolDegraded { minutes, .. }
            | Self::PoolPaused { minutes, .. }
            | Self::EtcdSlow { minutes, .. } => *minutes,
            Self::OperatorSlow { .. }
            | Self::EdgeWithdrawn { .. }
            | Self::MachineConfigAdded { .. }
            | Self::SignerEnds { .. } => None,
        }
    }
}

/// A scenario that could not be loaded.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// The file could not be read.
    #[error("read the scenario {}: check the path, or name a built-in scenario: {}", path.display(), BUILT_IN.join(", "))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a scenario.
    #[error("read the scenario {}: {message}; correct that field", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
}

/// The names of the scenarios that need no file.
pub const BUILT_IN: [&str; 2] = ["calm", "harsh"];

impl Scenario {
    /// Nothing goes wrong.
    pub fn calm() -> Self {
        Self { name: "calm".into(), ..Self::default() }
    }

    /// Much goes wrong, and nothing that a patient operator could not wait out: slow disks, a slow and a degraded operator, a release
    /// that loads late, a drain held for over an hour, a person's cordon, a slow reboot, a machine config in the middle.
    pub fn harsh() -> Self {
        let on = |update, after_minutes| When { update: Some(update), after_minutes };
        let world = vec![
            WorldFault::UpdateRefused {
                when: When::default(),
                reason: Refusal::RetrievePayload,
                version: None,
                minutes: Some(12.0),
            },
            WorldFault::EtcdSlow { when: on(1, 0.0), factor: 1.5, minutes: Some(30.0) },
            WorldFault::OperatorSlow { when: on(1, 0.0), operator: "kube-apiserver".into(), minutes: 35.0 },
            WorldFault::NodeStuck { when: on(1, 0.0), node: "master/1".into(), minutes: Some(19.0) },
            WorldFault::OperatorDegraded {
                when: on(2, 5.0),
                operator: "monitoring".into(),
                reason: "UpdatingPrometheusFailed".into(),
                message: "UpdatingPrometheus: waiting for Prometheus object changes failed: waiting for Prometheus \
                          openshift-monitoring/k8s: expected 2 replicas, got 1 available replicas"
                    .into(),
                minutes: Some(25.0),
            },
            WorldFault::NodeCordoned { when: on(2, 30.0), node: "worker/1".into(), minutes: Some(240.0) },
            WorldFault::DrainBlocked { when: on(2, 40.0), node: "worker/0".into(), minutes: Some(300.0) },
            WorldFault::MachineConfigAdded { when: on(2, 20.0), pool: "worker".into() },
        ];
        Self { name: "harsh".into(), api: harsh_api(), world }
    }

    /// The built-in scenario of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "calm" => Some(Self::calm()),
            "harsh" => Some(Self::harsh()),
            _ => None,
        }
    }

    /// Loads a scenario: a built-in name, or a file of YAML (JSON is YAML).
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        if let Some(scenario) = path.to_str().and_then(Self::named) {
            return Ok(scenario);
        }
        let text = std::fs::read_to_string(path).map_err(|source| ScenarioError::Read { path: path.into(), source })?;
        serde_saphyr::from_str(&text).map_err(|e| ScenarioError::Parse { path: path.into(), message: e.to_string() })
    }
}

/// An API server behind a rolling control plane: busy, restarting, and now and then gone before its reply.
fn harsh_api() -> Vec<ApiFault> {
    let now_and_then = |probability, verbs: &[Verb], effect| ApiFault {
        on: Match { verbs: verbs.to_vec(), ..Match::default() },
        when: faults::When { probability: Some(probability), ..faults::When::default() },
        effect,
    };
    let answer = |code, retry_after_seconds, applied| Effect::Status { code, retry_after_seconds, applied };
    let reads = [Verb::Get, Verb::List, Verb::Watch];
    vec![
        now_and_then(0.02, &[], answer(429, Some(1), false)),
        now_and_then(0.02, &reads, answer(503, Some(2), false)),
        now_and_then(0.05, &[Verb::Patch], answer(504, None, true)),
        now_and_then(0.05, &[Verb::Patch], Effect::ResetBefore),
        now_and_then(0.05, &[Verb::Patch], Effect::ResetAfter),
        now_and_then(0.3, &[Verb::Watch], Effect::DropWatch { after_events: 200 }),
        now_and_then(0.05, &[Verb::Watch], Effect::ExpireWatch),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_read_from_yaml_and_json() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("faults.yaml");
        let yaml = "name: mine\nworld:\n- kind: drain-blocked\n  node: worker/0\n  when: {update: 2, after_minutes: 5}\n\
                    - kind: update-refused\n  reason: RetrievePayload\n  minutes: 3\n";
        for text in [yaml.to_owned(), serde_json::to_string(&Scenario::harsh()).expect("scenarios are JSON")] {
            std::fs::write(&path, &text).expect("a writable file");
            let scenario = Scenario::load(&path).expect("a scenario");
            assert!(scenario.world.len() >= 2, "{text}");
        }
        std::fs::write(&path, "world:\n- kind: earthquake\n").expect("a writable file");
        let error = Scenario::load(&path).expect_err("there is no such fault").to_string();
        assert!(error.contains("earthquake"), "{error}");
    }

    #[test]
    fn built_in_scenarios_need_no_file() {
        for name in BUILT_IN {
            assert_eq!(Scenario::load(Path::new(name)).expect("built in").name, name);
        }
        let error = Scenario::load(Path::new("no-such-file")).expect_err("there is no such file").to_string();
        assert!(error.contains("calm, harsh"), "{error}");
    }
}
