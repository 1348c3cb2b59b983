//! One database server of a modelled raft: what it has on disk, and what it knows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The members of a raft: id and raft address.
pub(super) type Config = BTreeMap<Uuid, String>;

/// An entry of the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) term: u64,
    pub(super) data: Data,
}

/// What an entry says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Data {
    /// A leader's first entry.
    Nothing,
    /// Who the members are.
    Members(Config),
    /// A row more: a logical switch or a chassis.
    Add(String),
    /// A row less.
    Remove(String),
    /// The election timer, in milliseconds.
    Timer(i64),
}

/// What outlives the process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Disk {
    pub(super) id: Uuid,
    pub(super) cluster: Option<Uuid>,
    pub(super) address: String,
    /// Whom it asks to be taken in; empty once it is a member.
    pub(super) remotes: Vec<String>,
    pub(super) term: u64,
    pub(super) vote: Option<Uuid>,
    /// The first entry stands for all that came before the log.
    pub(super) log: Vec<Entry>,
    /// Whether it was taken out, and knows.
    pub(super) left: bool,
    /// Since when it has a file.
    pub(super) since: DateTime<Utc>,
}

/// A server's part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Follower,
    Candidate,
    Leader(Leading),
}

/// What only a leader knows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Leading {
    /// The last entry that each other server has.
    pub(super) matched: BTreeMap<Uuid, usize>,
    /// Servers that ask to be taken in.
    pub(super) adding: BTreeMap<Uuid, Adding>,
    /// Members whose being taken in is not agreed on yet.
    pub(super) committing: BTreeSet<Uuid>,
    /// Members that shall go once another change is agreed on.
    pub(super) marked: BTreeSet<Uuid>,
    /// The one that is being taken out.
    pub(super) removing: Option<(Uuid, String)>,
}

/// A server that asks to be taken in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Adding {
    pub(super) address: String,
    pub(super) since: DateTime<Utc>,
    pub(super) caught_up: bool,
}

/// An election that a server stood in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Election {
    pub(super) started: DateTime<Utc>,
    pub(super) won: Option<DateTime<Utc>>,
    pub(super) reason: &'static str,
}

/// A running server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Server {
    pub(super) disk: Disk,
    /// How many entries are known to be agreed on.
    pub(super) commit: usize,
    pub(super) part: Part,
    pub(super) leader: Option<Uuid>,
    /// Whether it asks to be taken out.
    pub(super) leaving: bool,
    /// Whether an election that it stood in came to nothing.
    pub(super) retrying: bool,
    /// When it asks again, or stands for election.
    pub(super) due: DateTime<Utc>,
    pub(super) started: DateTime<Utc>,
    pub(super) heard: BTreeMap<Uuid, DateTime<Utc>>,
    pub(super) election: Option<Election>,
    pub(super) lost_connections: u64,
    /// Servers that it is connected with.
    pub(super) connected: BTreeSet<Uuid>,
}

/// After how long without a leader an election begins, as Kube-OVN sets it.
pub(super) const ELECTION_TIMER_MS: i64 = 5_000;

impl Disk {
    /// The files of a cluster of one.
    pub(super) fn founded(id: Uuid, cluster: Uuid, address: &str, now: DateTime<Utc>) -> Self {
        let members = Config::from([(id, address.to_owned())]);
        Self {
            id,
            cluster: Some(cluster),
            address: address.to_owned(),
            remotes: vec![],
            term: 0,
            vote: None,
            log: vec![Entry { term: 0, data: Data::Members(members) }],
            left: false,
            since: now,
        }
    }

    /// The files of a server that asks these to be taken in.
    pub(super) fn joining(id: Uuid, address: &str, remotes: Vec<String>, now: DateTime<Utc>) -> Self {
        Self {
            id,
            cluster: None,
            address: address.to_owned(),
            remotes,
            term: 0,
            vote: None,
            log: vec![],
            left: false,
            since: now,
        }
    }

    /// The members, as far as its log tells.
    pub(super) fn config(&self) -> Config {
        let members = self.log.iter().rev().find_map(|entry| match &entry.data {
            Data::Members(config) => Some(config.clone()),
            Data::Nothing | Data::Add(_) | Data::Remove(_) | Data::Timer(_) => None,
        });
        members.unwrap_or_default()
    }

