//! Server-side apply: each manager states the fields that it wants, and owns them.

use serde_json::{Map, Value, json};

use super::super::request::ApiRequest;
use super::fields::{self, Fields};
use super::schema::{ListKind, list_kind};
use crate::store::{ApiError, Cause, Resource};

/// Who writes, through which part of the object, and when.
#[derive(Clone, Debug)]
pub(in super::super) struct Manager {
    name: String,
    subresource: Option<String>,
    time: String,
}

impl Manager {
    /// The manager that a request speaks for.
    pub(in super::super) fn of(request: &ApiRequest, time: String) -> Self {
        Self { name: request.manager(), subresource: request.target.subresource.clone(), time }
    }
}

/// One entry of `managedFields`.
struct Entry {
    manager: String,
    operation: String,
    subresource: Option<String>,
    time: Value,
    fields: Fields,
}

impl Entry {
    fn is(&self, manager: &Manager, operation: &str) -> bool {
        self.manager == manager.name && self.operation == operation && self.subresource == manager.subresource
    }

    fn new(manager: &Manager, operation: &str) -> Self {
        Self {
            manager: manager.name.clone(),
            operation: operation.to_owned(),
            subresource: manager.subresource.clone(),
            time: json!(manager.time),
            fields: Fields::new(),
        }
    }
}

