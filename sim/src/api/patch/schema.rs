//! How lists merge: the part of the schemas that patches need.

use crate::store::{Resource, resources};

/// How a list merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKind {
    /// As a whole.
    Atomic,
    /// By item, each item a value.
    Set,
    /// By item, each item found by these keys; strategic merge uses the first.
    Map(&'static [&'static str]),
}

/// How the list at `path` (field names, items left out) merges.
pub(super) fn list_kind(r: &Resource, path: &[&str]) -> ListKind {
    match path {
        ["metadata", "finalizers"] => ListKind::Set,
        ["metadata", "ownerReferences"] => ListKind::Map(&["uid"]),
        [.., "conditions"] => ListKind::Map(&["type"]),
        // Lists of custom resources are atomic unless their definition says otherwise.
        [.., _] if r.custom => ListKind::Atomic,
        ["spec", "ports"] if *r == resources::SERVICES => ListKind::Map(&["port", "protocol"]),
        ["status", "addresses"] => ListKind::Map(&["type"]),
        ["spec", "podCIDRs"] => ListKind::Set,
        ["status", "podIPs" | "hostIPs"] | [.., "hostAliases"] => ListKind::Map(&["ip"]),
        [.., "containers" | "initContainers" | "ephemeralContainers", "ports"] => ListKind::Map(&["containerPort", "protocol"]),
        [.., "containers" | "initContainers" | "ephemeralContainers" | "env" | "imagePullSecrets" | "volumes"] | ["secrets"] => {
            ListKind::Map(&["name"])
        }
        [.., "volumeMounts"] => ListKind::Map(&["mountPath"]),
        [.., "volumeDevices"] => ListKind::Map(&["devicePath"]),
        [.., "topologySpreadConstraints"] => ListKind::Map(&["topologyKey", "whenUnsatisfiable"]),
        [] | [.., _] => ListKind::Atomic,
    }
}