    /// The election timer that was agreed on.
    pub(super) fn timer(&self) -> TimeDelta {
        let set = self.log.iter().rev().find_map(|entry| match entry.data {
            Data::Timer(millis) => Some(millis),
            Data::Nothing | Data::Members(_) | Data::Add(_) | Data::Remove(_) => None,
        });
        TimeDelta::milliseconds(set.unwrap_or(ELECTION_TIMER_MS))
    }

    /// The rows, as far as `entries` of the log.
    pub(super) fn rows(&self, entries: usize) -> BTreeSet<String> {
        let mut rows = BTreeSet::new();
        for entry in self.log.iter().take(entries) {
            match &entry.data {
                Data::Add(row) => {
                    rows.insert(row.clone());
                }
                Data::Remove(row) => {
                    rows.remove(row);
                }
                Data::Nothing | Data::Members(_) | Data::Timer(_) => {}
            }
        }
        rows
    }

    fn newest(&self) -> (u64, usize) {
        (self.log.last().map_or(0, |entry| entry.term), self.log.len())
    }
}

impl Server {
    /// A process that has just opened its file.
    pub(super) fn opened(disk: Disk, now: DateTime<Utc>, due: DateTime<Utc>) -> Self {
        let commit = disk.log.len().min(1);
        Self {
            disk,
            commit,
            part: Part::Follower,
            leader: None,
            leaving: false,
            retrying: false,
            due,
            started: now,
            heard: BTreeMap::new(),
            election: None,
            lost_connections: 0,
            connected: BTreeSet::new(),
        }
    }

    pub(super) fn id(&self) -> Uuid {
        self.disk.id
    }

    /// Whether it asks to be taken in.
    pub(super) fn is_joining(&self) -> bool {
        !self.disk.remotes.is_empty()
    }

    pub(super) fn leading(&self) -> Option<&Leading> {
        match &self.part {
            Part::Leader(leading) => Some(leading),
            Part::Follower | Part::Candidate => None,
        }
    }

    pub(super) fn leading_mut(&mut self) -> Option<&mut Leading> {
        match &mut self.part {
            Part::Leader(leading) => Some(leading),
            Part::Follower | Part::Candidate => None,
        }
    }

    /// Whether it has heard from its leader, or leads, within an election timer.
    pub(super) fn has_leader(&self, now: DateTime<Utc>) -> bool {
        let recent = |leader: &Uuid| self.heard.get(leader).is_some_and(|at| now - *at < self.disk.timer());
        self.leading().is_some() || self.leader.as_ref().is_some_and(recent)
    }

    /// Takes part in a newer term, without a leader so far.
    pub(super) fn enter_term(&mut self, term: u64) {
        self.disk.term = term;
        self.disk.vote = None;
        self.leader = None;
        self.part = Part::Follower;
    }

    /// Follows a leader, and takes over its log.
    pub(super) fn follow(&mut self, leader: &Self, now: DateTime<Utc>) {
        if self.disk.term != leader.disk.term {
            self.enter_term(leader.disk.term);
        }
        self.part = Part::Follower;
        self.leader = Some(leader.id());
        self.retrying = false;
        self.heard.insert(leader.id(), now);
        let same = self.disk.log.iter().zip(&leader.disk.log).take_while(|(ours, theirs)| ours == theirs).count();
        if same < leader.disk.log.len() || same < self.disk.log.len() {
            self.disk.log.truncate(same);
            self.disk.log.extend_from_slice(&leader.disk.log[same..]);
        }
        self.commit = leader.commit.min(self.disk.log.len());
    }

    /// Adds an entry as its leader.
    pub(super) fn append(&mut self, data: Data) {
        self.disk.log.push(Entry { term: self.disk.term, data });
    }

    /// Whether it would vote for a candidate with these files.
    pub(super) fn grants(&self, candidate: &Disk) -> bool {
        let free = self.disk.vote.is_none_or(|vote| vote == candidate.id);
        self.disk.term == candidate.term && free && candidate.newest() >= self.disk.newest()
    }

    /// Whether the last change of the members is not agreed on yet.
    pub(super) fn is_changing(&self) -> bool {
        self.disk.log.iter().skip(self.commit).any(|entry| matches!(entry.data, Data::Members(_)))
    }
}
