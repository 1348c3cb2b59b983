//! The API server: one `tower::Service` for requests in memory and over HTTP.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::arrival::Arrival;
use super::auth::Auth;
use super::body::SimBody;
use super::prometheus::{Monitoring, PROMETHEUS_PATH};
use super::reply::{self, Reply};
use super::request::{ApiRequest, Verb, header_text};
use super::watch::{Limits, Watch};
use super::{discovery, eviction, exec, hosts, openapi, read, review, write};
use crate::audit::{Audit, AuditRecord, ReadKey};
use crate::containers::Containers;
use crate::faults::{Effect, FaultScript, Faults, Verdict};
use crate::openstack::{self, OpenStack};
use crate::store::{ApiError, Store};

/// The largest request body that is read, as on a real server.
const MAX_BODY_BYTES: usize = 3 * 1024 * 1024;
const DEFAULT_VERSION: &str = "v1.29.6+aba1e8d";

/// The connection broke before a reply came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionLost {
    /// The server closed it.
    #[error("connection reset by peer")]
    Reset,
    /// Nobody answers.
    #[error("connection refused")]
    Refused,
}

/// The simulated API server; clones are the same server.
#[derive(Clone, Debug)]
pub struct ApiService {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    audit: Audit,
    faults: Faults,
    auth: Auth,
    version: RwLock<String>,
    reachable: watch::Sender<bool>,
    up: AtomicBool,
    cut: AtomicBool,
    /// One eviction at a time, so that two can't spend the same budget.
    evictions: Mutex<()>,
    updates: OnceLock<UpdateService>,
    monitoring: OnceLock<Monitoring>,
    openstack: OnceLock<OpenStack>,
    containers: RwLock<Option<Running>>,
}

/// The path at which update services answer, the vendor's own too.
pub const UPDATE_SERVICE_PATH: &str = "/api/upgrades_info/v1/graph";

/// Makes the update graph's document of a channel.
struct UpdateService(Box<Documents>);

type Documents = dyn Fn(&str) -> Option<Value> + Send + Sync;

impl fmt::Debug for UpdateService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpdateService")
    }
}

/// What runs in containers.
struct Running(Arc<dyn Containers>);

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running")
    }
}

impl ApiService {
    /// A server of this store, without faults.
    pub fn new(store: Store) -> Self {
        Self::with_faults(store, FaultScript::default(), 0)
    }

