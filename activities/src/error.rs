//! What a failed call to the API server means: the one place where that is decided.
//!
//! A read that failed may be repeated. A write that was refused did nothing; a write whose answer was lost may have
//! taken effect, and is said to be unknown, never failed.

use std::fmt;
use std::time::Duration;

use kube::core::Status;
use windlass_engine::ActivityError;

/// One call to the API server, for messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The verb as permissions name it: `get`, `patch`.
    pub verb: &'static str,
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource, plural: `machineconfigpools`.
    pub resource: String,
    /// The namespace, for namespaced resources.
    pub namespace: Option<String>,
    /// The object, for calls on one object.
    pub name: Option<String>,
}

impl Call {
    /// Whether the call changes anything, as far as its verb tells.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, "get" | "list" | "watch")
    }

    /// Whether the call changes nothing although it is written: a question for one's own permissions.
    pub(crate) fn is_review(&self) -> bool {
        self.group == "authorization.k8s.io"
    }

    /// The permission that the call needs, as a person would grant it.
    pub fn permission(&self) -> String {
        let group = if self.group.is_empty() { String::new() } else { format!(".{}", self.group) };
        let namespace = self.namespace.as_ref().map(|namespace| format!(" in namespace {namespace}")).unwrap_or_default();
        format!("{} {}{group}{namespace}", self.verb, self.resource)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        self.name.iter().try_for_each(|name| write!(f, "/{name}"))?;
        self.namespace.iter().try_for_each(|namespace| write!(f, " in {namespace}"))
    }
}

/// How a call ended, short of success.
#[derive(Debug)]
pub enum Failure {
    /// The server answered with an error.
    Answered {
        /// What it said.
        status: Box<Status>,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// No connection came about: nothing was sent.
    NotSent(String),
    /// The request may have been sent and no whole answer came.
    Lost(String),
    /// No answer came in time.
    TimedOut(Duration),
    /// The credentials could not be had: nothing was sent.
    NoCredentials(String),
    /// Somebody else drives the cluster: nothing was sent.
    Fenced(String),
    /// The answer could not be read.
    Unreadable(String),
}

/// A call that failed: which one, and how.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.message())]
pub struct CallError {
    /// The call.
    pub call: Box<Call>,
    /// How it ended.
    pub failure: Failure,
}

impl CallError {
    /// Whether the server says that the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Whether a precondition did not hold: the object changed since it was read.
    pub fn is_precondition(&self) -> bool {
        matches!(self.code(), Some(409 | 412)) || (self.code() == Some(422) && self.call.verb == "patch")
    }

    /// Whether the login has ended.
    pub fn is_unauthorized(&self) -> bool {
        self.code() == Some(401) || matches!(self.failure, Failure::NoCredentials(_))
    }

    /// Whether the permission is missing.
    pub fn is_forbidden(&self) -> bool {
        self.code() == Some(403)
    }

    fn code(&self) -> Option<u16> {
        match &self.failure {
            Failure::Answered { status, .. } => Some(status.code),
            Failure::NotSent(_)
            | Failure::Lost(_)
            | Failure::TimedOut(_)
            | Failure::NoCredentials(_)
            | Failure::Fenced(_)
            | Failure::Unreadable(_) => None,
        }
    }

