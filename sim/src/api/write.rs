//! Create, update, patch and delete.

use serde_json::{Value, json};

use super::patch::{self, PatchKind};
use super::reply::{self, Reply};
use super::request::ApiRequest;
use super::table::render_one;
use super::{defaults, read, scale, validate};
use crate::clock::rfc3339;
use crate::store::{ApiError, Cause, Deleted, Edit, Outcome, Preconditions, Removal, Resource, Scope, Store, resources};

pub(super) fn create(store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    let (target, r) = (&request.target, request.target.resource);
    let mut object = request.json()?;
    validate::is_of(r, &object)?;
    if r.namespaced {
        let ns = target
            .ns()
            .ok_or_else(|| ApiError::method_not_allowed("the server does not allow this method on the requested resource"))?;
        validate::namespace_agrees(&object, ns)?;
        if store.get(&resources::NAMESPACES, None, ns).is_none() {
            return Err(ApiError::not_found(&resources::NAMESPACES, ns));
        }
        object["metadata"]["namespace"] = json!(ns);
    }
    if object["metadata"]["resourceVersion"].as_str().is_some_and(|v| !v.is_empty()) {
        return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
    }
    validate::new_name(r, &object)?;
    defaults::fill(r, &mut object);
    validate::object(r, &object)?;
    let created = store.create_with(r, object, Edit { scope: Scope::Main, dry_run: request.query.dry_run()? })?;
    Ok(reply::json(201, &*render_one(r, request.accept, &created, store.clock().now())))
}

pub(super) fn update(store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    let r = request.target.resource;
    let name = request.target.name()?;
    let body = request.json()?;
    let sub = request.target.subresource.as_deref();
    if sub != Some("scale") {
        validate::is_of(r, &body)?;
        let given = body["metadata"]["name"].as_str().unwrap_or_default();
        if given != name {
            let message = format!("the name of the object ({given}) does not match the name on the URL ({name})");
            return Err(ApiError::bad_request(message));
        }
        if r.custom && body["metadata"]["resourceVersion"].as_str().unwrap_or_default().is_empty() {
            let cause = Cause::new(
                "FieldValueInvalid",
                "metadata.resourceVersion",
                "Invalid value: 0x0: must be specified for an update",
            );
            return Err(ApiError::invalid(r, name, &[cause]));
        }
    }
    write(store, request, |current| {
        let current = current.ok_or_else(|| ApiError::not_found(r, name))?;
        if sub != Some("scale") {
            return Ok(body);
        }
        let mut object = current.clone();
        scale::set(r, &mut object, &body)?;
        Ok(object)
    })
}

pub(super) fn patch(store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    let r = request.target.resource;
    let name = request.target.name()?;
    let kind = PatchKind::of(r, &request.content_type)?;
    let body = request.json()?;
    let sub = request.target.subresource.as_deref();
    if kind == PatchKind::Apply {
        if request.query.get("fieldManager").is_none() {
            let cause = Cause::new("FieldValueRequired", "fieldManager", "Required value: is required for apply patch");
            return Err(ApiError::new(
                422,
                "Invalid",
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            )
            .because(&[cause]));
        }
        validate::is_of(r, &body)?;
    }
    // Asked before the lock is taken, for it looks at the namespace.
    let can_create = if kind == PatchKind::Apply { may_create_by_apply(store, request, &body) } else { Ok(()) };
    write(store, request, |current| {
        if kind == PatchKind::Apply && sub != Some("scale") {
            if current.is_none() {
                can_create.clone()?;
            }
            let as_manager = patch::Manager::of(request, rfc3339(store.clock().now()));
            return patch::apply(r, current, &body, &as_manager, request.query.is_true("force"));
        }
        let current = current.ok_or_else(|| ApiError::not_found(r, name))?;
        if sub != Some("scale") {
            return patch::patched(r, kind, current, &body);
        }
        let kind = if kind == PatchKind::Json { kind } else { PatchKind::Merge };
        let scaled = patch::patched(r, kind, &scale::of(r, current), &body)?;
        let mut object = current.clone();
        scale::set(r, &mut object, &scaled)?;
        Ok(object)
    })
}

/// Whether an apply may make the object when there is none.
fn may_create_by_apply(store: &Store, request: &ApiRequest, body: &Value) -> Result<(), ApiError> {
    let r = request.target.resource;
    let name = request.target.name()?;
    if request.target.subresource.is_some() {
        return Err(ApiError::not_found(r, name));
    }
    if body["metadata"]["uid"].is_string() {
        return Err(ApiError::conflict(
            r,
            name,
            "uid mismatch: the provided object specified a uid, and no existing object was found",
        ));
    }
    match request.target.ns() {
        Some(ns) if store.get(&resources::NAMESPACES, None, ns).is_none() => Err(ApiError::not_found(&resources::NAMESPACES, ns)),
        Some(_) | None => Ok(()),
    }
}

