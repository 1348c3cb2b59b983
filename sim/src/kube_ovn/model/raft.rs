//! How the servers of one database get on: a step of virtual time.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::server::{Adding, Data, Election, Leading, Part, Server};
use crate::rng::Rng;

/// How often a server asks again to be taken in or out.
const ASKS_EVERY: TimeDelta = TimeDelta::seconds(1);
/// How long a new server is sent the log.
const CATCHES_UP_IN: TimeDelta = TimeDelta::seconds(1);

/// Running servers of one database, by pod.
pub(super) type Servers = BTreeMap<String, Server>;

/// What happens to servers from outside.
pub(super) struct Net<'a> {
    pub(super) now: DateTime<Utc>,
    pub(super) rng: &'a mut Rng,
    /// Pods that stand still.
    pub(super) suspended: &'a BTreeSet<String>,
    /// Pods that no other reaches.
    pub(super) cut: &'a BTreeSet<String>,
}

impl Net<'_> {
    fn moves(&self, pod: &str) -> bool {
        !self.suspended.contains(pod)
    }

    /// Whether two pods hear each other.
    pub(super) fn reach(&self, one: &str, other: &str) -> bool {
        one != other && [one, other].iter().all(|pod| self.moves(pod) && !self.cut.contains(*pod))
    }

    /// When a server without a leader stands for election.
    pub(super) fn patience(&mut self, server: &Server) -> DateTime<Utc> {
        let timer = server.disk.timer();
        let more = self.rng.range(0..timer.num_milliseconds().unsigned_abs());
        self.now + timer + TimeDelta::milliseconds(i64::try_from(more).unwrap_or(0))
    }
}

/// Lets everybody act once; returns the servers that were taken out.
pub(super) fn step(servers: &mut Servers, net: &mut Net<'_>) -> Vec<Uuid> {
    let mut gone = vec![];
    // Who leads is heard first: after a long step, the others would take it for gone.
    let (first, then): (Vec<_>, Vec<_>) = servers.iter().partition(|(_, server)| server.leading().is_some());
    for pod in first.into_iter().chain(then).map(|(pod, _)| pod.clone()).collect::<Vec<_>>() {
        let Some(mut server) = servers.remove(&pod) else { continue };
        if net.moves(&pod) && !server.disk.left {
            connect(&pod, &mut server, servers, net);
            if server.leading().is_some() {
                gone.extend(lead(&pod, &mut server, servers, net));
            } else if server.is_joining() {
                ask_in(&pod, &mut server, servers, net);
            } else if server.leaving {
                ask_out(&pod, &mut server, servers, net);
            } else if server.has_leader(net.now) {
                server.due = net.patience(&server);
            } else if server.due <= net.now {
                stand(&pod, &mut server, servers, net, "timeout");
            }
        }
        servers.insert(pod, server);
    }
    gone
}

/// Whether nothing would happen for as long as nothing comes from outside.
pub(super) fn is_settled(servers: &Servers, net: &Net<'_>) -> bool {
    let busy = |leading: &Leading| {
        !(leading.adding.is_empty() && leading.committing.is_empty() && leading.marked.is_empty() && leading.removing.is_none())
    };
    servers.iter().filter(|(pod, server)| net.moves(pod) && !server.disk.left).all(|(pod, server)| match &server.part {
        Part::Leader(leading) => {
            !busy(leading) && server.commit == server.disk.log.len() && has_majority(pod, server, servers, net)
        }
        Part::Follower | Part::Candidate => {
            let leader = servers.iter().find(|(_, other)| other.leading().is_some() && Some(other.id()) == server.leader);
            let followed = leader.is_some_and(|(at, leader)| {
                net.reach(pod, at)
                    && leader.disk.config().contains_key(&server.id())
                    && leader.disk.log == server.disk.log
                    && leader.commit == server.commit
            });
            followed && !server.is_joining() && !server.leaving
        }
    })
}

/// Whether a leader is heard by most of the members.
fn has_majority(pod: &str, leader: &Server, servers: &Servers, net: &Net<'_>) -> bool {
    let config = leader.disk.config();
    let others =
        servers.iter().filter(|(other, s)| net.reach(pod, other) && config.contains_key(&s.id()) && !s.disk.left).count();
    others + usize::from(config.contains_key(&leader.id())) > config.len() / 2
}

/// Notes who is connected with whom.
fn connect(pod: &str, server: &mut Server, servers: &Servers, net: &Net<'_>) {
    let known = server.disk.config();
    let adding: BTreeSet<Uuid> = server.leading().map(|l| l.adding.keys().copied().collect()).unwrap_or_default();
    let concerns = |other: &Server| {
        let mutual = known.contains_key(&other.id()) || other.disk.config().contains_key(&server.disk.id);
        !other.disk.left && (mutual || adding.contains(&other.id()) || server.leader == Some(other.id()))
    };
    let now: BTreeSet<Uuid> =
        servers.iter().filter(|(at, other)| net.reach(pod, at) && concerns(other)).map(|(_, other)| other.id()).collect();
    server.lost_connections += server.connected.difference(&now).count() as u64;
    server.connected = now;
}

