//! What the start script of ovn-central decides, and what its health check says.

use std::net::Ipv4Addr;

use chrono::{DateTime, TimeDelta, Utc};

use super::World;
use super::files;
use super::raft::{stand, step};
use super::server::{Data, Disk, Entry, Server};
use super::status::membership;
use crate::kube_ovn::{Database, Health, Member};

/// How long a script looks for a leader before it starts the servers.
const LOOKS_FOR: TimeDelta = TimeDelta::seconds(2);
/// A file that was not taken in for so long is deleted by the next start.
const JOINS_WITHIN: TimeDelta = TimeDelta::seconds(120);
/// How long a container runs on after one of its servers ended.
const OUTLIVES_SERVER: TimeDelta = TimeDelta::seconds(3);
/// How long it may be unready before the liveness probe ends it: five failures in a row.
const UNREADY_FOR: TimeDelta = TimeDelta::seconds(75);
/// Versions that delete the databases of whoever lists fewer servers than `NODE_IPS` has addresses, as after a kick.
const DELETE_FILES: [&str; 4] = ["1.15.9", "1.15.10", "1.16.0", "1.16.1"];

/// The term of a cluster that was there before.
const FOUNDED_TERM: u64 = 3;

/// The start script of a pod.
pub(super) struct Script {
    pub(super) member: Member,
    pub(super) state: State,
}

/// How far a start script is.
pub(super) enum State {
    /// It looks for a leader.
    Looking { until: DateTime<Utc> },
    /// The servers run.
    Runs(Watch),
    /// It has ended, with what it said.
    Ended(String),
}

/// What is seen of servers that run.
#[derive(Default)]
pub(super) struct Watch {
    /// Since when one of them does not run.
    dead: Option<DateTime<Utc>>,
    /// Since when they are not as they should be.
    unready: Option<DateTime<Utc>>,
    /// The most servers that both lists had.
    most: usize,
}

impl World {
    /// Starts a pod's script, unless it runs.
    pub(super) fn start(&mut self, member: Member) {
        let pod = member.pod.clone();
        if self.pods.get(&pod).is_some_and(|script| !matches!(script.state, State::Ended(_))) {
            return;
        }
        let state = if member.node_ips.contains(&member.address) {
            State::Looking { until: self.now + LOOKS_FOR }
        } else {
            let listed: Vec<String> = member.node_ips.iter().map(ToString::to_string).collect();
            State::Ended(format!("ERROR! host ip {} not in env NODE_IPS {}", member.address, listed.join(",")))
        };
        self.pods.insert(pod, Script { member, state });
    }

    /// Ends a pod's servers and forgets it.
    pub(super) fn stop(&mut self, pod: &str) {
        self.pods.remove(pod);
        for database in Database::BOTH {
            self.servers_of(database).remove(pod);
        }
        self.suspended.remove(pod);
        self.cut.remove(pod);
        self.hung.retain(|(hung, _)| hung != pod);
        self.saved.retain(|(saved, _), _| saved != pod);
    }

    /// Lets these members have been one cluster for a while.
    pub(super) fn found(&mut self, members: &[Member], ghost: Option<Ipv4Addr>) {
        for database in Database::BOTH {
            let addresses = members.iter().map(|member| member.address).chain(ghost);
            let ids: Vec<(uuid::Uuid, String)> =
                addresses.map(|address| (self.rng.uuid(), database.raft_address(address))).collect();
            let cluster = self.rng.uuid();
            for (member, (id, address)) in members.iter().zip(&ids) {
                let mut disk = Disk::founded(*id, cluster, address, self.now);
                disk.term = FOUNDED_TERM;
                disk.log = vec![Entry { term: FOUNDED_TERM, data: Data::Members(ids.iter().cloned().collect()) }];
                let server = Server::opened(disk, self.now, self.now + LOOKS_FOR);
                self.servers_of(database).insert(member.pod.clone(), server);
            }
            if let Some(first) = members.first() {
                self.on(database, |servers, net| {
                    let Some(mut server) = servers.remove(&first.pod) else { return };
                    stand(&first.pod, &mut server, servers, net, "timeout");
                    servers.insert(first.pod.clone(), server);
                    // One to send the first entry, one to agree on it, one to tell.
                    for _ in 0..3 {
                        step(servers, net);
                    }
                });
            }
        }
        for member in members {
            if let Err(error) = std::fs::create_dir_all(&member.directory) {
                tracing::warn!(%error, "a modelled server has no disk");
            }
            self.pods.insert(member.pod.clone(), Script { member: member.clone(), state: State::Runs(Watch::default()) });
        }
        self.save();
    }

