//! OVN's databases as real processes: Open vSwitch's `ovsdb-server`, with its raft, on loopback addresses.
//!
//! Every pod has a thread that does what the start script of Kube-OVN does, starts both servers, watches them as the kubelet's probes
//! do, and ends them. The time that passes here is that of the machine, whatever the cluster's clock shows.

mod addresses;
mod answers;
mod exec;
mod pod;
mod script;
mod server;
mod tools;

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tempfile::TempDir;

pub use addresses::Addresses;
pub use tools::missing;

use self::pod::{Ask, Pod};
use super::backend::{Backend, Database, Health, Member};
use crate::containers::Output;

/// The path of a socket is at most 107 bytes long, and `/99999/ovnnb_db.sock` comes after the directory.
const LONGEST_ROOT: usize = 80;

/// How the servers are run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// After how long without a leader a cluster that is founded here begins an election; Kube-OVN has 5 s.
    pub election_timer: Duration,
    /// How long the start script waits for an answer when it asks others for a leader; Kube-OVN's waits 10 s.
    pub query_limit: Duration,
    /// A file that has not joined its cluster after this time is removed by the next start.
    pub joining_limit: Duration,
    /// How long after the end of one of its servers a container is ended and started again.
    pub restart_dead: Duration,
    /// How long a container may be unready before it is ended and started again: the liveness probe fails five times in a row.
    pub restart_unready: Duration,
    /// How long a command may take: a server that hangs would hold `ovn-appctl` for ever.
    pub command_limit: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            election_timer: Duration::from_secs(1),
            query_limit: Duration::from_secs(2),
            joining_limit: Duration::from_secs(120),
            restart_dead: Duration::from_secs(3),
            restart_unready: Duration::from_secs(75),
            command_limit: Duration::from_secs(20),
        }
    }
}

/// Runs the pods of ovn-central as real processes; dropping it ends all of them.
#[derive(Debug)]
pub struct RealRaft {
    settings: Settings,
    addresses: Addresses,
    /// Declared before the directory: the threads end before their files go.
    pods: Mutex<BTreeMap<String, Pod>>,
    root: TempDir,
    started: AtomicUsize,
}

impl RealRaft {
    /// Claims addresses and a directory; no process is started yet.
    ///
    /// # Errors
    /// If a program is missing, with the words of [`missing`], or if there is no free range of addresses or no place for files.
    pub fn new(settings: Settings) -> io::Result<Self> {
        if let Some(words) = missing() {
            return Err(io::Error::new(io::ErrorKind::NotFound, words));
        }
        let root = short_directory()?;
        Ok(Self { settings, addresses: Addresses::claim()?, pods: Mutex::default(), root, started: AtomicUsize::new(0) })
    }

    /// The address of the `number`th node, from 1.
    pub fn address(&self, number: u8) -> Ipv4Addr {
        self.addresses.address(number)
    }

    /// Where sockets and logs of the servers are, one folder a start.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    fn pods(&self) -> MutexGuard<'_, BTreeMap<String, Pod>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, pod: &str, ask: Ask) {
        if let Some(pod) = self.pods().get(pod) {
            pod.ask(ask);
        }
    }
}

/// A directory in the usual place, or in `/tmp` if the usual place has too long a name for sockets.
fn short_directory() -> io::Result<TempDir> {
    let named = |parent: PathBuf| tempfile::Builder::new().prefix("ovn-").tempdir_in(parent);
    let usual = named(std::env::temp_dir())?;
    if usual.path().as_os_str().len() <= LONGEST_ROOT { Ok(usual) } else { named(PathBuf::from("/tmp")) }
}

impl Backend for RealRaft {
    fn start(&self, member: Member) {
        let mut pods = self.pods();
        if pods.get(&member.pod).is_some_and(Pod::runs) {
            return;
        }
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let name = member.pod.clone();
        pods.insert(name, Pod::start(member, self.root.path().join(number.to_string()), self.settings.clone()));
    }

    fn stop(&self, pod: &str) {
        self.ask(pod, Ask::Stop);
    }

    fn health(&self, pod: &str) -> Health {
        self.pods().get(pod).map_or_else(|| Health::Ended("it was never started".to_owned()), Pod::health)
    }

    fn suspend(&self, pod: &str, suspended: bool) {
        self.ask(pod, Ask::Suspend(suspended));
    }

    fn crash(&self, pod: &str, database: Database) {
        self.ask(pod, Ask::Crash(database));
    }

    fn exec(&self, pod: &str, words: Vec<String>) -> BoxFuture<'static, Option<Output>> {
        let (place, limit) = (self.pods().get(pod).and_then(Pod::place), self.settings.command_limit);
        async move {
            let place = place?;
            // A blocking task holds a paused clock still, so that the limits of callers don't pass while a real command runs.
            tokio::task::spawn_blocking(move || exec::run(&place, &words, limit)).await.ok()?
        }
        .boxed()
    }
}

/// What a container has of the machine.
#[derive(Clone, Debug)]
struct Place {
    /// Its `/var/run/ovn`.
    run: PathBuf,
    /// Its `/etc/ovn`.
    data: PathBuf,
}

impl Place {
    fn file(&self, database: Database) -> PathBuf {
        self.data.join(format!("{}.db", database.stem()))
    }
}

type Shared<T> = Arc<Mutex<T>>;
