//! The text that `ovn-appctl cluster/status DATABASE` prints, as types.
//!
//! Strict: a line that is not known, a line that is missing, or one that stands twice is an error and never a guess, because
//! what is decided by it can't be undone. White space at both ends of a line and blank lines carry no meaning. The grammar is that of
//! Open vSwitch's raft server (2.17 to 3.1 were tried); the captures beside this file are from real servers.

mod line;

use std::collections::BTreeSet;
use std::time::Duration;

use line::Line;
use uuid::Uuid;

/// Longer texts are no status: three servers take 900 bytes, a hundred would take ten thousand.
const MOST_BYTES: usize = 64 << 10;

/// What one server of a raft says of itself and of the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RaftStatus {
    /// The database: `OVN_Northbound` or `OVN_Southbound`.
    pub database: String,
    /// The cluster's id; none while the server has never reached one.
    pub cluster: Option<Uuid>,
    /// The server's own full id.
    pub server: Uuid,
    /// Its raft address: `tcp:[172.18.0.3]:6643`.
    pub address: String,
    /// Whether it belongs to the cluster.
    pub membership: Membership,
    /// Servers that are being added or removed and stand in no list of members; only the leader knows.
    pub changes: Vec<Change>,
    /// Its part.
    pub role: Role,
    /// Its term.
    pub term: u64,
    /// Whom it takes for the leader.
    pub leader: Who,
    /// For whom it voted in this term.
    pub vote: Who,
    /// The last election that it took part in as a candidate.
    pub election: Option<Election>,
    /// After how long without a leader it starts an election.
    pub election_timer: Duration,
    /// The election timer that is being agreed on.
    pub election_timer_next: Option<Duration>,
    /// The first entry in its log, and the one after its last.
    pub log: (u64, u64),
    /// Entries that a majority does not have yet.
    pub not_committed: u64,
    /// Entries that are not in its database yet.
    pub not_applied: u64,
    /// Its connections.
    pub connections: Vec<Connection>,
    /// How many connections it has lost.
    pub disconnections: u64,
    /// The members, itself among them.
    pub servers: Vec<Server>,
}

/// Whether a server belongs to the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Membership {
    /// It does.
    Member,
    /// It asks to.
    Joining {
        /// Whom it asks.
        remotes: Vec<String>,
    },
    /// It has asked to be taken out.
    Leaving,
    /// It was taken out; its data directory is of no use to this cluster any more.
    Left,
    /// It can't go on, such as for a disk that failed.
    Failed,
    /// It has seen no leader for longer than an election takes.
    Disconnected,
}

/// A change of the members that is not agreed on yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The first digits of the server's id.
    pub server: String,
    /// Its raft address.
    pub address: String,
    /// How far the change is.
    pub phase: Phase,
}

/// How far a change of the members is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// A new server is being sent the log.
    CatchUp,
    /// A new server has the log.
    CaughtUp,
    /// A new server is being agreed on.
    Committing,
    /// A server is being taken out.
    Removing,
}

/// A server's part in the raft.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It decides.
    Leader,
    /// It follows.
    Follower,
    /// It stands for election.
    Candidate,
}

/// A server as another one names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// The server that answers.
    Oneself,
    /// Nobody that it knows of.
    Unknown,
    /// The first digits of a server's id.
    Other(String),
}

/// An election that a server started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Election {
    /// How long ago.
    pub started_ago: Duration,
    /// Why: `timeout`, `leadership_transfer`.
    pub reason: String,
    /// How long ago it was won, if it was.
    pub won_ago: Option<Duration>,
}

/// A connection between two servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    /// The first digits of the other server's id; `0000` while it is not known.
    pub server: String,
    /// Whether this server made it.
    pub outgoing: bool,
    /// Whether it stands.
    pub up: bool,
}

/// A member as the answering server sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// The first digits of its id.
    pub id: String,
    /// Its raft address.
    pub address: String,
    /// Whether it is the one that answers.
    pub oneself: bool,
    /// A change of the members that waits for another one.
    pub phase: Option<Phase>,
    /// For whom it voted, if that is known.
    pub voted_for: Option<String>,
    /// What the leader sends it next, and the last entry that it is known to have; only the leader knows.
    pub indexes: Option<(u64, u64)>,
    /// How long ago it was last heard of.
    pub heard_ago: Option<Duration>,
}

