use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::view;

/// How often one API was used in the last day, and by whom.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiRequestCount {
    /// The object's metadata; its name is `<resource>.<version>.<group>`.
    pub metadata: ObjectMeta,
    /// What was counted.
    #[serde(deserialize_with = "super::nullable")]
    pub status: ApiRequestCountStatus,
}
view!(ApiRequestCount, Cluster, "apiserver.openshift.io", "v1", "APIRequestCount", "apirequestcounts");

/// What was counted of one API.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiRequestCountStatus {
    /// The Kubernetes release that no longer has it: `1.29`; empty if none is known.
    #[serde(deserialize_with = "super::nullable")]
    pub removed_in_release: String,
    /// Requests in the last day.
    pub request_count: i64,
    /// The same by hour.
    #[serde(rename = "last24h", deserialize_with = "super::nullable")]
    pub last24h: Vec<HourlyRequests>,
}

/// Requests in one hour.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HourlyRequests {
    /// The same by control-plane node.
    #[serde(deserialize_with = "super::nullable")]
    pub by_node: Vec<NodeRequests>,
}

/// Requests that one control-plane node served.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeRequests {
    /// The same by who asked.
    #[serde(deserialize_with = "super::nullable")]
    pub by_user: Vec<UserRequests>,
}

/// Requests of one user.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserRequests {
    /// Who asked.
    #[serde(rename = "username")]
    pub user_name: String,
    /// How often.
    pub request_count: i64,
}

impl ApiRequestCount {
    /// Everyone who used it in the last day.
    pub fn users(&self) -> BTreeSet<&str> {
        let nodes = self.status.last24h.iter().flat_map(|hour| &hour.by_node);
        nodes.flat_map(|node| &node.by_user).map(|user| user.user_name.as_str()).collect()
    }

    /// The minor release of Kubernetes that no longer has it: 29 of `1.29`.
    pub fn removed_in_minor(&self) -> Option<u64> {
        self.status.removed_in_release.split('.').nth(1)?.parse().ok()
    }
}
