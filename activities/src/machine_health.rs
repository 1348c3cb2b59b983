//! Machine health checks: paused while nodes reboot, or they delete the machines of rebooting nodes.

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, RunId};

use crate::cluster::{Cluster, Patch, Query};
use crate::error::CallError;
use crate::ids::HealthCheckName;
use crate::requests::{ASSUMED, patch_line};
use crate::views::{MachineHealthCheck, View as _};

/// Where machine health checks live.
pub(crate) const NAMESPACE: &str = "openshift-machine-api";
/// Pauses a health check, whatever its value; ours names the run.
const PAUSED: &str = "cluster.x-k8s.io/paused";
/// The platform's own check for machines that the cloud takes away; it must go on.
const TERMINATION_HANDLER: &str = "machine-api-termination-handler";

/// Lists the machine health checks that a rolling reboot would upset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ListHealthChecks {}

/// One machine health check.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Its name.
    pub name: HealthCheckName,
    /// The value of its pausing annotation, if it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
}

impl Activity for ListHealthChecks {
    const NAME: ActivityName = ActivityName::new("list-health-checks");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Vec<HealthCheck>;

    fn summary(&self) -> String {
        "list the machine health checks".to_owned()
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Vec<HealthCheck>, ActivityError> {
        Ok(health_checks(cx.world()).await?.iter().map(described).collect())
    }
}

/// Reads the machine health checks, without the platform's own; none on clusters that have no machine API.
pub(crate) async fn health_checks(cluster: &Cluster) -> Result<Vec<MachineHealthCheck>, CallError> {
    let query = Query { namespace: Some(NAMESPACE.to_owned()), ..Query::default() };
    let mut checks = cluster.list_if_served::<MachineHealthCheck>(&query).await?;
    checks.retain(|check| check.name() != TERMINATION_HANDLER);
    checks.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(checks)
}

pub(crate) fn described(check: &MachineHealthCheck) -> HealthCheck {
    HealthCheck { name: HealthCheckName::new(check.name()), paused: check.annotation(PAUSED).map(str::to_owned) }
}

/// The value by which a pause is known as a run's own.
fn owner_of(run: RunId) -> String {
    format!("windlass/{run}")
}

/// Whether a pause was set by some run of ours.
pub(crate) fn is_ours(paused: &str) -> bool {
    paused.starts_with("windlass/")
}

/// Pauses a machine health check in the name of the run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PauseHealthCheck {
    /// Which.
    pub name: HealthCheckName,
}

/// A machine health check that is paused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HealthCheckPaused {
    /// Which.
    pub name: HealthCheckName,
    /// Whether the pause is the run's own: only such a one is to be given back.
    pub ours: bool,
    /// Who paused it.
    pub paused_by: String,
}

impl Activity for PauseHealthCheck {
    const NAME: ActivityName = ActivityName::new("pause-health-check");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = HealthCheckPaused;

    fn summary(&self) -> String {
        format!("pause machine health check {}", self.name)
    }

    fn requests(&self) -> Vec<String> {
        vec![patch_line::<MachineHealthCheck>(Some(NAMESPACE), self.name.as_str(), &pause("windlass/RUN", None))]
    }

    fn assumed(&self) -> Option<HealthCheckPaused> {
        Some(HealthCheckPaused { name: self.name.clone(), ours: true, paused_by: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<HealthCheckPaused, ActivityError> {
        let owner = owner_of(cx.attempt().run);
        let name = self.name.as_str();
        let check: MachineHealthCheck = cx.world().must_get(Some(NAMESPACE), name).await?;
        if let Some(by) = check.annotation(PAUSED) {
            return Ok(HealthCheckPaused { ours: by == owner, paused_by: by.to_owned(), name: self.name });
        }
        let patch = pause(&owner, check.metadata.resource_version.as_deref());
        cx.world().patch::<MachineHealthCheck>(Some(NAMESPACE), name, &patch).await?;
        Ok(HealthCheckPaused { ours: true, paused_by: owner, name: self.name })
    }
}

/// Two who pause at the same moment must not both believe that it was them, hence the resource version.
fn pause(owner: &str, resource_version: Option<&str>) -> Patch {
    Patch::Merge(json!({"metadata": {"annotations": {PAUSED: owner}, "resourceVersion": resource_version}}))
}

/// Lets a machine health check go on, if it was this run that paused it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResumeHealthCheck {
    /// Which.
    pub name: HealthCheckName,
}

/// What became of a pause.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthCheckResumed {
    /// The check goes on.
    Resumed,
    /// It went on already.
    AlreadyActive,
    /// Somebody else paused it, it stays paused.
    PausedByOther {
        /// Who.
        paused_by: String,
    },
    /// The check no longer exists.
    Gone,
}

impl Activity for ResumeHealthCheck {
    const NAME: ActivityName = ActivityName::new("resume-health-check");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = HealthCheckResumed;

    fn summary(&self) -> String {
        format!("resume machine health check {}", self.name)
    }

    fn requests(&self) -> Vec<String> {
        vec![patch_line::<MachineHealthCheck>(Some(NAMESPACE), self.name.as_str(), &unpause("windlass/RUN"))]
    }

    fn assumed(&self) -> Option<HealthCheckResumed> {
        Some(HealthCheckResumed::Resumed)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<HealthCheckResumed, ActivityError> {
        let owner = owner_of(cx.attempt().run);
        let name = self.name.as_str();
        let found: Option<MachineHealthCheck> = cx.world().get(Some(NAMESPACE), name).await?;
        let outcome = resumption(found.as_ref(), &owner);
        if outcome == HealthCheckResumed::Resumed {
            let patch = unpause(&owner);
            cx.world().patch::<MachineHealthCheck>(Some(NAMESPACE), name, &patch).await.map_err(changed_meanwhile)?;
        }
        Ok(outcome)
    }
}

fn unpause(owner: &str) -> Patch {
    let key = format!("/metadata/annotations/{}", PAUSED.replace('/', "~1"));
    Patch::Json(json!([{"op": "test", "path": key, "value": owner}, {"op": "remove", "path": key}]))
}

fn resumption(check: Option<&MachineHealthCheck>, owner: &str) -> HealthCheckResumed {
    let Some(check) = check else { return HealthCheckResumed::Gone };
    match check.annotation(PAUSED) {
        None => HealthCheckResumed::AlreadyActive,
        Some(by) if by == owner => HealthCheckResumed::Resumed,
        Some(by) => HealthCheckResumed::PausedByOther { paused_by: by.to_owned() },
    }
}

/// A `test` that failed says that the object moved between the look and the act: look again.
pub(crate) fn changed_meanwhile(error: CallError) -> ActivityError {
    if error.is_precondition() {
        return ActivityError::transient("conflict", format!("{} changed since it was read: {error}", error.call));
    }
    error.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_runs_own_pause_is_taken_back() {
        let check = |annotation: Option<&str>, expect: HealthCheckResumed| {
            let mut found = MachineHealthCheck::default();
            let annotations = annotation.map(|value| [(PAUSED.to_owned(), value.to_owned())].into());
            found.metadata.annotations = annotations;
            assert_eq!(resumption(Some(&found), "windlass/1"), expect);
        };
        check(None, HealthCheckResumed::AlreadyActive);
        check(Some("windlass/1"), HealthCheckResumed::Resumed);
        check(Some("windlass/2"), HealthCheckResumed::PausedByOther { paused_by: "windlass/2".to_owned() });
        check(Some(""), HealthCheckResumed::PausedByOther { paused_by: String::new() });
        assert_eq!(resumption(None, "windlass/1"), HealthCheckResumed::Gone);
    }
}
