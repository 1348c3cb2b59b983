//! From a kubeconfig to a cluster, and back again when the login has ended in mid-run.

use std::path::PathBuf;
use std::time::Duration;

use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use crate::cluster::{Cluster, Settings, identify};
use crate::error::{CallError, Failure};
use crate::ids::ClusterId;
use crate::limiter::Limiter;
use crate::link::{Link, Source, root_cause};

/// How long a connection may take to come about; a server that is there accepts at once.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Which kubeconfig and context lead to a cluster, as kubectl has them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Connection {
    /// The file; `$KUBECONFIG` or the one in the home directory if absent.
    pub kubeconfig: Option<PathBuf>,
    /// The context; the current one if absent.
    pub context: Option<String>,
}

/// Why a cluster cannot be worked on; each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no kubeconfig, or it cannot be read.
    #[error("kubeconfig {} cannot be read: {cause}; name another one with --kubeconfig", path.display())]
    NoKubeconfig {
        /// The file that was looked for.
        path: PathBuf,
        /// Why it cannot be read.
        cause: String,
    },
    /// It is not a kubeconfig.
    #[error("the kubeconfig is not usable: {cause}; check it with `oc config view`")]
    BadKubeconfig {
        /// What is wrong with it.
        cause: String,
    },
    /// No context was named and none is current.
    #[error("the kubeconfig has no current context; choose one of {} with --context", choices(there))]
    NoContext {
        /// The contexts that it has.
        there: Vec<String>,
    },
    /// The context does not exist.
    #[error("the kubeconfig has no context {name:?}; choose one of {} with --context", choices(there))]
    UnknownContext {
        /// The one asked for.
        name: String,
        /// The contexts that it has.
        there: Vec<String>,
    },
    /// No connection came about.
    #[error("the API server {server} cannot be reached: {cause}; check the address, the network and the proxy, then retry")]
    Unreachable {
        /// Its address.
        server: String,
        /// Why not.
        cause: String,
    },
    /// The server's certificate is not trusted.
    #[error("the API server {server} does not prove its identity: {cause}; check the kubeconfig's certificate-authority")]
    Tls {
        /// Its address.
        server: String,
        /// Why not.
        cause: String,
    },
    /// The login is not accepted.
    #[error("the login at {server} has ended; run `oc login {server}`, then retry")]
    LoginEnded {
        /// The server's address.
        server: String,
    },
    /// A permission is missing.
    #[error("permission missing at {server}: {permission}; ask for it, then retry")]
    Forbidden {
        /// The server's address.
        server: String,
        /// The permission.
        permission: String,
    },
    /// The server names neither a ClusterVersion nor a namespace `kube-system`.
    #[error("{server} tells no id of its cluster: it has no namespace kube-system; choose another context with --context")]
    Nameless {
        /// The server's address.
        server: String,
    },
    /// The server has no ClusterVersion.
    #[error("{server} is not an OpenShift cluster: it has no ClusterVersion; choose another context with --context")]
    NotOpenShift {
        /// The server's address.
        server: String,
    },
    /// The run belongs to another cluster.
    #[error(
        "this run belongs to cluster {expected}, but the kubeconfig leads to cluster {found}; choose that cluster's context with --context"
    )]
    OtherCluster {
        /// The id that the run is bound to.
        expected: String,
        /// The id that was found.
        found: String,
    },
    /// Something else went wrong.
    #[error("the API server {server} gave no usable answer: {cause}; retry")]
    Server {
        /// Its address.
        server: String,
        /// What it said.
        cause: String,
    },
}

fn choices(there: &[String]) -> String {
    if there.is_empty() { "(it has none)".to_owned() } else { there.join(", ") }
}

impl ConnectError {
    pub(crate) fn from_call(error: CallError, server: &str) -> Self {
        let server = server.to_owned();
        if error.is_forbidden() {
            return Self::Forbidden { server, permission: error.call.permission() };
        }
        if error.is_unauthorized() {
            return Self::LoginEnded { server };
        }
        match error.failure {
            Failure::NotSent(cause) if cause.contains("certificate") => Self::Tls { server, cause },
            Failure::NotSent(cause) | Failure::Lost(cause) => Self::Unreachable { server, cause },
            Failure::TimedOut(limit) => Self::Unreachable { server, cause: format!("no answer within {} s", limit.as_secs()) },
            Failure::Answered { .. } | Failure::NoCredentials(_) | Failure::Fenced(_) | Failure::Unreadable(_) => {
                Self::Server { server, cause: error.to_string() }
            }
        }
    }
}

