use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{Condition, Status, view};

/// The cluster's version: what is wished, what is being applied, and what was.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterVersion {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    pub spec: ClusterVersionSpec,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: ClusterVersionStatus,
}
view!(ClusterVersion, Cluster, "config.openshift.io", "v1", "ClusterVersion", "clusterversions");

/// What is wished of the cluster's version.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterVersionSpec {
    /// Identifies the cluster, whatever its names and addresses.
    #[serde(rename = "clusterID")]
    pub cluster_id: String,
    /// Which channel's updates are offered.
    #[serde(deserialize_with = "super::nullable")]
    pub channel: String,
    /// Where the update graph is served; the vendor's own service if absent.
    pub upstream: Option<String>,
    /// The update that was asked for last; it stays after completion.
    pub desired_update: Option<DesiredUpdate>,
    /// Objects that the operator is told to leave alone, or not.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<ComponentOverride>,
}

/// An object that the cluster-version operator is told about.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ComponentOverride {
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for cluster-scoped kinds.
    #[serde(deserialize_with = "super::nullable")]
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Left alone.
    pub unmanaged: bool,
}

/// An update as it is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DesiredUpdate {
    /// The version; the image wins over it.
    #[serde(deserialize_with = "super::nullable")]
    pub version: String,
    /// The release image by digest.
    #[serde(deserialize_with = "super::nullable")]
    pub image: String,
    /// Skips the checks of the release's signature and of Upgradeable.
    pub force: bool,
}

/// The cluster's version as it is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterVersionStatus {
    /// The release that is being reconciled now.
    pub desired: PublishedRelease,
    /// The last wish that was acted on.
    pub observed_generation: i64,
    /// What was applied, newest first.
    #[serde(deserialize_with = "super::nullable")]
    pub history: Vec<HistoryEntry>,
    /// The updates offered; absent is unknown, not none.
    pub available_updates: Option<Vec<PublishedRelease>>,
    /// Updates that are offered under conditions.
    #[serde(deserialize_with = "super::nullable")]
    pub conditional_updates: Vec<ConditionalUpdate>,
    /// Available, Progressing, Failing, ReleaseAccepted, RetrievedUpdates, Upgradeable, Invalid.
    #[serde(deserialize_with = "super::nullable")]
    pub conditions: Vec<Condition>,
}

/// A release that can be named, with the channels it is in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishedRelease {
    /// The version.
    pub version: String,
    /// The release image by digest.
    pub image: String,
    /// The channels that have it.
    #[serde(deserialize_with = "super::nullable")]
    pub channels: Channels,
    /// `Multi`, or absent for a single architecture.
    pub architecture: Option<String>,
}

/// Channel names, in the server's order.
pub type Channels = Vec<String>;

/// One release that was applied, or is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// How far it came.
    pub state: HistoryState,
    /// When it began.
    pub started_time: Option<DateTime<Utc>>,
    /// When it ended; absent while it is being applied.
    #[serde(default)]
    pub completion_time: Option<DateTime<Utc>>,
    /// The version; may be empty when the release could not be read.
    #[serde(default, deserialize_with = "super::nullable")]
    pub version: String,
    /// The release image by digest.
    pub image: String,
    /// Whether its signature was verified.
    #[serde(default)]
    pub verified: bool,
}

/// How far an update came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HistoryState {
    /// Wholly applied at least once.
    Completed,
    /// Begun; given up for another target if it has a completion time.
    Partial,
}

/// An update that is offered unless one of its risks applies.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConditionalUpdate {
    /// The release.
    pub release: PublishedRelease,
    /// What may go wrong.
    #[serde(deserialize_with = "super::nullable")]
    pub risks: Vec<ConditionalRisk>,
    /// Recommended: true, false, or unknown when a risk could not be evaluated.
    #[serde(deserialize_with = "super::nullable")]
    pub conditions: Vec<Condition>,
}

/// A known problem of an update.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConditionalRisk {
    /// Its name.
    pub name: String,
    /// What happens.
    pub message: String,
    /// Where it is described.
    #[serde(deserialize_with = "super::nullable")]
    pub url: String,
    /// Applies: whether this one risk concerns the cluster; older clusters judge only all risks of an update together.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl ConditionalUpdate {
    /// Whether the cluster recommends the update, all its risks considered.
    pub fn recommended(&self) -> Status {
        let said = self.conditions.iter().find(|condition| condition.kind == "Recommended");
        said.map(|condition| condition.status).unwrap_or_default()
    }

    /// Whether the cluster recommends the update in spite of one of its risks.
    pub fn recommended_despite(&self, risk: &ConditionalRisk) -> Status {
        match risk.conditions.iter().find(|condition| condition.kind == "Applies").map(|condition| condition.status) {
            Some(Status::True) => Status::False,
            Some(Status::False) => Status::True,
            Some(Status::Unknown) => Status::Unknown,
            None => self.recommended(),
        }
    }

    /// Whether every risk that speaks against the update is accepted by name.
    pub fn is_acceptable(&self, accepted: &[String]) -> bool {
        let objecting = |risk: &&ConditionalRisk| self.recommended_despite(risk) != Status::True;
        let mut objections = self.risks.iter().filter(objecting).peekable();
        match self.recommended() {
            Status::True => true,
            // Without a risk that could be accepted there is nothing to overrule.
            Status::False | Status::Unknown => {
                objections.peek().is_some() && objections.all(|risk| accepted.contains(&risk.name))
            }
        }
    }
}

impl ClusterVersion {
    /// Whether the status is about the present wish.
    pub fn is_observed(&self) -> bool {
        self.status.observed_generation >= self.generation_or_zero()
    }

    /// The release that was wholly applied last.
    pub fn completed(&self) -> Option<&HistoryEntry> {
        self.status.history.iter().find(|entry| entry.state == HistoryState::Completed)
    }

    /// Every update that the cluster is offered and advised to take, by either list.
    pub fn recommended(&self) -> impl Iterator<Item = &PublishedRelease> {
        self.acceptable(&[])
    }

    /// The same, and the updates whose risks are all accepted by name.
    pub fn acceptable(&self, accepted: &[String]) -> impl Iterator<Item = &PublishedRelease> {
        let conditional = self.status.conditional_updates.iter().filter(|update| update.is_acceptable(accepted));
        self.status.available_updates.iter().flatten().chain(conditional.map(|update| &update.release))
    }

    fn generation_or_zero(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }
}
