//! The API server over HTTP on loopback.

use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::api::ApiService;

/// A served API server; dropping it closes its connections.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    kubeconfig: PathBuf,
    accepting: AbortHandle,
}

/// Time to pause after a failed accept (out of file descriptors), as long as it takes for connections to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Server {
    /// Serves on a port of loopback (0: any free one) and writes `kubeconfig`, `token` and `audit.jsonl` to `dir`.
    pub async fn start(service: ApiService, dir: &Path, port: u16) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let dir = dir.canonicalize()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let token = random_token()?;
        let kubeconfig = dir.join("kubeconfig");
        let token_file = dir.join("token");
        write_private(&token_file, &token)?;
        write_private(&kubeconfig, &kubeconfig_for(address, &token))?;
        service.audit().append_to(&dir.join("audit.jsonl"))?;
        service.auth().require(token, token_file);
        let accepting = tokio::spawn(accept(listener, service)).abort_handle();
        Ok(Self { address, kubeconfig, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The kubeconfig that leads to it.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, service: ApiService) -> Infallible {
    // Ends with this task, and all connections with it.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => _ = connections.spawn(converse(stream, service.clone())),
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, service: ApiService) {
    // Watch events are small; waiting to fill a packet would delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set TCP_NODELAY");
    }
    let handler = service_fn(move |request| {
        let service = service.clone();
        // An error closes the connection without a reply, which is what a reset looks like to the client.
        async move { service.handle(request).await }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), handler);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended");
    }
}

/// 32 hexadecimal digits from the operating system.
fn random_token() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(format!("sim-{}", uuid::Builder::from_random_bytes(bytes).into_uuid().simple()))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

fn kubeconfig_for(address: SocketAddr, token: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: sim
  cluster:
    server: http://{address}
contexts:
- name: sim
  context:
    cluster: sim
    user: admin
current-context: sim
users:
- name: admin
  user:
    token: {token}
"
    )
}
