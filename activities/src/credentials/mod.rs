//! Cloud credentials: how the cluster's operators get them, and what must be prepared before a minor update.
//!
//! Source: the vendor's procedure for clusters whose credentials are kept by hand. Secrets are looked at by name only; what is
//! in them is neither read from the cluster nor recorded from files.

mod annotation;
mod ccoctl;
mod extract;
mod files;
mod manifests;
mod state;

pub use annotation::{AwaitCredentialsUpgradeable, CredentialsUpgradeable, SetUpgradeableTo, UpgradeableToSet};
pub use ccoctl::{CcoctlRan, RunCcoctl};
pub use extract::{ExtractRequests, RequestsExtracted};
pub use files::{CheckCredentialFiles, CredentialFiles};
pub use state::{CredentialsMode, CredentialsState, ReadCredentials};

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_engine::Registry;

use crate::cluster::Cluster;

/// Where a person keeps what a cluster with hand-kept credentials needs; references only, never a secret.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialsSpec {
    /// A directory with one folder for each hop (`hop-1`), in it `requests/` and `manifests/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifests_dir: Option<String>,
    /// Whether `oc` and `ccoctl` may be run, if they are there.
    #[serde(default)]
    pub use_commands: bool,
    /// What follows `ccoctl` but the directories: `["aws", "create-iam-roles", "--name=prod", …]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ccoctl_arguments: Vec<String>,
}

/// Registers the activities of this family.
pub(crate) fn register(registry: Registry, cluster: &Arc<Cluster>) -> Registry {
    registry
        .activity::<AwaitCredentialsUpgradeable>(cluster)
        .activity::<CheckCredentialFiles>(cluster)
        .activity::<ExtractRequests>(cluster)
        .activity::<ReadCredentials>(cluster)
        .activity::<RunCcoctl>(cluster)
        .activity::<SetUpgradeableTo>(cluster)
}
