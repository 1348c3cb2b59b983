//! What a request asks for.

use std::fmt;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::accept::Accept;
use super::protobuf;
use crate::store::{ApiError, Resource, resources};

/// A parsed request for objects.
#[derive(Debug)]
pub(super) struct ApiRequest {
    pub(super) verb: Verb,
    pub(super) target: Target,
    pub(super) query: Query,
    pub(super) accept: Accept,
    pub(super) content_type: String,
    pub(super) user_agent: String,
    pub(super) body: Bytes,
}

/// What a request does, as role-based access control names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read a collection.
    List,
    /// Follow a collection.
    Watch,
    /// Make an object.
    Create,
    /// Replace an object.
    Update,
    /// Change an object.
    Patch,
    /// Delete an object.
    Delete,
    /// Delete a collection.
    DeleteCollection,
}

impl Verb {
    /// Whether it changes the cluster.
    pub fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        })
    }
}

/// What a path names: a collection, an object or a part of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) resource: &'static Resource,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
}

impl Target {
    /// `plural[.group][/subresource]`, as fault scripts and counters name it.
    pub(super) fn label(&self) -> String {
        match &self.subresource {
            Some(sub) => format!("{}/{sub}", self.resource.qualified()),
            None => self.resource.qualified(),
        }
    }

    pub(super) fn ns(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The object's name, where the verb needs one.
    pub(super) fn name(&self) -> Result<&str, ApiError> {
        self.name.as_deref().ok_or_else(|| ApiError::bad_request("a name must be provided"))
    }

    /// Reads a path below `/api/v1` or `/apis/GROUP/VERSION`; none when nothing is served there.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let mut parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        let (group, version) = match *parts.first()? {
            "api" if parts.len() > 2 => ("", parts.drain(..2).nth(1)?),
            "apis" if parts.len() > 3 => {
                let mut gv = parts.drain(..3).skip(1);
                (gv.next()?, gv.next()?)
            }
            _ => return None,
        };
        let of_namespace = |sub: &str| matches!(sub, "status" | "finalize");
        let namespace = match parts.as_slice() {
            ["namespaces", _, sub] if of_namespace(sub) => None,
            ["namespaces", ns, _, ..] => Some((*ns).to_owned()),
            _ => None,
        };
        if namespace.is_some() {
            parts.drain(..2);
        }
        let resource = resources::find(group, version, parts.first()?)?;
        let owned = |at: usize| parts.get(at).map(|p| (*p).to_owned());
        let target = Self { resource, namespace, name: owned(1), subresource: owned(2) };
        (parts.len() <= 3 && target.is_served()).then_some(target)
    }

    fn is_served(&self) -> bool {
        let r = self.resource;
        let placed = match (&self.namespace, r.namespaced) {
            (Some(_), namespaced) => namespaced,
            (None, true) => self.name.is_none(),
            (None, false) => true,
        };
        placed && self.subresource.as_deref().is_none_or(|sub| subresources(r).contains(&sub))
    }
}

/// The subresources of a resource.
pub(super) fn subresources(r: &Resource) -> Vec<&'static str> {
    let mut subs = Vec::new();
    if r.status {
        subs.push("status");
    }
    if r.scale {
        subs.push("scale");
    }
    if *r == resources::PODS {
        subs.extend(["attach", "binding", "eviction", "exec", "log", "portforward"]);
    } else if *r == resources::CERTIFICATESIGNINGREQUESTS {
        subs.push("approval");
    } else if *r == resources::NAMESPACES {
        subs.push("finalize");
    }
    subs
}

/// The query parameters.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// The parameter's value; none when absent or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(k, v)| k == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// Every value of a parameter that may be repeated.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let parse = |v: &str| v.parse().map_err(|_| ApiError::bad_request(format!("{name}: {v:?} is not a number")));
        self.get(name).map(parse).transpose()
    }

    pub(super) fn dry_run(&self) -> Result<bool, ApiError> {
        match self.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(ApiError::bad_request(format!("dryRun: Unsupported value: {other:?}: supported values: \"All\""))),
        }
    }
}

impl ApiRequest {
    pub(super) fn parse(parts: &Parts, target: Target, body: Bytes) -> Result<Self, ApiError> {
        let query = Query::parse(parts.uri.query());
        let verb = verb(&parts.method, &target, &query)?;
        let text = |name| header_text(&parts.headers, name);
        let content_type = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_owned();
        let accept = Accept::parse(&text(header::ACCEPT), &query)?;
        Ok(Self { verb, target, query, accept, content_type, user_agent: text(header::USER_AGENT), body })
    }

