//! A few objects behind a `kube::Client`, in memory, with faults on demand: enough to test single activities.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use windlass_engine::{ActivityContext, Attempt, Clock, CommandId, RunId, Timestamp, TokioClock};

use crate::cluster::{Cluster, Settings};
use crate::condition::fixtures::{at, healthy};
use crate::hosts::Hosts;
use crate::views::View;

/// What goes wrong with one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Answered with this code before anything is done.
    Code(u16),
    /// Answered with 503 and `Retry-After`.
    Busy(u32),
    /// The connection breaks before the effect.
    ResetBefore,
    /// The connection breaks after the effect.
    ResetAfter,
    /// No answer ever comes.
    Silence,
}

/// The body of an answer: a text, or a stream of watch events.
type Answer = UnsyncBoxBody<Bytes, Infallible>;

/// The server: objects by collection path and name.
#[derive(Clone, Default)]
pub(crate) struct Server {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    revision: u64,
    watchers: Vec<(String, UnboundedSender<Bytes>)>,
    deaf: Vec<(String, UnboundedSender<Bytes>)>,
    faults: VecDeque<(Method, Fault)>,
    standing: Option<Fault>,
    requests: Vec<String>,
    page: Option<usize>,
}

impl Server {
    /// A server with the healthy cluster of the fixtures on it.
    pub(crate) fn healthy() -> Self {
        let (server, cluster) = (Self::default(), healthy());
        cluster.versions.values().for_each(|object| server.put(&**object));
        cluster.operators.values().for_each(|object| server.put(&**object));
        cluster.pools.values().for_each(|object| server.put(&**object));
        cluster.nodes.values().for_each(|object| server.put(&**object));
        server
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Stores an object and tells who watches.
    pub(crate) fn put<K: View + serde::Serialize>(&self, object: &K) {
        let namespace = object.meta().namespace.clone();
        let path = K::url_path(&(), namespace.as_deref());
        self.state().store(&path, object.name(), serde_json::to_value(object).unwrap());
    }

    /// Changes an object in place.
    pub(crate) fn edit(&self, path: &str, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut object = self.read(path, name);
        edit(&mut object);
        self.state().store(path, name, object);
    }

    /// As [`Server::edit`], but nobody who watches is told.
    pub(crate) fn edit_unseen(&self, path: &str, name: &str, edit: impl FnOnce(&mut Value)) {
        let watchers = std::mem::take(&mut self.state().watchers);
        self.edit(path, name, edit);
        self.state().watchers = watchers;
    }

    /// The watches that there are now bring nothing any more, and do not end.
    pub(crate) fn deafen(&self) {
        let mut state = self.state();
        let deaf = std::mem::take(&mut state.watchers);
        state.deaf.extend(deaf);
    }

    pub(crate) fn read(&self, path: &str, name: &str) -> Value {
        self.state().objects[path][name].clone()
    }

    /// The next request with this method fails so.
    pub(crate) fn fail_next(&self, method: &Method, fault: Fault) {
        self.state().faults.push_back((method.clone(), fault));
    }

    /// Every request fails so until told otherwise, and watches end.
    pub(crate) fn fail_all(&self, fault: Option<Fault>) {
        let mut state = self.state();
        state.standing = fault;
        state.watchers.clear();
    }

    /// Serves lists in pages of this size.
    pub(crate) fn page(&self, size: usize) {
        self.state().page = Some(size);
    }

    /// Every request so far, as `METHOD path`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// Every request that changed something.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.requests().into_iter().filter(|request| !request.starts_with("GET")).collect()
    }

    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        Client::new(service, "default")
    }

    /// The cluster behind the server, on virtual time that begins when the fixtures were read.
    pub(crate) async fn cluster(&self) -> Arc<Cluster> {
        let settings = Settings::simulated(clock());
        Arc::new(Cluster::from_client(self.client(), settings).await.unwrap())
    }

    /// As [`Server::cluster`], with hosts that this program reaches in the place of `ssh`.
    pub(crate) async fn cluster_by_ssh(&self, program: PathBuf) -> Arc<Cluster> {
        self.cluster_with(Hosts::Real { ssh: Some(program) }).await
    }

    /// As [`Server::cluster`], with these hosts.
    pub(crate) async fn cluster_with(&self, hosts: Hosts) -> Arc<Cluster> {
        let settings = Settings { hosts, ..Settings::simulated(clock()) };
        Arc::new(Cluster::from_client(self.client(), settings).await.unwrap())
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Answer>, std::io::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let fault = self.fault(&parts.method);
        match fault {
            Some(Fault::Silence) => futures::future::pending().await,
            Some(Fault::ResetBefore) => return Err(std::io::Error::other("connection reset by peer")),
            Some(Fault::Code(code)) => return Ok(failure(code, "as told", None)),
            Some(Fault::Busy(seconds)) => return Ok(failure(503, "busy", Some(seconds))),
            Some(Fault::ResetAfter) | None => {}
        }
        let answer = self.state().serve(&parts, &body);
        if fault == Some(Fault::ResetAfter) { Err(std::io::Error::other("connection reset by peer")) } else { Ok(answer) }
    }

    fn fault(&self, method: &Method) -> Option<Fault> {
        let mut state = self.state();
        let next = state.faults.iter().position(|(on, _)| on == method);
        next.and_then(|index| state.faults.remove(index)).map(|(_, fault)| fault).or(state.standing)
    }
}