    fn message(&self) -> String {
        let call = &self.call;
        match &self.failure {
            Failure::Answered { status, .. } if status.code == 401 => {
                format!("{call}: {LOGIN_ENDED}")
            }
            Failure::Answered { status, .. } if status.code == 403 => {
                format!("{call}: permission missing: {}; ask for it, then retry", call.permission())
            }
            Failure::Answered { status, .. } => format!("{call}: the server answered {}: {}", status.code, said(status)),
            Failure::NotSent(cause) => format!("{call}: no connection: {cause}"),
            Failure::Lost(cause) => format!("{call}: the connection broke before an answer came: {cause}"),
            Failure::TimedOut(limit) => format!("{call}: no answer within {} s", limit.as_secs()),
            Failure::NoCredentials(cause) => format!("{call}: no credentials: {cause}; log in again, then retry"),
            Failure::Fenced(cause) => format!("{call}: not sent: {cause}"),
            Failure::Unreadable(cause) => format!("{call}: the answer is not what it should be: {cause}"),
        }
    }
}

/// What is said when the server no longer knows the login.
pub(crate) const LOGIN_ENDED: &str = "the login has ended; run `oc login` for this cluster, the kubeconfig is read again";

/// A `Status` without a message still has a reason.
fn said(status: &Status) -> &str {
    if status.message.is_empty() { &status.reason } else { &status.message }
}

/// Decides what the failure of a call means for the attempt that made it.
pub(crate) fn classify(error: &CallError) -> ActivityError {
    let message = error.to_string();
    let write = error.call.is_write();
    match &error.failure {
        Failure::Answered { status, retry_after } => {
            let verdict = if write { refused_write(status, *retry_after, message) } else { refused_read(status, message) };
            retry_after.map_or(verdict.clone(), |delay| verdict.retry_after(delay))
        }
        Failure::NotSent(_) => ActivityError::transient("unreachable", message),
        Failure::NoCredentials(_) => ActivityError::transient("unauthorized", message),
        Failure::Fenced(_) => ActivityError::transient(ActivityError::FENCED, message),
        Failure::Lost(_) if write => ActivityError::unknown("connection-lost", message),
        Failure::TimedOut(_) if write => ActivityError::unknown("timeout", message),
        Failure::Lost(_) => ActivityError::transient("connection-lost", message),
        Failure::TimedOut(_) => ActivityError::transient("timeout", message),
        // The write took effect, only its result can't be read: the next look at the object tells.
        Failure::Unreadable(_) if write => ActivityError::unknown("unreadable", message),
        Failure::Unreadable(_) => ActivityError::permanent("unreadable", message),
    }
}

fn refused_read(status: &Status, message: String) -> ActivityError {
    match status.code {
        401 => ActivityError::transient("unauthorized", message),
        403 => ActivityError::permanent("forbidden", message),
        404 => ActivityError::permanent("not-found", message),
        _ => ActivityError::transient("server-error", message),
    }
}

fn refused_write(status: &Status, retry_after: Option<Duration>, message: String) -> ActivityError {
    match status.code {
        401 => ActivityError::transient("unauthorized", message),
        403 => ActivityError::permanent("forbidden", message),
        404 => ActivityError::permanent("not-found", message),
        408 => ActivityError::unknown("timeout", message),
        409 | 412 => ActivityError::transient("conflict", message),
        429 => ActivityError::transient("too-many-requests", message),
        422 => ActivityError::permanent("invalid", message),
        // The server sends Retry-After when it turned the request away before looking at it.
        503 if retry_after.is_some() => ActivityError::transient("unavailable", message),
        400..500 => ActivityError::permanent("refused", message),
        _ => ActivityError::unknown("server-error", message),
    }
}

impl From<CallError> for ActivityError {
    /// Not a blanket policy: the verdict depends on the call and on how it ended, see `classify`.
    fn from(error: CallError) -> Self {
        classify(&error)
    }
}

#[cfg(test)]
mod tests {
    use windlass_engine::FailureKind::{Permanent, Transient, Unknown};

    use super::*;

    fn call(verb: &'static str) -> Call {
        Call {
            verb,
            group: "machineconfiguration.openshift.io".to_owned(),
            resource: "machineconfigpools".to_owned(),
            namespace: None,
            name: Some("worker".to_owned()),
        }
    }

    fn answered(code: u16, retry_after: Option<u64>) -> Failure {
        let status = Status::failure("said the server", "Reason").with_code(code).boxed();
        Failure::Answered { status, retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn a_lost_reply_to_a_write_is_unknown_and_a_refusal_is_not() {
        let check = |verb, failure, kind, code: &str| {
            let verdict = classify(&CallError { call: call(verb).into(), failure });
            assert_eq!((verdict.kind, verdict.code.as_str()), (kind, code), "{}", verdict.message);
            verdict
        };
        check("get", answered(500, None), Transient, "server-error");
        check("get", answered(504, None), Transient, "server-error");
        check("get", answered(403, None), Permanent, "forbidden");
        check("get", Failure::Lost("reset".to_owned()), Transient, "connection-lost");
        check("list", Failure::TimedOut(Duration::from_secs(30)), Transient, "timeout");
        check("patch", answered(400, None), Permanent, "refused");
        check("patch", answered(401, None), Transient, "unauthorized");
        check("patch", answered(409, None), Transient, "conflict");
        check("patch", answered(422, None), Permanent, "invalid");
        check("patch", answered(500, None), Unknown, "server-error");
        check("patch", answered(503, None), Unknown, "server-error");
        check("patch", answered(504, None), Unknown, "server-error");
        check("patch", Failure::Lost("reset".to_owned()), Unknown, "connection-lost");
        check("patch", Failure::TimedOut(Duration::from_secs(30)), Unknown, "timeout");
        check("patch", Failure::NotSent("refused".to_owned()), Transient, "unreachable");
        check("patch", Failure::Fenced("cluster c is now driven by ana".to_owned()), Transient, "fenced");
        let shed = check("patch", answered(503, Some(3)), Transient, "unavailable");
        assert_eq!(shed.retry_after_seconds, Some(3));
        let throttled = check("patch", answered(429, Some(7)), Transient, "too-many-requests");
        assert_eq!(throttled.retry_after_seconds, Some(7));
    }

    #[test]
    fn a_refused_permission_is_named() {
        let error = CallError { call: call("patch").into(), failure: answered(403, None) };
        assert_eq!(
            error.to_string(),
            "patch machineconfigpools/worker: permission missing: patch machineconfigpools.machineconfiguration.openshift.io; \
             ask for it, then retry"
        );
    }
}
