//! A server with a clock and a client that says little.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use chrono::DateTime;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use windlass_sim::api::{ConnectionLost, SimBody};
use windlass_sim::store::Resource;
use windlass_sim::store::resources::NAMESPACES;
use windlass_sim::{ApiService, FaultScript, SimClock, Store};

pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const JSON: &str = "application/json-patch+json";
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(crate) const APPLY: &str = "application/apply-patch+yaml";

pub(crate) struct Rig {
    pub(crate) store: Store,
    pub(crate) service: ApiService,
}

pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Rig {
    pub(crate) fn new() -> Result<Self> {
        Self::with_faults(FaultScript::default())
    }

    pub(crate) fn with_faults(script: FaultScript) -> Result<Self> {
        let store = Store::new(SimClock::new(DateTime::from_timestamp(1_750_000_000, 0).context("an epoch")?, 1.0), 7);
        store.create(&NAMESPACES, json!({ "metadata": { "name": "x" }, "status": { "phase": "Active" } }))?;
        Ok(Self { service: ApiService::with_faults(store.clone(), script, 7), store })
    }

    /// Sends `METHOD path`, with a body of this media type.
    pub(crate) async fn send(&self, line: &str, media: &str, body: Option<&Value>) -> Result<Answer, ConnectionLost> {
        let reply = self.open(line, media, body).await?;
        let (parts, body) = reply.into_parts();
        let bytes = body.collect().await.map_err(|_| ConnectionLost::Reset)?.to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { code: parts.status.as_u16(), headers: parts.headers, body })
    }

    async fn open(&self, line: &str, media: &str, body: Option<&Value>) -> Result<http::Response<SimBody>, ConnectionLost> {
        let (method, path) = line.split_once(' ').unwrap_or(("GET", line));
        let (path, accept) = path.split_once(" as ").unwrap_or((path, "application/json"));
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media)
            .header("accept", accept)
            .header("user-agent", "windlass-test/1.0")
            .body(Full::new(Bytes::from(body)))
            .unwrap_or_default();
        self.service.handle(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        Ok(self.send(&format!("GET {path}"), "", None).await?)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        Ok(self.send(&format!("POST {path}"), "application/json", Some(body)).await?)
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        Ok(self.send(&format!("PUT {path}"), "application/json", Some(body)).await?)
    }

    pub(crate) async fn patch(&self, media: &str, path: &str, body: &Value) -> Result<Answer> {
        Ok(self.send(&format!("PATCH {path}"), media, Some(body)).await?)
    }

    pub(crate) async fn delete(&self, path: &str, options: &Value) -> Result<Answer> {
        Ok(self.send(&format!("DELETE {path}"), "application/json", Some(options)).await?)
    }

    pub(crate) async fn watch(&self, path: &str) -> Result<Watching> {
        let reply = self.open(&format!("GET {path}"), "", None).await?;
        ensure!(reply.status() == 200, "{path}: {}", reply.status());
        Ok(Watching { body: reply.into_body(), rest: Vec::new() })
    }

    pub(crate) fn version_of(&self, r: &Resource, ns: Option<&str>, name: &str) -> Result<String> {
        let object = self.store.get(r, ns, name).context("the object")?;
        Ok(object["metadata"]["resourceVersion"].as_str().context("a resourceVersion")?.to_owned())
    }
}

/// An open watch.
pub(crate) struct Watching {
    body: SimBody,
    rest: Vec<u8>,
}

impl Watching {
    /// The next event, none at the end of the watch.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => self.rest.extend(frame?.into_data().unwrap_or_default()),
            }
        }
    }

    /// The next event as `TYPE name`, with the error's code for an error.
    pub(crate) async fn brief(&mut self) -> Result<String> {
        let wait = tokio::time::timeout(Duration::from_secs(3600), self.next());
        let Some(event) = wait.await.context("nothing came for an hour")?? else { return Ok("END".to_owned()) };
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        let object = &event["object"];
        let what = object["metadata"]["name"].as_str().map(str::to_owned).or(object["code"].as_u64().map(|c| c.to_string()));
        Ok(format!("{kind} {}", what.unwrap_or_default()).trim().to_owned())
    }

    /// Whether nothing comes for a while.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_secs(1), self.next()).await.is_err()
    }
}

pub(crate) fn config_map(name: &str, data: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "x" }, "data": data })
}

pub(crate) fn node(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": {}, "status": { "conditions": [{ "type": "Ready", "status": "True" }] } })
}

pub(crate) fn pool(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "paused": false }, "status": { "machineCount": 3 } })
}

pub(crate) fn pod(name: &str, node: &str, ready: bool) -> Value {
    let status = if ready { "True" } else { "False" };
    json!({
        "metadata": { "name": name, "namespace": "x", "labels": { "app": "web" } },
        "spec": { "nodeName": node, "containers": [{ "name": "c" }] },
        "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": status }] },
    })
}
