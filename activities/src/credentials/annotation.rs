//! Telling the cluster that credentials are prepared, and waiting until it believes it.

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::state::OPERATOR;
use crate::cluster::{Cluster, Patch};
use crate::condition::{Concern, Reason, Verdict};
use crate::release::{Minor, present};
use crate::requests::{ASSUMED, patch_line};
use crate::snapshot::Snapshot;
use crate::views::{CloudCredential, ClusterVersion, Conditions as _, Status, View as _};
use crate::wait::{Wait, wait_for};

/// Names the release for which credentials are prepared. The operator ignores a value that is no version, without a word.
pub(super) const UPGRADEABLE_TO: &str = "cloudcredential.openshift.io/upgradeable-to";

/// Tells the cluster for which release its hand-kept credentials are prepared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SetUpgradeableTo {
    /// The release, a whole version: `4.17.9`.
    pub to: String,
}

/// The release that the cluster was told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UpgradeableToSet {
    /// What stands there now.
    pub to: String,
    /// What stood there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl Activity for SetUpgradeableTo {
    const NAME: ActivityName = ActivityName::new("set-upgradeable-to");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = UpgradeableToSet;

    fn summary(&self) -> String {
        format!("tell the cluster that its credentials are prepared for {}", self.to)
    }

    fn requests(&self) -> Vec<String> {
        vec![patch_line::<CloudCredential>(None, "cluster", &self.patch())]
    }

    fn assumed(&self) -> Option<UpgradeableToSet> {
        Some(UpgradeableToSet { to: self.to.clone(), before: None })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<UpgradeableToSet, ActivityError> {
        let version: ClusterVersion = cx.world().must_get(None, "version").await?;
        let credential: CloudCredential = cx.world().must_get(None, "cluster").await?;
        let before = credential.annotation(UPGRADEABLE_TO).map(str::to_owned);
        if self.is_change(&present(&version)?.version, before.as_deref())? {
            cx.world().patch::<CloudCredential>(None, "cluster", &self.patch()).await?;
            return Ok(UpgradeableToSet { to: self.to, before });
        }
        Ok(UpgradeableToSet { to: before.clone().unwrap_or(self.to), before })
    }
}

impl SetUpgradeableTo {
    fn patch(&self) -> Patch {
        Patch::Merge(json!({"metadata": {"annotations": {UPGRADEABLE_TO: self.to}}}))
    }

    /// Whether it has to be written: a later release that somebody else prepared for is left as it is.
    fn is_change(&self, here: &Version, before: Option<&str>) -> Result<bool, ActivityError> {
        let refuse = |message: String| Err(ActivityError::permanent("bad-version", message));
        let to = match self.to.parse::<Version>() {
            Ok(to) => to,
            Err(error) => return refuse(format!("{:?} is not a version ({error}); write all of it, such as 4.17.9", self.to)),
        };
        if Minor::of(&to) <= Minor::of(here) {
            let next = Minor::of(here).plus(1);
            return refuse(format!(
                "{to} is no later minor release than {here}, the cluster would ignore it; name one of {next}"
            ));
        }
        let before = before.and_then(|text| text.parse::<Version>().ok());
        Ok(before.is_none_or(|before| Minor::of(&before) < Minor::of(&to)))
    }
}

/// Waits until the cluster agrees that its credentials permit the next minor release.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitCredentialsUpgradeable {}

/// That the cluster agrees.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CredentialsUpgradeable {
    /// What was seen.
    pub evidence: String,
}

impl Activity for AwaitCredentialsUpgradeable {
    const NAME: ActivityName = ActivityName::new("await-credentials-upgradeable");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = CredentialsUpgradeable;

    fn summary(&self) -> String {
        "wait until the cluster accepts its credentials for the next minor release".to_owned()
    }

    fn assumed(&self) -> Option<CredentialsUpgradeable> {
        Some(CredentialsUpgradeable { evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<CredentialsUpgradeable, ActivityError> {
        let seen = wait_for(&cx, Wait::default(), upgradeable).await?;
        Ok(CredentialsUpgradeable { evidence: seen.evidence })
    }
}

fn upgradeable(snapshot: &Snapshot) -> Verdict {
    let Some(operator) = snapshot.operators.get(OPERATOR) else {
        return Verdict::Met { evidence: format!("the cluster has no operator {OPERATOR}") };
    };
    match operator.condition("Upgradeable") {
        Some(condition) if condition.status == Status::False => {
            // The operator needs minutes to see the annotation; every other reason is a finding of its own.
            let concern = if condition.reason == "MissingUpgradeableAnnotation" { Concern::Waiting } else { Concern::Broken };
            let what = format!("refuses the next minor release ({}): {}", condition.reason, condition.explanation());
            Verdict::not_yet(Reason::waiting(format!("operator {OPERATOR}"), what).since(condition.since()).graded(concern))
        }
        Some(_) | None => Verdict::Met { evidence: format!("operator {OPERATOR} permits the next minor release") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::{by_name, condition, healthy};
    use crate::views::ClusterOperator;

    #[test]
    fn only_a_whole_later_version_is_written() {
        let check = |to: &str, before: Option<&str>, expect: Result<bool, &str>| {
            let set = SetUpgradeableTo { to: to.to_owned() };
            let outcome = set.is_change(&"4.16.20".parse().unwrap(), before);
            assert_eq!(outcome.map_err(|error| error.message), expect.map_err(str::to_owned));
        };
        check("4.17.9", None, Ok(true));
        check("4.17.9", Some("4.16.2"), Ok(true));
        check("4.17.9", Some("4.17"), Ok(true));
        check("4.17.9", Some("4.17.1"), Ok(false));
        check("4.17.9", Some("4.18.0"), Ok(false));
        check(
            "4.17",
            None,
            Err("\"4.17\" is not a version (unexpected end of input while parsing minor version number); \
                 write all of it, such as 4.17.9"),
        );
        check(
            "4.16.25",
            None,
            Err("4.16.25 is no later minor release than 4.16.20, the cluster would ignore it; name one of 4.17"),
        );
    }

    #[test]
    fn a_missing_annotation_is_waited_for_and_anything_else_is_broken() {
        let check = |reason: Option<&str>, expect: &str| {
            let mut operator = ClusterOperator::default();
            operator.metadata.name = Some(OPERATOR.to_owned());
            operator.status.conditions.extend(reason.map(|reason| {
                let mut said = condition("Upgradeable", Status::False, "not yet");
                said.reason = reason.to_owned();
                said
            }));
            let snapshot = Snapshot { operators: by_name([operator]), ..healthy() };
            assert_eq!(upgradeable(&snapshot).to_string(), expect);
        };
        check(None, "operator cloud-credential permits the next minor release");
        check(
            Some("MissingUpgradeableAnnotation"),
            "operator cloud-credential refuses the next minor release (MissingUpgradeableAnnotation): not yet \
             (since 2026-03-01 10:00:00Z)",
        );
        check(
            Some("CredentialsFailing"),
            "!! operator cloud-credential refuses the next minor release (CredentialsFailing): not yet (since 2026-03-01 10:00:00Z)",
        );
        assert!(upgradeable(&healthy()).is_met());
    }
}