    /// A server of this store, with faults; `seed` decides those that come with a probability.
    pub fn with_faults(store: Store, script: FaultScript, seed: u64) -> Self {
        let faults = Faults::new(store.clock().clone(), script, seed);
        let inner = Inner {
            store,
            audit: Audit::default(),
            faults,
            auth: Auth::default(),
            version: RwLock::new(DEFAULT_VERSION.to_owned()),
            reachable: watch::Sender::new(true),
            up: AtomicBool::new(true),
            cut: AtomicBool::new(false),
            evictions: Mutex::new(()),
            updates: OnceLock::new(),
            monitoring: OnceLock::new(),
            openstack: OnceLock::new(),
            containers: RwLock::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The objects.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// What clients did.
    pub fn audit(&self) -> &Audit {
        &self.inner.audit
    }

    /// The faults, to add to or to end.
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// Sets the version that `/version` tells, e.g. `v1.29.6`.
    pub fn set_version(&self, git_version: &str) {
        git_version.clone_into(&mut self.inner.version.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Serves the update graph too, at [`UPDATE_SERVICE_PATH`]: real clusters ask another server, which a rehearsal does not have.
    /// Without a document the service is out of reach.
    pub fn serve_updates(&self, document: impl Fn(&str) -> Option<Value> + Send + Sync + 'static) {
        self.inner.updates.get_or_init(|| UpdateService(Box::new(document)));
    }

    /// Lets these run the commands in the containers of pods, instead of what did before; without any, `pods/exec` is not served.
    pub fn run_containers(&self, containers: Arc<dyn Containers>) {
        *self.inner.containers.write().unwrap_or_else(PoisonError::into_inner) = Some(Running(containers));
    }

    /// Serves the monitoring API too, under [`PROMETHEUS_PATH`].
    pub(crate) fn serve_monitoring(&self, monitoring: Monitoring) {
        self.inner.monitoring.get_or_init(|| monitoring);
    }

    /// Serves the cloud's services too, each under its own path.
    pub(crate) fn serve_openstack(&self, openstack: OpenStack) {
        self.inner.openstack.get_or_init(|| openstack);
    }

    /// Lets the monitoring API ask for a bearer token of its own.
    pub(crate) fn guard_monitoring(&self, token: &str) {
        if let Some(monitoring) = self.inner.monitoring.get() {
            monitoring.require(token);
        }
    }

    /// Whether the server answers at all; when it stops, open watches break and connections are refused.
    pub fn set_reachable(&self, reachable: bool) {
        self.inner.up.store(reachable, Ordering::SeqCst);
        self.follow();
    }

    /// Cuts the way to the server, to the hosts under it and to their cloud, or gives it back: a network in between that is gone.
    pub fn cut_off(&self, cut: bool) {
        self.inner.cut.store(cut, Ordering::SeqCst);
        self.follow();
    }

    fn follow(&self) {
        self.inner.reachable.send_modify(|reachable| {
            *reachable = self.inner.up.load(Ordering::SeqCst) && !self.inner.cut.load(Ordering::SeqCst);
        });
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.inner.auth
    }

    /// Answers one request.
    pub async fn handle<B>(&self, request: Request<B>) -> Result<Response<SimBody>, ConnectionLost>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        // The cloud and the hosts are other machines: they answer whatever happens to the cluster.
        let openstack = self.inner.openstack.get().filter(|_| openstack::serves(parts.uri.path()));
        let is_host = hosts::is_host(parts.uri.path());
        let way =
            if is_host || openstack.is_some() { !self.inner.cut.load(Ordering::SeqCst) } else { *self.inner.reachable.borrow() };
        if !way {
            return Err(ConnectionLost::Refused);
        }
        let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                let message = format!("Request entity too large: limit is {MAX_BODY_BYTES}");
                return Ok(self.stamped(reply::error(&ApiError::new(413, "RequestEntityTooLarge", message))));
            }
            Err(_) => return Err(ConnectionLost::Reset),
        };
        if let Some(openstack) = openstack {
            return openstack.answer(&parts, &body).map(|reply| self.stamped(reply));
        }
        let mut arrival = Arrival::of(&parts);
        if is_host {
            return self.host(&parts, &body, arrival).map(|reply| self.stamped(reply));
        }
        let running = self.containers().filter(|_| arrival.is_exec());
        if running.as_ref().is_some_and(|containers| !containers.is_act(&exec::words(&parts))) {
            arrival.verb = Verb::Get;
        }
        let verdict = self.inner.faults.judge(&arrival.subject());
        if !verdict.delay.is_zero() {
            tokio::time::sleep(verdict.delay).await;
        }
        let reply = match &running {
            Some(containers) => self.exec(parts, &arrival, &verdict, containers).await,
            None => self.decide(&parts, &body, &arrival, &verdict),
        };
        reply.map(|reply| self.stamped(reply))
    }

    /// What runs the commands in containers, if anything does.
    pub fn containers(&self) -> Option<Arc<dyn Containers>> {
        self.inner.containers.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|running| Arc::clone(&running.0))
    }

    /// Answers a request to run a command in a container.
    async fn exec(
        &self,
        parts: Parts,
        arrival: &Arrival,
        verdict: &Verdict,
        containers: &Arc<dyn Containers>,
    ) -> Result<Reply, ConnectionLost> {
        let unheard = match &verdict.effect {
            None | Some(Effect::Delay { .. }) => false,
            Some(Effect::ResetAfter | Effect::Status { applied: true, .. }) => true,
            Some(_) => return self.decide(&parts, &Bytes::new(), arrival, verdict),
        };
        if let Err(error) = self.inner.auth.check(&parts.headers, false) {
            return Ok(self.refused(&parts, &Bytes::new(), arrival, &error));
        }
        let target = arrival.target.as_ref().ok_or(ConnectionLost::Reset)?;
        let command = match exec::Command::parse(&parts, target, &self.inner.store) {
            Ok(command) => command,
            Err(error) => return Ok(self.refused(&parts, &Bytes::new(), arrival, &error)),
        };
        self.record(&parts, &Bytes::new(), arrival, 101);
        if !unheard {
            return Ok(command.serve(parts, Arc::clone(containers)));
        }
        command.run_unheard(containers.as_ref()).await;
        match &verdict.effect {
            Some(Effect::Status { code, retry_after_seconds, .. }) => Ok(reply::error(&scripted(*code, *retry_after_seconds))),
            Some(_) | None => Err(ConnectionLost::Reset),
        }
    }

