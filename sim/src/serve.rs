//! The API server over HTTPS on loopback. TLS is not for show: client-go sends no tokens over plain HTTP.

use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::api::ApiService;
use crate::clock::SimClock;
use crate::openstack::Account;

/// A served API server; dropping it closes its connections.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    kubeconfig: PathBuf,
    clouds: Option<PathBuf>,
    certificate: String,
    accepting: AbortHandle,
}

/// Time to pause after a failed accept (out of file descriptors), as long as it takes for connections to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Time for a TLS handshake; on loopback it takes milliseconds.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// A fresh certificate for loopback and the key that goes with it.
struct Identity {
    pem: String,
    acceptor: TlsAcceptor,
}

impl Identity {
    fn new() -> io::Result<Self> {
        let names = vec!["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()];
        let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let chain: Vec<CertificateDer<'static>> = vec![made.cert.der().clone()];
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .map_err(io::Error::other)?;
        Ok(Self { pem: made.cert.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

impl Server {
    /// Serves on a port of loopback (0: any free one) and writes `kubeconfig`, `token` and `audit.jsonl` to `dir`.
    pub async fn start(service: ApiService, dir: &Path, port: u16) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let dir = dir.canonicalize()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let token = random_token()?;
        let identity = Identity::new()?;
        let kubeconfig = dir.join("kubeconfig");
        let token_file = dir.join("token");
        write_private(&token_file, &token)?;
        write_private(&kubeconfig, &kubeconfig_for(address, &identity.pem, &token, service.store().clock()))?;
        service.audit().append_to(&dir.join("audit.jsonl"))?;
        service.auth().require(token, token_file);
        let accepting = tokio::spawn(accept(listener, identity.acceptor, service)).abort_handle();
        Ok(Self { address, kubeconfig, clouds: None, certificate: identity.pem, accepting })
    }

    /// Writes `clouds.yaml` beside the kubeconfig, with the cloud called `openstack`.
    pub(crate) fn introduce(&mut self, account: &Account) -> io::Result<()> {
        let dir = self.kubeconfig.parent().unwrap_or(Path::new("."));
        let (clouds, certificate) = (dir.join("clouds.yaml"), dir.join("ca.pem"));
        write_private(&certificate, &self.certificate)?;
        let Account { auth_path, region, application_credential_id: id, application_credential_secret: secret, .. } = account;
        let text = format!(
            "clouds:\n  openstack:\n    auth_type: v3applicationcredential\n    region_name: {region}\n    cacert: {}\n    auth:\n      \
             auth_url: https://{}{auth_path}\n      application_credential_id: {id}\n      application_credential_secret: {secret}\n",
            serde_json::Value::from(certificate.display().to_string()),
            self.address
        );
        write_private(&clouds, &text)?;
        self.clouds = Some(clouds);
        Ok(())
    }

    /// The `clouds.yaml` that leads to its cloud, where there is one.
    pub fn clouds(&self) -> Option<&Path> {
        self.clouds.as_deref()
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

async fn accept(listener: TcpListener, tls: TlsAcceptor, service: ApiService) -> Infallible {
    // Ends with this task, and all connections with it.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => _ = connections.spawn(converse(stream, tls.clone(), service.clone())),
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, tls: TlsAcceptor, service: ApiService) {
    // Watch events are small; waiting to fill a packet would delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set TCP_NODELAY");
    }
    let stream = match tokio::time::timeout(HANDSHAKE_LIMIT, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "failed to agree on TLS"),
        Err(_) => return tracing::debug!("a client did not finish its TLS handshake"),
    };
    let handler = service_fn(move |request| {
        let service = service.clone();
        // An error closes the connection without a reply, which is what a reset looks like to the client.
        async move { service.handle(request).await }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), handler);
    if let Err(error) = connection.with_upgrades().await {
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

/// The kubeconfig's extension that tells how the cluster's time runs: `began_micros` by the machine's clock, `showed_micros` by the
/// cluster's at that moment, and the `speed` since.
pub const CLOCK_EXTENSION: &str = "windlass.sim/clock";

fn kubeconfig_for(address: SocketAddr, pem: &str, token: &str, clock: &SimClock) -> String {
    let authority = BASE64.encode(pem);
    let (began, showed, speed) = (chrono::Utc::now().timestamp_micros(), clock.now().timestamp_micros(), clock.speed());
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: sim
  cluster:
    server: https://{address}
    certificate-authority-data: {authority}
    extensions:
    - name: {CLOCK_EXTENSION}
      extension:
        began_micros: {began}
        showed_micros: {showed}
        speed: {speed}
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