    /// Who writes, as managedFields name it: the stated field manager, or the program of the user agent.
    pub(super) fn manager(&self) -> String {
        let program = self.user_agent.split(['/', ' ']).next().filter(|p| !p.is_empty()).unwrap_or("unknown");
        self.query.get("fieldManager").unwrap_or(program).to_owned()
    }

    /// The body as JSON; YAML is read too.
    pub(super) fn json(&self) -> Result<Value, ApiError> {
        parse_body(&self.body)
    }

    /// The body as JSON, where an empty body means none.
    pub(super) fn optional_json(&self) -> Result<Option<Value>, ApiError> {
        if self.body.is_empty() { Ok(None) } else { self.json().map(Some) }
    }
}

pub(super) fn verb(method: &Method, target: &Target, query: &Query) -> Result<Verb, ApiError> {
    let named = target.name.is_some();
    match (method.as_str(), named) {
        ("GET" | "HEAD", _) if query.is_true("watch") && target.subresource.is_none() => Ok(Verb::Watch),
        ("GET" | "HEAD", true) => Ok(Verb::Get),
        ("GET" | "HEAD", false) => Ok(Verb::List),
        ("POST", named) if named == target.subresource.is_some() => Ok(Verb::Create),
        ("PUT", true) => Ok(Verb::Update),
        ("PATCH", true) => Ok(Verb::Patch),
        ("DELETE", true) => Ok(Verb::Delete),
        ("DELETE", false) => Ok(Verb::DeleteCollection),
        _ => Err(ApiError::method_not_allowed("the server does not allow this method on the requested resource")),
    }
}

pub(super) fn header_text(headers: &HeaderMap, name: header::HeaderName) -> String {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
    values.join(",")
}

/// Reads JSON, YAML or the protobuf of a few kinds.
pub(super) fn parse_body(body: &[u8]) -> Result<Value, ApiError> {
    if body.starts_with(protobuf::MAGIC) {
        return protobuf::decode(body);
    }
    let json_error = match serde_json::from_slice(body) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let text = std::str::from_utf8(body).map_err(|e| ApiError::bad_request(format!("the body is not text: {e}")))?;
    if text.trim_start().starts_with(['{', '[']) {
        return Err(ApiError::bad_request(format!("couldn't get version/kind; json parse error: {json_error}")));
    }
    serde_saphyr::from_str(text).map_err(|e| ApiError::bad_request(format!("error decoding YAML: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Named<'a> = (&'a str, Option<&'a str>, Option<&'a str>, Option<&'a str>);

    fn check(path: &str, expect: Option<Named<'_>>) {
        let target = Target::parse(path);
        let got = target.as_ref().map(|t| (t.resource.kind, t.ns(), t.name.as_deref(), t.subresource.as_deref()));
        assert_eq!(got, expect, "{path}");
    }

    #[test]
    fn paths_name_collections_objects_and_their_parts() {
        check("/api/v1/nodes", Some(("Node", None, None, None)));
        check("/api/v1/nodes/a/status", Some(("Node", None, Some("a"), Some("status"))));
        check("/api/v1/namespaces", Some(("Namespace", None, None, None)));
        check("/api/v1/namespaces/x", Some(("Namespace", None, Some("x"), None)));
        check("/api/v1/namespaces/x/status", Some(("Namespace", None, Some("x"), Some("status"))));
        check("/api/v1/namespaces/x/pods", Some(("Pod", Some("x"), None, None)));
        check("/api/v1/namespaces/x/pods/p/eviction", Some(("Pod", Some("x"), Some("p"), Some("eviction"))));
        check("/api/v1/pods", Some(("Pod", None, None, None)));
        check("/apis/config.openshift.io/v1/clusterversions/version", Some(("ClusterVersion", None, Some("version"), None)));
        check("/api/v1/pods/p", None);
        check("/api/v1/namespaces/x/nodes", None);
        check("/api/v1/nodes/a/scale", None);
        check("/api/v1/nodes/a/status/more", None);
        check("/apis/apps/v1beta1/deployments", None);
        check("/apis/apps/v1", None);
        check("/version", None);
    }
}
