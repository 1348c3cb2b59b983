//! As much OpenAPI as kubectl needs to see that the server validates fields itself.

use http::HeaderValue;
use serde_json::{Map, Value, json};

use super::discovery::{groups, of_group};
use super::reply::{self, Reply};
use crate::store::Resource;

/// Answers an OpenAPI path; none when it is another path.
pub(super) fn answer(path: &str, accept: &str) -> Option<Reply> {
    if path == "/openapi/v2" {
        return Some(v2(accept));
    }
    let rest = path.strip_prefix("/openapi/v3")?.trim_matches('/');
    if rest.is_empty() {
        return Some(reply::json(200, &index()));
    }
    let (group, version) = match rest.split('/').collect::<Vec<_>>().as_slice() {
        ["api", "v1"] => ("", "v1"),
        ["apis", group, version] if groups().get(group).is_some_and(|all| all.contains(version)) => (*group, *version),
        _ => return None,
    };
    Some(reply::json(200, &document(group, version)))
}

/// An empty document: with no schemas here kubectl uses those it was built with.
fn v2(accept: &str) -> Reply {
    if accept.contains("protobuf") {
        // No bytes are an empty message.
        let media = HeaderValue::from_static("application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
        return reply::raw(200, Vec::new(), media);
    }
    reply::json(200, &json!({ "swagger": "2.0", "info": info(), "paths": {}, "definitions": {} }))
}

fn info() -> Value {
    json!({ "title": "Kubernetes", "version": "v1" })
}

fn index() -> Value {
    let named = groups().into_iter().flat_map(|(group, versions)| versions.into_iter().map(move |version| (group, version)));
    let paths = named.map(|(group, version)| format!("apis/{group}/{version}"));
    let paths: Map<String, Value> = std::iter::once("api/v1".to_owned())
        .chain(paths)
        .map(|path| {
            let url = format!("/openapi/v3/{path}?hash=1");
            (path, json!({ "serverRelativeURL": url }))
        })
        .collect();
    json!({ "paths": paths })
}

fn document(group: &str, version: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for r in of_group(group, version) {
        let root = if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}/{}", r.version) };
        let ns = if r.namespaced { "/namespaces/{namespace}" } else { "" };
        paths.insert(format!("{root}{ns}/{}/{{name}}", r.plural), json!({ "patch": patch_operation(r) }));
        schemas.insert(schema_name(r), schema(r));
    }
    json!({ "openapi": "3.0.0", "info": info(), "paths": paths, "components": { "schemas": schemas } })
}

fn gvk(r: &Resource) -> Value {
    json!({ "group": r.group, "version": r.version, "kind": r.kind })
}

fn schema_name(r: &Resource) -> String {
    let group: Vec<&str> = if r.group.is_empty() { vec!["api", "core"] } else { r.group.split('.').rev().collect() };
    format!("io.k8s.{}.{}.{}", group.join("."), r.version, r.kind)
}

fn schema(r: &Resource) -> Value {
    let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "type": "object",
        "properties": {
            "apiVersion": { "type": "string" }, "kind": { "type": "string" }, "metadata": open, "spec": open, "status": open,
        },
        "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-group-version-kind": [gvk(r)],
    })
}

/// The parameters are what kubectl looks for; strategic merge is left out so that it merges by the types it was built with.
fn patch_operation(r: &Resource) -> Value {
    let parameter = |name: &str| json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } });
    let parameters = ["dryRun", "fieldManager", "fieldValidation", "force"].map(parameter);
    let body = json!({ "schema": { "type": "object" } });
    json!({
        "operationId": format!("patch{}", r.kind),
        "parameters": parameters,
        "requestBody": { "content": {
            "application/apply-patch+yaml": body, "application/json-patch+json": body, "application/merge-patch+json": body,
        } },
        "responses": { "200": { "description": "OK" } },
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": gvk(r),
    })
}
