//! Reading and writing the JSON of objects.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::clock::rfc3339;

/// The string at a pointer; empty when there is none.
pub(crate) fn text<'a>(object: &'a Value, at: &str) -> &'a str {
    object.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

/// The object's name.
pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// The object's namespace.
pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// The value of an annotation; empty when there is none.
pub(crate) fn annotation<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"]["annotations"][key].as_str().unwrap_or_default()
}

/// Whether an annotation is there, whatever its value.
pub(crate) fn has_annotation(object: &Value, key: &str) -> bool {
    !object["metadata"]["annotations"][key].is_null()
}

/// Sets an annotation.
pub(crate) fn annotate(object: &mut Value, key: &str, value: &str) {
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = json!({});
    }
    object["metadata"]["annotations"][key] = json!(value);
}

/// The label's value, when the label is there.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"][key].as_str()
}

/// A time written by [`rfc3339`].
pub(crate) fn time(object: &Value, at: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text(object, at)).ok().map(|t| t.to_utc())
}

/// What a condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: &'static str,
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Said {
    /// `True`, `False` or `Unknown`, with its reason and message.
    pub(crate) fn new(status: &'static str, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), message: message.into() }
    }

    /// `True` without further words.
    pub(crate) fn yes() -> Self {
        Self::new("True", "", "")
    }

    /// `False` without further words.
    pub(crate) fn no() -> Self {
        Self::new("False", "", "")
    }
}

/// Sets a condition in `status.conditions`; the transition time moves only with the status.
pub(crate) fn set_condition(object: &mut Value, kind: &str, said: &Said, now: DateTime<Utc>) {
    if !object["status"]["conditions"].is_array() {
        object["status"]["conditions"] = json!([]);
    }
    let Some(list) = object["status"]["conditions"].as_array_mut() else { return };
    let fresh = |since: &str| {
        let mut condition = Map::new();
        condition.insert("type".into(), json!(kind));
        condition.insert("status".into(), json!(said.status));
        condition.insert("lastTransitionTime".into(), json!(since));
        if !said.reason.is_empty() {
            condition.insert("reason".into(), json!(said.reason));
        }
        if !said.message.is_empty() {
            condition.insert("message".into(), json!(said.message));
        }
        Value::Object(condition)
    };
    match list.iter_mut().find(|c| c["type"] == kind) {
        Some(old) => {
            let same = old["status"] == said.status;
            let since = if same { text(old, "/lastTransitionTime").to_owned() } else { rfc3339(now) };
            *old = fresh(&since);
        }
        None => list.push(fresh(&rfc3339(now))),
    }
}

/// Removes a condition from `status.conditions`.
pub(crate) fn drop_condition(object: &mut Value, kind: &str) {
    if let Some(list) = object["status"]["conditions"].as_array_mut() {
        list.retain(|c| c["type"] != kind);
    }
}

/// The condition of this type.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == kind)
}

/// Whether the condition of this type has this status.
pub(crate) fn condition_is(object: &Value, kind: &str, status: &str) -> bool {
    condition(object, kind).is_some_and(|c| c["status"] == status)
}

/// Whether a node's kubelet says that it is ready.
pub(crate) fn node_ready(node: &Value) -> bool {
    condition_is(node, "Ready", "True")
}

/// Whether a node takes no new pods.
pub(crate) fn cordoned(node: &Value) -> bool {
    node["spec"]["unschedulable"] == true
}

/// Whether a label selector (`matchLabels` and `matchExpressions`) selects these labels.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let equal = selector["matchLabels"].as_object().is_none_or(|m| m.iter().all(|(k, v)| labels.get(k) == Some(v)));
    let expressions = selector["matchExpressions"].as_array().is_none_or(|all| all.iter().all(|e| expression_holds(e, labels)));
    equal && expressions
}

fn expression_holds(expression: &Value, labels: &Value) -> bool {
    let value = labels.get(text(expression, "/key"));
    let listed = || expression["values"].as_array().is_some_and(|all| value.is_some_and(|v| all.contains(v)));
    match text(expression, "/operator") {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_time_moves_only_with_the_status() {
        let at = |s| DateTime::from_timestamp(s, 0).expect("a valid time");
        let mut object = json!({});
        set_condition(&mut object, "Ready", &Said::yes(), at(0));
        set_condition(&mut object, "Ready", &Said::new("True", "KubeletReady", "posting"), at(60));
        assert_eq!(condition(&object, "Ready").map(|c| text(c, "/lastTransitionTime")), Some("1970-01-01T00:00:00Z"));
        set_condition(&mut object, "Ready", &Said::no(), at(60));
        assert_eq!(condition(&object, "Ready").map(|c| text(c, "/lastTransitionTime")), Some("1970-01-01T00:01:00Z"));
        drop_condition(&mut object, "Ready");
        assert!(condition(&object, "Ready").is_none());
    }

    #[test]
    fn selectors_select() {
        let labels = json!({ "app": "shop", "tier": "web" });
        for (selector, expected) in [
            (json!({}), true),
            (json!({ "matchLabels": { "app": "shop" } }), true),
            (json!({ "matchLabels": { "app": "bank" } }), false),
            (json!({ "matchExpressions": [{ "key": "tier", "operator": "In", "values": ["web", "db"] }] }), true),
            (json!({ "matchExpressions": [{ "key": "tier", "operator": "NotIn", "values": ["web"] }] }), false),
            (json!({ "matchExpressions": [{ "key": "zone", "operator": "DoesNotExist" }] }), true),
            (json!({ "matchLabels": { "app": "shop" }, "matchExpressions": [{ "key": "zone", "operator": "Exists" }] }), false),
        ] {
            assert_eq!(selects(&selector, &labels), expected, "{selector}");
        }
    }
}
