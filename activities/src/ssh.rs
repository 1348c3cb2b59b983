//! Commands on a host over the system's `ssh`, with the agent, known hosts and jump hosts of the person's own configuration.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use windlass_engine::ActivityError;

use crate::cluster::Cluster;
use crate::command::{output, tail};
use crate::error::{Call, Failure};
use crate::exec::{Ended, Purpose};
use crate::hosts::Hosts;

/// What is done over ssh takes no time; a host that does not answer is given up before.
const LIMIT: Duration = Duration::from_secs(60);

/// Asks for nothing, and notices a host that is gone.
const OPTIONS: [&str; 8] =
    ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"];

/// What `ssh` itself ends with when it does not get through.
pub(crate) const NOT_THROUGH: i32 = 255;

/// A host that somebody may log in to.
pub(crate) struct Ssh<'a> {
    cluster: &'a Cluster,
    address: IpAddr,
    user: &'a str,
    program: Option<PathBuf>,
}

impl<'a> Ssh<'a> {
    /// Nothing is reached yet. Refused is a user that `ssh` would take for an option or a host.
    pub(crate) fn new(cluster: &'a Cluster, address: IpAddr, user: &'a str) -> Result<Self, ActivityError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if user.is_empty() || user.starts_with('-') || !user.chars().all(plain) {
            return Err(ActivityError::permanent("bad-user", format!("{user:?} is no name of a user; plan again")));
        }
        Ok(Self { cluster, address, user, program: cluster.link.hosts.ssh() })
    }

    /// The host as `ssh` is told of it: USER@ADDRESS.
    pub(crate) fn place(&self) -> String {
        format!("{}@{}", self.user, self.address)
    }

    /// Runs a command there as root, behind the fence; no shell of ours reads it.
    pub(crate) async fn command(&self, words: &[&str], purpose: Purpose) -> Result<Ended, ActivityError> {
        self.check_program()?;
        let verb = match purpose {
            Purpose::Look => "get",
            Purpose::Act => "create",
        };
        let (resource, name) = ("ssh".to_owned(), Some(self.place()));
        let call = Call { verb, group: String::new(), resource, namespace: None, name };
        let deed = async {
            let ended = self.say(words).await?;
            if ended.code != NOT_THROUGH {
                return Ok(ended);
            }
            let said = ended.in_words();
            Err(Failure::Lost(format!("{}; `ssh {}` must get in without asking", tail(&said), self.place())))
        };
        Ok(self.cluster.past_fence(call, deed).await?)
    }

    /// Runs a command that only looks, and returns what `ssh` ended with, whether it got through or not.
    pub(crate) async fn say(&self, words: &[&str]) -> Result<Ended, Failure> {
        if self.cluster.link.hosts == Hosts::Simulated {
            return self.cluster.run_simulated(self.address, words).await;
        }
        let program = self.program.as_deref().ok_or_else(|| Failure::NotSent(MISSING.to_owned()))?;
        output(program, &self.arguments(words), LIMIT).await
    }

    fn check_program(&self) -> Result<(), ActivityError> {
        let there = self.program.is_some() || self.cluster.link.hosts == Hosts::Simulated;
        if there { Ok(()) } else { Err(ActivityError::permanent("no-ssh", MISSING)) }
    }

    fn arguments(&self, words: &[&str]) -> Vec<String> {
        let address = self.address.to_string();
        // Only root may do what is done there; `sudo` must not ask either.
        let sudo: &[&str] = if self.user == "root" { &[] } else { &["sudo", "-n", "--"] };
        let remote: Vec<String> = sudo.iter().chain(words).map(|word| quoted(word)).collect();
        let own = OPTIONS.into_iter().chain(["-l", self.user, "--", &address]);
        own.map(str::to_owned).chain([remote.join(" ")]).collect()
    }
}

const MISSING: &str = "ssh is not on the PATH; install it, or plan again with another way to the hosts";

/// A word as the host's shell reads it as itself.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
