//! Where which service is: the catalog of a token, and the documents that tell a service's versions.

use http::Method;
use serde_json::{Value, json};

use super::answer::{Answer, Question, Service};
use super::handle::Account;

/// The catalog, with the scheme and host by which the client came.
pub(super) fn catalog(account: &Account, base: &str) -> Value {
    let entry = |service: Service| {
        let (kind, name, path) = match service {
            Service::Identity => ("identity", "keystone", "identity"),
            Service::Network => ("network", "neutron", "network"),
            Service::LoadBalancer => ("load-balancer", "octavia", "load-balancer"),
            Service::Compute => ("compute", "nova", "compute/v2.1"),
        };
        let endpoint = |interface: &str| {
            let id = &blake3::hash(format!("{name}/{interface}").as_bytes()).to_hex()[..32];
            json!({ "id": id, "interface": interface, "region": account.region, "region_id": account.region,
                "url": format!("{base}/{path}") })
        };
        let (id, endpoints) = (&blake3::hash(name.as_bytes()).to_hex()[..32], ["public", "internal", "admin"].map(endpoint));
        json!({ "id": id, "name": name, "type": kind, "endpoints": endpoints })
    };
    json!(Service::ALL.map(entry))
}

/// The documents that need no token: what versions a service has.
pub(super) fn versions(service: Service, question: &Question<'_>) -> Option<Answer> {
    if !matches!(*question.method, Method::GET | Method::HEAD) {
        return None;
    }
    let base = question.base;
    let link = |path: &str| json!([{ "rel": "self", "href": format!("{base}/{path}/") }]);
    let answer = match (service, question.path) {
        (Service::Identity, []) => Answer::new(300, json!({ "versions": { "values": [keystone(&link("identity/v3"))] } })),
        (Service::Identity, ["v3"]) => Answer::new(200, json!({ "version": keystone(&link("identity/v3")) })),
        (Service::Network, []) => {
            let version = json!({ "id": "v2.0", "status": "CURRENT", "links": link("network/v2.0") });
            Answer::new(200, json!({ "versions": [version] }))
        }
        (Service::LoadBalancer, []) => {
            let version = |id: &str, status: &str| json!({ "id": id, "status": status, "updated": "2021-07-23T00:00:00Z", "links": link("load-balancer/v2") });
            Answer::new(200, json!({ "versions": [version("v2.0", "SUPPORTED"), version("v2.26", "CURRENT")] }))
        }
        (Service::Compute, []) => Answer::new(200, json!({ "versions": [nova(&link("compute/v2.1"))] })),
        (Service::Compute, ["v2.1"]) => Answer::new(200, json!({ "version": nova(&link("compute/v2.1")) })),
        _ => return None,
    };
    Some(answer)
}

fn keystone(links: &Value) -> Value {
    json!({ "id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z", "links": links,
        "media-types": [{ "base": "application/json", "type": "application/vnd.openstack.identity-v3+json" }] })
}

fn nova(links: &Value) -> Value {
    json!({ "id": "v2.1", "status": "CURRENT", "version": "2.93", "min_version": "2.1", "updated": "2013-07-23T11:33:21Z",
        "links": links })
}
