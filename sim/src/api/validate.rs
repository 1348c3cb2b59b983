//! What the API server checks before it stores an object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::DateTime;
use serde_json::Value;

use super::request::Target;
use crate::store::{ApiError, Cause, Resource, resources};

/// The body must be an object of the resource that the path names.
pub(super) fn is_of(r: &Resource, object: &Value) -> Result<(), ApiError> {
    if !object.is_object() {
        return Err(ApiError::bad_request("the body must be a JSON object"));
    }
    let wrong = |key: &str, want: &str| object.get(key).is_some_and(|have| have != want);
    if wrong("kind", r.kind) || wrong("apiVersion", &r.api_version()) {
        let (version, kind) = (object["apiVersion"].as_str().unwrap_or_default(), object["kind"].as_str().unwrap_or_default());
        let want = format!("{}, Kind={}", r.api_version(), r.kind);
        return Err(ApiError::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}: the path serves {want}",
            r.kind
        )));
    }
    Ok(())
}

/// The namespace in the body, where there is one, must be the path's.
pub(super) fn namespace_agrees(object: &Value, ns: &str) -> Result<(), ApiError> {
    match object["metadata"]["namespace"].as_str() {
        Some(given) if !given.is_empty() && given != ns => {
            Err(ApiError::bad_request("the namespace of the provided object does not match the namespace sent on the request"))
        }
        Some(_) | None => Ok(()),
    }
}

/// A write can't move an object to another name, namespace or kind.
pub(super) fn same_place(r: &Resource, target: &Target, new: &mut Value) -> Result<(), ApiError> {
    if let Some(ns) = target.ns() {
        namespace_agrees(new, ns)?;
    }
    let name = target.name()?;
    match new["metadata"].get("name").and_then(Value::as_str) {
        Some(given) if given != name => {
            let message = format!("Invalid value: {given:?}: field is immutable");
            return Err(ApiError::invalid(r, name, &[Cause::new("FieldValueInvalid", "metadata.name", message)]));
        }
        Some(_) | None => {}
    }
    is_of(r, new)?;
    new["apiVersion"] = r.api_version().into();
    new["kind"] = r.kind.into();
    Ok(())
}

/// The name of a new object must be a DNS subdomain.
pub(super) fn new_name(r: &Resource, object: &Value) -> Result<(), ApiError> {
    const RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
        start and end with an alphanumeric character";
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = name.len() <= 253
        && name.split('.').all(|label| label.starts_with(alphanumeric) && label.ends_with(alphanumeric))
        && name.chars().all(|c| alphanumeric(c) || matches!(c, '-' | '.'));
    // Without a name the store takes generateName, or refuses.
    if name.is_empty() || good {
        return Ok(());
    }
    Err(ApiError::invalid(
        r,
        name,
        &[Cause::new("FieldValueInvalid", "metadata.name", format!("Invalid value: {name:?}: {RULE}"))],
    ))
}

#[derive(Clone, Copy)]
enum Type {
    Bool,
    Count,
    Integer,
    Time,
    Text,
    IntOrText,
    Object,
    List,
}

const TYPES: &[(&Resource, &str, Type)] = &[
    (&resources::MACHINECONFIGPOOLS, "spec.paused", Type::Bool),
    (&resources::MACHINECONFIGPOOLS, "spec.maxUnavailable", Type::IntOrText),
    (&resources::MACHINECONFIGPOOLS, "spec.configuration", Type::Object),
    (&resources::MACHINECONFIGPOOLS, "spec.nodeSelector", Type::Object),
    (&resources::CLUSTERVERSIONS, "spec.channel", Type::Text),
    (&resources::CLUSTERVERSIONS, "spec.upstream", Type::Text),
    (&resources::CLUSTERVERSIONS, "spec.clusterID", Type::Text),
    (&resources::CLUSTERVERSIONS, "spec.overrides", Type::List),
    (&resources::CLUSTERVERSIONS, "spec.desiredUpdate", Type::Object),
    (&resources::CLUSTERVERSIONS, "spec.desiredUpdate.version", Type::Text),
    (&resources::CLUSTERVERSIONS, "spec.desiredUpdate.image", Type::Text),
    (&resources::CLUSTERVERSIONS, "spec.desiredUpdate.force", Type::Bool),
    (&resources::MACHINEHEALTHCHECKS, "spec.maxUnhealthy", Type::IntOrText),
    (&resources::MACHINESETS, "spec.replicas", Type::Count),
    (&resources::NODEHEALTHCHECKS, "spec.pauseRequests", Type::List),
    (&resources::NETWORKS_OPERATOR, "spec.migration", Type::Object),
    (&resources::NODES, "spec.unschedulable", Type::Bool),
    (&resources::NODES, "spec.taints", Type::List),
    (&resources::DEPLOYMENTS, "spec.replicas", Type::Count),
    (&resources::DEPLOYMENTS, "spec.paused", Type::Bool),
    (&resources::STATEFULSETS, "spec.replicas", Type::Count),
    (&resources::REPLICASETS, "spec.replicas", Type::Count),
    (&resources::PDBS, "spec.minAvailable", Type::IntOrText),
    (&resources::PDBS, "spec.maxUnavailable", Type::IntOrText),
    (&resources::CONFIGMAPS, "data", Type::Object),
    (&resources::SECRETS, "data", Type::Object),
    (&resources::SECRETS, "type", Type::Text),
    (&resources::LEASES, "spec.holderIdentity", Type::Text),
    (&resources::LEASES, "spec.leaseDurationSeconds", Type::Integer),
    (&resources::LEASES, "spec.leaseTransitions", Type::Integer),
    (&resources::LEASES, "spec.acquireTime", Type::Time),
    (&resources::LEASES, "spec.renewTime", Type::Time),
];

