use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{ObjectReference, view};

/// Who is asked before objects are accepted.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ValidatingWebhooks {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// The hooks.
    #[serde(deserialize_with = "super::nullable")]
    pub webhooks: Vec<Webhook>,
}
view!(
    ValidatingWebhooks,
    Cluster,
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations"
);

/// Who changes objects before they are accepted.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MutatingWebhooks {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// The hooks.
    #[serde(deserialize_with = "super::nullable")]
    pub webhooks: Vec<Webhook>,
}
view!(
    MutatingWebhooks,
    Cluster,
    "admissionregistration.k8s.io",
    "v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations"
);

/// One hook.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Webhook {
    /// Its name.
    #[serde(deserialize_with = "super::nullable")]
    pub name: String,
    /// `Fail`, which is the default, or `Ignore`.
    #[serde(deserialize_with = "super::nullable")]
    pub failure_policy: String,
    /// Who is asked.
    #[serde(deserialize_with = "super::nullable")]
    pub client_config: WebhookClient,
    /// What it is asked about.
    #[serde(deserialize_with = "super::nullable")]
    pub rules: Vec<WebhookRule>,
}

/// Who is asked.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WebhookClient {
    /// A service of the cluster; absent for an address outside.
    pub service: Option<ObjectReference>,
}

/// What a hook is asked about.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookRule {
    /// Resources, plural: `pods`, `pods/eviction`, `*`.
    #[serde(deserialize_with = "super::nullable")]
    pub resources: Vec<String>,
}

impl Webhook {
    /// Whether nothing it is asked about is accepted while nobody answers.
    pub fn fails_closed(&self) -> bool {
        self.failure_policy != "Ignore"
    }

    /// Whether it is asked about what a drain and the return of a node need.
    pub fn guards_drains(&self) -> bool {
        let needed = |resource: &String| {
            matches!(resource.as_str(), "*" | "*/*" | "pods" | "pods/*" | "pods/eviction" | "nodes" | "nodes/status")
        };
        self.rules.iter().flat_map(|rule| &rule.resources).any(needed)
    }
}
