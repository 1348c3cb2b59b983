//! Whether the files and secrets for a release's requests are there.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::manifests;
use super::state::absent;
use crate::cluster::{Cluster, Query};
use crate::views::{CredentialsRequest, SecretRef, View as _};

/// Compares a release's requests for credentials, as they were extracted, with the files and the secrets that answer them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckCredentialFiles {
    /// Where the release's requests were extracted to.
    pub requests_dir: String,
    /// Where the manifests of the secrets are.
    pub manifests_dir: String,
    /// The cluster's platform: requests of other clouds do not count.
    pub platform: String,
    /// Whether a missing secret is a failure.
    #[serde(default)]
    pub required: bool,
}

/// How far the credentials for a release are prepared. Names only.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CredentialFiles {
    /// The release's requests; absent if they were not extracted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Vec<String>>,
    /// Requests that the cluster does not have, or has otherwise.
    pub changed: Vec<String>,
    /// Secrets, as `namespace/name`, that no manifest makes.
    pub without_file: Vec<String>,
    /// Secrets that are not on the cluster.
    pub without_secret: Vec<String>,
}

impl CredentialFiles {
    /// Whether the cluster has everything that the release asks for already.
    pub fn nothing_to_do(&self) -> bool {
        self.requests.is_some() && self.changed.is_empty() && self.without_secret.is_empty()
    }
}

impl Activity for CheckCredentialFiles {
    const NAME: ActivityName = ActivityName::new("check-credential-files");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = CredentialFiles;

    fn summary(&self) -> String {
        format!("compare the requests for credentials in {} with what is there", self.requests_dir)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<CredentialFiles, ActivityError> {
        let Some(mut wanted) = manifests::requests(Path::new(&self.requests_dir)).await? else {
            return Ok(CredentialFiles::default());
        };
        wanted.retain(|request| request.is_for(&self.platform));
        let made = manifests::secrets(Path::new(&self.manifests_dir)).await?;
        let present: Vec<CredentialsRequest> = cx.world().list_if_served(&Query::default()).await?;
        let mut found = compare(&wanted, &present, &made);
        found.without_secret = absent(cx.world(), wanted.iter().map(|request| &request.spec.secret_ref)).await?;
        if self.required && !found.without_secret.is_empty() {
            let message = format!("secrets are still missing on the cluster: {}", found.without_secret.join(", "));
            return Err(ActivityError::permanent("credentials-missing", message));
        }
        Ok(found)
    }
}

fn compare(wanted: &[CredentialsRequest], present: &[CredentialsRequest], made: &BTreeSet<SecretRef>) -> CredentialFiles {
    let same =
        |request: &&CredentialsRequest| present.iter().any(|other| other.name() == request.name() && other.spec == request.spec);
    let changed = wanted.iter().filter(|request| !same(request)).map(|request| request.name().to_owned());
    let unmade = wanted.iter().map(|request| &request.spec.secret_ref).filter(|secret| !made.contains(secret));
    CredentialFiles {
        requests: Some(wanted.iter().map(|request| request.name().to_owned()).collect()),
        changed: changed.collect(),
        without_file: unmade.map(ToString::to_string).collect(),
        without_secret: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::write;

    use serde_json::json;

    use super::*;
    use crate::testing::{Server, attempt};
    use crate::views::TlsSecret;

    fn request(name: &str, cloud: &str, action: &str) -> String {
        let spec = json!({
            "secretRef": {"namespace": format!("openshift-{name}"), "name": "cloud"},
            "providerSpec": {"kind": format!("{cloud}ProviderSpec"), "statementEntries": [{"action": [action]}]},
        });
        json!({"kind": "CredentialsRequest", "metadata": {"name": name}, "spec": spec}).to_string()
    }

    /// A server that has `ingress` as wished, and its secret; and `storage` otherwise.
    fn server() -> Server {
        let server = Server::healthy();
        for text in [request("ingress", "AWS", "dns:write"), request("storage", "AWS", "disk:read")] {
            let mut object: CredentialsRequest = serde_json::from_str(&text).unwrap();
            object.metadata.namespace = None;
            server.put(&object);
        }
        let secret = json!({"metadata": {"namespace": "openshift-ingress", "name": "cloud"}});
        server.put(&serde_json::from_value::<TlsSecret>(secret).unwrap());
        server
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_new_and_what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (requests, manifests) = (folder.path().join("requests"), folder.path().join("manifests"));
        let check = async |required: bool| {
            let cluster = server().cluster().await;
            let check = CheckCredentialFiles {
                requests_dir: requests.to_str().unwrap().to_owned(),
                manifests_dir: manifests.to_str().unwrap().to_owned(),
                platform: "AWS".to_owned(),
                required,
            };
            check.run(attempt(&cluster).0).await.map_err(|error| error.to_string())
        };
        assert_eq!(check(false).await.unwrap(), CredentialFiles::default());

        std::fs::create_dir(&requests).unwrap();
        std::fs::create_dir(&manifests).unwrap();
        write(requests.join("1.yaml"), request("ingress", "AWS", "dns:write")).unwrap();
        write(
            manifests.join("1.yaml"),
            "kind: Secret\nmetadata: {namespace: openshift-ingress, name: cloud}\nstringData: {key: hunter2}\n",
        )
        .unwrap();
        let done = check(true).await.unwrap();
        assert!(done.nothing_to_do() && done.without_file.is_empty(), "{done:?}");
        assert!(!serde_json::to_string(&done).unwrap().contains("hunter2"));

        let two = format!("{}\n---\n{}\n", request("storage", "AWS", "disk:write"), request("other", "Azure", "x"));
        write(requests.join("2.yaml"), two).unwrap();
        let gone = request("gone", "AWS", "x")
            .replace("\"name\":\"gone\"", "\"name\":\"gone\",\"annotations\":{\"release.openshift.io/delete\":\"true\"}");
        write(requests.join("3.json"), gone).unwrap();
        let open = check(false).await.unwrap();
        assert_eq!(open.requests.as_deref().unwrap(), ["ingress", "storage"]);
        assert_eq!(open.changed, ["storage"]);
        assert_eq!(open.without_file, ["openshift-storage/cloud"]);
        assert_eq!(open.without_secret, ["openshift-storage/cloud"]);
        assert!(check(true).await.unwrap_err().contains("still missing on the cluster: openshift-storage/cloud"));

        write(manifests.join("9.yaml"), "kind: [Secret\nstringData: {key: hunter2}\n").unwrap();
        let error = check(false).await.unwrap_err();
        assert!(error.contains("9.yaml is not YAML") && !error.contains("hunter2"), "{error}");
    }
}
