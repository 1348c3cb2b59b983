//! The update of the control plane: asked for once, pinned by digest, and waited for until it is wholly there.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, Probe, Timestamp};

use crate::cluster::{Cluster, Patch};
use crate::condition::{Verdict, control_plane_done};
use crate::machine_health::changed_meanwhile;
use crate::release::Release;
use crate::requests::{ASSUMED, patch_line};
use crate::snapshot::Snapshot;
use crate::views::{ClusterVersion, HistoryEntry};
use crate::wait::{Wait, wait_for};

/// An update that was asked for and is not even taken up after this long will not be.
const TAKE_UP_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Reads what the cluster is asked to run and what it ran last: the facts by which a later request is recognised.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadUpdateState {}

/// What the cluster was asked to run and ran last, before a request of ours.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UpdateState {
    /// The update asked for last.
    pub asked: Option<AskedUpdate>,
    /// The newest entry of the history.
    pub head: Option<HistoryHead>,
    /// Counts the changes of the wish.
    pub generation: i64,
}

/// An update as it was asked for; either part may be empty.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AskedUpdate {
    /// The version.
    pub version: String,
    /// The release image.
    pub image: String,
}

/// The newest entry of a cluster's history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HistoryHead {
    /// The version.
    pub version: String,
    /// The release image.
    pub image: String,
    /// When it began.
    pub started_at: Option<Timestamp>,
}

impl Activity for ReadUpdateState {
    const NAME: ActivityName = ActivityName::new("read-update-state");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = UpdateState;

    fn summary(&self) -> String {
        "read which update the cluster was asked for last".to_owned()
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<UpdateState, ActivityError> {
        Ok(UpdateState::of(&cx.world().must_get(None, "version").await?))
    }
}

impl UpdateState {
    /// What a ClusterVersion says of it.
    pub fn of(version: &ClusterVersion) -> Self {
        let asked = version.spec.desired_update.as_ref();
        Self {
            asked: asked.map(|asked| AskedUpdate { version: asked.version.clone(), image: asked.image.clone() }),
            head: version.status.history.first().map(HistoryHead::of),
            generation: version.metadata.generation.unwrap_or_default(),
        }
    }
}

impl UpdateState {
    /// Whether a release is what the cluster was asked to run.
    pub fn asks_for(&self, release: &Release) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.image == release.image)
    }
}

impl HistoryHead {
    fn of(entry: &HistoryEntry) -> Self {
        Self { version: entry.version.clone(), image: entry.image.clone(), started_at: entry.started_time.map(Timestamp::from) }
    }
}

/// Asks the cluster for one release, by digest, if nobody asked for anything since `seen`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestUpdate {
    /// The release.
    pub release: Release,
    /// What the cluster was asked to run before.
    pub seen: UpdateState,
    /// The risks of this update that a person accepted by name, for the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted_risks: Vec<String>,
}

/// That the cluster was asked for a release.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UpdateRequested {
    /// The release.
    pub release: Release,
    /// What was seen afterwards.
    pub evidence: String,
}

impl Activity for RequestUpdate {
    const NAME: ActivityName = ActivityName::new("request-update");
    const EFFECT: Effect = Effect::Once;
    type World = Cluster;
    type Output = UpdateRequested;

    fn summary(&self) -> String {
        let asked = if self.release.is_named() {
            format!("ask the cluster to update to {} ({})", self.release.version, self.release.digest())
        } else {
            format!("ask the cluster to update to image {}", self.release.image)
        };
        match self.accepted_risks.as_slice() {
            [] => asked,
            risks => format!("{asked}, with accepted risks {}", risks.join(", ")),
        }
    }

    fn requests(&self) -> Vec<String> {
        vec![patch_line::<ClusterVersion>(None, "version", &Patch::Json(self.request(&ClusterVersion::default())))]
    }