/// Types of known fields, metadata, and the rules of single resources.
pub(super) fn object(r: &Resource, object: &Value) -> Result<(), ApiError> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let mut causes = Vec::new();
    for key in ["labels", "annotations"] {
        let Some(map) = object["metadata"].get(key).filter(|v| !v.is_null()) else { continue };
        texts(&format!("metadata.{key}"), map, &mut causes);
    }
    if let Some(data) = object.get("data").filter(|d| *r == resources::CONFIGMAPS && !d.is_null()) {
        texts("data", data, &mut causes);
    }
    for (_, field, kind) in TYPES.iter().filter(|(of, ..)| *of == r) {
        let value = object.pointer(&format!("/{}", field.replace('.', "/"))).filter(|v| !v.is_null());
        causes.extend(value.and_then(|v| kind.refuse(field, v)));
    }
    if *r == resources::SECRETS {
        causes.extend(encoding(object));
    }
    if !causes.is_empty() && !r.custom {
        // Built-in types fail where they are decoded, before validation.
        let cause = &causes[0];
        let message = format!(
            "{} in version {:?} cannot be handled as a {}: {}: {}",
            r.kind, r.version, r.kind, cause.field, cause.message
        );
        return Err(ApiError::bad_request(message));
    }
    causes.extend(label_syntax(object));
    causes.extend(desired_update(r, object));
    causes.extend(lease_numbers(r, object));
    causes.extend(secret_size(r, object));
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid(r, name, &causes)) }
}

fn texts(field: &str, map: &Value, causes: &mut Vec<Cause>) {
    let Some(map) = map.as_object() else {
        causes.extend(Type::Object.refuse(field, map));
        return;
    };
    causes.extend(map.iter().filter_map(|(key, value)| Type::Text.refuse(&format!("{field}.{key}"), value)));
}

impl Type {
    fn refuse(self, field: &str, value: &Value) -> Option<Cause> {
        let (good, want) = match self {
            Self::Bool => (value.is_boolean(), "boolean"),
            Self::Count => (value.is_u64(), "integer"),
            Self::Integer => (value.is_i64(), "integer"),
            Self::Time => (value.as_str().is_some_and(|time| DateTime::parse_from_rfc3339(time).is_ok()), "date-time"),
            Self::Text => (value.is_string(), "string"),
            Self::IntOrText => (value.is_string() || value.is_i64() || value.is_u64(), "integer,string"),
            Self::Object => (value.is_object(), "object"),
            Self::List => (value.is_array(), "array"),
        };
        let have = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let message = format!("Invalid value: {have:?}: {field} in body must be of type {want}: {have:?}");
        (!good).then(|| Cause::new("FieldValueTypeInvalid", field, message))
    }
}

fn label_syntax(object: &Value) -> Option<Cause> {
    const RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
        and end with an alphanumeric character";
    let bad = |value: &&str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let edge = |c: char| c.is_ascii_alphanumeric();
        let framed = value.is_empty() || value.starts_with(edge) && value.ends_with(edge);
        value.len() > 63 || !framed || !value.chars().all(inner)
    };
    let labels = object["metadata"]["labels"].as_object()?;
    let value = labels.values().filter_map(Value::as_str).find(bad)?;
    Some(Cause::new("FieldValueInvalid", "metadata.labels", format!("Invalid value: {value:?}: {RULE}")))
}

fn desired_update(r: &Resource, object: &Value) -> Option<Cause> {
    let update = object.pointer("/spec/desiredUpdate").filter(|u| *r == resources::CLUSTERVERSIONS && u.is_object())?;
    let stated = |key: &str| update[key].as_str().is_some_and(|v| !v.is_empty());
    let message = "Invalid value: \"object\": one of version and image must be set";
    (!stated("version") && !stated("image")).then(|| Cause::new("FieldValueInvalid", "spec.desiredUpdate", message))
}

fn lease_numbers(r: &Resource, object: &Value) -> Vec<Cause> {
    let spec = &object["spec"];
    let below = |field: &str, least: i64, rule: &str| {
        let value = spec[field].as_i64().filter(|value| *r == resources::LEASES && *value < least)?;
        Some(Cause::new(
            "FieldValueInvalid",
            format!("spec.{field}"),
            format!("Invalid value: {value}: must be greater than {rule}"),
        ))
    };
    let causes = [below("leaseDurationSeconds", 1, "0"), below("leaseTransitions", 0, "or equal to 0")];
    causes.into_iter().flatten().collect()
}

/// What a secret may hold, all values together.
const MAX_SECRET_BYTES: usize = 1024 * 1024;

fn values(secret: &Value) -> impl Iterator<Item = (&String, &str)> {
    secret["data"].as_object().into_iter().flatten().filter_map(|(key, value)| Some((key, value.as_str()?)))
}

/// The first value of a secret that is not base64, or no text at all.
fn encoding(secret: &Value) -> Option<Cause> {
    let illegal = |(key, value): (&String, &str)| {
        BASE64
            .decode(value)
            .err()
            .map(|error| Cause::new("FieldValueInvalid", format!("data.{key}"), format!("illegal base64 data: {error}")))
    };
    let mut other = Vec::new();
    if secret["data"].is_object() {
        texts("data", &secret["data"], &mut other);
    }
    other.into_iter().next().or_else(|| values(secret).find_map(illegal))
}

fn secret_size(r: &Resource, secret: &Value) -> Option<Cause> {
    let bytes: usize = values(secret).map(|(_, value)| value.len() / 4 * 3).sum();
    let message = format!("Too long: must have at most {MAX_SECRET_BYTES} bytes");
    (*r == resources::SECRETS && bytes > MAX_SECRET_BYTES).then(|| Cause::new("FieldValueTooLong", "data", message))
}
