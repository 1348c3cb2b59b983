use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use windlass_engine::Timestamp;

/// What a condition says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Status {
    /// It holds.
    True,
    /// It does not.
    False,
    /// The reporter does not know, or not yet.
    #[default]
    #[serde(other)]
    Unknown,
}

/// One condition of an object's status.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Its name: `Available`, `Updated`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds.
    pub status: Status,
    /// A word for programs.
    #[serde(deserialize_with = "super::nullable")]
    pub reason: String,
    /// A sentence for people.
    #[serde(deserialize_with = "super::nullable")]
    pub message: String,
    /// When `status` last changed, by the cluster's clock.
    pub last_transition_time: Option<DateTime<Utc>>,
}

impl Condition {
    /// Since when the condition says what it says.
    pub fn since(&self) -> Option<Timestamp> {
        self.last_transition_time.map(Timestamp::from)
    }

    /// The message, the reason if there is no message, `no reason given` if there is neither.
    pub fn explanation(&self) -> &str {
        [self.message.as_str(), self.reason.as_str()].into_iter().find(|text| !text.is_empty()).unwrap_or("no reason given")
    }
}

/// Objects whose status has conditions.
pub trait Conditions {
    /// All of them, in the server's order.
    fn conditions(&self) -> &[Condition];

    /// The condition of that name.
    fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions().iter().find(|condition| condition.kind == kind)
    }

    /// What the condition of that name says; absent reads as unknown.
    fn says(&self, kind: &str) -> Status {
        self.condition(kind).map(|condition| condition.status).unwrap_or_default()
    }

    /// The condition of that name, if it holds.
    fn holds(&self, kind: &str) -> Option<&Condition> {
        self.condition(kind).filter(|condition| condition.status == Status::True)
    }
}

macro_rules! conditions {
    ($($view:ty),+) => {$(
        impl Conditions for $view {
            fn conditions(&self) -> &[Condition] {
                &self.status.conditions
            }
        }
    )+};
}
conditions!(
    super::ClusterVersion,
    super::ClusterOperator,
    super::MachineConfigPool,
    super::Namespace,
    super::Node,
    super::SigningRequest
);