/// Runs a change of one object under the store's lock, with all that holds for every kind of change.
fn write(
    store: &Store,
    request: &ApiRequest,
    change: impl FnOnce(Option<&Value>) -> Result<Value, ApiError>,
) -> Result<Reply, ApiError> {
    let (target, r) = (&request.target, request.target.resource);
    let name = target.name()?;
    let scope = match target.subresource.as_deref() {
        Some("status" | "approval") => Scope::Status,
        Some(_) | None => Scope::Main,
    };
    let how = Edit { scope, dry_run: request.query.dry_run()? };
    let manager = patch::Manager::of(request, rfc3339(store.clock().now()));
    let is_apply = request.content_type == patch::APPLY;
    let (object, outcome) = store.edit(r, target.ns(), name, how, |current| {
        let mut new = change(current)?;
        validate::same_place(r, target, &mut new)?;
        defaults::fill(r, &mut new);
        validate::object(r, &new)?;
        if let Some(current) = current.filter(|_| !is_apply) {
            patch::note_update(r, current, &mut new, &manager);
        }
        Ok(new)
    })?;
    let code = if outcome == Outcome::Created { 201 } else { 200 };
    if target.subresource.as_deref() == Some("scale") {
        return Ok(reply::json(code, &scale::of(r, &object)));
    }
    Ok(reply::json(code, &*render_one(r, request.accept, &object, store.clock().now())))
}

pub(super) fn delete(store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    let (target, r) = (&request.target, request.target.resource);
    let name = target.name()?;
    let how = removal(request, request.optional_json()?.as_ref())?;
    if *r == resources::NAMESPACES && !how.dry_run {
        empty_namespace(store, name, &how)?;
    }
    let deleted = store.delete_with(r, target.ns(), name, &how)?;
    Ok(match deleted {
        Deleted::Terminating(object) => reply::json(200, &*render_one(r, request.accept, &object, store.clock().now())),
        Deleted::Gone(object) => reply::success(200, &deletion_details(r, &object)),
    })
}

pub(super) fn delete_collection(store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    let (target, r) = (&request.target, request.target.resource);
    let how = removal(request, request.optional_json()?.as_ref())?;
    let selector = read::selector(request)?;
    let (_, objects) = store.snapshot(r, target.ns(), None)?;
    let mut items = Vec::new();
    for object in objects.iter().filter(|o| selector.matches(o)) {
        let meta = &object["metadata"];
        match store.delete_with(r, meta["namespace"].as_str(), meta["name"].as_str().unwrap_or_default(), &how) {
            Ok(deleted) => items.push(deleted.object().clone()),
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let meta = json!({ "resourceVersion": store.revision().to_string() });
    let kind = format!("{}List", r.kind);
    Ok(reply::json(200, &json!({ "kind": kind, "apiVersion": r.api_version(), "metadata": meta, "items": items })))
}

/// How to delete, from the query and a `DeleteOptions` body.
pub(super) fn removal(request: &ApiRequest, options: Option<&Value>) -> Result<Removal, ApiError> {
    let none = Value::Null;
    let options = options.unwrap_or(&none);
    let text = |key: &str| options["preconditions"][key].as_str().map(str::to_owned);
    let policy = options["propagationPolicy"].as_str().or(request.query.get("propagationPolicy"));
    if let Some(policy) = policy.filter(|p| !matches!(*p, "Background" | "Foreground" | "Orphan")) {
        let message = format!("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: {policy:?}");
        return Err(ApiError::new(422, "Invalid", message));
    }
    let grace = request.query.number("gracePeriodSeconds")?.and_then(|s| i64::try_from(s).ok());
    let dry_run_in_body = options["dryRun"].as_array().is_some_and(|d| d.iter().any(|v| v == "All"));
    Ok(Removal {
        preconditions: Preconditions { uid: text("uid"), resource_version: text("resourceVersion") },
        grace_seconds: options["gracePeriodSeconds"].as_i64().or(grace),
        dry_run: dry_run_in_body || request.query.dry_run()?,
    })
}

fn deletion_details(r: &Resource, object: &Value) -> Value {
    let mut details = json!({ "name": object["metadata"]["name"], "kind": r.plural, "uid": object["metadata"]["uid"] });
    if !r.group.is_empty() {
        details["group"] = json!(r.group);
    }
    details
}

/// A namespace takes all that is in it along, and waits for what does not go at once.
fn empty_namespace(store: &Store, ns: &str, how: &Removal) -> Result<(), ApiError> {
    let namespace = store.get(&resources::NAMESPACES, None, ns).ok_or_else(|| ApiError::not_found(&resources::NAMESPACES, ns))?;
    how.preconditions.check(&resources::NAMESPACES, ns, &namespace)?;
    let now = Removal { grace_seconds: Some(0), ..Removal::default() };
    for r in resources::ALL.iter().filter(|r| r.namespaced) {
        for object in store.snapshot(r, Some(ns), None)?.1 {
            store.delete_with(r, Some(ns), object["metadata"]["name"].as_str().unwrap_or_default(), &now)?;
        }
    }
    let is_kept = |r: &&&Resource| store.snapshot(r, Some(ns), None).is_ok_and(|(_, objects)| !objects.is_empty());
    if resources::ALL.iter().filter(|r| r.namespaced).any(|r| is_kept(&r)) {
        store.modify(&resources::NAMESPACES, None, ns, |namespace| {
            namespace["spec"]["finalizers"] = json!(["kubernetes"]);
            namespace["status"]["phase"] = json!("Terminating");
        })?;
    }
    Ok(())
}
