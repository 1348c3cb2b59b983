//! Get and list.

use std::sync::Arc;

use serde_json::{Value, json};

use super::accept::Accept;
use super::reply::{self, Reply};
use super::request::ApiRequest;
use super::scale;
use super::selector::Selector;
use super::table::{metadata_only, render_one, table};
use crate::store::{ApiError, Store};

pub(super) fn get(store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    let (target, r) = (&request.target, request.target.resource);
    let name = target.name()?;
    let object = store.get(r, target.ns(), name).ok_or_else(|| ApiError::not_found(r, name))?;
    match target.subresource.as_deref() {
        None | Some("status" | "approval") => Ok(reply::json(200, &*render_one(r, request.accept, &object, store.clock().now()))),
        Some("scale") => Ok(reply::json(200, &scale::of(r, &object))),
        Some(other) => Err(not_simulated(other)),
    }
}

/// 501 for the parts of a pod that need a real container.
pub(super) fn not_simulated(subresource: &str) -> ApiError {
    ApiError::new(
        501,
        "NotImplemented",
        format!("the simulated cluster does not serve pods/{subresource}: its containers do not run"),
    )
}

pub(super) fn list(store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    let (target, r) = (&request.target, request.target.resource);
    let page = Page::parse(request)?;
    let selector = selector(request)?;
    refuse_the_future(store, page.at_least)?;
    let (revision, objects) = store.snapshot(r, target.ns(), page.at)?;
    let past_start = |o: &&Arc<Value>| page.after.as_ref().is_none_or(|after| position(o) > (&after.0, &after.1));
    let mut selected: Vec<Arc<Value>> = objects.iter().filter(past_start).filter(|o| selector.matches(o)).cloned().collect();
    let mut meta = json!({ "resourceVersion": revision.to_string() });
    if let Some(limit) = page.limit.filter(|limit| selected.len() > *limit) {
        if selector.is_empty() {
            meta["remainingItemCount"] = json!(selected.len() - limit);
        }
        selected.truncate(limit);
        if let Some(last) = selected.last() {
            let (ns, name) = position(last);
            meta["continue"] = json!(format!("{revision}~{ns}~{name}"));
        }
    }
    let now = store.clock().now();
    Ok(match request.accept {
        Accept::Table(rows) => reply::json(200, &table(r, rows, &selected, &meta, now)),
        Accept::Metadata => {
            let items: Vec<Value> = selected.iter().map(|o| metadata_only(o)).collect();
            let (kind, version) = ("PartialObjectMetadataList", "meta.k8s.io/v1");
            reply::json(200, &json!({ "kind": kind, "apiVersion": version, "metadata": meta, "items": items }))
        }
        // Shared objects are written out as they are, never copied.
        Accept::Object => {
            let list = List { kind: format!("{}List", r.kind), api_version: r.api_version(), metadata: meta, items: &selected };
            reply::json(200, &list)
        }
    })
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    kind: String,
    api_version: String,
    metadata: Value,
    items: &'a [Arc<Value>],
}

/// The selectors of a request for a collection; a name in the path selects too.
pub(super) fn selector(request: &ApiRequest) -> Result<Selector, ApiError> {
    let by_name = request.target.name.as_ref().map(|name| format!("metadata.name={name}"));
    let fields = request.query.get("fieldSelector");
    let fields = match (by_name, fields) {
        (Some(name), Some(fields)) => Some(format!("{name},{fields}")),
        (Some(name), None) => Some(name),
        (None, fields) => fields.map(str::to_owned),
    };
    Selector::parse(request.target.resource, request.query.get("labelSelector"), fields.as_deref())
}

fn position(object: &Value) -> (&str, &str) {
    let meta = &object["metadata"];
    (meta["namespace"].as_str().unwrap_or_default(), meta["name"].as_str().unwrap_or_default())
}

/// Which part of a collection, as of when.
struct Page {
    limit: Option<usize>,
    at: Option<u64>,
    at_least: Option<u64>,
    after: Option<(String, String)>,
}

impl Page {
    fn parse(request: &ApiRequest) -> Result<Self, ApiError> {
        let query = &request.query;
        let limit = query.number("limit")?.filter(|n| *n > 0).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        if let Some(token) = query.get("continue") {
            let mut parts = token.splitn(3, '~');
            let (Some(Ok(at)), Some(ns), Some(name)) = (parts.next().map(str::parse), parts.next(), parts.next()) else {
                return Err(ApiError::bad_request("continue key is not valid"));
            };
            return Ok(Self { limit, at: Some(at), at_least: None, after: Some((ns.to_owned(), name.to_owned())) });
        }
        let version = revision(request)?;
        let exact = query.get("resourceVersionMatch") == Some("Exact");
        Ok(Self { limit, at: version.filter(|_| exact), at_least: version, after: None })
    }
}

/// The resourceVersion of the query; none when any will do.
pub(super) fn revision(request: &ApiRequest) -> Result<Option<u64>, ApiError> {
    let Some(text) = request.query.get("resourceVersion") else { return Ok(None) };
    let invalid =
        |_| ApiError::bad_request(format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: invalid syntax"));
    Ok(Some(text.parse::<u64>().map_err(invalid)?).filter(|v| *v > 0))
}

fn refuse_the_future(store: &Store, at_least: Option<u64>) -> Result<(), ApiError> {
    let newest = store.revision();
    match at_least {
        Some(asked) if asked > newest => {
            let message = format!("Too large resource version: {asked}, current: {newest}");
            let cause = crate::store::Cause::new("ResourceVersionTooLarge", "", "Too large resource version");
            Err(ApiError::new(504, "Timeout", message).because(&[cause]).retry_after(1))
        }
        Some(_) | None => Ok(()),
    }
}