impl Cluster {
    /// Connects as kubectl would, with the machine's clock and a polite number of calls.
    pub async fn connect(connection: &Connection) -> Result<Self, ConnectError> {
        Self::connect_with(connection, Settings::default()).await
    }

    /// Connects as kubectl would, in the given surroundings.
    pub async fn connect_with(connection: &Connection, settings: Settings) -> Result<Self, ConnectError> {
        let config = configuration(connection).await?;
        let (address, proxy) = (config.cluster_url.to_string().trim_end_matches('/').to_owned(), config.proxy_url.clone());
        let client = client(config).await?;
        let Settings { clock, budget, hosts, cloud } = settings;
        let mut link = Link::new(Source::Kubeconfig(connection.clone()), client, Limiter::new(budget), clock);
        (link.address, link.proxy, link.hosts) = (address, proxy, hosts);
        Self::over(link, cloud).await
    }
}

async fn configuration(connection: &Connection) -> Result<Config, ConnectError> {
    let kubeconfig = read_kubeconfig(connection)?;
    let there: Vec<String> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    let named = connection.context.clone().or_else(|| kubeconfig.current_context.clone()).filter(|name| !name.is_empty());
    let Some(name) = named else { return Err(ConnectError::NoContext { there }) };
    if !there.contains(&name) {
        return Err(ConnectError::UnknownContext { name, there });
    }
    let options = KubeConfigOptions { context: Some(name), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| ConnectError::BadKubeconfig { cause: one_line(&error.to_string()) })?;
    // A retry that is not in the journal did not happen: kube's own would repeat writes fifteen times.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_LIMIT);
    if let Some(exec) = &mut config.auth_info.exec {
        // A login prompt in the middle of a run would wait for ever.
        exec.interactive_mode = Some(ExecInteractiveMode::Never);
    }
    Ok(config)
}

fn read_kubeconfig(connection: &Connection) -> Result<Kubeconfig, ConnectError> {
    let read = connection.kubeconfig.as_ref().map_or_else(Kubeconfig::read, Kubeconfig::read_from);
    read.map_err(|error| {
        if let KubeconfigError::ReadConfig(cause, path) = error {
            return ConnectError::NoKubeconfig { path, cause: cause.to_string() };
        }
        ConnectError::BadKubeconfig { cause: one_line(&error.to_string()) }
    })
}

/// Parsers explain themselves over several lines; an error is one.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

async fn client(config: Config) -> Result<Client, ConnectError> {
    // A credentials plugin runs inside, and blocks.
    let built = tokio::task::spawn_blocking(move || Client::try_from(config)).await;
    match built {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(ConnectError::BadKubeconfig { cause: root_cause(&error) }),
        Err(error) => Err(ConnectError::BadKubeconfig { cause: error.to_string() }),
    }
}

/// Reads the kubeconfig again after the login has ended, and puts the new client in place if it is accepted *by the
/// same cluster*: a context may have moved on in the meantime.
pub(crate) async fn renew(link: &Link, id: &ClusterId) {
    let candidate = match &link.source {
        Source::Given => None,
        Source::Kubeconfig(connection) => match fresh_client(connection).await {
            Ok(client) => Some(client),
            Err(error) => return link.note_renewal(error.to_string()),
        },
    };
    match identify(link, candidate.clone()).await {
        Ok(Some(found)) if found.id == *id => {
            link.note_login(false);
            link.replace_client(candidate);
        }
        Ok(found) => {
            let found = found.map_or_else(|| "a cluster without an id".to_owned(), |found| format!("cluster {}", found.id));
            link.note_renewal(format!("the kubeconfig now leads to {found}, this run belongs to cluster {id}"));
        }
        // Still ended, or not reachable: whoever waits tries again.
        Err(_) => {}
    }
}

async fn fresh_client(connection: &Connection) -> Result<Client, ConnectError> {
    client(configuration(connection).await?).await
}

#[cfg(test)]
mod tests;
