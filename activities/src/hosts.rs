//! The hosts themselves, past the API: how they are reached, and what a simulated cluster has in their place.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::{Request, header};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;

use crate::cluster::Cluster;
use crate::command::find;
use crate::error::{Call, Failure};
use crate::exec::Ended;

/// How the hosts of a cluster are reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hosts {
    /// By their addresses.
    Real {
        /// What is run for `ssh`; none is the one on the PATH.
        ssh: Option<PathBuf>,
    },
    /// There are none: the cluster is simulated, and its server stands in for them. Its addresses may be those of real hosts.
    Simulated,
}

impl Default for Hosts {
    fn default() -> Self {
        Self::Real { ssh: None }
    }
}

/// Where a simulated cluster's server stands in for hosts.
const SIMULATED: &str = "/sim/hosts";

/// What a simulated host answers to a command.
#[derive(Deserialize)]
struct Said {
    stdout: String,
    stderr: String,
    code: i32,
}

impl Hosts {
    /// What is to be run for `ssh`, if it is there.
    pub(crate) fn ssh(&self) -> Option<PathBuf> {
        match self {
            Self::Real { ssh: Some(program) } => Some(program.clone()),
            Self::Real { ssh: None } => find("ssh"),
            Self::Simulated => None,
        }
    }
}

impl Cluster {
    /// Whether a port of a host takes a connection within `limit`.
    pub(crate) async fn answers(&self, address: IpAddr, port: u16, limit: Duration) -> bool {
        match &self.link.hosts {
            Hosts::Real { .. } => {
                tokio::time::timeout(limit, TcpStream::connect((address, port))).await.is_ok_and(|it| it.is_ok())
            }
            Hosts::Simulated => {
                let request = Request::get(format!("{SIMULATED}/{address}/{port}")).body(Vec::new());
                self.ask_simulation("get", address, request).await.is_ok()
            }
        }
    }

    /// Runs a command on a simulated host, as root.
    pub(crate) async fn run_simulated(&self, address: IpAddr, words: &[&str]) -> Result<Ended, Failure> {
        let request = Request::post(format!("{SIMULATED}/{address}/commands"));
        let request = request.header(header::CONTENT_TYPE, "application/json").body(json!({ "words": words }).to_string().into());
        let body = self.ask_simulation("create", address, request).await?;
        let said: Said = serde_json::from_slice(&body).map_err(|error| Failure::Unreadable(error.to_string()))?;
        Ok(Ended { stdout: said.stdout.into_bytes(), stderr: said.stderr.into_bytes(), code: said.code })
    }

    async fn ask_simulation(
        &self,
        verb: &'static str,
        address: IpAddr,
        request: Result<Request<Vec<u8>>, http::Error>,
    ) -> Result<Vec<u8>, Failure> {
        let request = request.map_err(|error| Failure::NotSent(error.to_string()))?;
        let (resource, name) = ("hosts".to_owned(), Some(address.to_string()));
        let call = Call { verb, group: String::new(), resource, namespace: None, name };
        self.link.exchange_unfenced(None, call, request).await.map_err(|error| error.failure)
    }
}
