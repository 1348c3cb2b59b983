//! What is known of a request before anything is decided.

use http::header;
use http::request::Parts;

use super::request::{Target, Verb, header_text};
use crate::faults::Subject;

/// A request that arrived.
pub(super) struct Arrival {
    pub(super) path: String,
    pub(super) target: Option<Target>,
    pub(super) label: String,
    pub(super) verb: Verb,
    pub(super) paged: bool,
    pub(super) agent: String,
}

impl Arrival {
    pub(super) fn of(parts: &Parts) -> Self {
        let path = parts.uri.path().to_owned();
        let target = Target::parse(&path);
        let query = super::request::Query::parse(parts.uri.query());
        let known = target.as_ref().and_then(|t| super::request::verb(&parts.method, t, &query).ok());
        // Whatever the method, a command is something that is made.
        let known = if target.as_ref().is_some_and(is_exec) { Some(Verb::Create) } else { known };
        let label = target.as_ref().map(Target::label).unwrap_or_default();
        let paged = query.get("limit").is_some() || query.get("continue").is_some();
        let agent = header_text(&parts.headers, header::USER_AGENT);
        Self { path, label, verb: known.unwrap_or(Verb::Get), target, paged, agent }
    }

    pub(super) fn is_exec(&self) -> bool {
        self.target.as_ref().is_some_and(is_exec)
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        let (namespace, name) = self.target.as_ref().map_or((None, None), |t| (t.ns(), t.name.as_deref()));
        Subject {
            verb: self.verb,
            resource: if self.target.is_some() { &self.label } else { &self.path },
            namespace: namespace.unwrap_or_default(),
            name: name.unwrap_or_default(),
            agent: &self.agent,
        }
    }
}

fn is_exec(target: &Target) -> bool {
    target.subresource.as_deref() == Some("exec")
}
