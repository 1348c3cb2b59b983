//! How the cluster's operators get their credentials, as far as the cluster tells.

use std::fmt;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::annotation::UPGRADEABLE_TO;
use crate::cluster::{Cluster, Query};
use crate::release::{Minor, Release, present};
use crate::views::{
    Authentication, CloudCredential, ClusterOperator, ClusterVersion, Conditions as _, CredentialsRequest, Infrastructure,
    SecretRef, Status, TlsSecret, View as _,
};

/// The operator that hands out credentials.
pub(super) const OPERATOR: &str = "cloud-credential";
/// Where a cloud's administrator credentials are kept, by platform.
const ROOT: [(&str, &str); 7] = [
    ("AWS", "aws-creds"),
    ("Azure", "azure-credentials"),
    ("GCP", "gcp-credentials"),
    ("Nutanix", "nutanix-credentials"),
    ("OpenStack", "openstack-credentials"),
    ("Ovirt", "ovirt-credentials"),
    ("VSphere", "vsphere-creds"),
];
/// What the operator found the root credentials to be good for.
const ROOT_MODE: &str = "cloudcredential.openshift.io/mode";

/// Reads how the cluster's operators get their cloud credentials.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadCredentials {}

/// How the cluster's operators get their cloud credentials.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CredentialsState {
    /// How they are made.
    pub mode: CredentialsMode,
    /// Whether the cloud trusts the cluster's own tokens, so that `ccoctl` makes the credentials.
    pub ccoctl: bool,
    /// The release for which a person said that credentials are prepared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgradeable_to: Option<String>,
    /// Why the operator refuses the next minor release, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objection: Option<String>,
    /// The platform: `AWS`, `None`.
    pub platform: String,
    /// Secrets that should be there and are not, as `namespace/name`.
    pub missing_secrets: Vec<String>,
    /// The minor release that the cluster is at.
    pub at: Minor,
}

/// How credentials are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialsMode {
    /// The operator makes them from an administrator's.
    Mint,
    /// The operator hands an administrator's out, or has nothing to hand out on this platform.
    Passthrough,
    /// A person makes them.
    Manual,
}

impl fmt::Display for CredentialsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mint => "Mint",
            Self::Passthrough => "Passthrough",
            Self::Manual => "Manual",
        })
    }
}

impl CredentialsState {
    /// Whether a person has to prepare something before the cluster may take a release: a patch release asks for nothing, and
    /// what was prepared and accepted needs no second time.
    pub fn needs_preparation(&self, release: &Release) -> bool {
        let target = self.minor_of(release);
        let prepared = self.upgradeable_to.as_deref().and_then(|to| to.parse().ok()).map(|to| Minor::of(&to));
        let prepared = prepared.is_some_and(|to| to >= target) && self.objection.is_none();
        self.mode == CredentialsMode::Manual && target > self.at && !prepared
    }

    /// The minor release to prepare for; the next one while only a digest is known.
    pub fn minor_of(&self, release: &Release) -> Minor {
        if release.is_named() { Minor::of(&release.version) } else { self.at.plus(1) }
    }
}

impl Activity for ReadCredentials {
    const NAME: ActivityName = ActivityName::new("read-credentials");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = CredentialsState;

    fn summary(&self) -> String {
        "read how the operators get their cloud credentials".to_owned()
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<CredentialsState, ActivityError> {
        let cluster = cx.world();
        let version: ClusterVersion = cluster.must_get(None, "version").await?;
        let infrastructure: Option<Infrastructure> = cluster.get(None, "cluster").await?;
        let platform = infrastructure.map(|found| found.status.platform_status.kind).unwrap_or_default();
        let root_name = ROOT.iter().find(|(name, _)| *name == platform).map(|(_, secret)| *secret);
        let root = match root_name {
            Some(name) => look_up(cluster, "kube-system", name).await?,
            None => Found::Absent,
        };
        let facts = Facts {
            at: Minor::of(&present(&version)?.version),
            credential: cluster.get(None, "cluster").await?,
            authentication: cluster.get(None, "cluster").await?,
            operator: cluster.get(None, OPERATOR).await?,
            root_name,
            root,
            platform,
        };
        let mut state = facts.state();
        if state.mode == CredentialsMode::Manual {
            state.missing_secrets = missing_secrets(cluster, &state.platform).await?;
        }
        Ok(state)
    }
}

/// The secrets that the cluster's own requests name and that are not there.
async fn missing_secrets(cluster: &Cluster, platform: &str) -> Result<Vec<String>, ActivityError> {
    let requests: Vec<CredentialsRequest> = cluster.list_if_served(&Query::default()).await?;
    let wanted = requests.iter().filter(|request| request.is_for(platform)).map(|request| &request.spec.secret_ref);
    let mut missing = absent(cluster, wanted).await?;
    missing.sort();
    Ok(missing)
}

/// Which of these secrets do not exist.
pub(super) async fn absent<'a>(
    cluster: &Cluster,
    secrets: impl Iterator<Item = &'a SecretRef>,
) -> Result<Vec<String>, ActivityError> {
    let mut missing = Vec::new();
    for secret in secrets.filter(|secret| !secret.name.is_empty()) {
        match look_up(cluster, &secret.namespace, &secret.name).await? {
            Found::Absent => missing.push(secret.to_string()),
            Found::There(_) | Found::Hidden => {}
        }
    }
    Ok(missing)
}

/// What a look for a secret brought.
enum Found {
    There(Box<TlsSecret>),
    Absent,
    /// The login may not look; most should not, and what can't be seen is not called missing.
    Hidden,
}

