//! Strategic merge patch.

use serde_json::{Map, Value};

use super::schema::{ListKind, list_kind};
use crate::store::{ApiError, Resource};

/// Merges a strategic patch into an object.
pub(super) fn merge(r: &Resource, object: &mut Value, patch: &Value) -> Result<(), ApiError> {
    let Some(patch) = patch.as_object() else {
        return Err(ApiError::bad_request("error decoding patch: a strategic merge patch is a JSON object"));
    };
    Merger { r, path: Vec::new() }.object(object, patch)
}

struct Merger<'a> {
    r: &'a Resource,
    path: Vec<&'a str>,
}

impl<'a> Merger<'a> {
    fn object(&mut self, target: &mut Value, patch: &'a Map<String, Value>) -> Result<(), ApiError> {
        if !target.is_object() {
            *target = Value::Object(Map::new());
        }
        let Some(map) = target.as_object_mut() else { return Ok(()) };
        match patch.get("$patch").and_then(Value::as_str) {
            Some("replace") => {
                map.clear();
                map.extend(patch.iter().filter(|(k, _)| *k != "$patch").map(|(k, v)| (k.clone(), v.clone())));
                return Ok(());
            }
            Some("delete") => {
                map.clear();
                return Ok(());
            }
            Some("merge") | None => {}
            Some(other) => return Err(ApiError::bad_request(format!("unknown $patch directive {other:?}"))),
        }
        if let Some(keep) = patch.get("$retainKeys").and_then(Value::as_array) {
            map.retain(|key, _| keep.iter().any(|k| k == key));
        }
        for (key, value) in patch {
            if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
                if let (Some(list), Some(gone)) = (map.get_mut(field).and_then(Value::as_array_mut), value.as_array()) {
                    list.retain(|item| !gone.contains(item));
                }
            } else if !key.starts_with('$') {
                self.field(map, key, value)?;
            }
        }
        for (key, order) in patch {
            let Some((field, order)) = key.strip_prefix("$setElementOrder/").zip(order.as_array()) else { continue };
            if let Some(list) = map.get_mut(field).and_then(Value::as_array_mut) {
                self.path.push(field);
                reorder(list, order, list_kind(self.r, &self.path));
                self.path.pop();
            }
        }
        Ok(())
    }

    fn field(&mut self, map: &mut Map<String, Value>, key: &'a str, value: &'a Value) -> Result<(), ApiError> {
        self.path.push(key);
        match value {
            Value::Null => _ = map.remove(key),
            Value::Object(patch) if patch.get("$patch").is_some_and(|d| d == "delete") => _ = map.remove(key),
            Value::Object(patch) => self.object(map.entry(key).or_insert(Value::Null), patch)?,
            Value::Array(items) => self.list(map.entry(key).or_insert_with(|| Value::Array(Vec::new())), items)?,
            Value::Bool(_) | Value::Number(_) | Value::String(_) => _ = map.insert(key.to_owned(), value.clone()),
        }
        self.path.pop();
        Ok(())
    }

    fn list(&mut self, target: &mut Value, items: &'a [Value]) -> Result<(), ApiError> {
        let kind = list_kind(self.r, &self.path);
        let replaces = items.iter().any(|i| i["$patch"] == "replace");
        let Some(list) = target.as_array_mut().filter(|_| !replaces && kind != ListKind::Atomic) else {
            *target = items.iter().filter(|i| i["$patch"] != "replace").cloned().collect();
            return Ok(());
        };
        let ListKind::Map(&[key, ..]) = kind else {
            list.extend(items.iter().filter(|i| !list.contains(i)).cloned().collect::<Vec<_>>());
            return Ok(());
        };
        for item in items {
            let Some((patch, id)) = item.as_object().zip(item.get(key)) else {
                let message = format!("map: {item} does not contain declared merge key: {key}");
                return Err(ApiError::bad_request(message));
            };
            if patch.get("$patch").is_some_and(|d| d == "delete") {
                list.retain(|i| i.get(key) != Some(id));
            } else if let Some(found) = list.iter_mut().find(|i| i.get(key) == Some(id)) {
                self.object(found, patch)?;
            } else {
                let mut new = Value::Null;
                self.object(&mut new, patch)?;
                list.push(new);
            }
        }
        Ok(())
    }
}

