//! The ways in which a host is told to reboot.

use serde::{Deserialize, Serialize};

/// How a host is told to reboot; histories that do not say it mean the daemon.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RebootWay {
    /// By a command in the pod that the machine-config daemon has on it.
    #[default]
    Daemon,
    /// Over the system's `ssh`, with the agent, the jump hosts and the ports that the person's own configuration of `ssh` names.
    Ssh {
        /// Who logs in, and may use `sudo` without a password.
        user: String,
    },
}

impl RebootWay {
    /// Who logs in over `ssh` where nobody else is named: the user of the hosts' own system.
    pub const USER: &'static str = "core";

    /// Whether it is the daemon, which is not written down.
    pub fn is_daemon(&self) -> bool {
        *self == Self::Daemon
    }
}
