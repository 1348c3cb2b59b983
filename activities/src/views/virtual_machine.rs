use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{Condition, Status, view};

/// A running virtual machine (KubeVirt), as far as a drain meets it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VirtualMachineInstance {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: VirtualMachineInstanceSpec,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: VirtualMachineInstanceStatus,
}
view!(VirtualMachineInstance, Namespaced, "kubevirt.io", "v1", "VirtualMachineInstance", "virtualmachineinstances");

/// What is wished of a virtual machine.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VirtualMachineInstanceSpec {
    /// `LiveMigrate`, `LiveMigrateIfPossible`, `None`, `External`.
    #[serde(deserialize_with = "super::nullable")]
    pub eviction_strategy: String,
}

/// A virtual machine as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VirtualMachineInstanceStatus {
    /// The node it runs on.
    #[serde(deserialize_with = "super::nullable")]
    pub node_name: String,
    /// LiveMigratable, Ready.
    #[serde(deserialize_with = "super::nullable")]
    pub conditions: Vec<Condition>,
}

impl VirtualMachineInstance {
    /// The condition that says that it can't be moved to another node, if it does.
    pub fn immovable(&self) -> Option<&Condition> {
        self.status.conditions.iter().find(|one| one.kind == "LiveMigratable" && one.status == Status::False)
    }

    /// Whether a drain waits for it: it must be moved and can't be.
    pub fn blocks_drain(&self) -> bool {
        self.spec.eviction_strategy == "LiveMigrate" && self.immovable().is_some()
    }
}