fn lead(pod: &str, leader: &mut Server, servers: &mut Servers, net: &mut Net<'_>) -> Vec<Uuid> {
    let config = leader.disk.config();
    for (_, other) in servers.iter_mut().filter(|(at, _)| net.reach(pod, at)) {
        let id = other.id();
        let asked = leader.leading().is_some_and(|l| l.adding.contains_key(&id));
        if other.disk.left || other.disk.cluster != leader.disk.cluster || !(config.contains_key(&id) || asked) {
            continue;
        }
        if other.disk.term > leader.disk.term {
            leader.enter_term(other.disk.term);
            leader.due = net.patience(leader);
            return vec![];
        }
        other.follow(leader, net.now);
        leader.heard.insert(id, net.now);
        let has = other.disk.log.len();
        if let Some(leading) = leader.leading_mut() {
            leading.matched.insert(id, has);
        }
    }
    let (now, timer) = (net.now, leader.disk.timer());
    let fresh = leader.election.as_ref().and_then(|e| e.won).is_some_and(|won| now - won < timer);
    let heard = |id: &Uuid| *id == leader.id() || leader.heard.get(id).is_some_and(|at| now - *at < timer);
    if !fresh && config.keys().filter(|id| heard(id)).count() <= config.len() / 2 {
        // A leader that has not heard from most of the members stands again, and drops what it was about to change.
        stand(pod, leader, servers, net, "timeout");
        leader.retrying = leader.leading().is_none();
        return vec![];
    }
    agree(leader);
    reconfigure(leader, servers, net, pod)
}

/// Takes as agreed on what most of the members have.
fn agree(leader: &mut Server) {
    let (config, own) = (leader.disk.config(), leader.disk.log.len());
    let Some(leading) = leader.leading() else { return };
    let mut has: Vec<usize> =
        config.keys().map(|id| if *id == leader.id() { own } else { leading.matched.get(id).copied().unwrap_or(0) }).collect();
    has.sort_unstable_by(|one, other| other.cmp(one));
    let agreed = has.get(config.len() / 2).copied().unwrap_or(0);
    let own_term = leader.disk.log.get(agreed.wrapping_sub(1)).is_some_and(|entry| entry.term == leader.disk.term);
    if own_term && agreed > leader.commit {
        leader.commit = agreed;
    }
}

/// Takes the next step of a change of the members: one at a time, each agreed on before the next.
fn reconfigure(leader: &mut Server, servers: &mut Servers, net: &Net<'_>, pod: &str) -> Vec<Uuid> {
    let now = net.now;
    let changing = leader.is_changing();
    let (own, length) = (leader.id(), leader.disk.log.len());
    let Some(leading) = leader.leading_mut() else { return vec![] };
    for (id, adding) in &mut leading.adding {
        adding.caught_up = now - adding.since >= CATCHES_UP_IN && leading.matched.get(id) == Some(&length);
    }
    if changing {
        return vec![];
    }
    for id in std::mem::take(&mut leading.committing) {
        for server in servers.values_mut().filter(|server| server.id() == id) {
            server.disk.remotes.clear();
        }
    }
    let mut gone = vec![];
    let mut leaves = false;
    if let Some((id, _)) = leading.removing.take() {
        gone.push(id);
        leaves = id == own;
        // One that stands still finds the news when it goes on.
        let told = |at: &String| ![pod, at].iter().any(|end| net.cut.contains(*end));
        for (_, server) in servers.iter_mut().filter(|(at, server)| server.id() == id && told(at)) {
            server.disk.left = true;
        }
    }
    if leaves {
        leader.disk.left = true;
        leader.part = Part::Follower;
        return gone;
    }
    let caught_up = leading.adding.iter().find(|(_, adding)| adding.caught_up).map(|(id, _)| *id);
    if let Some((id, adding)) = caught_up.and_then(|id| leading.adding.remove_entry(&id)) {
        leading.committing.insert(id);
        let mut config = leader.disk.config();
        config.insert(id, adding.address);
        leader.append(Data::Members(config));
    } else {
        begin_removal(leader);
    }
    gone
}

fn ask_in(pod: &str, server: &mut Server, servers: &mut Servers, net: &mut Net<'_>) {
    if server.due > net.now {
        return;
    }
    server.due = net.now + ASKS_EVERY;
    let asked = servers
        .iter()
        .find(|(at, other)| net.reach(pod, at) && server.disk.remotes.contains(&other.disk.address) && !other.disk.left);
    let Some((_, asked)) = asked else { return };
    let leader = if asked.leading().is_some() { Some(asked.id()) } else { asked.leader };
    let found =
        servers.iter_mut().find(|(at, other)| Some(other.id()) == leader && net.reach(pod, at) && other.leading().is_some());
    let Some((_, leader)) = found else { return };
    if server.disk.cluster.is_some() && server.disk.cluster != leader.disk.cluster {
        return;
    }
    server.disk.cluster = leader.disk.cluster;
    let (id, now) = (server.id(), net.now);
    if leader.disk.config().contains_key(&id) {
        if leader.leading().is_some_and(|leading| !leading.committing.contains(&id)) {
            server.disk.remotes.clear();
        }
        return;
    }
    let address = server.disk.address.clone();
    if let Some(leading) = leader.leading_mut() {
        leading.adding.entry(id).or_insert(Adding { address, since: now, caught_up: false });
    }
}

