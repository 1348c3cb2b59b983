//! The way from a request to the service that it is for, and back.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::Value;

use super::answer::{Answer, Question, Refusal, Service};
use super::handle::{CloudRecord, OpenStack};
use super::state::State;
use super::{catalog, compute, identity, load_balancer, network};
use crate::api::{ConnectionLost, SimBody};

/// Whether a path is one of the cloud's.
pub(crate) fn serves(path: &str) -> bool {
    service_of(path).is_some()
}

fn service_of(path: &str) -> Option<Service> {
    let first = path.split('/').nth(1)?;
    Service::ALL.into_iter().find(|service| service.prefix() == first)
}

/// The name of the cloud where a request does not say by which it came.
const NAMELESS: &str = "http://openstack.sim";

impl OpenStack {
    /// Answers one request to one of the services.
    pub(crate) fn answer(&self, parts: &Parts, body: &Bytes) -> Result<Response<SimBody>, ConnectionLost> {
        let path = parts.uri.path();
        let Some(service) = service_of(path) else { return Err(ConnectionLost::Reset) };
        let mutating = service != Service::Identity && !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let now = self.clock.now();
        let (lost, away) = {
            let mut faults = self.faults();
            faults.calls += usize::from(mutating);
            let away = faults.away.iter().any(|(of, from, to)| of.is_none_or(|of| of == service) && (*from..*to).contains(&now));
            (mutating && faults.lost.contains(&faults.calls), away)
        };
        let mut state = self.lock();
        let body: Value = if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap_or(Value::Null) };
        let request_id = format!("req-{}", state.id());
        let (code, reply) = if away {
            (503, unavailable())
        } else {
            let answer = self.ask(&mut state, service, parts, &body, &request_id);
            (answer.code, render(&answer))
        };
        for cycle in state.power_cycles.drain(..) {
            self.machines.power_cycle(&cycle, now);
        }
        if mutating {
            let path = parts.uri.path_and_query().map_or_else(|| path.to_owned(), ToString::to_string);
            let method = parts.method.to_string();
            state.audit.push(CloudRecord { at: now, method, path, body, status: code, heard: !lost });
        }
        if lost {
            return Err(ConnectionLost::Reset);
        }
        let mut reply = reply;
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            reply.headers_mut().insert("x-openstack-request-id", id);
        }
        Ok(reply)
    }

    fn ask(&self, state: &mut State, service: Service, parts: &Parts, body: &Value, request_id: &str) -> Answer {
        let whole_path = parts.uri.path();
        let segments: Vec<&str> = whole_path.split('/').filter(|part| !part.is_empty()).skip(1).collect();
        let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect::<Vec<_>>();
        let base = base(parts);
        let now = self.clock.now();
        let (method, path, query) = (&parts.method, segments.as_slice(), query.as_slice());
        let question = Question { method, path, query, body, base: &base, whole_path, request_id, now };
        let answered = if let Some(versions) = catalog::versions(service, &question) {
            Ok(versions)
        } else if service == Service::Identity {
            identity::answer(state, &question, &parts.headers)
        } else if !identity::lets_in(state, &parts.headers, now) {
            Err(Refusal::unauthorized())
        } else {
            match service {
                Service::Identity => Err(Refusal::no_such_path()),
                Service::Network => network::answer(state, &question),
                Service::LoadBalancer => load_balancer::answer(state, &question),
                Service::Compute => compute::answer(state, &question),
            }
        };
        answered.unwrap_or_else(|refusal| {
            let mut answer = Answer::new(refusal.code, service.render(&refusal));
            if refusal.code == 401 && service != Service::Identity {
                answer.headers.push(("www-authenticate", format!("Keystone uri=\"{base}/identity\"")));
            }
            answer
        })
    }
}

/// Scheme and host by which a request came. Connections that are not in memory are always TLS.
fn base(parts: &Parts) -> String {
    if let (Some(scheme), Some(authority)) = (parts.uri.scheme_str(), parts.uri.authority()) {
        return format!("{scheme}://{authority}");
    }
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.map_or_else(|| NAMELESS.to_owned(), |host| format!("https://{host}"))
}

fn render(answer: &Answer) -> Response<SimBody> {
    let body = if answer.body.is_null() { vec![] } else { answer.body.to_string().into_bytes() };
    let mut reply = plain(answer.code, body, "application/json");
    for (name, value) in &answer.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            reply.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    reply
}

/// What the proxy before the services says when none is behind it.
fn unavailable() -> Response<SimBody> {
    let page = "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n";
    plain(503, page.as_bytes().to_vec(), "text/html")
}

fn plain(code: u16, body: Vec<u8>, media: &'static str) -> Response<SimBody> {
    let empty = body.is_empty();
    let mut reply = Response::new(SimBody::whole(body));
    *reply.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !empty {
        reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    }
    reply
}