impl State {
    fn store(&mut self, path: &str, name: &str, mut object: Value) {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let known = self.objects.entry(path.to_owned()).or_default().insert(name.to_owned(), object.clone());
        let kind = if known.is_some() { "MODIFIED" } else { "ADDED" };
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        self.watchers.retain(|(watched, to)| watched != path || to.unbounded_send(Bytes::from(line.clone())).is_ok());
    }

    fn serve(&mut self, parts: &http::request::Parts, body: &[u8]) -> Response<Answer> {
        let path = parts.uri.path().to_owned();
        let query: BTreeMap<String, String> = parts
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        self.requests.push(format!("{} {path}", parts.method));
        let (collection, name) = path.rsplit_once('/').unwrap();
        let named = || (collection.to_owned(), name.to_owned());
        match parts.method {
            Method::PATCH => {
                let (collection, name) = named();
                let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
                self.patch(&collection, &name, content_type.unwrap(), &serde_json::from_slice(body).unwrap())
            }
            // Every permission is granted.
            Method::POST if path.ends_with("/selfsubjectaccessreviews") => success(&json!({"status": {"allowed": true}})),
            Method::DELETE => {
                let (collection, name) = named();
                self.delete(&collection, &name, &serde_json::from_slice(body).unwrap())
            }
            Method::POST => {
                let object: Value = serde_json::from_slice(body).unwrap();
                let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                self.store(&path, &name, object.clone());
                success(&object)
            }
            _ if self.objects.contains_key(&path) && query.contains_key("watch") => self.watch(&path),
            _ if self.objects.contains_key(&path) => self.list(&path, &query),
            _ => match self.objects.get(collection).and_then(|objects| objects.get(name)) {
                Some(object) => success(object),
                None => failure(404, "not found", None),
            },
        }
    }

    fn list(&self, path: &str, query: &BTreeMap<String, String>) -> Response<Answer> {
        let begin: usize = query.get("continue").map_or(0, |token| token.parse().unwrap());
        let all: Vec<&Value> = self.objects[path].values().collect();
        let end = self.page.map_or(all.len(), |page| (begin + page).min(all.len()));
        let token = if end < all.len() { end.to_string() } else { String::new() };
        let metadata = json!({"resourceVersion": self.revision.to_string(), "continue": token});
        success(&json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": &all[begin..end]}))
    }

    fn watch(&mut self, path: &str) -> Response<Answer> {
        let (to, from) = unbounded::<Bytes>();
        self.watchers.push((path.to_owned(), to));
        let frames = from.map(|line| Ok::<_, Infallible>(http_body::Frame::data(line)));
        Response::new(StreamBody::new(frames).boxed_unsync())
    }

    fn delete(&mut self, collection: &str, name: &str, options: &Value) -> Response<Answer> {
        let Some(object) = self.objects.get_mut(collection).and_then(|objects| objects.remove(name)) else {
            return failure(404, "not found", None);
        };
        if object["metadata"]["uid"] == options["preconditions"]["uid"] {
            return success(&object);
        }
        self.store(collection, name, object);
        failure(409, "the UID in the precondition does not match", None)
    }

    fn patch(&mut self, collection: &str, name: &str, content_type: &str, patch: &Value) -> Response<Answer> {
        let Some(before) = self.objects.get(collection).and_then(|objects| objects.get(name)).cloned() else {
            return failure(404, "not found", None);
        };
        let mut after = before.clone();
        if content_type == "application/json-patch+json" {
            let operations: json_patch::Patch = serde_json::from_value(patch.clone()).unwrap();
            if json_patch::patch(&mut after, &operations).is_err() {
                return failure(422, "the server rejected our request", None);
            }
        } else {
            let expected = &patch["metadata"]["resourceVersion"];
            if !expected.is_null() && *expected != before["metadata"]["resourceVersion"] {
                return failure(409, "the object has been modified", None);
            }
            json_patch::merge(&mut after, patch);
        }
        if after["spec"] != before["spec"] {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(0);
            after["metadata"]["generation"] = json!(generation + 1);
        }
        self.store(collection, name, after);
        success(&self.objects[collection][name])
    }
}

fn success(object: &Value) -> Response<Answer> {
    Response::new(Full::new(Bytes::from(object.to_string())).boxed_unsync())
}

fn failure(code: u16, message: &str, retry_after: Option<u32>) -> Response<Answer> {
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": "Test", "code": code});
    let mut response = Response::new(Full::new(Bytes::from(status.to_string())).boxed_unsync());
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(TokioClock::starting_at(at(0)))
}

/// What an attempt said of its progress, each text once in a row.
pub(crate) type Said = Arc<Mutex<Vec<String>>>;

/// A first attempt of run 1 on a cluster, and what it says.
pub(crate) fn attempt(cluster: &Arc<Cluster>) -> (ActivityContext<Cluster>, Said) {
    let said = Said::default();
    let listener = said.clone();
    let note = move |text: String| {
        let mut said = listener.lock().unwrap();
        if said.last() != Some(&text) {
            said.push(text);
        }
    };
    let attempt = Attempt { run: run(), command: CommandId(0), number: 1 };
    (ActivityContext::new(cluster.clone(), attempt, cluster.link.clock.clone(), Arc::new(note)), said)
}

pub(crate) fn run() -> RunId {
    RunId::new(Timestamp::from_micros(0), [1; 10])
}

pub(crate) const VERSIONS: &str = "/apis/config.openshift.io/v1/clusterversions";
pub(crate) const OPERATORS: &str = "/apis/config.openshift.io/v1/clusteroperators";
pub(crate) const POOLS: &str = "/apis/machineconfiguration.openshift.io/v1/machineconfigpools";
pub(crate) const NODES: &str = "/api/v1/nodes";
