//! A node's disk over the system's `ssh`, with the user's own keys and known hosts.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use windlass_engine::ActivityError;

use super::host::Place;
use crate::cluster::Cluster;
use crate::command::{find, output, tail};
use crate::error::{Call, Failure};
use crate::exec::{Ended, Purpose};

/// A new name for a directory takes no time; a host that does not answer is given up before.
const LIMIT: Duration = Duration::from_secs(60);

/// Asks for nothing, and notices a host that is gone.
const OPTIONS: [&str; 8] =
    ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"];

/// What `ssh` itself ends with when it does not get through.
const NOT_THROUGH: i32 = 255;

pub(super) struct Ssh<'a> {
    cluster: &'a Cluster,
    address: IpAddr,
    user: &'a str,
    program: Option<PathBuf>,
}

impl<'a> Ssh<'a> {
    pub(super) fn new(cluster: &'a Cluster, address: IpAddr, user: &'a str) -> Self {
        Self { cluster, address, user, program: find("ssh") }
    }

    /// Asks the host for its own addresses: a route or a table of hosts may lead elsewhere.
    pub(super) async fn open(&self, place: Place<'_>) -> Result<(), ActivityError> {
        if self.user.is_empty() || !self.user.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            return Err(ActivityError::permanent("bad-user", format!("{:?} is no name of a user; plan again", self.user)));
        }
        let mut told = self.command(&["hostname", "-I"], Purpose::Look).await?;
        if told.code != 0 {
            told = self.command(&["ip", "-o", "addr"], Purpose::Look).await?;
        }
        let own = addresses(&String::from_utf8_lossy(&told.stdout));
        if own.contains(&place.address) {
            return Ok(());
        }
        let own: Vec<String> = own.iter().map(ToString::to_string).collect();
        let own = if own.is_empty() { tail(&told.in_words()).to_owned() } else { own.join(", ") };
        Err(place.wrong(&format!("asked for its addresses over ssh it says: {own}")))
    }

    pub(super) async fn command(&self, words: &[&str], purpose: Purpose) -> Result<Ended, ActivityError> {
        let missing = || ActivityError::permanent("no-ssh", "ssh is not on the PATH; install it, or let a pod reach the nodes");
        let program = self.program.as_deref().ok_or_else(missing)?;
        let verb = match purpose {
            Purpose::Look => "get",
            Purpose::Act => "create",
        };
        let (resource, name) = ("ssh".to_owned(), Some(format!("{}@{}", self.user, self.address)));
        let call = Call { verb, group: String::new(), resource, namespace: None, name };
        let deed = async {
            let ended = output(program, &self.arguments(words), LIMIT).await?;
            if ended.code != NOT_THROUGH {
                return Ok(ended);
            }
            let said = ended.in_words();
            Err(Failure::Lost(format!("{}; `ssh {}@{}` must get in without asking", tail(&said), self.user, self.address)))
        };
        Ok(self.cluster.past_fence(call, deed).await?)
    }

    fn arguments(&self, words: &[&str]) -> Vec<String> {
        let address = self.address.to_string();
        // Only root may look into the directory; `sudo` must not ask either.
        let sudo: &[&str] = if self.user == "root" { &[] } else { &["sudo", "-n", "--"] };
        let remote: Vec<String> = sudo.iter().chain(words).map(|word| quoted(word)).collect();
        let own = OPTIONS.into_iter().chain(["-l", self.user, "--", &address]);
        own.map(str::to_owned).chain([remote.join(" ")]).collect()
    }
}

/// A word as the host's shell reads it as itself.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Every word that is an address, with or without the length of its network.
fn addresses(text: &str) -> Vec<IpAddr> {
    let bare = |word: &str| word.split('/').next().unwrap_or_default().parse().ok();
    text.split_whitespace().filter_map(bare).collect()
}

#[cfg(test)]
mod tests;
