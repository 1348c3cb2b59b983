//! Reading, listing, changing and deleting the cloud's objects, each by its id.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use http::{Method, Request, StatusCode, header};
use serde_json::Value;
use tokio::sync::Mutex;
use windlass_engine::ActivityError;

use super::clouds::{CloudAccess, find};
use super::login::{self, Session, TOKEN};
use super::objects::{Resource, Service};
use super::wire::{self, Answer};
use crate::cluster::Cluster;
use crate::error::{Call, CallError, Failure};
use crate::link::Source;

/// Objects a page; a service that gives fewer says where the next page begins.
const PAGE: usize = 500;

/// The logins that a cluster's activities have used.
#[derive(Default)]
pub(crate) struct Clouds {
    /// A login that was handed in, for a simulated cluster; else `clouds.yaml` is read.
    pub(crate) given: Option<CloudAccess>,
    open: Mutex<BTreeMap<String, Arc<Account>>>,
}

impl Clouds {
    pub(crate) fn new(given: Option<CloudAccess>) -> Self {
        Self { given, open: Mutex::default() }
    }
}

/// One login, its token, and the connections to the services.
pub(crate) struct Account {
    access: CloudAccess,
    /// What answers for every address, if the cloud is simulated in memory.
    memory: Option<kube::Client>,
    session: Mutex<Option<Session>>,
    clients: Mutex<BTreeMap<String, kube::Client>>,
}

/// A cloud, as one cluster's activities use it.
pub struct Cloud<'a> {
    cluster: &'a Cluster,
    account: Arc<Account>,
}

impl Cluster {
    /// The cloud of this name in `clouds.yaml`. Nothing is asked of it yet.
    pub async fn cloud(&self, name: &str) -> Result<Cloud<'_>, ActivityError> {
        let mut open = self.clouds.open.lock().await;
        if let Some(account) = open.get(name) {
            return Ok(Cloud { cluster: self, account: account.clone() });
        }
        let (access, memory) = match (&self.clouds.given, &self.link.source) {
            (Some(access), Source::Given) => (access.clone(), Some(self.link.client().borrow().clone())),
            (Some(access), Source::Kubeconfig(_)) => (access.clone(), None),
            (None, Source::Kubeconfig(_)) => (find(name).await?, None),
            (None, Source::Given) => return Err(ActivityError::permanent("no-cloud", "there is no cloud under this cluster")),
        };
        let account = Arc::new(Account { access, memory, session: Mutex::default(), clients: Mutex::default() });
        open.insert(name.to_owned(), account.clone());
        Ok(Cloud { cluster: self, account })
    }
}

