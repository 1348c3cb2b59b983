//! What the API server says when it refuses.

use serde_json::{Value, json};

use super::Resource;

/// A refused request; renders as a `metav1.Status`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason, e.g. `NotFound`.
    pub reason: &'static str,
    /// The sentence for people.
    pub message: String,
    details: Option<Box<Value>>,
    /// Seconds after which the client may try again.
    pub retry_after: Option<u32>,
}

/// One cause in a Status' details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The machine-readable reason, e.g. `FieldValueInvalid`.
    pub reason: &'static str,
    /// The field at fault, e.g. `spec.paused`.
    pub field: String,
    /// The sentence for people.
    pub message: String,
}

impl Cause {
    /// A cause of this reason at this field.
    pub fn new(reason: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason, field: field.into(), message: message.into() }
    }
}

impl ApiError {
    /// An error without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None, retry_after: None }
    }

    /// 404: no such object.
    pub fn not_found(r: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", r.qualified())).about(r, name, &[])
    }

    /// 404: no such path.
    pub fn no_such_path() -> Self {
        let mut error = Self::new(404, "NotFound", "the server could not find the requested resource");
        error.details = Some(Box::new(json!({})));
        error
    }

    /// 405: the path exists and does not take this verb.
    pub fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(405, "MethodNotAllowed", message)
    }

    /// 409: the object is already there.
    pub fn already_exists(r: &Resource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", r.qualified())).about(r, name, &[])
    }

    /// 409: the object is not the one that the caller had in mind.
    pub fn conflict(r: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", r.qualified());
        Self::new(409, "Conflict", message).about(r, name, &[])
    }

    /// 422: the object would not be valid.
    pub fn invalid(r: &Resource, name: &str, causes: &[Cause]) -> Self {
        let list: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let list = if let [one] = list.as_slice() { one.clone() } else { format!("[{}]", list.join(", ")) };
        let kind = if r.group.is_empty() { r.kind.to_owned() } else { format!("{}.{}", r.kind, r.group) };
        let mut error = Self::new(422, "Invalid", format!("{kind} \"{name}\" is invalid: {list}")).about(r, name, causes);
        if let Some(details) = error.details.as_deref_mut() {
            details["kind"] = json!(r.kind);
        }
        error
    }

    /// 422: a patch that cannot be applied.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "Invalid", message)
    }

    /// 400: a request that makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 410: the asked resourceVersion or continue token is no longer kept.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// The same error, with what it is about and its causes.
    #[must_use]
    pub fn about(mut self, r: &Resource, name: &str, causes: &[Cause]) -> Self {
        let mut details = json!({ "name": name, "kind": r.plural });
        if !r.group.is_empty() {
            details["group"] = json!(r.group);
        }
        self.details = Some(Box::new(details));
        if causes.is_empty() { self } else { self.because(causes) }
    }

    /// The same error, with these causes.
    #[must_use]
    pub fn because(mut self, causes: &[Cause]) -> Self {
        let render = |c: &Cause| {
            let mut cause = json!({ "reason": c.reason, "message": c.message });
            if !c.field.is_empty() {
                cause["field"] = json!(c.field);
            }
            cause
        };
        let details = self.details.get_or_insert_with(|| Box::new(json!({})));
        details["causes"] = causes.iter().map(render).collect();
        self
    }

    /// The same error, with a time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        let details = self.details.get_or_insert_with(|| Box::new(json!({})));
        details["retryAfterSeconds"] = json!(seconds);
        self
    }

    /// The reply's body.
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let Some(details) = self.details.as_deref() {
            status["details"] = details.clone();
        }
        status
    }
}
