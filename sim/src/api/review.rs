//! Reviews: who am I, and may I?

use serde_json::{Value, json};

use super::discovery::REVIEWS;
use super::reply::{self, Reply};
use super::request::{Verb, parse_body};
use crate::clock::rfc3339;
use crate::faults::{Faults, Subject};
use crate::store::{ApiError, Store};

/// The user that every client is.
pub(super) const USER: &str = "system:admin";

/// Answers a review; none when the path is another.
pub(super) fn answer(path: &str, body: &[u8], store: &Store, faults: &Faults, agent: &str) -> Option<Result<Reply, ApiError>> {
    let path = path.strip_prefix("/apis/")?;
    let (_, _, plural, kind) =
        REVIEWS.iter().find(|(group, version, plural, _)| path == format!("{group}/{version}/{plural}"))?;
    Some(parse_body(body).map(|mut review| {
        review["kind"] = json!(kind);
        review["metadata"]["creationTimestamp"] = json!(rfc3339(store.clock().now()));
        review["status"] = match *plural {
            "selfsubjectreviews" => {
                json!({ "userInfo": { "username": USER, "groups": ["system:masters", "system:authenticated"] } })
            }
            "selfsubjectaccessreviews" => access(&review["spec"], faults, agent),
            _ => json!({
                "resourceRules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }],
                "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }], "incomplete": false,
            }),
        };
        reply::json(201, &review)
    }))
}

fn access(spec: &Value, faults: &Faults, agent: &str) -> Value {
    let asked = &spec["resourceAttributes"];
    let text = |key: &str| asked[key].as_str().unwrap_or_default();
    let (plural, group, sub) = (text("resource"), text("group"), text("subresource"));
    let mut resource = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
    if !sub.is_empty() {
        resource = format!("{resource}/{sub}");
    }
    let verbs: Option<Verb> = serde_json::from_value(asked["verb"].clone()).ok();
    let denied = verbs.is_some_and(|verb| {
        faults.forbids(&Subject { verb, resource: &resource, namespace: text("namespace"), name: text("name"), agent })
    });
    json!({ "allowed": !denied, "reason": if denied { "denied by a rule of the simulation" } else { "" } })
}
