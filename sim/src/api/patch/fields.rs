//! Sets of fields, as `managedFields` holds them (fieldsV1).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::schema::{ListKind, list_kind};
use crate::store::Resource;

/// A path to a field: steps `f:name`, `k:{"name":"x"}` (a list's item by key), `v:"x"` (an item of a set).
pub(super) type Path = Vec<String>;

/// A set of fields.
pub(super) type Fields = BTreeSet<Path>;

/// Metadata that nobody manages, because only the server writes it or it names the object.
const UNMANAGED: &[&str] = &[
    "f:name",
    "f:namespace",
    "f:generateName",
    "f:uid",
    "f:resourceVersion",
    "f:generation",
    "f:creationTimestamp",
    "f:deletionTimestamp",
    "f:deletionGracePeriodSeconds",
    "f:managedFields",
    "f:selfLink",
];

/// The fields that an object states.
pub(super) fn stated(r: &Resource, object: &Value) -> Fields {
    let mut fields = Fields::new();
    collect(r, object, &mut Vec::new(), &mut Vec::new(), &mut fields);
    fields.retain(is_managed);
    fields
}

fn is_managed(path: &Path) -> bool {
    match path.first().map(String::as_str) {
        None | Some("f:apiVersion" | "f:kind") => false,
        Some("f:metadata") => path.get(1).is_some_and(|step| !UNMANAGED.contains(&step.as_str())),
        Some(_) => true,
    }
}

fn collect<'a>(r: &Resource, value: &'a Value, names: &mut Vec<&'a str>, path: &mut Path, fields: &mut Fields) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                names.push(key);
                path.push(format!("f:{key}"));
                collect(r, value, names, path, fields);
                path.pop();
                names.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let kind = list_kind(r, names);
            if kind == ListKind::Atomic {
                fields.insert(path.clone());
                return;
            }
            for item in items {
                path.push(step(kind, item));
                fields.insert(path.clone());
                if let Value::Object(_) = item {
                    collect(r, item, names, path, fields);
                }
                path.pop();
            }
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            fields.insert(path.clone());
        }
    }
}

/// The step to an item of a list that merges by item.
pub(super) fn step(kind: ListKind, item: &Value) -> String {
    let ListKind::Map(keys) = kind else { return format!("v:{item}") };
    let mut found = Map::new();
    for key in keys {
        // A port without protocol is a TCP port.
        let default = if *key == "protocol" { json!("TCP") } else { Value::Null };
        found.insert((*key).to_owned(), item.get(*key).cloned().unwrap_or(default));
    }
    format!("k:{}", Value::Object(found))
}

fn matches(step: &str, item: &Value) -> bool {
    if let Some(value) = step.strip_prefix("v:") {
        return serde_json::from_str::<Value>(value).is_ok_and(|v| v == *item);
    }
    let keys: Map<String, Value> = step.strip_prefix("k:").and_then(|k| serde_json::from_str(k).ok()).unwrap_or_default();
    keys.iter().all(|(key, want)| match item.get(key) {
        Some(have) => have == want,
        None => want.is_null() || key == "protocol" && want == "TCP",
    })
}

/// The value at a path.
pub(super) fn get<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| match step.strip_prefix("f:") {
        Some(name) => value.get(name),
        None => value.as_array()?.iter().find(|item| matches(step, item)),
    })
}

/// Removes what is at a path, and what it leaves empty above it.
pub(super) fn remove(object: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else { return };
    let is_empty = |v: &Value| v.as_object().is_some_and(Map::is_empty) || v.as_array().is_some_and(Vec::is_empty);
    if let Some((name, map)) = step.strip_prefix("f:").zip(object.as_object_mut()) {
        let Some(value) = map.get_mut(name) else { return };
        remove(value, rest);
        if rest.is_empty() || is_empty(value) {
            map.remove(name);
        }
    } else if let Some(list) = object.as_array_mut() {
        let Some(at) = list.iter().position(|item| matches(step, item)) else { return };
        remove(&mut list[at], rest);
        if rest.is_empty() || is_empty(&list[at]) {
            list.remove(at);
        }
    }
}

/// The fieldsV1 tree of a set.
pub(super) fn encode(fields: &Fields) -> Value {
    let mut tree = Value::Object(Map::new());
    for path in fields {
        let mut node = &mut tree;
        for step in path {
            node = &mut node[step.as_str()];
            if node.is_null() {
                *node = json!({});
            }
        }
        // An item with fields of its own says with "." that it is owned itself.
        let item = path.last().is_some_and(|s| s.starts_with("k:"));
        if let Some(map) = node.as_object_mut().filter(|_| item) {
            map.insert(".".to_owned(), json!({}));
        }
    }
    tree
}

/// The set of a fieldsV1 tree.
pub(super) fn decode(tree: &Value) -> Fields {
    let mut fields = Fields::new();
    walk(tree, &mut Vec::new(), &mut fields);
    fields
}

fn walk(node: &Value, path: &mut Path, fields: &mut Fields) {
    let children = node.as_object();
    if children.is_none_or(Map::is_empty) && !path.is_empty() {
        fields.insert(path.clone());
    }
    for (step, child) in children.into_iter().flatten() {
        if step == "." {
            fields.insert(path.clone());
            continue;
        }
        path.push(step.clone());
        walk(child, path, fields);
        path.pop();
    }
}

/// A path for people: `.spec.containers[name="x"].image`.
pub(super) fn show(path: &[String]) -> String {
    path.iter().map(|step| show_step(step)).collect()
}

fn show_step(step: &str) -> String {
    if let Some(name) = step.strip_prefix("f:") {
        return format!(".{name}");
    }
    if let Some(value) = step.strip_prefix("v:") {
        return format!("[={value}]");
    }
    let keys: Map<String, Value> = step.strip_prefix("k:").and_then(|k| serde_json::from_str(k).ok()).unwrap_or_default();
    let keys: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
    format!("[{}]", keys.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::resources::PODS;

    #[test]
    fn sets_survive_their_encoding() {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "p", "labels": { "a": "1" }, "finalizers": ["x/y"] },
            "spec": { "containers": [{ "name": "c", "image": "i", "ports": [{ "containerPort": 80 }] }], "tolerations": [{ "key": "k" }] },
        });
        let fields = stated(&PODS, &pod);
        let tree = encode(&fields);
        assert_eq!(
            tree,
            json!({
                "f:metadata": { "f:labels": { "f:a": {} }, "f:finalizers": { "v:\"x/y\"": {} } },
                "f:spec": { "f:tolerations": {}, "f:containers": { "k:{\"name\":\"c\"}": {
                    ".": {}, "f:name": {}, "f:image": {},
                    "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {} } } } } },
            })
        );
        assert_eq!(decode(&tree), fields);
        assert!(fields.iter().all(|path| get(&pod, path).is_some()));
        let image = fields.iter().map(|p| show(p)).find(|p| p.ends_with("image"));
        assert_eq!(image.as_deref(), Some(".spec.containers[name=\"c\"].image"));
    }

    #[test]
    fn removal_takes_emptied_parents_along() {
        let mut object = json!({ "metadata": { "labels": { "a": "1" } }, "spec": { "containers": [{ "name": "c" }] } });
        remove(&mut object, &["f:metadata".to_owned(), "f:labels".to_owned(), "f:a".to_owned()]);
        remove(&mut object, &["f:spec".to_owned(), "f:containers".to_owned(), "k:{\"name\":\"x\"}".to_owned()]);
        assert_eq!(object, json!({ "spec": { "containers": [{ "name": "c" }] } }));
    }
}