fn ask_out(pod: &str, server: &mut Server, servers: &mut Servers, net: &mut Net<'_>) {
    if server.due > net.now {
        return;
    }
    server.due = net.now + ASKS_EVERY;
    let (id, cluster) = (server.id(), server.disk.cluster);
    let found = servers.iter_mut().find(|(at, s)| net.reach(pod, at) && s.leading().is_some() && s.disk.cluster == cluster);
    let Some((_, leader)) = found else { return };
    if leader.disk.config().contains_key(&id) {
        mark(leader, id);
    } else {
        server.disk.left = true;
    }
}

/// Begins to take out the next marked member, unless another change is not agreed on yet.
pub(super) fn begin_removal(leader: &mut Server) {
    let (changing, mut config) = (leader.is_changing(), leader.disk.config());
    let Some(leading) = leader.leading_mut() else { return };
    if changing || leading.removing.is_some() || !leading.committing.is_empty() {
        return;
    }
    if let Some(id) = leading.marked.pop_first() {
        leading.removing = config.remove(&id).map(|address| (id, address));
        leader.append(Data::Members(config));
    }
}

/// Marks a member to be taken out.
pub(super) fn mark(leader: &mut Server, id: Uuid) {
    if let Some(leading) = leader.leading_mut() {
        leading.marked.insert(id);
    }
}

/// Gives a follower another id, as if it had been taken out and in again; the leader tells it the log anew.
pub(super) fn exchange(servers: &mut Servers, pod: &str, id: Uuid) {
    let Some(mut server) = servers.remove(pod) else { return };
    let old = server.id();
    let leader = servers.values_mut().find(|s| s.leading().is_some() && s.disk.config().contains_key(&old));
    if let Some(leader) = leader {
        let mut config = leader.disk.config();
        config.remove(&old);
        config.insert(id, server.disk.address.clone());
        leader.append(Data::Members(config));
        server.disk.id = id;
        server.disk.vote = None;
    }
    servers.insert(pod.to_owned(), server);
}

/// Stands for election.
pub(super) fn stand(pod: &str, server: &mut Server, servers: &mut Servers, net: &mut Net<'_>, reason: &'static str) {
    server.retrying = server.part == Part::Candidate;
    server.enter_term(server.disk.term + 1);
    let id = server.id();
    server.disk.vote = Some(id);
    server.part = Part::Candidate;
    server.election = Some(Election { started: net.now, won: None, reason });
    server.due = net.patience(server);
    let config = server.disk.config();
    let handed_over = reason == "leadership_transfer";
    let mut votes = usize::from(config.contains_key(&id));
    for (at, voter) in servers.iter_mut() {
        let known = config.contains_key(&voter.id()) && voter.disk.cluster == server.disk.cluster && !voter.disk.left;
        // Who has a leader does not listen to those who would disturb it.
        if !known || !net.reach(pod, at) || (voter.has_leader(net.now) && !handed_over) {
            continue;
        }
        server.heard.insert(voter.id(), net.now);
        voter.heard.insert(id, net.now);
        if server.disk.term > voter.disk.term {
            voter.enter_term(server.disk.term);
        }
        if voter.grants(&server.disk) {
            voter.disk.vote = Some(id);
            voter.due = net.patience(voter);
            votes += 1;
        }
    }
    if votes > config.len() / 2 {
        win(server, net.now);
    }
}

fn win(server: &mut Server, now: DateTime<Utc>) {
    server.part = Part::Leader(Leading::default());
    server.leader = Some(server.id());
    server.retrying = false;
    if let Some(election) = &mut server.election {
        election.won = Some(now);
    }
    server.append(Data::Nothing);
}

/// Lets a server leave: it hands its lead over first, and asks the leader to be taken out.
pub(super) fn leave(pod: &str, server: &mut Server, servers: &mut Servers, net: &mut Net<'_>) {
    server.leaving = true;
    server.due = net.now;
    let led = server.leading().is_some();
    server.part = Part::Follower;
    server.leader = None;
    let config = server.disk.config();
    let heir = servers.iter().filter(|(at, s)| net.reach(pod, at) && config.contains_key(&s.id()) && !s.disk.left);
    let heir = heir.max_by_key(|(_, s)| s.disk.log.len()).map(|(at, _)| at.clone());
    let Some((at, mut heir)) = heir.filter(|_| led).and_then(|at| servers.remove_entry(&at)) else { return };
    // It still votes for the one it hands over to.
    servers.insert(pod.to_owned(), server.clone());
    stand(&at, &mut heir, servers, net, "leadership_transfer");
    if let Some(voted) = servers.remove(pod) {
        *server = voted;
    }
    servers.insert(at, heir);
}
