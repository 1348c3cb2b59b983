use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{NodeSelector, view};

/// A volume of the cluster, as far as it ties its pod to a node.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PersistentVolume {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    #[serde(deserialize_with = "super::nullable")]
    pub spec: PersistentVolumeSpec,
}
view!(PersistentVolume, Cluster, "", "v1", "PersistentVolume", "persistentvolumes");

/// What is wished of a volume.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersistentVolumeSpec {
    /// The claim that has it.
    pub claim_ref: Option<ObjectReference>,
    /// The nodes that reach it; absent is every node.
    pub node_affinity: Option<VolumeNodeAffinity>,
    /// A disk of one node.
    pub local: Option<LocalDisk>,
}

/// A disk of one node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LocalDisk {
    /// Where it is mounted.
    pub path: String,
}

/// Names an object in a namespace.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectReference {
    /// Its namespace.
    #[serde(deserialize_with = "super::nullable")]
    pub namespace: String,
    /// Its name.
    #[serde(deserialize_with = "super::nullable")]
    pub name: String,
}

/// The nodes that reach a volume.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeNodeAffinity {
    /// One of its terms must hold.
    #[serde(deserialize_with = "super::nullable")]
    pub required: NodeSelector,
}

impl PersistentVolume {
    /// The namespace and name of the claim that has it.
    pub fn claim(&self) -> Option<(&str, &str)> {
        self.spec.claim_ref.as_ref().map(|claim| (claim.namespace.as_str(), claim.name.as_str()))
    }

    /// The nodes that reach it, if not all do.
    pub fn tie(&self) -> Option<&NodeSelector> {
        self.spec.node_affinity.as_ref().map(|affinity| &affinity.required)
    }
}
