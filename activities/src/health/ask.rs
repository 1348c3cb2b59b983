//! One question over HTTP, bounded in time and size; nothing is followed, nothing is sent through a proxy.

use std::path::PathBuf;
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use kube::{Client, Config};

use crate::cluster::Cluster;
use crate::link::{Source, root_cause};

/// Something that is well answers within seconds.
const ASK_LIMIT: Duration = Duration::from_secs(20);

/// A server that is there takes the connection at once.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A large cluster's alerts are some hundred kilobytes.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// With what one asks.
#[derive(Clone, Copy)]
pub(super) struct Access<'a> {
    pub(super) token_file: Option<&'a str>,
    pub(super) ca_file: Option<&'a str>,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// Asks an address; the error says why no answer came. The simulated cluster in memory answers for every address.
pub(super) async fn ask(cluster: &Cluster, url: &str, access: Access<'_>) -> Result<Answer, String> {
    let url: http::Uri = url.parse().map_err(|error| format!("{url:?} is not an address: {error}"))?;
    let client = match &cluster.link.source {
        Source::Given => cluster.link.client().borrow().clone(),
        Source::Kubeconfig(_) => client(&url, access).await?,
    };
    tokio::time::timeout(ASK_LIMIT, exchange(client, &url))
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", ASK_LIMIT.as_secs())))
}

async fn exchange(client: Client, url: &http::Uri) -> Result<Answer, String> {
    let path = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = Request::get(path).header(http::header::ACCEPT, "*/*").body(kube::client::Body::empty());
    let request = request.map_err(|error| error.to_string())?;
    let (parts, body) = client.send(request).await.map_err(|error| root_cause(&error))?.into_parts();
    let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|error| {
        let cause: &(dyn std::error::Error + 'static) = error.as_ref();
        format!("the answer broke off or is larger than {LARGEST_ANSWER} bytes: {}", root_cause(cause))
    })?;
    Ok(Answer { status: parts.status, body: body.to_bytes().to_vec() })
}

/// A client on the same HTTP and TLS stack as the cluster's, without its credentials, its proxy or kube's hidden retries.
async fn client(url: &http::Uri, access: Access<'_>) -> Result<Client, String> {
    let base = format!("{}://{}", url.scheme_str().unwrap_or("https"), url.authority().map_or("", |host| host.as_str()));
    let mut config = Config::new(base.parse().map_err(|error| format!("{base:?} is not an address: {error}"))?);
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_LIMIT);
    if let Some(path) = access.ca_file {
        readable(path, "certificates").await?;
        config.root_cert_file = Some(PathBuf::from(path));
    }
    if let Some(path) = access.token_file {
        readable(path, "token").await?;
        config.auth_info.token_file = Some(path.to_owned());
    }
    // Reading the certificates blocks.
    let built = tokio::task::spawn_blocking(move || Client::try_from(config)).await;
    built.map_err(|error| error.to_string())?.map_err(|error| root_cause(&error))
}

async fn readable(path: &str, what: &str) -> Result<(), String> {
    let length =
        tokio::fs::metadata(path).await.map_err(|error| format!("the {what} file {path} cannot be read: {error}"))?.len();
    if length == 0 { Err(format!("the {what} file {path} is empty")) } else { Ok(()) }
}

/// The beginning of a text that came from outside, on one line: enough for a person, and little for the journal.
pub(super) fn trimmed(text: &str) -> String {
    const SHOWN: usize = 300;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let printable: String = line.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if line.chars().count() > SHOWN { format!("{printable}…") } else { printable }
}
