//! A host, however it is told.

use windlass_engine::ActivityError;

use super::daemon::Daemon;
use super::ssh::Login;
use super::{Boot, RebootWay};
use crate::cluster::Cluster;
use crate::exec::{Ended, Purpose};

/// A host that commands are run on.
pub(super) enum Host<'a> {
    Daemon(Daemon<'a>),
    Ssh(Login<'a>),
}

/// What a host says of itself.
pub(super) enum Found {
    /// It is the one that is meant, in the boot that is to end.
    SameBoot,
    /// It is the one that is meant, in this boot already.
    OtherBoot(String),
}

impl<'a> Host<'a> {
    /// Finds the way to a host; nothing is done there yet.
    pub(super) async fn reach(cluster: &'a Cluster, boot: &'a Boot, way: &'a RebootWay) -> Result<Self, ActivityError> {
        match way {
            RebootWay::Daemon => Daemon::on(cluster, &boot.node).await.map(Self::Daemon),
            RebootWay::Ssh { user } => Login::to(cluster, boot, user).map(Self::Ssh),
        }
    }

    /// Makes sure that it is the host that is meant: an address may lead elsewhere, a pod can't.
    pub(super) async fn identify(&self) -> Result<Found, ActivityError> {
        match self {
            Self::Daemon(_) => Ok(Found::SameBoot),
            Self::Ssh(login) => login.identify().await,
        }
    }

    /// Runs a command there as root.
    pub(super) async fn command(&self, words: &[&str], purpose: Purpose) -> Result<Ended, ActivityError> {
        match self {
            Self::Daemon(daemon) => daemon.command(words, purpose).await,
            Self::Ssh(login) => login.command(words, purpose).await,
        }
    }

    /// How a person gets a shell there.
    pub(super) fn shell(&self) -> String {
        match self {
            Self::Daemon(daemon) => daemon.shell(),
            Self::Ssh(login) => login.shell(),
        }
    }
}
