//! Objects that a shape lays over the generated ones.

use serde_json::{Value, json};

use super::json::{name, namespace, text};
use crate::store::resources::{self, NAMESPACES};
use crate::store::{ApiError, Resource, Store};

/// Merges an object into the stored one of its kind and name (RFC 7386), or stores it if there is none; its namespace comes with it.
pub(super) fn lay(store: &Store, object: &Value) -> Result<(), ApiError> {
    let (version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
    let resource = served_as(version, kind).ok_or_else(|| {
        ApiError::bad_request(format!("the object {kind} {}: apiVersion {version:?} has no such kind here", name(object)))
    })?;
    let ns = Some(namespace(object)).filter(|_| resource.namespaced);
    if store.get(resource, ns, name(object)).is_some() {
        return store.modify(resource, ns, name(object), |stored| json_patch::merge(stored, object)).map(drop);
    }
    if let Some(ns) = ns.filter(|ns| store.get(&NAMESPACES, None, ns).is_none()) {
        store.create(&NAMESPACES, json!({ "metadata": { "name": ns }, "status": { "phase": "Active" } }))?;
    }
    store.create(resource, object.clone()).map(drop)
}

/// The resource under which a kind is served.
pub(super) fn served_as(api_version: &str, kind: &str) -> Option<&'static Resource> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    resources::ALL.iter().find(|r| r.kind == kind && r.group == group && r.version == version).copied()
}
