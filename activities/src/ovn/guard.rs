//! The quorum guard: whether something may be done that can cost a raft a voter. Pure, and asked right before the act.
//!
//! What it knows comes from every server that answers. What is not known is no: a server that does not answer has no vote that
//! counts, and a trouble that is not about the server that the act takes away forbids the act.

use std::fmt;
use std::net::IpAddr;

use windlass_engine::ActivityError;

use super::{Raft, Server, Standing, Trouble, TroubleKind};

/// Servers that are further behind than this many entries don't count as alive: what needs their vote would wait for them.
pub(super) const MOST_BEHIND: u64 = 100;

/// Something that can cost a raft a voter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Takes a member out of the raft for ever.
    Kick {
        /// Its address.
        address: IpAddr,
    },
    /// Restarts a member's pod or node; it comes back with its files.
    RestartOne {
        /// Its address.
        address: IpAddr,
    },
    /// Restarts every member, one after the other, each only when the one before is back.
    RestartAll,
    /// Deletes the pod of a server that is no member.
    Delete {
        /// Its address.
        address: IpAddr,
    },
    /// Moves the files of a server that is no member.
    MoveDirectory {
        /// Its address.
        address: IpAddr,
    },
}

/// What lets an act pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// What was seen, for the logbook.
    pub text: String,
    /// Whether nothing can be written to the database while the act lasts: a raft of two, or of one, has no voter to spare.
    pub stops_writes: bool,
}

/// Why an act may not be done now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    act: Act,
    database: super::Database,
    why: Vec<String>,
    seen: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { act, database, why, seen } = self;
        write!(f, "the quorum guard does not let us {act} ({database} database): {}; seen: {seen}", why.join("; "))
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for ActivityError {
    /// Nothing was done, and what stands in the way may pass; if it does not, the attempts end and a person is asked.
    fn from(refusal: Refusal) -> Self {
        Self::transient("quorum-guard", refusal.to_string())
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kick { address } => write!(f, "take {address} out"),
            Self::RestartOne { address } => write!(f, "restart {address}"),
            Self::RestartAll => f.write_str("restart the members one after the other"),
            Self::Delete { address } => write!(f, "delete the pod at {address}"),
            Self::MoveDirectory { address } => write!(f, "move the databases of {address}"),
        }
    }
}

/// Whether an act may be done to a raft as it is now; to be asked for each database, on a look that is seconds old.
///
/// # Errors
/// [`Refusal`] with everything that stands in the way.
pub fn allow(raft: &Raft, act: Act) -> Result<Evidence, Refusal> {
    let mut why: Vec<String> = Vec::new();
    if raft.cluster.is_none() {
        why.push("no member tells the cluster's id".to_owned());
    }
    if raft.leader.is_none() {
        why.push("no server leads with a majority behind it".to_owned());
    }
    why.extend(raft.troubles.iter().filter(|trouble| !tolerates(raft, act, trouble)).map(ToString::to_string));
    let stops_writes = match act {
        Act::Kick { address } => kick(raft, address, &mut why),
        Act::RestartOne { address } => restart_one(raft, address, &mut why),
        Act::RestartAll => restart_all(raft, &mut why),
        Act::Delete { address } | Act::MoveDirectory { address } => no_member(raft, address, &mut why),
    };
    if why.is_empty() {
        return Ok(Evidence { text: raft.in_words(), stops_writes });
    }
    Err(Refusal { act, database: raft.database, why, seen: raft.in_words() })
}

/// Voters that are enough to decide.
pub(super) fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

/// Alive and caught up: its vote can be counted on.
pub(super) fn counts(server: &Server) -> bool {
    server.is_live() && server.behind.is_none_or(|behind| behind <= MOST_BEHIND)
}

fn tolerates(raft: &Raft, act: Act, trouble: &Trouble) -> bool {
    match act {
        // What goes away may be broken in any way, but while members change nothing else may.
        Act::Kick { address } => trouble.kind != TroubleKind::Changing && trouble.is_only_about(&[address]),
        Act::Delete { address } | Act::MoveDirectory { address } => trouble.is_only_about(&[address]),
        // A server without a vote has nothing to lose, and what restarts may be broken itself; one that founded another cluster, or
        // is coming in, has to be seen to first.
        Act::RestartOne { .. } | Act::RestartAll => {
            let itself = |at: IpAddr| matches!(act, Act::RestartOne { address } if address == at);
            let voter = |at: IpAddr| raft.voters().any(|server| server.address == at);
            let spared = !trouble.concerns.is_empty() && trouble.concerns.iter().all(|at| itself(*at) || !voter(*at));
            spared && matches!(trouble.kind, TroubleKind::Amiss | TroubleKind::Disagree)
        }
    }
}

/// What is said where no server tells any.
const UNKNOWN: &str = "its members are not known";

fn kick(raft: &Raft, address: IpAddr, why: &mut Vec<String>) -> bool {
    let voters = raft.voters().count();
    if voters == 0 {
        why.push(UNKNOWN.to_owned());
        return false;
    }
    let named = raft.voters().filter(|server| server.address == address).count();
    if named != 1 {
        why.push(format!("{named} members have the address {address}"));
    }
    if voters < 2 {
        // The server takes any id for its own when it is alone, and leaves.
        why.push("it is the only member: it would leave its own cluster".to_owned());
    }
    let after = voters.saturating_sub(1);
    let live = raft.voters().filter(|server| server.address != address && counts(server)).count();
    if voters > 1 && live < quorum(after) {
        why.push(format!("{live} of {after} members would be alive and caught up after it, and {} are needed", quorum(after)));
    }
    let leaving = raft.voters().find(|server| server.address == address);
    if leaving.is_some_and(|server| server.standing == Standing::Leaving) {
        why.push(format!("{address} is leaving by itself"));
    }
    false
}

fn restart_one(raft: &Raft, address: IpAddr, why: &mut Vec<String>) -> bool {
    let voters = raft.voters().count();
    if !raft.voters().any(|server| server.address == address) {
        why.push(format!("{address} is no member"));
    }
    let others = raft.voters().filter(|server| server.address != address && counts(server)).count();
    if voters > 2 {
        if others < quorum(voters) {
            why.push(format!("{others} of {voters} members would be alive meanwhile, and {} are needed", quorum(voters)));
        }
        return false;
    }
    whole(raft, why);
    true
}

fn restart_all(raft: &Raft, why: &mut Vec<String>) -> bool {
    whole(raft, why);
    raft.voters().count() <= 2
}

/// Every member is alive and caught up.
fn whole(raft: &Raft, why: &mut Vec<String>) {
    if raft.voters().next().is_none() {
        why.push(UNKNOWN.to_owned());
    }
    let lost = raft.voters().filter(|server| !counts(server));
    why.extend(lost.map(|server| format!("every member must be alive and caught up, and {} is not", server.label())));
}

fn no_member(raft: &Raft, address: IpAddr, why: &mut Vec<String>) -> bool {
    let listed = raft.servers.iter().filter(|server| server.address == address && server.votes);
    why.extend(listed.map(|server| format!("{} is a member: it must be taken out first", server.label())));
    false
}

#[cfg(test)]
mod tests;
