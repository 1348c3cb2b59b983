//! What a person settles for an update besides where it goes: when, how carefully, and with what prepared.

use serde::{Deserialize, Serialize};
use windlass_activities::canary::CanarySpec;
use windlass_activities::credentials::CredentialsSpec;
use windlass_activities::estimate::Estimates;
use windlass_activities::health::HealthProbes;
use windlass_activities::preflight::{LongestStep, Preflight};
use windlass_activities::release::Minor;
use windlass_activities::windows::{Blackout, Calendar};
use windlass_engine::Timestamp;

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
    pub fn preflight(&self, target: Minor, pause_days: u32, now: Timestamp) -> Preflight {
        let longest_step = self
            .windows
            .as_ref()
            .map(|_| LongestStep { name: "update the control plane".to_owned(), p90_seconds: self.estimates().hop.p90_seconds });
        Preflight {
            accepted_risks: self.accepted_risks.clone(),
            window_seconds: self.longest_window_seconds,
            longest_step,
            prometheus: self.probes.prometheus.clone(),
            blackout: self.windows.as_ref().and_then(|calendar| calendar.blackout_at(now)).map(Blackout::to_string),
            ..Preflight::new(target, pause_days)
        }
    }

    /// How long steps take.
    pub(crate) fn estimates(&self) -> Estimates {
        self.estimates.clone().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_look_before_knows_the_alerts_the_windows_and_the_blackout() {
        let windows = json!({"zone": "UTC", "slots": [{"days": ["sat"], "from": "22:00", "until": "06:00"}],
            "blackouts": [{"day": "2026-12-24", "reason": "shops"}]});
        let terms: Terms = serde_json::from_value(json!({"windows": windows, "longest_window_seconds": 28800,
            "probes": {"prometheus": {"url": "https://prometheus.example.com"}}}))
        .unwrap();
        // Noon of 24 December 2026, and of the day before.
        let (noon, day_before) = (1_798_113_600, 1_798_027_200);
        let look = |terms: &Terms, seconds: i64| {
            terms.preflight("4.18".parse().unwrap(), 14, Timestamp::from_micros(seconds * 1_000_000))
        };
        let before = look(&terms, day_before);
        assert_eq!(before.prometheus.as_ref(), terms.probes.prometheus.as_ref());
        assert!(before.prometheus.is_some() && before.longest_step.is_some());
        assert_eq!((before.window_seconds, before.blackout.as_deref()), (Some(28800), None));
        assert_eq!(look(&terms, noon).blackout.as_deref(), Some("2026-12-24 (shops)"));
        let plain = look(&Terms::default(), noon);
        assert_eq!(plain, Preflight::new("4.18".parse().unwrap(), 14));
    }
}