/// The object as applying `config` leaves it; a conflict with other managers is an error unless forced.
pub(in super::super) fn apply(
    r: &Resource,
    current: Option<&Value>,
    config: &Value,
    manager: &Manager,
    force: bool,
) -> Result<Value, ApiError> {
    if config["metadata"].get("managedFields").is_some_and(|m| m.as_array().is_some_and(|m| !m.is_empty())) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let mut config = config.clone();
    keep_part(r, &mut config, manager.subresource.as_deref());
    let name = config["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let wanted = fields::stated(r, &config);
    let Some(current) = current else {
        let mut own = Entry::new(manager, "Apply");
        own.fields = wanted;
        write_entries(r, &mut config, vec![own]);
        return Ok(config);
    };
    let mut entries = read_entries(r, current, manager);
    let conflicts = conflicts(&mut entries, current, &config, &wanted, manager, force);
    if !conflicts.is_empty() {
        return Err(refusal(r, &name, &conflicts));
    }
    let mut object = current.clone();
    let before = entries.iter().position(|e| e.is(manager, "Apply")).map(|at| entries.remove(at));
    let kept = |path: &fields::Path| wanted.contains(path) || entries.iter().any(|e| e.fields.contains(path));
    for path in before.iter().flat_map(|e| &e.fields).filter(|path| !kept(path)) {
        fields::remove(&mut object, path);
    }
    merge(r, &mut object, &config, &mut Vec::new());
    for guard in ["uid", "resourceVersion"] {
        if let Some(value) = config["metadata"].get(guard).filter(|v| v.is_string()) {
            object["metadata"][guard] = value.clone();
        }
    }
    let unchanged_since = before.filter(|e| e.fields == wanted).map(|e| e.time);
    let own = Entry::new(manager, "Apply");
    entries.push(Entry { fields: wanted, time: unchanged_since.unwrap_or(own.time.clone()), ..own });
    write_entries(r, &mut object, entries);
    Ok(object)
}

/// Moves the ownership of what an update changed to its manager. Objects that nobody ever applied have no owners to keep.
pub(in super::super) fn note_update(r: &Resource, old: &Value, new: &mut Value, manager: &Manager) {
    if old["metadata"]["managedFields"].as_array().is_none_or(Vec::is_empty) {
        return;
    }
    let (before, after) = (fields::stated(r, old), fields::stated(r, new));
    let changed: Fields =
        after.iter().filter(|p| !before.contains(*p) || fields::get(old, p) != fields::get(new, p)).cloned().collect();
    let gone: Fields = before.difference(&after).cloned().collect();
    let is_leaf = |p: &&fields::Path| !p.last().is_some_and(|s| s.starts_with("k:")) || !before.contains(*p);
    let changed: Fields = changed.iter().filter(is_leaf).cloned().collect();
    if changed.is_empty() && gone.is_empty() {
        return;
    }
    let mut entries = read_entries(r, old, manager);
    for entry in &mut entries {
        entry.fields.retain(|p| !changed.contains(p) && !gone.contains(p));
    }
    match entries.iter_mut().find(|e| e.is(manager, "Update")) {
        Some(own) => {
            own.fields.extend(changed);
            own.time = json!(manager.time);
        }
        None => entries.push(Entry { fields: changed, ..Entry::new(manager, "Update") }),
    }
    write_entries(r, new, entries);
}

/// An apply to the main resource leaves the status alone, and one to the status all else.
fn keep_part(r: &Resource, config: &mut Value, subresource: Option<&str>) {
    let Some(map) = config.as_object_mut() else { return };
    match subresource {
        Some("status") => map.retain(|key, _| matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status")),
        Some(_) | None if r.status => _ = map.remove("status"),
        Some(_) | None => {}
    }
}

fn conflicts(
    entries: &mut [Entry],
    current: &Value,
    config: &Value,
    wanted: &Fields,
    manager: &Manager,
    force: bool,
) -> Vec<(String, fields::Path)> {
    let mut found = Vec::new();
    for entry in entries.iter_mut().filter(|e| !e.is(manager, "Apply")) {
        let owner = format!("\"{}\"", entry.manager);
        let disputed = |path: &&fields::Path| {
            let is_item = path.last().is_some_and(|s| s.starts_with("k:"));
            !is_item && wanted.contains(*path) && fields::get(current, path) != fields::get(config, path)
        };
        let disputed: Vec<fields::Path> = entry.fields.iter().filter(disputed).cloned().collect();
        if force {
            entry.fields.retain(|p| !disputed.contains(p));
        } else {
            found.extend(disputed.into_iter().map(|path| (owner.clone(), path)));
        }
    }
    found
}

fn refusal(r: &Resource, name: &str, conflicts: &[(String, fields::Path)]) -> ApiError {
    let version = r.api_version();
    let cause = |(owner, path): &(String, fields::Path)| {
        Cause::new("FieldManagerConflict", fields::show(path), format!("conflict with {owner} using {version}"))
    };
    let list: Vec<String> =
        conflicts.iter().map(|(owner, path)| format!("conflict with {owner} using {version}: {}", fields::show(path))).collect();
    let (n, s) = (conflicts.len(), if conflicts.len() == 1 { "" } else { "s" });
    let causes: Vec<Cause> = conflicts.iter().map(cause).collect();
    ApiError::new(409, "Conflict", format!("Apply failed with {n} conflict{s}: {}", list.join(", "))).about(r, name, &causes)
}

fn merge<'a>(r: &Resource, live: &mut Value, config: &'a Value, names: &mut Vec<&'a str>) {
    match config {
        Value::Object(map) => {
            if !live.is_object() {
                *live = Value::Object(Map::new());
            }
            for (key, value) in map.iter().filter(|(_, v)| !v.is_null()) {
                names.push(key);
                merge(r, &mut live[key.as_str()], value, names);
                names.pop();
            }
        }
        Value::Array(items) => {
            let kind = list_kind(r, names);
            let Some(list) = live.as_array_mut().filter(|_| kind != ListKind::Atomic) else {
                *live = config.clone();
                return;
            };
            for item in items {
                let step = fields::step(kind, item);
                match list.iter_mut().find(|have| fields::step(kind, have) == step) {
                    Some(have) => merge(r, have, item, names),
                    None => list.push(item.clone()),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => *live = config.clone(),
    }
}

/// The managers of an object. One that was never applied belongs to whoever wrote it before.
fn read_entries(r: &Resource, object: &Value, manager: &Manager) -> Vec<Entry> {
    let entries = object["metadata"]["managedFields"].as_array();
    let Some(entries) = entries.filter(|e| !e.is_empty()) else {
        let fields = fields::stated(r, object);
        let subresource = None;
        let earlier = Manager { name: "before-first-apply".to_owned(), subresource, time: manager.time.clone() };
        return vec![Entry { fields, ..Entry::new(&earlier, "Update") }];
    };
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    entries
        .iter()
        .map(|entry| Entry {
            manager: text(entry, "manager"),
            operation: text(entry, "operation"),
            subresource: entry["subresource"].as_str().map(str::to_owned),
            time: entry["time"].clone(),
            fields: fields::decode(&entry["fieldsV1"]),
        })
        .collect()
}

fn write_entries(r: &Resource, object: &mut Value, entries: Vec<Entry>) {
    let render = |entry: Entry| {
        let mut rendered = json!({
            "manager": entry.manager, "operation": entry.operation, "apiVersion": r.api_version(), "time": entry.time,
            "fieldsType": "FieldsV1", "fieldsV1": fields::encode(&entry.fields),
        });
        if let Some(subresource) = entry.subresource {
            rendered["subresource"] = json!(subresource);
        }
        rendered
    };
    object["metadata"]["managedFields"] = entries.into_iter().filter(|e| !e.fields.is_empty()).map(render).collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::resources::CONFIGMAPS;

    fn manager(name: &str) -> Manager {
        Manager { name: name.to_owned(), subresource: None, time: "2025-01-01T00:00:00Z".to_owned() }
    }

    fn config(data: &Value) -> Value {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" }, "data": data })
    }

    /// Applies each step in turn and shows what the last one left, or its error.
    fn check(steps: &[(&str, Value, bool)], expect: &Result<Value, &str>) {
        let mut object = None;
        let mut last = Ok(Value::Null);
        for (name, data, force) in steps {
            last = apply(&CONFIGMAPS, object.as_ref(), &config(data), &manager(name), *force);
            object = last.as_ref().ok().cloned().or(object);
        }
        let got = last.map(|o| o["data"].clone()).map_err(|e| e.message);
        assert_eq!(got, expect.clone().map_err(str::to_owned), "{steps:?}");
    }

    #[test]
    fn managers_share_and_dispute_fields() {
        check(&[("a", json!({ "x": "1" }), false)], &Ok(json!({ "x": "1" })));
        check(&[("a", json!({ "x": "1" }), false), ("b", json!({ "y": "2" }), false)], &Ok(json!({ "x": "1", "y": "2" })));
        check(&[("a", json!({ "x": "1" }), false), ("b", json!({ "x": "1" }), false)], &Ok(json!({ "x": "1" })));
        check(
            &[("a", json!({ "x": "1" }), false), ("b", json!({ "x": "2" }), false)],
            &Err("Apply failed with 1 conflict: conflict with \"a\" using v1: .data.x"),
        );
        check(&[("a", json!({ "x": "1" }), false), ("b", json!({ "x": "2" }), true)], &Ok(json!({ "x": "2" })));
    }

    #[test]
    fn fields_that_are_no_longer_applied_go_unless_another_owns_them() {
        check(&[("a", json!({ "x": "1", "y": "1" }), false), ("a", json!({ "x": "1" }), false)], &Ok(json!({ "x": "1" })));
        check(
            &[("a", json!({ "x": "1", "y": "1" }), false), ("b", json!({ "y": "1" }), false), ("a", json!({ "x": "1" }), false)],
            &Ok(json!({ "x": "1", "y": "1" })),
        );
        check(
            &[("a", json!({ "x": "1" }), false), ("b", json!({ "x": "2" }), true), ("a", json!({}), false)],
            &Ok(json!({ "x": "2" })),
        );
    }

    #[test]
    fn an_update_takes_ownership_of_what_it_changes() {
        let applied = apply(&CONFIGMAPS, None, &config(&json!({ "x": "1", "y": "1" })), &manager("a"), false).expect("applies");
        let mut edited = applied.clone();
        edited["data"]["x"] = json!("2");
        note_update(&CONFIGMAPS, &applied, &mut edited, &manager("editor"));
        let again = apply(&CONFIGMAPS, Some(&edited), &config(&json!({ "x": "1", "y": "3" })), &manager("a"), false);
        let error = again.expect_err("the editor owns x now");
        assert_eq!(error.message, "Apply failed with 1 conflict: conflict with \"editor\" using v1: .data.x");
        assert_eq!(error.to_status()["details"]["causes"][0]["field"], ".data.x");
    }

    #[test]
    fn what_was_never_applied_belongs_to_who_wrote_it_before() {
        let live = config(&json!({ "x": "1" }));
        let error = apply(&CONFIGMAPS, Some(&live), &config(&json!({ "x": "2" })), &manager("a"), false).expect_err("a conflict");
        assert!(error.message.contains("before-first-apply"), "{error}");
        let same = apply(&CONFIGMAPS, Some(&live), &config(&json!({ "x": "1" })), &manager("a"), false);
        assert_eq!(same.map(|o| o["data"].clone()), Ok(json!({ "x": "1" })));
    }

    #[test]
    fn applying_the_same_again_changes_nothing() {
        let first = apply(&CONFIGMAPS, None, &config(&json!({ "x": "1" })), &manager("a"), false).expect("applies");
        let later = Manager { time: "2026-01-01T00:00:00Z".to_owned(), ..manager("a") };
        assert_eq!(apply(&CONFIGMAPS, Some(&first), &config(&json!({ "x": "1" })), &later, false), Ok(first));
    }
}
