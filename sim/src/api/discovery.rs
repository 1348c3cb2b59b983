//! Discovery: what the server serves, in the old form and the aggregated one.

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderValue;
use serde_json::{Value, json};

use super::reply::{self, Reply};
use super::request::subresources;
use crate::store::{Resource, resources};

/// Groups that only answer reviews and keep no objects: group, version, resource, kind.
pub(super) const REVIEWS: &[(&str, &str, &str, &str)] = &[
    ("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview"),
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
];

const OBJECT_VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const PART_VERBS: &[&str] = &["get", "patch", "update"];

/// Answers a discovery path; none when it is another path.
pub(super) fn answer(path: &str, accept: &str) -> Option<Reply> {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    match parts.as_slice() {
        ["api"] => Some(aggregated(accept, true).unwrap_or_else(|| reply::json(200, &core_versions()))),
        ["apis"] => Some(aggregated(accept, false).unwrap_or_else(|| reply::json(200, &group_list()))),
        ["api", "v1"] => resource_list("", "v1"),
        ["apis", group] => groups().contains_key(*group).then(|| reply::json(200, &api_group(group))),
        ["apis", group, version] => resource_list(group, version),
        _ => None,
    }
}

/// Named groups with their versions, the preferred one first.
pub(super) fn groups() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let stored = resources::ALL.iter().filter(|r| !r.group.is_empty()).map(|r| (r.group, r.version));
    let mut groups: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (group, version) in stored.chain(REVIEWS.iter().map(|(group, version, ..)| (*group, *version))) {
        groups.entry(group).or_default().insert(version);
    }
    groups
}

/// The stored resources of a group's version.
pub(super) fn of_group(group: &str, version: &str) -> impl Iterator<Item = &'static Resource> {
    resources::ALL.iter().copied().filter(move |r| r.group == group && r.version == version)
}

fn core_versions() -> Value {
    json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] })
}

fn group_list() -> Value {
    let groups: Vec<Value> = groups().keys().map(|group| api_group(group)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

fn api_group(group: &str) -> Value {
    let versions = groups().remove(group).unwrap_or_default();
    let versions: Vec<Value> = versions.iter().map(|v| json!({ "groupVersion": format!("{group}/{v}"), "version": v })).collect();
    json!({ "kind": "APIGroup", "apiVersion": "v1", "name": group, "versions": versions, "preferredVersion": versions.first() })
}

/// The kind that a subresource takes and answers: group, version, kind.
fn part_kind(r: &Resource, part: &str) -> (&'static str, &'static str, &'static str) {
    match part {
        "scale" => ("autoscaling", "v1", "Scale"),
        "eviction" => ("policy", "v1", "Eviction"),
        "binding" => ("", "v1", "Binding"),
        "exec" => ("", "v1", "PodExecOptions"),
        "attach" => ("", "v1", "PodAttachOptions"),
        "portforward" => ("", "v1", "PodPortForwardOptions"),
        _ => (r.group, r.version, r.kind),
    }
}

fn part_verbs(part: &str) -> &'static [&'static str] {
    match part {
        "eviction" | "binding" => &["create"],
        "exec" | "attach" | "portforward" => &["create", "get"],
        "log" => &["get"],
        _ => PART_VERBS,
    }
}

fn resource_list(group: &str, version: &str) -> Option<Reply> {
    let mut list = Vec::new();
    for r in of_group(group, version) {
        list.push(json!({
            "name": r.plural, "singularName": r.singular, "namespaced": r.namespaced, "kind": r.kind,
            "verbs": OBJECT_VERBS, "shortNames": r.short_names, "categories": categories(r),
        }));
        for part in subresources(r) {
            let (group, version, kind) = part_kind(r, part);
            let mut entry = json!({
                "name": format!("{}/{part}", r.plural), "singularName": "", "namespaced": r.namespaced, "kind": kind,
                "verbs": part_verbs(part),
            });
            if (group, version) != (r.group, r.version) {
                entry["group"] = json!(group);
                entry["version"] = json!(version);
            }
            list.push(entry);
        }
    }
    for (_, _, plural, kind) in REVIEWS.iter().filter(|(g, v, ..)| *g == group && *v == version) {
        list.push(json!({ "name": plural, "singularName": "", "namespaced": false, "kind": kind, "verbs": ["create"] }));
    }
    let gv = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let list = json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": gv, "resources": list });
    (list["resources"] != json!([])).then(|| reply::json(200, &list))
}

/// The aggregated form, when the client asks for it.
fn aggregated(accept: &str, core: bool) -> Option<Reply> {
    let version = accept.split(',').find_map(|media| {
        let has = |part: &str| media.split(';').any(|p| p.trim() == part);
        let wanted = has("application/json") && has("g=apidiscovery.k8s.io") && has("as=APIGroupDiscoveryList");
        ["v2", "v2beta1"].into_iter().find(|v| wanted && has(&format!("v={v}")))
    })?;
    let items: Vec<Value> = if core {
        vec![discovery_group("", &BTreeSet::from(["v1"]))]
    } else {
        groups().iter().map(|(group, versions)| discovery_group(group, versions)).collect()
    };
    let kind = "APIGroupDiscoveryList";
    let list = json!({ "kind": kind, "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items });
    let media = format!("application/json;g=apidiscovery.k8s.io;v={version};as={kind}");
    Some(reply::typed_json(200, &list, HeaderValue::from_str(&media).ok()?))
}

fn discovery_group(group: &str, versions: &BTreeSet<&str>) -> Value {
    let mut metadata = json!({ "creationTimestamp": null });
    if !group.is_empty() {
        metadata["name"] = json!(group);
    }
    let versions: Vec<Value> = versions.iter().map(|version| discovery_version(group, version)).collect();
    json!({ "metadata": metadata, "versions": versions })
}

fn discovery_version(group: &str, version: &str) -> Value {
    let gvk = |(group, version, kind): (&str, &str, &str)| json!({ "group": group, "version": version, "kind": kind });
    let mut list: Vec<Value> = of_group(group, version)
        .map(|r| {
            let part = |part: &&str| {
                let verbs = part_verbs(part);
                json!({ "subresource": part, "responseKind": gvk(part_kind(r, part)), "verbs": verbs })
            };
            json!({
                "resource": r.plural, "responseKind": gvk((r.group, r.version, r.kind)), "scope": scope(r.namespaced),
                "singularResource": r.singular, "verbs": OBJECT_VERBS, "shortNames": r.short_names,
                "categories": categories(r), "subresources": subresources(r).iter().map(part).collect::<Vec<_>>(),
            })
        })
        .collect();
    for (_, _, plural, kind) in REVIEWS.iter().filter(|(g, v, ..)| *g == group && *v == version) {
        list.push(json!({
            "resource": plural, "responseKind": gvk((group, version, kind)), "scope": "Cluster", "singularResource": "",
            "verbs": ["create"],
        }));
    }
    json!({ "version": version, "freshness": "Current", "resources": list })
}

/// `kubectl get all` shows these.
fn categories(r: &Resource) -> &'static [&'static str] {
    const ALL: &[Resource] = &[
        resources::PODS,
        resources::SERVICES,
        resources::DAEMONSETS,
        resources::DEPLOYMENTS,
        resources::REPLICASETS,
        resources::STATEFULSETS,
    ];
    if ALL.contains(r) { &["all"] } else { &[] }
}

fn scope(namespaced: bool) -> &'static str {
    if namespaced { "Namespaced" } else { "Cluster" }
}
