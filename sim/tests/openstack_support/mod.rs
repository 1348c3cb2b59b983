//! A client of the simulated cloud.
#![allow(dead_code, reason = "each test file uses its own part")]

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use windlass_sim::openstack::Account;
use windlass_sim::shape::NetworkPlugin;
use windlass_sim::store::resources::INFRASTRUCTURES;
use windlass_sim::{ApiService, ClusterShape, Sim};

use crate::world_support::{get, start};

/// A cluster with Kuryr.
pub fn kuryr() -> Sim {
    start(ClusterShape { network: NetworkPlugin::Kuryr, health_check_minutes: None, ..ClusterShape::default() }, vec![])
}

/// The body that asks for a token with a password.
pub fn by_password(account: &Account, password: &str) -> Value {
    let domain = json!({ "name": account.domain });
    let user = json!({ "name": account.username, "domain": domain, "password": password });
    json!({ "auth": { "identity": { "methods": ["password"], "password": { "user": user } },
        "scope": { "project": { "name": account.project, "domain": domain } } } })
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub code: u16,
    pub body: Value,
    pub token: String,
    pub request_id: String,
}

impl Answer {
    /// The type of an error of Neutron's.
    pub fn kind(&self) -> &str {
        self.body["NeutronError"]["type"].as_str().unwrap_or_default()
    }

    /// What an error says.
    pub fn message(&self) -> &str {
        let at = |at: &str| self.body.pointer(at).and_then(Value::as_str);
        at("/NeutronError/message").or(at("/faultstring")).or(at("/error/message")).unwrap_or_default()
    }
}

/// Somebody with a token.
pub struct Cloud {
    service: ApiService,
    pub token: String,
    pub tag: String,
}

impl Cloud {
    /// Somebody without one.
    pub fn anonymous(sim: &Sim) -> Self {
        let infra =
            get(sim, &INFRASTRUCTURES, None, "cluster")["status"]["infrastructureName"].as_str().unwrap_or_default().to_owned();
        Self { service: sim.service(), token: String::new(), tag: format!("openshiftClusterID={infra}") }
    }

    /// Somebody who knows the password.
    pub async fn of(sim: &Sim) -> Self {
        let mut cloud = Self::anonymous(sim);
        let account = sim.openstack().expect("a cloud").account();
        let given = cloud.ask(Method::POST, "/identity/v3/auth/tokens", by_password(&account, &account.password)).await;
        cloud.token = given.token;
        cloud
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Value::Null).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, Value::Null).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PUT, path, body).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, body).await
    }

    pub async fn ask(&self, method: Method, path: &str, body: Value) -> Answer {
        self.try_ask(method, path, body).await.expect("an answer")
    }

    /// An answer, or none if the connection broke.
    pub async fn try_ask(&self, method: Method, path: &str, body: Value) -> Option<Answer> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("x-auth-token", &self.token)
            .body(Full::from(body))
            .expect("a request");
        let reply = self.service.handle(request).await.ok()?;
        let header = |name: &str| reply.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let (code, token, request_id) = (reply.status().as_u16(), header("x-subject-token"), header("x-openstack-request-id"));
        let bytes = reply.into_body().collect().await.expect("a body").to_bytes();
        Some(Answer { code, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null), token, request_id })
    }
}