    /// Puts into a directory what a membership that ended left there.
    pub(super) fn leave_files(&mut self, directory: &std::path::Path, address: Ipv4Addr) {
        if let Err(error) = std::fs::create_dir_all(directory) {
            tracing::warn!(%error, "no place for stale files");
        }
        for database in Database::BOTH {
            let (id, cluster) = (self.rng.uuid(), self.rng.uuid());
            let mut disk = Disk::founded(id, cluster, &database.raft_address(address), self.now);
            disk.left = true;
            files::save(&directory.join(database.file()), database, &disk);
        }
    }

    /// Whether no script is about to do something.
    pub(super) fn scripts_rest(&self) -> bool {
        self.pods.values().all(|script| !matches!(script.state, State::Looking { .. }))
    }

    /// Lets the scripts do what is due.
    pub(super) fn follow_scripts(&mut self) {
        let due: Vec<Member> = self
            .pods
            .values()
            .filter(|script| matches!(script.state, State::Looking { until } if until <= self.now))
            .map(|script| script.member.clone())
            .filter(|member| !self.suspended.contains(&member.pod))
            .collect();
        for member in due {
            let state = match self.open_both(&member) {
                Ok(()) => State::Runs(Watch::default()),
                Err(said) => self.end(&member.pod, said),
            };
            if let Some(script) = self.pods.get_mut(&member.pod) {
                script.state = state;
            }
        }
        for pod in self.pods.keys().cloned().collect::<Vec<_>>() {
            self.watch(&pod);
        }
    }

    /// Ends a pod whose servers ended, or were not as they should be for too long, or whose version deletes what it should not.
    fn watch(&mut self, pod: &str) {
        let now = self.now;
        let trouble = match self.health(pod) {
            Health::Unready(said) => Some(said),
            Health::Ready | Health::Starting | Health::Ended(_) => None,
        };
        let lists = Database::BOTH.map(|database| self.members_listed(pod, database));
        let dead = Database::BOTH.into_iter().any(|database| !self.servers_of(database).contains_key(pod));
        let Some(Script { member, state: State::Runs(watch) }) = self.pods.get_mut(pod) else { return };
        watch.dead = dead.then(|| watch.dead.unwrap_or(now));
        watch.unready = trouble.is_some().then(|| watch.unready.unwrap_or(now));
        let [Some(north), Some(south)] = lists.map(|list| list.filter(|count| *count > 0)) else {
            let late = |since: Option<DateTime<Utc>>, limit| since.is_some_and(|since| now - since >= limit);
            if late(watch.dead, OUTLIVES_SERVER) || late(watch.unready, UNREADY_FOR) {
                let state = self.end(pod, format!("liveness probe failed: {}", trouble.unwrap_or_default()));
                self.set(pod, state);
            }
            return;
        };
        let (fewest, wanted) = (north.min(south), member.node_ips.len());
        watch.most = watch.most.max(fewest);
        if DELETE_FILES.contains(&member.version.as_str()) && watch.most >= wanted && fewest < wanted {
            let directory = member.directory.clone();
            let state = self.end(pod, format!("{fewest} servers for {wanted} addresses in NODE_IPS: the databases were deleted"));
            for database in Database::BOTH {
                files::remove(&directory.join(database.file()));
            }
            self.set(pod, state);
        } else if watch.unready.is_some_and(|since| now - since >= UNREADY_FOR) {
            let state = self.end(pod, format!("liveness probe failed: {}", trouble.unwrap_or_default()));
            self.set(pod, state);
        }
    }

    fn set(&mut self, pod: &str, state: State) {
        if let Some(script) = self.pods.get_mut(pod) {
            script.state = state;
        }
    }

