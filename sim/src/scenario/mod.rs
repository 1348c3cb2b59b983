//! What goes wrong in a simulated cluster, and when.

mod fault;
mod names;
mod terms;

pub use fault::{Pressure, Refusal, When, WorldFault};
pub use names::UnknownName;
pub use terms::Terms;

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

/// A scenario that could not be loaded.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// The file could not be read.
    #[error(
        "read the scenario {}: check the path, or name a built-in scenario: {}; or a hazard: F1 to F61",
        path.display(),
        BUILT_IN.join(", ")
    )]
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
    /// There is no hazard of this number that a simulated cluster could show.
    #[error("show hazard F{number}: {why}")]
    Hazard {
        /// The number that was asked for.
        number: u8,
        /// Why not, or which there are.
        why: String,
    },
    /// The scenario names what the cluster does not have.
    #[error(transparent)]
    Unknown(#[from] UnknownName),
}

/// The names of the scenarios that need no file.
pub const BUILT_IN: [&str; 3] = ["calm", "harsh", "clock-jump"];

/// How long the machine of the scenario `clock-jump` is suspended.
const SUSPENDED_HOURS: f64 = 24.0;

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

    /// A day passes at once, in the middle of the first update and of a drain: the machine was suspended.
    pub fn clock_jump() -> Self {
        let jump = |update, after_minutes| WorldFault::ClockJump {
            when: When { update: Some(update), after_minutes },
            hours: SUSPENDED_HOURS,
        };
        Self { name: "clock-jump".into(), world: vec![jump(1, 25.0), jump(2, 95.0)], ..Self::default() }
    }

    /// The built-in scenario of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "calm" => Some(Self::calm()),
            "harsh" => Some(Self::harsh()),
            "clock-jump" => Some(Self::clock_jump()),
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
        assert!(error.contains("calm, harsh, clock-jump"), "{error}");
    }
}
