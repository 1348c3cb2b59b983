//! `pods/exec` over a WebSocket, in the channel protocols `v5.channel.k8s.io` and `v4.channel.k8s.io`.

use std::sync::Arc;

use bytes::Bytes;
use futures::SinkExt as _;
use futures::StreamExt as _;
use http::request::Parts;
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Empty};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::body::SimBody;
use super::reply::Reply;
use super::request::{Query, Target, header_text};
use super::service::{ApiService, ConnectionLost};
use crate::containers::{Containers, Output};
use crate::store::resources::{NODES, PODS};
use crate::store::{ApiError, Store};
use crate::world::json::{node_ready, text};
use crate::world::nodes::address_of;

const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;

/// Bytes a message, as kubelets send them.
const PIECE: usize = 32 << 10;

/// A command that a client asks for.
pub(super) struct Command {
    pod: Arc<Value>,
    container: String,
    words: Vec<String>,
    protocol: &'static str,
    accept_key: String,
}

/// Whether a request asks for another protocol on its connection.
pub(super) fn is_upgrade(parts: &Parts) -> bool {
    header_text(&parts.headers, header::UPGRADE).eq_ignore_ascii_case("websocket")
}

/// The command and its arguments.
pub(super) fn words(parts: &Parts) -> Vec<String> {
    Query::parse(parts.uri.query()).all("command").map(str::to_owned).collect()
}

impl Command {
    /// Reads what is asked for; refuses what a kubelet would.
    pub(super) fn parse(parts: &Parts, target: &Target, store: &Store) -> Result<Self, ApiError> {
        let name = target.name()?;
        let pod = store.get(&PODS, target.ns(), name).ok_or_else(|| ApiError::not_found(&PODS, name))?;
        let query = Query::parse(parts.uri.query());
        let bad = |message: &str| ApiError::new(400, "BadRequest", message);
        if !is_upgrade(parts) {
            return Err(bad("Upgrade request required"));
        }
        let offered = header_text(&parts.headers, header::SEC_WEBSOCKET_PROTOCOL);
        let is_offered = |known: &&&str| offered.split(',').any(|one| one.trim() == **known);
        let protocol = PROTOCOLS.iter().find(is_offered).copied().ok_or_else(|| bad("no protocol that both sides speak"))?;
        let words = words(parts);
        if words.is_empty() {
            return Err(bad("you must specify at least 1 command for the container"));
        }
        let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
        let named = |wanted: &str| containers.iter().any(|container| container["name"] == wanted);
        let container = match query.get("container") {
            Some(wanted) if named(wanted) => wanted.to_owned(),
            Some(wanted) => return Err(bad(&format!("container {wanted} is not valid for pod {name}"))),
            None => containers.first().and_then(|first| first["name"].as_str()).unwrap_or_default().to_owned(),
        };
        if pod["status"]["phase"] != "Running" || pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty) {
            return Err(ApiError::new(
                500,
                "InternalError",
                format!("unable to upgrade connection: container not found (\"{container}\")"),
            ));
        }
        let node = text(&pod, "/spec/nodeName");
        if let Some(silent) = store.get(&NODES, None, node).filter(|node| !node_ready(node)) {
            let dialled = format!("error dialing backend: dial tcp {}:10250: connect: no route to host", address_of(&silent));
            return Err(ApiError::new(500, "InternalError", dialled));
        }
        let accept_key = derive_accept_key(header_text(&parts.headers, header::SEC_WEBSOCKET_KEY).as_bytes());
        Ok(Self { pod, container, words, protocol, accept_key })
    }

    /// Runs it without an audience: its answer is lost.
    pub(super) async fn run_unheard(self, containers: &dyn Containers) {
        containers.exec(self.pod, self.container, self.words).await;
    }

    /// Switches the connection over, runs the command and tells its end there.
    pub(super) fn serve(self, parts: Parts, containers: Arc<dyn Containers>) -> Reply {
        let mut request = Request::from_parts(parts, ());
        let upgrade = hyper::upgrade::on(&mut request);
        let mut reply = Response::new(SimBody::whole(""));
        *reply.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
        let headers = reply.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(self.protocol));
        if let Ok(key) = HeaderValue::from_str(&self.accept_key) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
        }
        tokio::spawn(async move {
            let output = tokio::spawn(containers.exec(self.pod, self.container.clone(), self.words));
            match upgrade.await {
                Ok(upgraded) => {
                    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
                    let output = output.await.ok().flatten();
                    let output = output
                        .unwrap_or_else(|| Output::failed(126, format!("container {} runs no such command\n", self.container)));
                    if let Err(error) = tell(&mut socket, &output).await {
                        tracing::debug!(%error, "who asked for a command did not hear its end");
                    }
                }
                Err(error) => tracing::debug!(%error, "a connection was not switched over"),
            }
        });
        reply
    }
}

async fn tell<S>(socket: &mut WebSocketStream<S>, output: &Output) -> Result<(), tokio_tungstenite::tungstenite::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    for (channel, bytes) in [(STDOUT, &output.stdout), (STDERR, &output.stderr)] {
        for piece in bytes.chunks(PIECE) {
            socket.feed(message(channel, piece)).await?;
        }
    }
    socket.feed(message(STATUS, status(output.code).to_string().as_bytes())).await?;
    socket.close(None).await?;
    // The other side closes, too; whatever it still says is not for us.
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    Message::binary([&[channel], bytes].concat())
}

fn status(code: i32) -> Value {
    if code == 0 {
        return json!({ "metadata": {}, "status": "Success" });
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
    })
}

/// Takes a request to the service over a connection in memory, because only a connection can be switched over.
pub(super) async fn over_a_connection<B>(service: ApiService, request: Request<B>) -> Result<Reply, ConnectionLost>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (ours, theirs) = tokio::io::duplex(PIECE);
    let handler = service_fn(move |request| {
        let service = service.clone();
        async move { service.handle(request).await }
    });
    let server = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(theirs), handler).with_upgrades();
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::debug!(%error, "a connection in memory ended");
        }
    });
    let (parts, _) = request.into_parts();
    let request = Request::from_parts(parts, Empty::<Bytes>::new());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.map_err(|_| ConnectionLost::Reset)?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection in memory ended");
        }
    });
    let reply = sender.send_request(request).await.map_err(|_| ConnectionLost::Reset)?;
    let (parts, body) = reply.into_parts();
    let switched = parts.status == http::StatusCode::SWITCHING_PROTOCOLS;
    let body = if switched { Bytes::new() } else { body.collect().await.map_err(|_| ConnectionLost::Reset)?.to_bytes() };
    Ok(Response::from_parts(parts, SimBody::whole(body)))
}
