//! What a cluster without the vendor's servers needs for an update by digest: a signature, and mirrors.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::{Cluster, Query};
use crate::release::Release;
use crate::views::{ConfigMap, ContentSourcePolicy, DigestMirrorSet, View as _};

/// Where signatures are kept.
const SIGNATURES: &str = "openshift-config-managed";
/// Without this label the cluster-version operator does not look at a signature.
const LABEL: &str = "release.openshift.io/verification-signatures";
/// Where the vendor's payloads take their images from, whatever the release image itself is called.
const COMPONENTS: &str = "quay.io/openshift-release-dev/ocp-v4.0-art-dev";

/// Sees whether a cluster without the vendor's servers can verify and fetch a release.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckDisconnected {
    /// The release.
    pub release: Release,
}

/// What a disconnected cluster has for a release, and what it lacks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Disconnected {
    /// What is missing; empty if nothing is.
    pub findings: Vec<DisconnectedFinding>,
    /// What was found.
    pub evidence: Vec<String>,
}

/// Something that a disconnected cluster lacks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DisconnectedFinding {
    /// What is missing.
    pub what: String,
    /// What to create, and how.
    pub remedy: String,
}

impl Activity for CheckDisconnected {
    const NAME: ActivityName = ActivityName::new("check-disconnected");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Disconnected;

    fn summary(&self) -> String {
        format!("look for the signature and the mirrors of {}", self.release.title())
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Disconnected, ActivityError> {
        let digest = self.release.digest().strip_prefix("sha256:").map(str::to_owned);
        let Some(digest) = digest else {
            let message = format!("{} is not named by digest; name it as REPOSITORY@sha256:…", self.release.image);
            return Err(ActivityError::permanent("not-a-digest", message));
        };
        let signature: Option<ConfigMap> = cx.world().get_metadata(Some(SIGNATURES), &signature_name(&digest)).await?;
        let sets: Vec<DigestMirrorSet> = cx.world().list_if_served(&Query::default()).await?;
        let policies: Vec<ContentSourcePolicy> = cx.world().list_if_served(&Query::default()).await?;
        let mirrors =
            sets.iter().flat_map(DigestMirrorSet::mirrors).chain(policies.iter().flat_map(ContentSourcePolicy::mirrors));
        let mirrors: Vec<(String, Vec<String>)> = mirrors.map(|(source, to)| (source.to_owned(), to.to_vec())).collect();
        Ok(judge(&self.release, &digest, signature.as_ref(), &mirrors))
    }
}

fn signature_name(digest: &str) -> String {
    format!("sha256-{digest}")
}

fn judge(release: &Release, digest: &str, signature: Option<&ConfigMap>, mirrors: &[(String, Vec<String>)]) -> Disconnected {
    let mut found = Disconnected { findings: Vec::new(), evidence: Vec::new() };
    let name = signature_name(digest);
    match signature {
        Some(map) if map.has_label(LABEL) => found.evidence.push(format!("signature {SIGNATURES}/{name} is there")),
        Some(_) => found.findings.push(DisconnectedFinding {
            what: format!("the signature {SIGNATURES}/{name} lacks the label {LABEL} and is not looked at"),
            remedy: format!("oc -n {SIGNATURES} label configmap {name} {LABEL}="),
        }),
        None => found.findings.push(DisconnectedFinding {
            what: format!("no signature for sha256:{digest} is on the cluster, so it can't be verified"),
            remedy: format!(
                "create ConfigMap {name} in {SIGNATURES} with the label {LABEL}: the mirroring wrote it to a file \
                 (signature-sha256-….json), `oc apply -f FILE`"
            ),
        }),
    }
    let repository = release.image.split('@').next().unwrap_or_default();
    let mut lacking: BTreeSet<&str> = BTreeSet::new();
    for needed in BTreeSet::from([repository, COMPONENTS]) {
        match mirrors.iter().find(|(source, to)| covers(source, needed) || to.iter().any(|mirror| covers(mirror, needed))) {
            Some((source, to)) => found.evidence.push(format!("{needed} is covered: {source} is mirrored to {}", to.join(", "))),
            None => drop(lacking.insert(needed)),
        }
    }
    found.findings.extend(lacking.into_iter().map(|needed| DisconnectedFinding {
        what: format!("no mirror is set up for {needed}"),
        remedy: format!(
            "create an ImageDigestMirrorSet with source {needed} and your registry as mirror, before any pool is paused: \
             the change rolls out to every node"
        ),
    }));
    found
}

/// Whether a mirror rule for `source` is about a repository: the same, or one below it.
fn covers(source: &str, repository: &str) -> bool {
    repository.strip_prefix(source).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_and_mirrors_are_needed_and_each_lack_says_what_to_create() {
        let digest = "ab".repeat(32);
        let release = Release::unnamed(format!("quay.io/openshift-release-dev/ocp-release@sha256:{digest}"));
        let check = |label: Option<bool>, mirrors: &[(&str, &str)], expect: &[&str]| {
            let signature = label.map(|labelled| {
                let mut map = ConfigMap::default();
                map.metadata.labels = labelled.then(|| [(LABEL.to_owned(), String::new())].into());
                map
            });
            let mirrors: Vec<(String, Vec<String>)> =
                mirrors.iter().map(|(source, to)| ((*source).to_owned(), vec![(*to).to_owned()])).collect();
            let found = judge(&release, &digest, signature.as_ref(), &mirrors);
            let what: Vec<&str> = found.findings.iter().map(|finding| finding.what.as_str()).collect();
            assert_eq!(what, expect);
            assert!(found.findings.iter().all(|finding| !finding.remedy.is_empty()));
        };
        let whole = [("quay.io/openshift-release-dev", "mirror.example.com/ocp")];
        let unsigned = format!("no signature for sha256:{digest} is on the cluster, so it can't be verified");
        let unlabelled = format!(
            "the signature openshift-config-managed/sha256-{digest} lacks the label \
             release.openshift.io/verification-signatures and is not looked at"
        );
        check(Some(true), &whole, &[]);
        check(None, &whole, &[&unsigned]);
        check(Some(false), &whole, &[&unlabelled]);
        check(
            Some(true),
            &[("quay.io/openshift-release-dev/ocp-release", "mirror.example.com/ocp")],
            &["no mirror is set up for quay.io/openshift-release-dev/ocp-v4.0-art-dev"],
        );
        // A rule is about whole path elements.
        check(
            Some(true),
            &[("quay.io/openshift-release", "m"), (COMPONENTS, "m")],
            &["no mirror is set up for quay.io/openshift-release-dev/ocp-release"],
        );
    }

    #[test]
    fn a_release_named_by_its_mirror_is_covered() {
        let release = Release::unnamed("mirror.example.com/ocp/release@sha256:aa");
        let mirrors = [("quay.io/openshift-release-dev".to_owned(), vec!["mirror.example.com/ocp".to_owned()])];
        let found = judge(&release, "aa", None, &mirrors);
        assert_eq!((found.findings.len(), found.evidence.len()), (1, 2), "{found:?}");
    }
}
