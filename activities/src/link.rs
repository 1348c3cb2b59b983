//! The link to one API server: single calls with a budget and a deadline, and the client that watches share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::core::Status;
use tokio::sync::watch;
use windlass_engine::{Clock, Timestamp};

use crate::connect::Connection;
use crate::error::{Call, CallError, Failure};
use crate::floor::Floor;
use crate::hosts::Hosts;
use crate::lease::Holder;
use crate::lease::fence::{Fence, Passage};
use crate::limiter::Limiter;
use crate::server_time::ServerTime;

/// How long one call may take. A healthy server answers in milliseconds; one that goes through a leader change needs
/// a few seconds; the server itself gives up after a minute.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Where the client came from, and so how to get a fresh one when the login ends.
pub(crate) enum Source {
    /// A kubeconfig that can be read again.
    Kubeconfig(Connection),
    /// Handed in ready-made.
    Given,
}

/// The link to one API server.
pub(crate) struct Link {
    pub(crate) source: Source,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) time: ServerTime,
    pub(crate) floor: Floor,
    /// The server's address.
    pub(crate) address: String,
    pub(crate) proxy: Option<http::Uri>,
    pub(crate) hosts: Hosts,
    client: watch::Sender<Client>,
    limiter: Limiter,
    login_ended: Mutex<Option<LoginEnded>>,
    fence: RwLock<Option<Arc<Fence>>>,
    /// Who we are, once it was said.
    pub(crate) us: OnceLock<Holder>,
}

/// That the server no longer accepts the login.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LoginEnded {
    pub(crate) since: Timestamp,
    /// What reading the kubeconfig again brought.
    pub(crate) note: Option<String>,
}

impl Link {
    pub(crate) fn new(source: Source, client: Client, limiter: Limiter, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            clock,
            time: ServerTime::default(),
            floor: Floor::default(),
            address: "memory://".to_owned(),
            proxy: None,
            hosts: Hosts::default(),
            client: watch::Sender::new(client),
            limiter,
            login_ended: Mutex::new(None),
            fence: RwLock::new(None),
            us: OnceLock::new(),
        }
    }

    /// The client of the moment, for watches; the receiver tells when there is another one.
    pub(crate) fn client(&self) -> watch::Receiver<Client> {
        self.client.subscribe()
    }

    /// Puts another client in place, or the same one again to make every watch begin anew.
    pub(crate) fn replace_client(&self, client: Option<Client>) {
        self.client.send_modify(|current| {
            if let Some(client) = client {
                *current = client;
            }
        });
    }

    pub(crate) fn login_ended(&self) -> Option<LoginEnded> {
        self.login_ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note_login(&self, ended: bool) {
        let mut state = self.login_ended.lock().unwrap_or_else(PoisonError::into_inner);
        match (ended, state.is_some()) {
            (true, false) => *state = Some(LoginEnded { since: self.clock.now(), note: None }),
            (false, _) => *state = None,
            (true, true) => {}
        }
    }

    pub(crate) fn note_renewal(&self, note: String) {
        if let Some(state) = &mut *self.login_ended.lock().unwrap_or_else(PoisonError::into_inner) {
            state.note = Some(note);
        }
    }

    /// Puts every write from now on behind a fence.
    pub(crate) fn guard(&self, fence: Arc<Fence>) {
        *self.fence.write().unwrap_or_else(PoisonError::into_inner) = Some(fence);
    }

    /// Waits for the turn of a call.
    pub(crate) async fn admit_turn(&self) {
        self.limiter.admit().await;
    }

    /// Makes one call and returns the body of its answer. Behind a fence, a write that may not be made is not sent.
    pub(crate) async fn exchange(&self, call: Call, request: Request<Vec<u8>>) -> Result<Vec<u8>, CallError> {
        let client = self.client.borrow().clone();
        // Its turn comes first: between the look at the lease and the sending there must be no waiting.
        self.limiter.admit().await;
        let passage = self.admit(&client, &call).await?;
        let outcome = self.answer(client, request).await;
        if let Some(passage) = passage {
            passage.end(&outcome);
        }
        outcome.map_err(|failure| CallError { call: call.into(), failure })
    }

    /// Makes one call past the fence, with a certain client if one is given: a renewed login is tried before it is put in place.
    pub(crate) async fn exchange_unfenced(
        &self,
        client: Option<Client>,
        call: Call,
        request: Request<Vec<u8>>,
    ) -> Result<Vec<u8>, CallError> {
        let client = client.unwrap_or_else(|| self.client.borrow().clone());
        self.limiter.admit().await;
        self.answer(client, request).await.map_err(|failure| CallError { call: call.into(), failure })
    }

    /// Lets a call pass that changes something, if there is a fence; everything else needs none.
    pub(crate) async fn admit(&self, client: &Client, call: &Call) -> Result<Option<Passage>, CallError> {
        if !call.is_write() || call.is_review() {
            return Ok(None);
        }
        let fence = self.fence.read().unwrap_or_else(PoisonError::into_inner).clone();
        match fence {
            Some(fence) => fence.admit(self, client, call).await.map(Some),
            None => Ok(None),
        }
    }

    async fn answer(&self, client: Client, request: Request<Vec<u8>>) -> Result<Vec<u8>, Failure> {
        let answer = tokio::time::timeout(CALL_LIMIT, answer_to(client, request)).await;
        let (status, headers, body) = answer.unwrap_or(Err(Failure::TimedOut(CALL_LIMIT)))?;
        if let Some(date) = headers.get(header::DATE).and_then(|date| date.to_str().ok()) {
            self.time.note_date(date, self.clock.now());
        }
        if status.is_success() { Ok(body) } else { Err(refusal(status, &headers, &body)) }
    }
}

async fn answer_to(client: Client, request: Request<Vec<u8>>) -> Result<(StatusCode, HeaderMap, Vec<u8>), Failure> {
    let response = client.send(request.map(kube::client::Body::from)).await.map_err(|error| sending_failed(&error))?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| Failure::Lost(root_cause(&error)))?;
    Ok((parts.status, parts.headers, body.to_bytes().to_vec()))
}

/// Tells a connection that never came about from one that broke: only the former has certainly done nothing.
pub(crate) fn sending_failed(error: &kube::Error) -> Failure {
    if matches!(error, kube::Error::Auth(_)) {
        return Failure::NoCredentials(root_cause(error));
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let refused = error
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect)
            || error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
        if refused {
            return Failure::NotSent(root_cause(error));
        }
        cause = error.source();
    }
    Failure::Lost(root_cause(error))
}

/// The innermost cause is what a person needs: `Connection refused`, `invalid peer certificate`.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn refusal(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let mut status = serde_json::from_slice::<Status>(body).unwrap_or_else(|_| {
        // Proxies and load balancers answer with a page of their own.
        Status::failure(code.canonical_reason().unwrap_or("no reason given"), "")
    });
    status.code = code.as_u16();
    let header = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let detail = status.details.as_ref().map(|details| u64::from(details.retry_after_seconds)).filter(|seconds| *seconds > 0);
    Failure::Answered { status: status.boxed(), retry_after: header.or(detail).map(Duration::from_secs) }
}

#[cfg(test)]
mod tests;
