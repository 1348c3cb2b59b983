//! One request over HTTP, bounded in time and size.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use kube::core::Status;
use kube::{Client, Config};
use serde_json::Value;

use crate::error::Failure;
use crate::link::{CALL_LIMIT, root_cause, sending_failed};

/// A service that is there takes the connection at once.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A page of 500 ports is half a megabyte.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;

/// How much of what a service says is repeated.
const SHOWN: usize = 400;

/// What was answered, whether or not it is a refusal.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The answer as JSON, unless it refuses.
    pub(super) fn json(self) -> Result<Value, Failure> {
        if !self.status.is_success() {
            return Err(self.refusal());
        }
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).map_err(|error| Failure::Unreadable(error.to_string()))
    }

    pub(super) fn refusal(&self) -> Failure {
        let wait = self.headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let words = said(&self.body).unwrap_or_else(|| self.status.canonical_reason().unwrap_or("no reason given").to_owned());
        let status = Status::failure(&words, "").with_code(self.status.as_u16()).boxed();
        Failure::Answered { status, retry_after: wait.map(Duration::from_secs) }
    }
}

/// What a service says of a refusal; each has a shape of its own.
fn said(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let nested = || body.as_object()?.values().find_map(|inner| inner["message"].as_str());
    let text = body["faultstring"].as_str().or_else(|| body["message"].as_str()).or_else(nested)?;
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let printable: String = line.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    Some(if line.chars().count() > SHOWN { format!("{printable}…") } else { printable })
}

/// A client for all addresses of one server, on the same HTTP and TLS stack as the cluster's, without its credentials, its proxy or
/// kube's hidden retries.
pub(super) async fn client(server: &str, ca_file: Option<PathBuf>) -> Result<Client, Failure> {
    let not_sent = |why: String| Failure::NotSent(why);
    let base: Uri = server.parse().map_err(|error| not_sent(format!("{server:?} is no address: {error}")))?;
    let mut config = Config::new(base);
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_LIMIT);
    config.root_cert_file = ca_file;
    // Reading the certificates blocks.
    let built = tokio::task::spawn_blocking(move || Client::try_from(config)).await;
    built.map_err(|error| not_sent(error.to_string()))?.map_err(|error| not_sent(root_cause(&error)))
}

/// Sends a request and reads its answer.
pub(super) async fn send(client: Client, request: Request<Vec<u8>>) -> Result<Answer, Failure> {
    let exchange = async {
        let response = client.send(request.map(kube::client::Body::from)).await.map_err(|error| sending_failed(&error))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|error| {
            let cause: &(dyn std::error::Error + 'static) = error.as_ref();
            Failure::Lost(root_cause(cause))
        })?;
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes().to_vec() })
    };
    tokio::time::timeout(CALL_LIMIT, exchange).await.unwrap_or(Err(Failure::TimedOut(CALL_LIMIT)))
}

/// An address in two parts: `https://host:port`, and the path without a slash at its end.
pub(super) fn split(address: &str) -> Option<(String, String)> {
    let uri: Uri = address.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    // A password in an address would end up in messages.
    if authority.as_str().contains('@') || !matches!(scheme, "http" | "https") {
        return None;
    }
    Some((format!("{scheme}://{authority}"), uri.path().trim_end_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_service_says_is_found() {
        let check = |body: &str, expect: Option<&str>| assert_eq!(said(body.as_bytes()).as_deref(), expect);
        check(r#"{"NeutronError": {"type": "NetworkInUse", "message": "in\n use", "detail": ""}}"#, Some("in use"));
        check(r#"{"faultcode": "Client", "faultstring": "immutable", "debuginfo": null}"#, Some("immutable"));
        check(r#"{"conflictingRequest": {"code": 409, "message": "Cannot 'reboot'"}}"#, Some("Cannot 'reboot'"));
        check(r#"{"error": {"code": 401, "message": "no", "title": "Unauthorized"}}"#, Some("no"));
        check("<html>", None);
        check("[]", None);
    }

    #[test]
    fn an_address_is_split_and_one_with_a_password_is_none() {
        let check = |text: &str, expect: Option<(&str, &str)>| {
            assert_eq!(split(text), expect.map(|(server, path)| (server.to_owned(), path.to_owned())));
        };
        check("https://cloud.example.com:9696/", Some(("https://cloud.example.com:9696", "")));
        check("http://cloud/networking/v2.0", Some(("http://cloud", "/networking/v2.0")));
        check("https://me:secret@cloud/", None);
        check("/identity/v3", None);
    }
}
