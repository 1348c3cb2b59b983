//! Lists: filters, pages and fields.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::not_found;
use crate::openstack::answer::{Answer, Question, Refusal};
use crate::openstack::state::{Kind, State};
use crate::world::json::text;

/// Keys of a query that are no attributes.
const WORDS: [&str; 11] = [
    "fields",
    "limit",
    "marker",
    "page_reverse",
    "sort_key",
    "sort_dir",
    "tags",
    "tags-any",
    "not-tags",
    "not-tags-any",
    "fixed_ips",
];

/// Answers a list, sorted by id as pages ask for it.
pub(super) fn list(state: &State, kind: Kind, question: &Question<'_>) -> Result<Answer, Refusal> {
    let filters = filters(kind, question)?;
    let matching =
        |object: &&Value| filters.iter().all(|(key, values)| holds(object, key, values)) && is_tagged(object, question);
    let mut found: Vec<&Value> = state.all(kind).filter(matching).collect();
    if let Some(marker) = question.value("marker") {
        state.get(kind, marker).ok_or_else(|| not_found(kind, marker))?;
        found.retain(|object| text(object, "/id") > marker);
    }
    let limit = question.value("limit").and_then(|limit| limit.parse::<usize>().ok()).filter(|limit| *limit > 0);
    found.truncate(limit.unwrap_or(usize::MAX));
    let mut body = json!({ kind.many(): found.iter().map(|object| only(object, question)).collect::<Vec<_>>() });
    if let (Some(limit), Some(first), Some(last)) = (limit, found.first(), found.last()) {
        let mut links = vec![];
        if found.len() >= limit {
            links.push(json!({ "rel": "next", "href": link(question, text(last, "/id"), false) }));
        }
        links.push(json!({ "rel": "previous", "href": link(question, text(first, "/id"), true) }));
        body[format!("{}_links", kind.many())] = json!(links);
    }
    Ok(Answer::new(200, body))
}

/// An object's fields that were asked for; all, if none was named.
pub(super) fn only(object: &Value, question: &Question<'_>) -> Value {
    let fields: Vec<&str> = question.values("fields").collect();
    if fields.is_empty() {
        return object.clone();
    }
    fields.into_iter().filter(|field| !object[*field].is_null()).map(|field| (field.to_owned(), object[field].clone())).collect()
}

fn filters<'q>(kind: Kind, question: &'q Question<'_>) -> Result<BTreeMap<&'q str, Vec<&'q str>>, Refusal> {
    let mut filters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (key, value) in question.query.iter().filter(|(key, _)| !WORDS.contains(&key.as_str())) {
        filters.entry(key).or_default().push(value);
    }
    let unknown: Vec<&str> = filters.keys().copied().filter(|key| !is_attribute(kind, key)).collect();
    if unknown.is_empty() {
        return Ok(filters);
    }
    let named = unknown.iter().map(|key| format!("'{key}'")).collect::<Vec<_>>().join(", ");
    Err(Refusal::new(400, "HTTPBadRequest", format!("[{named}] is invalid attribute for filtering")))
}

/// Whether objects of a kind can be found by this attribute.
fn is_attribute(kind: Kind, key: &str) -> bool {
    let common =
        ["id", "name", "project_id", "tenant_id", "description", "revision_number", "admin_state_up", "status", "shared"];
    let own: &[&str] = match kind {
        Kind::Network => &["router:external", "mtu"],
        Kind::Subnet => &["network_id", "cidr", "gateway_ip", "ip_version", "enable_dhcp", "subnetpool_id"],
        Kind::Port => &["network_id", "device_id", "device_owner", "mac_address", "security_groups", "ip_allocation"],
        Kind::Trunk => &["port_id"],
        Kind::SubnetPool => &["address_scope_id", "ip_version", "default_prefixlen", "is_default"],
        Kind::Router | Kind::SecurityGroup | Kind::LoadBalancer | Kind::Server => &[],
    };
    common.contains(&key) || own.contains(&key)
}

/// Whether an attribute has one of the values; lists, if one of theirs is.
fn holds(object: &Value, key: &str, values: &[&str]) -> bool {
    let is = |value: &Value| match value {
        Value::String(text) => values.contains(&text.as_str()),
        Value::Bool(one) => values.iter().any(|value| value.eq_ignore_ascii_case(&one.to_string())),
        Value::Number(number) => values.contains(&number.to_string().as_str()),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    object[key].as_array().map_or_else(|| is(&object[key]), |all| all.iter().any(is))
}

fn is_tagged(object: &Value, question: &Question<'_>) -> bool {
    let has = |tag: &str| object["tags"].as_array().is_some_and(|tags| tags.iter().any(|known| known == tag));
    let asked = |key: &'static str| question.values(key).map(|tags| tags.split(',').collect::<Vec<_>>()).collect::<Vec<_>>();
    asked("tags").iter().all(|tags| tags.iter().all(|tag| has(tag)))
        && asked("tags-any").iter().all(|tags| tags.iter().any(|tag| has(tag)))
        && asked("not-tags").iter().all(|tags| !tags.iter().all(|tag| has(tag)))
        && asked("not-tags-any").iter().all(|tags| !tags.iter().any(|tag| has(tag)))
        && question.values("fixed_ips").all(|wanted| has_address(object, wanted))
}

/// Whether a port has an address that `subnet_id=…` or `ip_address=…` names.
fn has_address(port: &Value, wanted: &str) -> bool {
    let Some((key, value)) = wanted.split_once('=') else { return false };
    port["fixed_ips"].as_array().into_iter().flatten().any(|ip| ip[key] == value)
}

fn link(question: &Question<'_>, marker: &str, back: bool) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (key, value) in question.query.iter().filter(|(key, _)| key != "marker" && key != "page_reverse") {
        query.append_pair(key, value);
    }
    query.append_pair("marker", marker);
    if back {
        query.append_pair("page_reverse", "True");
    }
    format!("{}{}?{}", question.base, question.whole_path, query.finish())
}