/// Puts the ordered items into the places that they hold together; items that the order does not name stay where they are.
fn reorder(list: &mut [Value], order: &[Value], kind: ListKind) {
    let rank = |item: &Value| match kind {
        ListKind::Map(&[key, ..]) => order.iter().position(|o| o.get(key) == item.get(key)),
        ListKind::Map([]) | ListKind::Set | ListKind::Atomic => order.iter().position(|o| o == item),
    };
    let places: Vec<usize> = (0..list.len()).filter(|i| rank(&list[*i]).is_some()).collect();
    let mut named: Vec<Value> = places.iter().map(|i| list[*i].clone()).collect();
    named.sort_by_key(|item| rank(item));
    for (place, item) in places.into_iter().zip(named) {
        list[place] = item;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::resources::{DEPLOYMENTS, NODES, PODS, SERVICES};

    #[expect(clippy::needless_pass_by_value, reason = "tables read better without ampersands")]
    fn check(r: &Resource, current: Value, patch: Value, expect: Value) {
        let mut object = current;
        merge(r, &mut object, &patch).unwrap_or_else(|e| unreachable!("{patch}: {e}"));
        assert_eq!(object, expect, "{patch}");
    }

    #[test]
    fn lists_merge_by_their_keys() {
        let pod = |containers: Value| json!({ "spec": { "containers": containers } });
        check(
            &PODS,
            pod(json!([{ "name": "a", "image": "1", "env": [{ "name": "X", "value": "1" }] }, { "name": "b" }])),
            pod(json!([{ "name": "a", "image": "2", "env": [{ "name": "Y", "value": "2" }] }])),
            pod(
                json!([{ "name": "a", "image": "2", "env": [{ "name": "X", "value": "1" }, { "name": "Y", "value": "2" }] }, { "name": "b" }]),
            ),
        );
        check(
            &PODS,
            pod(json!([{ "name": "a" }, { "name": "b" }])),
            pod(json!([{ "name": "a", "$patch": "delete" }])),
            pod(json!([{ "name": "b" }])),
        );
        check(
            &PODS,
            pod(json!([{ "name": "a" }, { "name": "b" }])),
            pod(json!([{ "$patch": "replace" }, { "name": "c" }])),
            pod(json!([{ "name": "c" }])),
        );
        check(
            &SERVICES,
            json!({ "spec": { "ports": [{ "port": 80, "name": "web" }] } }),
            json!({ "spec": { "ports": [{ "port": 80, "nodePort": 3 }, { "port": 81 }] } }),
            json!({ "spec": { "ports": [{ "port": 80, "name": "web", "nodePort": 3 }, { "port": 81 }] } }),
        );
        check(
            &NODES,
            json!({ "status": { "conditions": [{ "type": "Ready", "status": "True", "reason": "r" }] } }),
            json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } }),
            json!({ "status": { "conditions": [{ "type": "Ready", "status": "False", "reason": "r" }] } }),
        );
    }

    #[test]
    fn other_lists_are_replaced_or_joined() {
        let at = |field: &str, items: Value| json!({ "spec": { field: items } });
        check(
            &PODS,
            at("tolerations", json!([{ "key": "a" }])),
            at("tolerations", json!([{ "key": "b" }])),
            at("tolerations", json!([{ "key": "b" }])),
        );
        check(&NODES, at("taints", json!([{ "key": "a" }])), at("taints", json!([])), at("taints", json!([])));
        let meta = |items: Value| json!({ "metadata": { "finalizers": items } });
        check(&NODES, meta(json!(["a"])), meta(json!(["a", "b"])), meta(json!(["a", "b"])));
        check(
            &NODES,
            meta(json!(["a", "b"])),
            json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["a"] } }),
            meta(json!(["b"])),
        );
    }

    #[test]
    fn directives_and_nulls() {
        check(
            &NODES,
            json!({ "metadata": { "labels": { "a": "1", "b": "2" } } }),
            json!({ "metadata": { "labels": { "a": null } } }),
            json!({ "metadata": { "labels": { "b": "2" } } }),
        );
        check(
            &DEPLOYMENTS,
            json!({ "spec": { "strategy": { "type": "RollingUpdate", "rollingUpdate": {} } } }),
            json!({ "spec": { "strategy": { "$retainKeys": ["type"], "type": "Recreate" } } }),
            json!({ "spec": { "strategy": { "type": "Recreate" } } }),
        );
        check(
            &PODS,
            json!({ "a": { "b": 1, "c": 2 } }),
            json!({ "a": { "$patch": "replace", "d": 3 } }),
            json!({ "a": { "d": 3 } }),
        );
        check(&PODS, json!({ "a": { "b": 1 } }), json!({ "a": { "$patch": "delete" } }), json!({}));
        let env =
            |names: &[&str]| json!({ "spec": { "containers": names.iter().map(|n| json!({ "name": n })).collect::<Vec<_>>() } });
        let mut patch = env(&["c"]);
        patch["spec"]["$setElementOrder/containers"] = json!([{ "name": "c" }, { "name": "a" }]);
        check(&PODS, env(&["a", "b"]), patch, env(&["c", "b", "a"]));
        assert_eq!(
            merge(&PODS, &mut env(&["a"]), &json!({ "spec": { "containers": [{ "image": "x" }] } })).map_err(|e| e.code),
            Err(400)
        );
    }
}
