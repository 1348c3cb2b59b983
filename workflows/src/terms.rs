//! What a person settles for an update besides where it goes: when, how carefully, and with what prepared.

use serde::{Deserialize, Serialize};
use windlass_activities::canary::CanarySpec;
use windlass_activities::credentials::CredentialsSpec;
use windlass_activities::estimate::Estimates;
use windlass_activities::health::HealthProbes;
use windlass_activities::preflight::{LongestStep, Preflight};
use windlass_activities::release::Minor;
use windlass_activities::windows::Calendar;

/// The terms of an update. Everything absent is as it was before the term existed, so that old runs replay.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// When disruptive steps may begin; at any time if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<Calendar>,
    /// The longest of these windows, in seconds, as the plan found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_window_seconds: Option<u64>,
    /// How long steps take, as the plan found; the model's figures if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimates: Option<Estimates>,
    /// Which nodes go first, watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanarySpec>,
    /// How cloud credentials are prepared before each minor release; not looked at if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsSpec>,
    /// What else must be well before each disruptive step.
    #[serde(skip_serializing_if = "HealthProbes::is_empty")]
    pub probes: HealthProbes,
    /// Products on top of the platform that a person updates after each hop.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layered: Vec<String>,
    /// The risks of conditional updates that were accepted, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accepted_risks: Vec<String>,
    /// The update service to ask, if not the one that the cluster names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Whether certificates and pause ages are watched while pools are paused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deadlines: bool,
}

impl Terms {
    /// Whether nothing was settled.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The look at the cluster before anything is changed.
    pub fn preflight(&self, target: Minor, pause_days: u32) -> Preflight {
        let longest_step = self
            .windows
            .as_ref()
            .map(|_| LongestStep { name: "update the control plane".to_owned(), p90_seconds: self.estimates().hop.p90_seconds });
        Preflight {
            accepted_risks: self.accepted_risks.clone(),
            window_seconds: self.longest_window_seconds,
            longest_step,
            ..Preflight::new(target, pause_days)
        }
    }

    /// How long steps take.
    pub(crate) fn estimates(&self) -> Estimates {
        self.estimates.clone().unwrap_or_default()
    }
}
