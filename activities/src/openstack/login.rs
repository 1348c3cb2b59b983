//! Keystone: from a login to a token, and to the addresses of the services.

use std::collections::BTreeMap;

use http::{Request, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::clouds::{CloudAccess, Domain, Login, Named};
use super::objects::Service;
use super::wire::{Answer, split};
use crate::error::Failure;

/// The header that a token comes and goes in.
pub(super) const TOKEN: &str = "X-Auth-Token";
const NEW_TOKEN: &str = "X-Subject-Token";

/// A token, and where the services are. It is kept in memory only, and never shown.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) token: header::HeaderValue,
    /// Of each service, its server and the path that its collections stand under.
    services: BTreeMap<Service, (String, String)>,
}

#[derive(Deserialize)]
struct Body {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    catalog: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    interface: String,
    /// Keystone names both; older ones only this.
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    region_id: Option<String>,
    url: String,
}

/// Keystone's server, and the request for a token.
pub(super) fn request(access: &CloudAccess) -> Result<(String, Request<Vec<u8>>), Failure> {
    let bad = || Failure::NoCredentials("the auth_url is no address of the form https://HOST/PATH without a password".to_owned());
    let (server, path) = split(&access.auth_url).ok_or_else(bad)?;
    let path = if path.ends_with("/v3") { path } else { format!("{path}/v3") };
    let request = Request::post(format!("{path}/auth/tokens"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json")
        .body(asked(&access.login).to_string().into_bytes());
    Ok((server, request.map_err(|error| Failure::NotSent(error.to_string()))?))
}

fn asked(login: &Login) -> Value {
    let named = |named: &Named| match named {
        Named::Id(id) => json!({"id": id}),
        Named::Name { name, domain: Domain::Id(id) } => json!({"name": name, "domain": {"id": id}}),
        Named::Name { name, domain: Domain::Name(domain) } => json!({"name": name, "domain": {"name": domain}}),
    };
    match login {
        Login::Application { id, secret } => json!({"auth": {"identity": {
            "methods": ["application_credential"], "application_credential": {"id": id, "secret": secret.reveal()},
        }}}),
        Login::Password { user, password, project } => {
            let mut user = named(user);
            user["password"] = json!(password.reveal());
            let identity = json!({"methods": ["password"], "password": {"user": user}});
            json!({"auth": {"identity": identity, "scope": {"project": named(project)}}})
        }
    }
}

/// What Keystone answered. A body with a token in it is never repeated.
pub(super) fn session(access: &CloudAccess, answer: &Answer) -> Result<Session, Failure> {
    if answer.status == StatusCode::UNAUTHORIZED {
        return Err(Failure::NoCredentials(format!("{} does not accept the login of clouds.yaml", access.auth_url)));
    }
    if !answer.status.is_success() {
        return Err(answer.refusal());
    }
    let unreadable = |why: &str| Failure::Unreadable(format!("{} gave {why}", access.auth_url));
    let mut token = answer.headers.get(NEW_TOKEN).cloned().ok_or_else(|| unreadable("no token"))?;
    token.set_sensitive(true);
    let body: Body = serde_json::from_slice(&answer.body).map_err(|_| unreadable("a token without a catalogue"))?;
    let address = |service: Service| {
        let entry = body.token.catalog.iter().find(|entry| entry.kind == service.kind())?;
        let fits = |endpoint: &&Endpoint| {
            let region = endpoint.region_id.as_deref().or(endpoint.region.as_deref());
            endpoint.interface == access.interface && access.region.as_deref().is_none_or(|wanted| region == Some(wanted))
        };
        let (server, path) = split(&entry.endpoints.iter().find(fits)?.url)?;
        Some((service, (server, versioned(&path, service))))
    };
    Ok(Session { token, services: Service::ALL.into_iter().filter_map(address).collect() })
}

/// Some catalogues name the version, some do not; Nova's may be followed by the project.
fn versioned(path: &str, service: Service) -> String {
    let is_version = |part: &str| part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if path.split('/').any(is_version) { path.to_owned() } else { format!("{path}{}", service.version()) }
}

impl Session {
    /// The server of a service, and the path that its collections stand under.
    pub(super) fn place(&self, service: Service, access: &CloudAccess) -> Result<(&str, &str), Failure> {
        let (server, path) = self.services.get(&service).ok_or_else(|| {
            let region = access.region.as_deref().map(|region| format!(" in region {region}")).unwrap_or_default();
            let (kind, interface) = (service.kind(), &access.interface);
            Failure::NotSent(format!("the cloud has no {kind} service with {interface} addresses{region}"))
        })?;
        Ok((server, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openstack::clouds::Secret;

    fn access(region: Option<&str>) -> CloudAccess {
        CloudAccess {
            auth_url: "https://cloud.example.com:5000".to_owned(),
            login: Login::Application { id: "a1".to_owned(), secret: Secret::new("s3cret") },
            region: region.map(str::to_owned),
            interface: "public".to_owned(),
            ca_file: None,
        }
    }

    #[test]
    fn a_login_is_asked_for_where_keystone_is() {
        let (server, request) = request(&access(None)).unwrap();
        assert_eq!((server.as_str(), request.uri().path()), ("https://cloud.example.com:5000", "/v3/auth/tokens"));
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(body["auth"]["identity"]["application_credential"], json!({"id": "a1", "secret": "s3cret"}));
        let user = Named::Name { name: "ops".to_owned(), domain: Domain::Id("default".to_owned()) };
        let login = Login::Password { user, password: Secret::new("hunter2"), project: Named::Id("p1".to_owned()) };
        let body = asked(&login);
        assert_eq!(body["auth"]["identity"]["password"]["user"]["domain"]["id"], "default");
        assert_eq!(body["auth"]["scope"]["project"], json!({"id": "p1"}));
    }

    #[test]
    fn the_services_are_found_by_region_and_interface() {
        let endpoints = |url: &str| {
            json!([{"interface": "internal", "region": "west", "url": "http://10.0.0.1/"},
                {"interface": "public", "region_id": "east", "url": format!("{url}east")},
                {"interface": "public", "region": "west", "region_id": "west", "url": url}])
        };
        let body = json!({"token": {"catalog": [
            {"type": "network", "endpoints": endpoints("https://net.example.com/")},
            {"type": "compute", "endpoints": endpoints("https://nova.example.com/v2.1/p1/")},
        ]}});
        let mut answer =
            Answer { status: StatusCode::CREATED, headers: header::HeaderMap::new(), body: body.to_string().into_bytes() };
        assert!(matches!(session(&access(None), &answer), Err(Failure::Unreadable(_))));
        answer.headers.insert(NEW_TOKEN, header::HeaderValue::from_static("t1"));
        let access = access(Some("west"));
        let found = session(&access, &answer).ok().unwrap();
        assert_eq!(found.place(Service::Network, &access).unwrap(), ("https://net.example.com", "/v2.0"));
        assert_eq!(found.place(Service::Compute, &access).unwrap(), ("https://nova.example.com", "/v2.1/p1"));
        assert!(found.place(Service::LoadBalancer, &access).is_err());
        answer.status = StatusCode::UNAUTHORIZED;
        assert!(matches!(session(&access, &answer), Err(Failure::NoCredentials(_))));
    }
}