/// Looks for a secret, metadata only.
async fn look_up(cluster: &Cluster, namespace: &str, name: &str) -> Result<Found, ActivityError> {
    match cluster.get_metadata::<TlsSecret>(Some(namespace), name).await {
        Ok(found) => Ok(found.map_or(Found::Absent, |secret| Found::There(Box::new(secret)))),
        Err(error) if error.is_forbidden() => Ok(Found::Hidden),
        Err(error) => Err(error.into()),
    }
}

/// What the cluster tells.
struct Facts {
    at: Minor,
    credential: Option<CloudCredential>,
    authentication: Option<Authentication>,
    operator: Option<ClusterOperator>,
    root_name: Option<&'static str>,
    root: Found,
    platform: String,
}

impl Facts {
    fn state(self) -> CredentialsState {
        let wished = self.credential.as_ref().map(|found| found.spec.credentials_mode.as_str()).unwrap_or_default();
        let found = match &self.root {
            Found::There(root) => root.annotation(ROOT_MODE).unwrap_or_default(),
            Found::Absent | Found::Hidden => "",
        };
        let mode = match (wished, found, self.root_name) {
            ("Manual", ..) => CredentialsMode::Manual,
            ("Passthrough", ..) | ("", "passthrough", _) | ("", _, None) => CredentialsMode::Passthrough,
            _ => CredentialsMode::Mint,
        };
        let root_missing = self.root_name.filter(|_| matches!(self.root, Found::Absent) && mode != CredentialsMode::Manual);
        let issuer = self.authentication.map(|found| found.spec.service_account_issuer).unwrap_or_default();
        let objection = self.operator.as_ref().and_then(|operator| operator.condition("Upgradeable"));
        let objection = objection.filter(|upgradeable| upgradeable.status == Status::False);
        CredentialsState {
            mode,
            ccoctl: mode == CredentialsMode::Manual && !issuer.is_empty(),
            upgradeable_to: self.credential.as_ref().and_then(|found| found.annotation(UPGRADEABLE_TO)).map(str::to_owned),
            objection: objection.map(|upgradeable| format!("{}: {}", upgradeable.reason, upgradeable.explanation())),
            platform: self.platform,
            missing_secrets: root_missing.map(|name| format!("kube-system/{name}")).into_iter().collect(),
            at: self.at,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::condition::fixtures::release;

    fn facts(mode: &str, root: Option<&str>, issuer: &str, platform: &'static str) -> Facts {
        let root_name = ROOT.iter().find(|(name, _)| *name == platform).map(|(_, secret)| *secret);
        let from = |value| serde_json::from_value::<CloudCredential>(value).unwrap();
        Facts {
            at: "4.16".parse().unwrap(),
            credential: Some(from(json!({
                "metadata": {"name": "cluster", "annotations": {UPGRADEABLE_TO: "4.16.2"}}, "spec": {"credentialsMode": mode}
            }))),
            authentication: serde_json::from_value(json!({"spec": {"serviceAccountIssuer": issuer}})).unwrap(),
            operator: None,
            root: root.map_or(Found::Absent, |mode| {
                Found::There(Box::new(serde_json::from_value(json!({"metadata": {"annotations": {ROOT_MODE: mode}}})).unwrap()))
            }),
            root_name,
            platform: platform.to_owned(),
        }
    }

    #[test]
    fn the_mode_is_what_is_wished_or_what_the_root_credentials_are_good_for() {
        use CredentialsMode::{Manual, Mint, Passthrough};
        let check = |facts: Facts, mode: CredentialsMode, ccoctl: bool, missing: &[&str]| {
            let state = facts.state();
            assert_eq!((state.mode, state.ccoctl), (mode, ccoctl));
            assert_eq!(state.missing_secrets, missing);
        };
        check(facts("", Some("mint"), "", "AWS"), Mint, false, &[]);
        check(facts("", Some("passthrough"), "", "AWS"), Passthrough, false, &[]);
        check(facts("Mint", Some("mint"), "", "AWS"), Mint, false, &[]);
        check(facts("Mint", None, "", "AWS"), Mint, false, &["kube-system/aws-creds"]);
        check(Facts { root: Found::Hidden, ..facts("Mint", None, "", "AWS") }, Mint, false, &[]);
        check(facts("", None, "", "BareMetal"), Passthrough, false, &[]);
        check(facts("Manual", None, "", "Azure"), Manual, false, &[]);
        check(facts("Manual", None, "https://issuer.example.com", "AWS"), Manual, true, &[]);
        check(facts("Mint", Some("mint"), "https://issuer.example.com", "AWS"), Mint, false, &[]);
    }

    #[test]
    fn only_a_minor_update_of_a_hand_kept_cluster_needs_preparation() {
        let check = |mode: CredentialsMode, to: Option<&str>, objection: bool, target: &str, expect: bool| {
            let mut state = facts("Manual", None, "", "AWS").state();
            (state.mode, state.upgradeable_to) = (mode, to.map(str::to_owned));
            state.objection = objection.then(|| "MissingUpgradeableAnnotation: set it".to_owned());
            assert_eq!(state.needs_preparation(&release(target)), expect, "{mode} {to:?} {target}");
        };
        check(CredentialsMode::Mint, None, true, "4.17.9", false);
        check(CredentialsMode::Manual, None, true, "4.17.9", true);
        check(CredentialsMode::Manual, None, true, "4.16.25", false);
        check(CredentialsMode::Manual, Some("4.17.9"), false, "4.17.9", false);
        check(CredentialsMode::Manual, Some("4.17.9"), true, "4.17.9", true);
        check(CredentialsMode::Manual, Some("4.17.9"), false, "4.18.1", true);
        check(CredentialsMode::Manual, Some("v4.17"), false, "4.17.9", true);
    }
}
