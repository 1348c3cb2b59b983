//! Metadata as the API server keeps it.

use serde_json::{Map, Value, json};

use super::{Resource, resources};

/// A string at a JSON pointer; empty when there is none.
pub(crate) fn str_at<'a>(object: &'a Value, at: &str) -> &'a str {
    object.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

/// The object's metadata, made an object when it is none.
pub(crate) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = json!({});
    }
    let meta = &mut object["metadata"];
    if !meta.is_object() {
        *meta = json!({});
    }
    meta.as_object_mut().expect("made an object above")
}

/// Metadata that only the server writes.
const SERVER_OWNED: &[&str] =
    &["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "resourceVersion"];

/// Gives `new` the server-owned metadata of `old`.
pub(super) fn keep_server_owned(old: &Value, new: &mut Value) {
    let meta = metadata(new);
    for key in SERVER_OWNED.iter().chain(&["name", "namespace"]) {
        match old["metadata"].get(*key) {
            Some(value) => meta.insert((*key).to_owned(), value.clone()),
            None => meta.remove(*key),
        };
    }
}

/// Removes the server-owned metadata of an object that is about to be created.
pub(super) fn clear_server_owned(new: &mut Value) {
    let meta = metadata(new);
    for key in SERVER_OWNED {
        meta.remove(*key);
    }
}

/// Whether anything differs that an author of the desired state wrote: all but metadata and status.
pub(super) fn spec_differs(old: &Value, new: &Value) -> bool {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return old != new };
    let of_author = |key: &str| !matches!(key, "metadata" | "status" | "apiVersion" | "kind");
    let differs = |key: &String| of_author(key) && old.get(key) != new.get(key);
    old.keys().any(differs) || new.keys().any(differs)
}

/// Adds one to the generation of an object that has one.
pub(super) fn bump_generation(r: &Resource, object: &mut Value) {
    if r.generation {
        let generation = object["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        metadata(object).insert("generation".to_owned(), json!(generation));
    }
}

/// Whether finalizers hold the object.
pub(super) fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|f| !f.is_empty())
}

/// Whether the object is being deleted and nothing holds it any more.
pub(super) fn may_vanish(object: &Value) -> bool {
    let meta = &object["metadata"];
    meta["deletionTimestamp"].is_string()
        && !has_finalizers(object)
        && meta["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        && !is_held_namespace(object)
}

/// Whether it is a namespace that is not finalized yet.
fn is_held_namespace(object: &Value) -> bool {
    let finalizers = object["spec"]["finalizers"].as_array();
    object["status"]["phase"] == "Terminating" && finalizers.is_some_and(|finalizers| !finalizers.is_empty())
}

/// Puts the status of a new object in place that a client made: none that it wrote, and of a namespace that it can be used.
pub(super) fn begin_status(r: &Resource, object: &mut Value, name: &str) {
    if r.status {
        object.as_object_mut().map(|o| o.remove("status"));
    }
    if *r == resources::NAMESPACES {
        metadata(object);
        object["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
        object["status"] = json!({ "phase": "Active" });
    } else if *r == resources::PODS {
        object["status"] = json!({ "phase": "Pending" });
    }
}