    fn decide(&self, parts: &Parts, body: &Bytes, arrival: &Arrival, verdict: &Verdict) -> Result<Reply, ConnectionLost> {
        let expired = verdict.effect == Some(Effect::ExpiredToken);
        // Prometheus stands behind its own door.
        let monitoring = arrival.path.starts_with(PROMETHEUS_PATH);
        if let Some(error) = self.inner.auth.check(&parts.headers, expired).err().filter(|_| !monitoring) {
            return Ok(self.refused(parts, body, arrival, &error));
        }
        match &verdict.effect {
            Some(Effect::Outage) => Err(ConnectionLost::Refused),
            Some(Effect::ResetBefore) => Err(ConnectionLost::Reset),
            Some(Effect::ResetAfter) => {
                drop(self.carry_out(parts, body, arrival, None));
                Err(ConnectionLost::Reset)
            }
            Some(Effect::Status { code, retry_after_seconds, applied }) => {
                let error = scripted(*code, *retry_after_seconds);
                if !applied {
                    return Ok(self.refused(parts, body, arrival, &error));
                }
                drop(self.carry_out(parts, body, arrival, None));
                Ok(reply::error(&error))
            }
            Some(Effect::Forbidden) => Ok(self.refused(parts, body, arrival, &forbidden(arrival))),
            effect @ (Some(Effect::DropWatch { .. } | Effect::ExpireWatch | Effect::ExpiredToken | Effect::Delay { .. })
            | None) => Ok(self.carry_out(parts, body, arrival, effect.as_ref())),
        }
    }

    /// Carries a request out and records it.
    fn carry_out(&self, parts: &Parts, body: &Bytes, arrival: &Arrival, effect: Option<&Effect>) -> Reply {
        let reply = self.answer(parts, body.clone(), arrival, effect).unwrap_or_else(|error| reply::error(&error));
        self.record(parts, body, arrival, reply.status().as_u16());
        reply
    }

    fn refused(&self, parts: &Parts, body: &Bytes, arrival: &Arrival, error: &ApiError) -> Reply {
        self.record(parts, body, arrival, error.code);
        reply::error(error)
    }

    fn record(&self, parts: &Parts, body: &Bytes, arrival: &Arrival, code: u16) {
        if arrival.target.is_some() && arrival.verb.writes() {
            let path = parts.uri.path_and_query().map_or_else(|| arrival.path.clone(), ToString::to_string);
            let body = if body.is_empty() { Value::Null } else { super::request::parse_body(body).unwrap_or(Value::Null) };
            let who = format!("{} {}", review::USER, arrival.agent);
            let at = self.inner.store.clock().now();
            self.inner.audit.wrote(AuditRecord { at, who, verb: arrival.verb.to_string(), path, body, code });
        } else {
            let resource = if arrival.target.is_some() { arrival.label.clone() } else { arrival.path.clone() };
            let unpaged = arrival.target.is_some() && arrival.verb == Verb::List && !arrival.paged;
            self.inner.audit.read(ReadKey { verb: arrival.verb.to_string(), resource, unpaged });
        }
    }

    fn answer(&self, parts: &Parts, body: Bytes, arrival: &Arrival, effect: Option<&Effect>) -> Result<Reply, ApiError> {
        let store = &self.inner.store;
        let Some(target) = arrival.target.clone() else { return self.answer_beside(parts, &body, arrival) };
        let request = ApiRequest::parse(parts, target, body)?;
        let part = request.target.subresource.as_deref();
        match (request.verb, part) {
            (Verb::Create, Some("eviction")) => {
                let _one_at_a_time = self.inner.evictions.lock().unwrap_or_else(PoisonError::into_inner);
                eviction::evict(store, &request)
            }
            (_, Some(part @ ("exec" | "attach" | "portforward" | "log" | "binding"))) => Err(read::not_simulated(part)),
            (Verb::Delete | Verb::Create | Verb::DeleteCollection, Some(_)) => {
                Err(ApiError::method_not_allowed("the server does not allow this method on the requested resource"))
            }
            (Verb::Get, _) => read::get(store, &request),
            (Verb::List, _) => read::list(store, &request),
            (Verb::Watch, _) => self.watch(&request, effect),
            (Verb::Create, None) => write::create(store, &request),
            (Verb::Update, _) => write::update(store, &request),
            (Verb::Patch, _) => write::patch(store, &request),
            (Verb::Delete, None) => write::delete(store, &request),
            (Verb::DeleteCollection, None) => write::delete_collection(store, &request),
        }
    }

    fn watch(&self, request: &ApiRequest, effect: Option<&Effect>) -> Result<Reply, ApiError> {
        let drop_after = match effect {
            Some(Effect::DropWatch { after_events }) => Some(*after_events),
            Some(_) | None => None,
        };
        let limits = Limits {
            drop_after,
            outage_at: self.inner.faults.next_outage(),
            reachable: self.inner.reachable.subscribe(),
            expired: effect == Some(&Effect::ExpireWatch),
        };
        let watch = Watch::open(&self.inner.store, request, limits, self.inner.audit.watching())?;
        let media = HeaderValue::from_static("application/json");
        Ok(reply::with_body(200, SimBody::stream(watch.into_stream()), media))
    }

