//! A modelled raft: servers of OVN's databases in memory and virtual time, with the text and the manners of the real ones.

mod control;
mod data;
mod files;
mod raft;
mod script;
mod server;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::{Backend, Database, Health, Member};
use crate::clock::SimClock;
use crate::containers::Output;
use crate::rng::Rng;
use control::Reply;
use raft::{Net, Servers};
use script::Script;
use server::Disk;

/// The finest step of time.
const STEP: TimeDelta = TimeDelta::milliseconds(100);
/// Steps at most between two looks; over longer times the steps are longer.
const MOST_STEPS: i32 = 20_000;

/// A [`Backend`] without processes.
#[derive(Clone)]
pub struct Modelled {
    clock: SimClock,
    world: Arc<Mutex<World>>,
}

impl fmt::Debug for Modelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Modelled")
    }
}

/// All pods and servers.
struct World {
    /// Until when everything has happened.
    now: DateTime<Utc>,
    rng: Rng,
    pods: BTreeMap<String, Script>,
    servers: BTreeMap<Database, Servers>,
    suspended: BTreeSet<String>,
    cut: BTreeSet<String>,
    hung: BTreeSet<(String, Database)>,
    removed: Vec<(Database, uuid::Uuid)>,
    /// What stands on the disks.
    saved: BTreeMap<(String, Database), Disk>,
}

impl Modelled {
    /// Servers that live by this clock; `seed` decides ids and who is elected.
    pub fn new(clock: SimClock, seed: u64) -> Self {
        let world = World {
            now: clock.now(),
            rng: Rng::new(seed).fork("raft"),
            pods: BTreeMap::new(),
            servers: Database::BOTH.map(|database| (database, Servers::new())).into(),
            suspended: BTreeSet::new(),
            cut: BTreeSet::new(),
            hung: BTreeSet::new(),
            removed: vec![],
            saved: BTreeMap::new(),
        };
        Self { clock, world: Arc::new(Mutex::new(world)) }
    }

    /// Lets these members have been one cluster for a while; the first of them leads both databases. A server at `ghost` is a member, too,
    /// and nowhere to be found.
    pub fn found(&self, members: &[Member], ghost: Option<Ipv4Addr>) {
        self.lock().found(members, ghost);
    }

    /// Puts into a directory what a membership that ended left there.
    pub fn leave_files(&self, directory: &Path, address: Ipv4Addr) {
        self.lock().leave_files(directory, address);
    }

    /// Takes a pod off the network, or gives it back; what runs in it goes on.
    pub fn cut(&self, pod: &str, cut: bool) {
        let mut world = self.lock();
        if cut {
            world.cut.insert(pod.to_owned())
        } else {
            world.cut.remove(pod)
        };
    }

    /// Lets a server's control socket no longer answer, or answer again; what it does otherwise goes on.
    pub fn hang(&self, pod: &str, database: Database, hangs: bool) {
        let mut world = self.lock();
        let key = (pod.to_owned(), database);
        if hangs {
            world.hung.insert(key)
        } else {
            world.hung.remove(&key)
        };
    }

    /// Takes a pod's servers out of their clusters and in again, as another actor would; nothing where there is no leader.
    pub fn rejoin(&self, pod: &str) {
        let mut world = self.lock();
        for database in Database::BOTH {
            let id = world.rng.uuid();
            world.on(database, |servers, _| raft::exchange(servers, pod, id));
        }
    }

    /// The servers that were taken out of a database, each time that one was.
    pub fn removed(&self) -> Vec<(Database, uuid::Uuid)> {
        self.lock().removed.clone()
    }

    /// The world as it is now.
    fn lock(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance(self.clock.now());
        world
    }

    /// Runs a command until it has an answer.
    async fn answer(self, pod: String, words: Vec<String>) -> Option<Output> {
        /// A socket that nobody reads holds whoever writes to it; longer than anybody waits.
        const FOR_EVER: Duration = Duration::from_secs(3600);
        /// How often a client looks whether its transaction is done.
        const LOOKS_EVERY: Duration = Duration::from_millis(100);
        /// How a command ends whose own time limit has passed.
        const ALARMED: i32 = 128 + 14;
        let patience = words.iter().find_map(|word| word.strip_prefix("--timeout=")?.parse().ok()).map(Duration::from_secs);
        let until = patience.map(|patience| self.clock.now() + patience);
        let mut since = None;
        loop {
            let reply = self.lock().command(&pod, &words, since);
            match reply {
                None => return None,
                Some(Reply::Now(output)) => return Some(output),
                Some(Reply::Hangs) => self.clock.sleep(patience.unwrap_or(FOR_EVER)).await,
                Some(Reply::Later(state)) => {
                    since = Some(state);
                    self.clock.sleep(LOOKS_EVERY).await;
                }
            }
            if until.is_some_and(|until| self.clock.now() >= until) {
                return Some(Output::failed(ALARMED, "fatal_signal|WARN|terminating with signal 14 (Alarm clock)\n"));
            }
        }
    }
}

impl Backend for Modelled {
    fn start(&self, member: Member) {
        self.lock().start(member);
    }

    fn stop(&self, pod: &str) {
        self.lock().stop(pod);
    }

    fn health(&self, pod: &str) -> Health {
        self.lock().health(pod)
    }

    fn suspend(&self, pod: &str, suspended: bool) {
        let mut world = self.lock();
        if suspended {
            world.suspended.insert(pod.to_owned())
        } else {
            world.suspended.remove(pod)
        };
    }

    fn crash(&self, pod: &str, database: Database) {
        self.lock().servers_of(database).remove(pod);
    }

    fn exec(&self, pod: &str, words: Vec<String>) -> BoxFuture<'static, Option<Output>> {
        self.clone().answer(pod.to_owned(), words).boxed()
    }
}

impl World {
    fn servers_of(&mut self, database: Database) -> &mut Servers {
        self.servers.entry(database).or_default()
    }

    /// Works on the servers of a database.
    fn on<T>(&mut self, database: Database, work: impl FnOnce(&mut Servers, &mut Net<'_>) -> T) -> T {
        let Self { now, rng, servers, suspended, cut, .. } = self;
        let mut net = Net { now: *now, rng, suspended, cut };
        work(servers.entry(database).or_default(), &mut net)
    }

    /// Lets everything happen until `to`.
    fn advance(&mut self, to: DateTime<Utc>) {
        let step = ((to - self.now) / MOST_STEPS).max(STEP);
        while self.now < to {
            // Where nothing would happen, the last step is enough: it lets everybody be heard.
            self.now = if self.is_settled() { to } else { (self.now + step).min(to) };
            for database in Database::BOTH {
                let gone = self.on(database, raft::step);
                self.removed.extend(gone.into_iter().map(|id| (database, id)));
            }
            self.follow_scripts();
            self.save();
        }
    }

    fn is_settled(&mut self) -> bool {
        self.scripts_rest()
            && Database::BOTH.into_iter().all(|database| self.on(database, |servers, net| raft::is_settled(servers, net)))
    }
}
