//! The scale subresource.

use serde_json::{Value, json};

use crate::store::{ApiError, Cause, Resource};

/// The scale of an object.
pub(super) fn of(r: &Resource, object: &Value) -> Value {
    let meta = &object["metadata"];
    let mut scale_meta = json!({});
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = meta.get(key) {
            scale_meta[key] = value.clone();
        }
    }
    let labels = object.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let selector: Vec<String> =
        labels.into_iter().flatten().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": scale_meta,
        "spec": { "replicas": object.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(u64::from(!r.custom)) },
        "status": {
            "replicas": object.pointer("/status/replicas").and_then(Value::as_u64).unwrap_or(0),
            "selector": selector.join(","),
        },
    })
}

/// Gives the object the scale's replicas.
pub(super) fn set(r: &Resource, object: &mut Value, scale: &Value) -> Result<(), ApiError> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let version = scale["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if !version.is_empty() && object["metadata"]["resourceVersion"] != version {
        return Err(ApiError::conflict(
            r,
            &name,
            "the object has been modified; please apply your changes to the latest version and try again",
        ));
    }
    let Some(replicas) = scale["spec"].get("replicas").map_or(Some(0), Value::as_u64) else {
        let cause = Cause::new("FieldValueInvalid", "spec.replicas", "Invalid value: must be greater than or equal to 0");
        return Err(ApiError::invalid(r, &name, &[cause]));
    };
    object["spec"]["replicas"] = json!(replicas);
    Ok(())
}