impl Cloud<'_> {
    /// Reads one object; `None` if it does not exist.
    pub async fn get<R: Resource>(&self, id: &str) -> Result<Option<R>, ActivityError> {
        let path = format!("{}/{}", R::PATH, checked::<R>(id)?);
        let call = call_on::<R>("get", Some(id));
        match self.call(call, Method::GET, R::SERVICE, &path, None).await {
            Ok(mut body) => Ok(Some(read(body[R::ONE].take())?)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Lists objects, page by page.
    pub async fn list<R: Resource>(&self, query: &[(&str, &str)]) -> Result<Vec<R>, ActivityError> {
        let mut objects: Vec<R> = Vec::new();
        loop {
            let path = format!("{}?{}", R::PATH, page_query(query, objects.last().map(R::id)));
            let mut body = self.call(call_on::<R>("list", None), Method::GET, R::SERVICE, &path, None).await?;
            let page: Vec<R> = read(body[R::MANY].take())?;
            let is_last = page.is_empty() || !has_next(&body, R::MANY);
            objects.extend(page);
            if is_last {
                return Ok(objects);
            }
        }
    }

    /// Asks for one object to be deleted; whether it was there.
    pub async fn delete<R: Resource>(&self, id: &str, query: &str) -> Result<bool, CallFailed> {
        let path = format!("{}/{}{query}", R::PATH, checked::<R>(id)?);
        match self.call(call_on::<R>("delete", Some(id)), Method::DELETE, R::SERVICE, &path, None).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(CallFailed::of(error)),
        }
    }

    /// Asks for a change of one object that has a name of its own: `remove_router_interface`.
    pub async fn change<R: Resource>(&self, method: Method, id: &str, change: &str, body: &Value) -> Result<Value, CallFailed> {
        let path = format!("{}/{}/{change}", R::PATH, checked::<R>(id)?);
        self.call(call_on::<R>("update", Some(id)), method, R::SERVICE, &path, Some(body)).await.map_err(CallFailed::of)
    }

    /// Reads what stands below one object: `os-instance-actions`.
    pub async fn look<R: Resource>(&self, id: &str, below: &str) -> Result<Value, ActivityError> {
        let path = format!("{}/{}/{below}", R::PATH, checked::<R>(id)?);
        Ok(self.call(call_on::<R>("get", Some(id)), Method::GET, R::SERVICE, &path, None).await?)
    }

    async fn call(
        &self,
        call: Call,
        method: Method,
        service: Service,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, CallError> {
        let deed = async { self.account.answer(method, service, path, body).await?.json() };
        self.cluster.past_fence(call, deed).await
    }
}

/// A call that a service refused because of how things are, or that failed.
#[derive(Debug)]
pub enum CallFailed {
    /// Something else still needs the object, or it is being changed: said the service.
    Conflict(String),
    /// Anything else.
    Other(ActivityError),
}

impl CallFailed {
    fn of(error: CallError) -> Self {
        let conflict = match &error.failure {
            Failure::Answered { status, .. } if status.code == 409 => Some(status.message.clone()),
            Failure::Answered { .. }
            | Failure::NotSent(_)
            | Failure::Lost(_)
            | Failure::TimedOut(_)
            | Failure::NoCredentials(_)
            | Failure::Fenced(_)
            | Failure::Unreadable(_) => None,
        };
        conflict.map_or_else(|| Self::Other(error.into()), Self::Conflict)
    }
}

impl From<ActivityError> for CallFailed {
    fn from(error: ActivityError) -> Self {
        Self::Other(error)
    }
}

impl From<CallFailed> for ActivityError {
    fn from(failed: CallFailed) -> Self {
        match failed {
            CallFailed::Conflict(said) => Self::transient("in-use", said),
            CallFailed::Other(error) => error,
        }
    }
}

impl Account {
    /// Sends one request. A token that has ended did nothing, and is replaced once.
    async fn answer(&self, method: Method, service: Service, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let mut is_second = false;
        loop {
            let session = self.session(is_second).await?;
            let (server, base) = session.place(service, &self.access)?;
            let mut request = Request::builder().method(method.clone()).uri(format!("{base}/{path}"));
            request = request.header(TOKEN, session.token.clone()).header(header::ACCEPT, "application/json");
            if body.is_some() {
                request = request.header(header::CONTENT_TYPE, "application/json");
            }
            let text = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
            let request = request.body(text).map_err(|error| Failure::NotSent(error.to_string()))?;
            let answer = wire::send(self.client(server).await?, request).await?;
            if answer.status == StatusCode::UNAUTHORIZED && !is_second {
                is_second = true;
                continue;
            }
            return Ok(answer);
        }
    }

    async fn session(&self, renew: bool) -> Result<Session, Failure> {
        let mut session = self.session.lock().await;
        match &*session {
            Some(session) if !renew => Ok(session.clone()),
            Some(_) | None => {
                let (server, request) = login::request(&self.access)?;
                let answer = wire::send(self.client(&server).await?, request).await.map_err(not_sent)?;
                let new = login::session(&self.access, &answer).map_err(not_sent)?;
                *session = Some(new.clone());
                Ok(new)
            }
        }
    }

    async fn client(&self, server: &str) -> Result<kube::Client, Failure> {
        if let Some(memory) = &self.memory {
            return Ok(memory.clone());
        }
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(server) {
            return Ok(client.clone());
        }
        let ca_file: Option<PathBuf> = self.access.ca_file.clone();
        let client = wire::client(server, ca_file).await?;
        clients.insert(server.to_owned(), client.clone());
        Ok(client)
    }
}

/// A login that failed, however it did, sent nothing of what was to be done.
fn not_sent(failure: Failure) -> Failure {
    match failure {
        Failure::NoCredentials(_) | Failure::NotSent(_) => failure,
        Failure::Answered { status, .. } => {
            Failure::NotSent(format!("the login was answered {}: {}", status.code, status.message))
        }
        Failure::Lost(why) | Failure::Unreadable(why) | Failure::Fenced(why) => Failure::NotSent(format!("the login: {why}")),
        Failure::TimedOut(limit) => Failure::NotSent(format!("the login: no answer within {} s", limit.as_secs())),
    }
}

/// An id that may stand in a path. An empty one would name the whole collection.
fn checked<R: Resource>(id: &str) -> Result<&str, ActivityError> {
    let is_id = !id.is_empty() && id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let bad = || ActivityError::permanent("no-id", format!("{id:?} is no id of {}; nothing was asked for", R::PATH));
    if is_id { Ok(id) } else { Err(bad()) }
}

fn call_on<R: Resource>(verb: &'static str, id: Option<&str>) -> Call {
    let resource = R::PATH.rsplit('/').next().unwrap_or(R::PATH).to_owned();
    Call { verb, group: "openstack".to_owned(), resource, namespace: None, name: id.map(str::to_owned) }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ActivityError> {
    serde_json::from_value(value)
        .map_err(|error| ActivityError::permanent("unreadable", format!("the cloud's answer is not what it should be: {error}")))
}

fn page_query(query: &[(&str, &str)], marker: Option<&str>) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    pairs.extend_pairs(query).append_pair("limit", &PAGE.to_string());
    if let Some(marker) = marker {
        pairs.append_pair("marker", marker);
    }
    pairs.finish()
}

fn has_next(body: &Value, many: &str) -> bool {
    body[format!("{many}_links")].as_array().into_iter().flatten().any(|link| link["rel"] == "next")
}