    /// How many members a server lists that is one itself.
    fn members_listed(&self, pod: &str, database: Database) -> Option<usize> {
        let server = self.servers.get(&database)?.get(pod)?;
        (!server.disk.left && !server.is_joining()).then(|| server.disk.config().len())
    }

    fn end(&mut self, pod: &str, said: String) -> State {
        for database in Database::BOTH {
            self.servers_of(database).remove(pod);
        }
        State::Ended(said)
    }

    /// Starts both servers, each with its file if it has one; the northbound leader alone tells whether there is a cluster to join.
    fn open_both(&mut self, member: &Member) -> Result<(), String> {
        if let Err(error) = std::fs::create_dir_all(&member.directory) {
            return Err(format!("mkdir: cannot create directory '/etc/ovn': {error}"));
        }
        let northbound = self.leader_for(member, Database::Northbound);
        let southbound = northbound.and_then(|_| self.leader_for(member, Database::Southbound));
        let first = member.node_ips.first().copied().unwrap_or(member.address);
        let founds = northbound.is_none() && first == member.address;
        for (database, leader) in Database::BOTH.into_iter().zip([northbound, southbound]) {
            self.open(member, database, (!founds).then(|| leader.unwrap_or(first)))?;
        }
        Ok(())
    }

    /// The address of `NODE_IPS` at which a leader answers.
    fn leader_for(&mut self, member: &Member, database: Database) -> Option<Ipv4Addr> {
        self.on(database, |servers, net| {
            let leads = |ip: &Ipv4Addr| {
                let address = database.raft_address(*ip);
                servers.iter().any(|(at, s)| s.disk.address == address && s.leading().is_some() && net.reach(&member.pod, at))
            };
            member.node_ips.iter().copied().find(leads)
        })
    }

    /// Starts one server: with its file, else joined to the server at an address, else as a cluster of its own.
    fn open(&mut self, member: &Member, database: Database, join: Option<Ipv4Addr>) -> Result<(), String> {
        let path = member.directory.join(database.file());
        let now = self.now;
        let hopeless = |disk: &Disk| !disk.remotes.is_empty() && now - disk.since >= JOINS_WITHIN;
        let found = files::load(&path, database)?.filter(|disk| !hopeless(disk));
        let disk = found.unwrap_or_else(|| {
            let (id, cluster, own) = (self.rng.uuid(), self.rng.uuid(), database.raft_address(member.address));
            match join {
                Some(remote) => Disk::joining(id, &own, vec![database.raft_address(remote)], now),
                None => Disk::founded(id, cluster, &own, now),
            }
        });
        if disk.left {
            let path = path.display();
            return Err(format!("ovsdb-server: ovsdb error: {path}: server has left the cluster and cannot be added back"));
        }
        let server = Server::opened(disk, now, now);
        let server = self.on(database, |_, net| {
            let due = if server.is_joining() { net.now } else { net.patience(&server) };
            Server { due, ..server }
        });
        files::save(&path, database, &server.disk);
        self.saved.insert((member.pod.clone(), database), server.disk.clone());
        self.servers_of(database).insert(member.pod.clone(), server);
        Ok(())
    }

    /// What the health check says.
    pub(super) fn health(&self, pod: &str) -> Health {
        let Some(script) = self.pods.get(pod) else { return Health::Ended("never started".to_owned()) };
        match &script.state {
            State::Looking { .. } => return Health::Starting,
            State::Ended(said) => return Health::Ended(said.clone()),
            State::Runs(_) => {}
        }
        if self.suspended.contains(pod) {
            return Health::Unready("the health check does not end".to_owned());
        }
        let ill = Database::BOTH.into_iter().find_map(|database| {
            let server = self.servers.get(&database).and_then(|servers| servers.get(pod));
            let says = match server {
                None => "does not run",
                Some(server) if server.disk.left => "unknown cluster",
                Some(server) if server.is_joining() || server.retrying => membership(server),
                Some(server) if !server.has_leader(self.now) => "knows no leader",
                Some(_) => return None,
            };
            Some(format!("{}: {says}", database.schema()))
        });
        ill.map_or(Health::Ready, Health::Unready)
    }
}
