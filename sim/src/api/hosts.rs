//! The hosts under the cluster, for whoever reaches them past its API: under a path of its own, and also while the API is away.

use bytes::Bytes;
use http::request::Parts;
use serde_json::{Value, json};

use super::arrival::Arrival;
use super::reply::{self, Reply};
use super::request::Verb;
use super::review;
use super::service::{ApiService, ConnectionLost, scripted};
use crate::audit::{AuditRecord, ReadKey};
use crate::containers::Output;
use crate::faults::{Effect, Verdict};
use crate::store::ApiError;

/// `GET …/ADDRESS/PORT` says whether a port answers, `POST …/ADDRESS/commands` runs a command as root.
const HOSTS: &str = "/sim/hosts/";

/// What is asked of a host.
enum Asked {
    Port(u16),
    Command(Vec<String>),
}

/// Whether a path is a host's.
pub(super) fn is_host(path: &str) -> bool {
    path.starts_with(HOSTS)
}

impl ApiService {
    /// Answers what is asked of a host; a command that only looks is no write.
    pub(super) fn host(&self, parts: &Parts, body: &Bytes, mut arrival: Arrival) -> Result<Reply, ConnectionLost> {
        let Some((address, asked)) = read(&arrival.path, body) else { return Ok(reply::error(&ApiError::no_such_path())) };
        if let Err(error) = self.auth().check(&parts.headers, false) {
            return Ok(reply::error(&error));
        }
        let act = match &asked {
            Asked::Port(_) => false,
            Asked::Command(words) => self.containers().is_some_and(|containers| containers.is_act(words)),
        };
        arrival.verb = if act { Verb::Create } else { Verb::Get };
        let verdict = self.faults().judge(&arrival.subject());
        let unheard = match &verdict.effect {
            Some(Effect::ResetBefore) => return Err(ConnectionLost::Reset),
            Some(Effect::Status { code, retry_after_seconds, applied: false }) => {
                return Ok(reply::error(&scripted(*code, *retry_after_seconds)));
            }
            Some(Effect::ResetAfter | Effect::Status { .. }) => true,
            // The rest are troubles of the API, which has no part in this.
            Some(_) | None => false,
        };
        let reply = self.ask_host(&address, &asked);
        self.record_host(&arrival, body, act, reply.status().as_u16());
        if unheard { lost(&verdict) } else { Ok(reply) }
    }

    fn ask_host(&self, address: &str, asked: &Asked) -> Reply {
        let away = |port| ApiError::new(504, "Timeout", format!("connect to host {address} port {port}: Connection timed out"));
        let Some(containers) = self.containers() else { return reply::error(&away(0)) };
        match asked {
            Asked::Port(port) if containers.answers(address, *port) => reply::json(200, &json!({ "answers": true })),
            Asked::Port(port) => reply::error(&away(*port)),
            Asked::Command(words) => match containers.on_host(address, words) {
                Some(output) => reply::json(200, &told(&output)),
                None => reply::error(&away(22)),
            },
        }
    }

    fn record_host(&self, arrival: &Arrival, body: &Bytes, act: bool, code: u16) {
        if !act {
            let verb = arrival.verb.to_string();
            return self.audit().read(ReadKey { verb, resource: HOSTS.to_owned(), unpaged: false });
        }
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        let (at, who) = (self.store().clock().now(), format!("{} {}", review::USER, arrival.agent));
        self.audit().wrote(AuditRecord { at, who, verb: arrival.verb.to_string(), path: arrival.path.clone(), body, code });
    }
}

fn read(path: &str, body: &Bytes) -> Option<(String, Asked)> {
    let (address, what) = path.strip_prefix(HOSTS)?.split_once('/')?;
    let asked = match what {
        "commands" => {
            let body: Value = serde_json::from_slice(body).ok()?;
            Asked::Command(serde_json::from_value(body["words"].clone()).ok()?)
        }
        port => Asked::Port(port.parse().ok()?),
    };
    Some((address.to_owned(), asked))
}

fn told(output: &Output) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    json!({ "stdout": text(&output.stdout), "stderr": text(&output.stderr), "code": output.code })
}

fn lost(verdict: &Verdict) -> Result<Reply, ConnectionLost> {
    match &verdict.effect {
        Some(Effect::Status { code, retry_after_seconds, .. }) => Ok(reply::error(&scripted(*code, *retry_after_seconds))),
        Some(_) | None => Err(ConnectionLost::Reset),
    }
}