/// Why a text is not a status.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StatusError {
    /// It is too long.
    #[error("{bytes} bytes, above the limit of {MOST_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A line is not one that a status has.
    #[error("line {line} of the raft status is not known: {text:?}")]
    UnknownLine {
        /// Which, from 1.
        line: usize,
        /// What it says, cut short.
        text: String,
    },
    /// A line does not say what such a line says.
    #[error("line {line} of the raft status: {what:?} is not {wanted}")]
    BadValue {
        /// Which, from 1.
        line: usize,
        /// What stands there, cut short.
        what: String,
        /// What should.
        wanted: &'static str,
    },
    /// A line stands twice.
    #[error("the raft status says {0:?} twice")]
    Twice(&'static str),
    /// A line is missing.
    #[error("the raft status does not say {0:?}")]
    Missing(&'static str),
}

impl RaftStatus {
    /// Reads a status.
    ///
    /// # Errors
    /// [`StatusError`], for anything that is not exactly a status.
    pub fn parse(text: &str) -> Result<Self, StatusError> {
        if text.len() > MOST_BYTES {
            return Err(StatusError::TooLong { bytes: text.len() });
        }
        let mut draft = Draft::default();
        for (line, said) in (1..).zip(text.lines()) {
            let said = said.trim();
            if !said.is_empty() {
                draft.take(&Line { number: line, said })?;
            }
        }
        draft.finish()
    }
}

/// What was read so far.
#[derive(Default)]
struct Draft {
    nickname: bool,
    seen: BTreeSet<&'static str>,
    database: Option<String>,
    cluster: Option<Uuid>,
    server: Option<Uuid>,
    address: Option<String>,
    membership: Option<Membership>,
    changes: Vec<Change>,
    role: Option<Role>,
    term: Option<u64>,
    leader: Option<Who>,
    vote: Option<Who>,
    election: Option<Election>,
    timer: Option<(Duration, Option<Duration>)>,
    log: Option<(u64, u64)>,
    not_committed: Option<u64>,
    not_applied: Option<u64>,
    connections: Vec<Connection>,
    disconnections: Option<u64>,
    servers: Option<Vec<Server>>,
}

/// The lines that begin with a key, once each.
const KEYS: [&str; 16] = [
    "Name:",
    "Cluster ID:",
    "Server ID:",
    "Address:",
    "Status:",
    "Remotes for joining:",
    "Role:",
    "Term:",
    "Leader:",
    "Vote:",
    "Last Election started",
    "Last Election won:",
    "Election timer:",
    "Log:",
    "Entries not yet committed:",
    "Entries not yet applied:",
];
const MORE_KEYS: [&str; 3] = ["Connections:", "Disconnections:", "Servers:"];

impl Draft {
    fn take(&mut self, line: &Line<'_>) -> Result<(), StatusError> {
        if let Some(servers) = &mut self.servers {
            servers.push(line.server()?);
            return Ok(());
        }
        if !self.nickname {
            // The first line names the server in short; it says nothing that the others don't.
            self.nickname = true;
            return if line.said.contains([':', ' ']) { Err(line.unknown()) } else { Ok(()) };
        }
        for (prefix, adding) in [("Adding server ", true), ("Removing server ", false)] {
            if let Some(rest) = line.said.strip_prefix(prefix) {
                self.changes.push(line.change(rest, adding)?);
                return Ok(());
            }
        }
        let found = KEYS.iter().chain(&MORE_KEYS).find_map(|key| Some((*key, line.said.strip_prefix(*key)?.trim())));
        let Some((key, value)) = found else { return Err(line.unknown()) };
        if !self.seen.insert(key) {
            return Err(StatusError::Twice(key));
        }
        self.value(key, value, line)
    }

    fn value(&mut self, key: &str, value: &str, line: &Line<'_>) -> Result<(), StatusError> {
        match key {
            "Name:" => self.database = Some(line.word(value)?.to_owned()),
            "Cluster ID:" if value == "not yet known" => {}
            "Cluster ID:" => self.cluster = Some(line.full_id(value)?),
            "Server ID:" => self.server = Some(line.full_id(value)?),
            "Address:" => self.address = Some(line.word(value)?.to_owned()),
            "Status:" => self.membership = Some(line.membership(value)?),
            "Remotes for joining:" => match &mut self.membership {
                Some(Membership::Joining { remotes }) => remotes.extend(value.split_whitespace().map(str::to_owned)),
                Some(_) | None => return Err(line.unknown()),
            },
            "Role:" => self.role = Some(line.role(value)?),
            "Term:" => self.term = Some(line.number(value)?),
            "Leader:" => self.leader = Some(line.who(value)?),
            "Vote:" => self.vote = Some(line.who(value)?),
            "Last Election started" => self.election = Some(line.election(value)?),
            "Last Election won:" => match &mut self.election {
                Some(election) => election.won_ago = Some(line.ago(value)?),
                None => return Err(line.unknown()),
            },
            "Election timer:" => self.timer = Some(line.timer(value)?),
            "Log:" => self.log = Some(line.log(value)?),
            "Entries not yet committed:" => self.not_committed = Some(line.number(value)?),
            "Entries not yet applied:" => self.not_applied = Some(line.number(value)?),
            "Connections:" => {
                self.connections = value.split_whitespace().map(|c| line.connection(c)).collect::<Result<_, _>>()?;
            }
            "Disconnections:" => self.disconnections = Some(line.number(value)?),
            _ if value.is_empty() => self.servers = Some(Vec::new()),
            _ => return Err(line.unknown()),
        }
        Ok(())
    }

    fn finish(self) -> Result<RaftStatus, StatusError> {
        fn must<T>(value: Option<T>, what: &'static str) -> Result<T, StatusError> {
            value.ok_or(StatusError::Missing(what))
        }
        for key in ["Cluster ID:", "Connections:"] {
            must(self.seen.contains(key).then_some(()), key)?;
        }
        let (election_timer, election_timer_next) = must(self.timer, "Election timer:")?;
        Ok(RaftStatus {
            database: must(self.database, "Name:")?,
            cluster: self.cluster,
            server: must(self.server, "Server ID:")?,
            address: must(self.address, "Address:")?,
            membership: must(self.membership, "Status:")?,
            changes: self.changes,
            role: must(self.role, "Role:")?,
            term: must(self.term, "Term:")?,
            leader: must(self.leader, "Leader:")?,
            vote: must(self.vote, "Vote:")?,
            election: self.election,
            election_timer,
            election_timer_next,
            log: must(self.log, "Log:")?,
            not_committed: must(self.not_committed, "Entries not yet committed:")?,
            not_applied: must(self.not_applied, "Entries not yet applied:")?,
            connections: self.connections,
            disconnections: must(self.disconnections, "Disconnections:")?,
            servers: must(self.servers, "Servers:")?,
        })
    }
}

#[cfg(test)]
mod tests;
