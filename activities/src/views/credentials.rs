use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::view;

/// How the cluster's operators get their cloud credentials.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CloudCredential {
    /// The object's metadata; an annotation says for which release credentials are prepared.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: CloudCredentialSpec,
}
view!(CloudCredential, Cluster, "operator.openshift.io", "v1", "CloudCredential", "cloudcredentials");

/// How credentials are wished to be made.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CloudCredentialSpec {
    /// `Mint`, `Passthrough`, `Manual`; empty lets the operator choose.
    #[serde(deserialize_with = "super::nullable")]
    pub credentials_mode: String,
}

/// One operator's request for cloud credentials.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CredentialsRequest {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is asked for.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: CredentialsRequestSpec,
}
view!(CredentialsRequest, Namespaced, "cloudcredential.openshift.io", "v1", "CredentialsRequest", "credentialsrequests");

/// What a request asks for.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CredentialsRequestSpec {
    /// Where the credentials are to be put.
    pub secret_ref: SecretRef,
    /// The permissions, in the cloud's own terms.
    pub provider_spec: Value,
    /// The service accounts that use them.
    #[serde(deserialize_with = "super::nullable")]
    pub service_account_names: Vec<String>,
}

/// Names a secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl CredentialsRequest {
    /// Whether the request is for a platform: the cluster holds those of all clouds.
    pub fn is_for(&self, platform: &str) -> bool {
        let kind = self.spec.provider_spec["kind"].as_str().unwrap_or_default().to_lowercase();
        kind.strip_suffix("providerspec").is_some_and(|cloud| cloud == platform.to_lowercase())
    }
}

/// The platform that a cluster stands on.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Infrastructure {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: InfrastructureStatus,
}
view!(Infrastructure, Cluster, "config.openshift.io", "v1", "Infrastructure", "infrastructures");

/// What is known of the platform.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InfrastructureStatus {
    /// The platform with its details.
    #[serde(deserialize_with = "super::nullable")]
    pub platform_status: PlatformStatus,
    /// `HighlyAvailable`, `SingleReplica`, `External`.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "String::is_empty")]
    pub control_plane_topology: String,
    /// What everything of the cluster is called by in its cloud: `ocp-7xk2p`.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "String::is_empty")]
    pub infrastructure_name: String,
}

/// Names a platform.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PlatformStatus {
    /// `AWS`, `BareMetal`, `None`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// How the cluster authenticates.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Authentication {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: AuthenticationSpec,
}
view!(Authentication, Cluster, "config.openshift.io", "v1", "Authentication", "authentications");

/// How the cluster is to authenticate.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthenticationSpec {
    /// Who signs service account tokens; set where the cloud trusts these tokens instead of stored keys.
    #[serde(deserialize_with = "super::nullable")]
    pub service_account_issuer: String,
}
