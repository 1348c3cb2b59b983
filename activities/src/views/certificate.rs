use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{Condition, View as _, view};

/// A secret with a certificate, metadata only: the secret itself is never asked for.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsSecret {
    /// The object's metadata; the annotations say when the certificate ends.
    pub metadata: ObjectMeta,
}
view!(TlsSecret, Namespaced, "", "v1", "Secret", "secrets");

impl TlsSecret {
    /// When the certificate ends.
    pub fn not_after(&self) -> Option<DateTime<Utc>> {
        self.date("auth.openshift.io/certificate-not-after")
    }

    /// When the certificate began.
    pub fn not_before(&self) -> Option<DateTime<Utc>> {
        self.date("auth.openshift.io/certificate-not-before")
    }

    fn date(&self, key: &str) -> Option<DateTime<Utc>> {
        Some(DateTime::parse_from_rfc3339(self.annotation(key)?).ok()?.to_utc())
    }
}

/// A request for a certificate; without a verdict it keeps a node from joining.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SigningRequest {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What became of it.
    #[serde(deserialize_with = "super::nullable")]
    pub status: SigningRequestStatus,
}
view!(SigningRequest, Cluster, "certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests");

/// What became of a request for a certificate.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SigningRequestStatus {
    /// Approved, Denied, Failed; none while it waits.
    #[serde(deserialize_with = "super::nullable")]
    pub conditions: Vec<Condition>,
}
