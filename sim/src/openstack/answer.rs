//! Questions to the cloud's services, and their answers.

use chrono::{DateTime, Utc};
use http::Method;
use serde_json::{Value, json};

/// One request to one service.
pub(super) struct Question<'a> {
    pub(super) method: &'a Method,
    /// What follows the service's prefix, without slashes.
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a [(String, String)],
    pub(super) body: &'a Value,
    /// Scheme and host of the request.
    pub(super) base: &'a str,
    /// The whole path, as the request names it.
    pub(super) whole_path: &'a str,
    /// The id that the answer will carry.
    pub(super) request_id: &'a str,
    pub(super) now: DateTime<Utc>,
}

impl Question<'_> {
    /// The values that the query has for a key.
    pub(super) fn values<'q>(&'q self, key: &'q str) -> impl Iterator<Item = &'q str> {
        self.query.iter().filter(move |(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// The first value that the query has for a key.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

/// What a service answers when it does what it was asked.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    /// Null for no body.
    pub(super) body: Value,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub(super) fn new(code: u16, body: Value) -> Self {
        Self { code, body, headers: vec![] }
    }

    /// There is nothing to say.
    pub(super) fn empty(code: u16) -> Self {
        Self::new(code, Value::Null)
    }
}

/// What a service answers when it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: u16,
    /// The type of the error, where the service names one.
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(code: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self { code, kind, message: message.into() }
    }

    /// The token is missing, unknown or over.
    pub(super) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "The request you have made requires authentication.")
    }

    /// No service has this address.
    pub(super) fn no_such_path() -> Self {
        Self::new(404, "HTTPNotFound", "The resource could not be found.")
    }

    /// The address does not know this method.
    pub(super) fn no_such_method() -> Self {
        Self::new(405, "HTTPMethodNotAllowed", "The method is not allowed for this resource.")
    }
}

/// One of the cloud's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Identity,
    Network,
    LoadBalancer,
    Compute,
}

impl Service {
    pub(super) const ALL: [Self; 4] = [Self::Identity, Self::Network, Self::LoadBalancer, Self::Compute];

    /// The first part of its paths.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Network => "network",
            Self::LoadBalancer => "load-balancer",
            Self::Compute => "compute",
        }
    }

    /// A refusal as this service words it. What is wrong with a token, the guard before each service says in the words of Keystone.
    pub(super) fn render(self, refusal: &Refusal) -> Value {
        let Refusal { code, kind, message } = refusal;
        if *code == 401 || self == Self::Identity {
            return json!({ "error": { "code": code, "message": message, "title": title(*code) } });
        }
        match self {
            Self::Identity | Self::Network => json!({ "NeutronError": { "type": kind, "message": message, "detail": "" } }),
            Self::LoadBalancer => json!({ "faultcode": "Client", "faultstring": message, "debuginfo": null }),
            Self::Compute => json!({ kind.to_owned(): { "code": code, "message": message } }),
        }
    }
}

fn title(code: u16) -> &'static str {
    match code {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Internal Server Error",
    }
}