    /// Answers what is not about objects.
    fn answer_beside(&self, parts: &Parts, body: &Bytes, arrival: &Arrival) -> Result<Reply, ApiError> {
        let accept = header_text(&parts.headers, header::ACCEPT);
        let path = arrival.path.as_str();
        match path.trim_end_matches('/') {
            "/version" => return Ok(reply::json(200, &self.version())),
            "/healthz" | "/readyz" | "/livez" => return Ok(reply::text("ok")),
            UPDATE_SERVICE_PATH => return self.update_graph(parts.uri.query().unwrap_or_default()),
            _ => {}
        }
        if let Some(monitoring) = self.inner.monitoring.get().filter(|_| path.starts_with(PROMETHEUS_PATH)) {
            return monitoring.answer(path, parts, body, self.inner.store.clock().now());
        }
        if let Some(answer) = discovery::answer(path, &accept).or_else(|| openapi::answer(path, &accept)) {
            return Ok(answer);
        }
        review::answer(path, body, &self.inner.store, &self.inner.faults, &arrival.agent)
            .unwrap_or_else(|| Err(ApiError::no_such_path()))
    }

    fn update_graph(&self, query: &str) -> Result<Reply, ApiError> {
        let channel = query.split('&').find_map(|pair| pair.strip_prefix("channel=")).unwrap_or_default();
        let updates = self.inner.updates.get().ok_or_else(ApiError::no_such_path)?;
        let unreachable = || ApiError::new(503, "ServiceUnavailable", "no update service can be reached from this cluster");
        Ok(reply::json(200, &updates.0(channel).ok_or_else(unreachable)?))
    }

    fn version(&self) -> Value {
        let version = self.inner.version.read().unwrap_or_else(PoisonError::into_inner);
        let mut numbers = version.trim_start_matches('v').split('.');
        let (major, minor) = (numbers.next().unwrap_or("1"), numbers.next().unwrap_or("29"));
        json!({
            "major": major, "minor": minor, "gitVersion": *version, "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
        })
    }

    fn stamped(&self, mut reply: Reply) -> Reply {
        let date = self.inner.store.clock().now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Ok(date) = HeaderValue::from_str(&date) {
            reply.headers_mut().insert(header::DATE, date);
        }
        reply
    }
}

impl<B> tower::Service<Request<B>> for ApiService
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<SimBody>;
    type Error = ConnectionLost;
    type Future = BoxFuture<'static, Result<Response<SimBody>, ConnectionLost>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectionLost>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        let (parts, body) = request.into_parts();
        let is_upgrade = exec::is_upgrade(&parts);
        let request = Request::from_parts(parts, body);
        if is_upgrade {
            return Box::pin(exec::over_a_connection(service, request));
        }
        Box::pin(async move { service.handle(request).await })
    }
}

pub(super) fn scripted(code: u16, retry_after_seconds: Option<u32>) -> ApiError {
    let (reason, message) = match code {
        429 => ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
        500 => ("InternalError", "Internal error occurred: etcdserver: leader changed"),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => (
            "Timeout",
            "the server was unable to return a response in the time allotted, but may still be processing the request",
        ),
        _ => ("", "the simulated server was told to answer so"),
    };
    let error = ApiError::new(code, reason, message);
    match retry_after_seconds {
        Some(seconds) => error.retry_after(seconds),
        None => error,
    }
}

fn forbidden(arrival: &Arrival) -> ApiError {
    let subject = arrival.subject();
    let Some(target) = &arrival.target else {
        return ApiError::new(
            403,
            "Forbidden",
            format!("forbidden: User \"{}\" cannot {} path \"{}\"", review::USER, subject.verb, arrival.path),
        );
    };
    let (r, name) = (target.resource, subject.name);
    let plural = target.subresource.as_ref().map_or_else(|| r.plural.to_owned(), |s| format!("{}/{s}", r.plural));
    let scope = match target.ns() {
        Some(ns) => format!("in the namespace \"{ns}\""),
        None => "at the cluster scope".to_owned(),
    };
    let named = if name.is_empty() { r.qualified() } else { format!("{} \"{name}\"", r.qualified()) };
    let message = format!(
        "{named} is forbidden: User \"{}\" cannot {} resource \"{plural}\" in API group \"{}\" {scope}",
        review::USER,
        subject.verb,
        r.group
    );
    ApiError::new(403, "Forbidden", message).about(r, name, &[])
}