    fn assumed(&self) -> Option<UpdateRequested> {
        Some(UpdateRequested { release: self.release.clone(), evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<UpdateRequested, ActivityError> {
        let version: ClusterVersion = cx.world().must_get(None, "version").await?;
        let evidence = match self.standing(&version) {
            Standing::Ours(evidence) => evidence,
            Standing::Foreign(evidence) => return Err(ActivityError::permanent("retargeted", evidence)),
            Standing::Untouched(_) => {
                let patch = Patch::Json(self.request(&version));
                let asked: ClusterVersion = cx.world().patch(None, "version", &patch).await.map_err(changed_meanwhile)?;
                format!("spec.desiredUpdate names it since generation {}", UpdateState::of(&asked).generation)
            }
        };
        Ok(UpdateRequested { release: self.release, evidence })
    }

    async fn probe(&self, cx: ActivityContext<Cluster>) -> Result<Probe<UpdateRequested>, ActivityError> {
        let version: ClusterVersion = cx.world().must_get(None, "version").await?;
        Ok(match self.standing(&version) {
            Standing::Ours(evidence) => {
                let output = UpdateRequested { release: self.release.clone(), evidence: evidence.clone() };
                Probe::Happened { output, evidence }
            }
            Standing::Untouched(evidence) => Probe::DidNotHappen(evidence),
            Standing::Foreign(evidence) => Probe::CannotTell(evidence),
        })
    }
}

/// How the cluster's wish stands to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Standing {
    /// It has the request.
    Ours(String),
    /// It is as it was before.
    Untouched(String),
    /// Somebody changed it otherwise.
    Foreign(String),
}

impl RequestUpdate {
    fn standing(&self, version: &ClusterVersion) -> Standing {
        let image = &self.release.image;
        let now = UpdateState::of(version);
        if now.asked.as_ref().is_some_and(|asked| asked.image == *image) {
            return Standing::Ours(format!("spec.desiredUpdate names {image}"));
        }
        if self.entries_since(version).any(|entry| entry.image == *image) {
            return Standing::Ours(format!("the history has {image}"));
        }
        if version.status.desired.image == *image {
            return Standing::Ours(format!("status.desired names {image}"));
        }
        if now.asked == self.seen.asked {
            let asked = now.asked.map_or_else(|| "nothing".to_owned(), |asked| format!("{} {}", asked.version, asked.image));
            return Standing::Untouched(format!("spec.desiredUpdate names {} as before", asked.trim()));
        }
        let shown = |asked: &Option<AskedUpdate>| {
            asked.as_ref().map_or_else(|| "nothing".to_owned(), |asked| format!("{} {}", asked.version, asked.image))
        };
        Standing::Foreign(format!(
            "somebody else changed the wished update: spec.desiredUpdate named {}, now it names {}; find out who, then plan again",
            shown(&self.seen.asked).trim(),
            shown(&now.asked).trim()
        ))
    }

    /// What the cluster began since `seen`: an older entry with the same image is an older update.
    fn entries_since<'a>(&'a self, version: &'a ClusterVersion) -> impl Iterator<Item = &'a HistoryEntry> {
        version.status.history.iter().take_while(|entry| self.seen.head.as_ref() != Some(&HistoryHead::of(entry)))
    }

    /// The smallest patch, with the wish that was read as its precondition: a repeat after somebody else's change
    /// fails instead of taking that change back.
    fn request(&self, version: &ClusterVersion) -> Value {
        let mut operations = vec![json!({
            "op": "test", "path": "/metadata/generation", "value": version.metadata.generation,
        })];
        if let Some(asked) = version.spec.desired_update.as_ref() {
            let (field, value) = if asked.image.is_empty() { ("version", &asked.version) } else { ("image", &asked.image) };
            operations.push(json!({"op": "test", "path": format!("/spec/desiredUpdate/{field}"), "value": value}));
        }
        let wish = if self.release.is_named() {
            json!({"version": self.release.version, "image": self.release.image})
        } else {
            json!({"image": self.release.image})
        };
        operations.push(json!({"op": "add", "path": "/spec/desiredUpdate", "value": wish}));
        Value::Array(operations)
    }
}

/// Waits until the control plane has wholly arrived at a release; explains what is slow or stuck, and fails when the
/// cluster refuses it or somebody else takes over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitControlPlane {
    /// The release.
    pub release: Release,
}

/// That the control plane is at a release.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ControlPlaneUpdated {
    /// The release.
    pub release: Release,
    /// When the cluster began with it.
    pub started_at: Option<Timestamp>,
    /// When the cluster called it completed.
    pub completed_at: Option<Timestamp>,
    /// What was seen.
    pub evidence: String,
}

impl Activity for AwaitControlPlane {
    const NAME: ActivityName = ActivityName::new("await-control-plane");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = ControlPlaneUpdated;

    fn summary(&self) -> String {
        format!("wait until the control plane is at {}", self.release.title())
    }

    fn assumed(&self) -> Option<ControlPlaneUpdated> {
        Some(ControlPlaneUpdated {
            release: self.release.clone(),
            started_at: None,
            completed_at: None,
            evidence: ASSUMED.to_owned(),
        })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<ControlPlaneUpdated, ActivityError> {
        let mut take_up = TakeUp::default();
        let judge = |snapshot: &Snapshot| {
            take_up.late(snapshot, &self.release, cx.now()).unwrap_or_else(|| control_plane_done(snapshot, &self.release))
        };
        let seen = wait_for(&cx, Wait::default(), judge).await?;
        let entry = seen.snapshot.version().and_then(|version| version.status.history.first());
        // Now the cluster knows the version of an image that was asked for by digest alone.
        let told = entry.and_then(|entry| entry.version.parse().ok()).filter(|_| !self.release.is_named());
        let version = told.unwrap_or(self.release.version);
        Ok(ControlPlaneUpdated {
            started_at: entry.and_then(|entry| entry.started_time).map(Timestamp::from),
            completed_at: entry.and_then(|entry| entry.completion_time).map(Timestamp::from),
            evidence: seen.evidence,
            release: Release { version, image: self.release.image },
        })
    }
}

/// Measures how long a request is left lying; by our own clock, since nothing in the cluster dates the request.
#[derive(Default)]
struct TakeUp {
    since: Option<Timestamp>,
}

impl TakeUp {
    fn late(&mut self, snapshot: &Snapshot, release: &Release, now: Timestamp) -> Option<Verdict> {
        let version = snapshot.version()?;
        let asked = version.spec.desired_update.as_ref().is_some_and(|asked| asked.image == release.image);
        if !asked || version.status.desired.image == release.image {
            self.since = None;
            return None;
        }
        if now.since(*self.since.get_or_insert(now)) < TAKE_UP_LIMIT {
            return None;
        }
        // A refusal with a reason says more than that nothing happened.
        if let refused @ Verdict::Failed { .. } = control_plane_done(snapshot, release) {
            return Some(refused);
        }
        let message = format!(
            "the cluster did not take up the update to {} within {} min and stays at {}; \
             look at the cluster-version operator's log, then retry",
            release.title(),
            TAKE_UP_LIMIT.as_secs() / 60,
            version.status.desired.version
        );
        Some(Verdict::Failed { code: "update-refused", message })
    }
}

#[cfg(test)]
mod tests;
