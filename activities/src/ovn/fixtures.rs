//! Rafts for tests: what each server would answer, from one word about each.

use std::net::IpAddr;
use std::time::Duration;

use uuid::Uuid;

use super::raft::{Answer, Said};
use super::status::{Connection, Membership, RaftStatus, Role, Server, Who};
use super::{Database, Raft};

/// How one member is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Is {
    /// Leads; the first of several is followed.
    Leading,
    /// Follows the leader; seeks one if there is none.
    Following,
    /// Follows, and is this many entries behind.
    Lagging(u64),
    /// Stands for election in a later term.
    Seeking,
    /// Has lost touch.
    Cut,
    /// Does not answer.
    Silent,
    /// Has founded a cluster of its own.
    Foreign,
    /// Asks to be taken out.
    Leaving,
}

pub(crate) const CLUSTER: Uuid = Uuid::from_u128(0xaf0d_3812_a907_40a2_b06c_2657_3f91_e464);
pub(crate) const OTHER: Uuid = Uuid::from_u128(0xbbbb_3812_a907_40a2_b06c_2657_3f91_e464);

/// The address of a member, counted from 1: `172.18.0.3` is the first.
pub(crate) fn address(member: u8) -> IpAddr {
    IpAddr::from([172, 18, 0, 2 + member])
}

/// The id of a member: `11110000-…` is the first's.
pub(crate) fn id(member: u8) -> Uuid {
    Uuid::from_u128((0x1111_u128 * u128::from(member)) << 112)
}

pub(crate) fn short(member: u8) -> String {
    id(member).to_string().chars().take(4).collect()
}

pub(crate) fn raft_address(member: u8) -> String {
    format!("tcp:[{}]:6643", address(member))
}

pub(crate) fn pod(member: u8) -> String {
    format!("ovn-central-{member}")
}

/// What the members answer; the first is member 1.
pub(crate) fn answers(members: &[Is]) -> Vec<Answer> {
    let each = (1..).zip(members).map(|(member, is)| Answer {
        pod: pod(member),
        address: Some(address(member)),
        runs: true,
        said: if *is == Is::Silent {
            Said::Nothing("no answer within 10 s".to_owned())
        } else {
            Said::Status(Box::new(status(member, members)), "status: ok\n".to_owned())
        },
    });
    each.collect()
}

/// Changes what a member answers.
pub(crate) fn edit(answers: &mut [Answer], member: u8, edit: impl FnOnce(&mut RaftStatus)) {
    let Said::Status(status, _) = &mut answers[usize::from(member) - 1].said else { panic!("member {member} says nothing") };
    edit(status);
}

pub(crate) fn raft(members: &[Is]) -> Raft {
    Raft::of(Database::Northbound, &answers(members))
}

fn status(member: u8, members: &[Is]) -> RaftStatus {
    let is = members[usize::from(member) - 1];
    let leader = (1..).zip(members).find(|(_, is)| **is == Is::Leading).map(|(member, _)| member);
    let leads = is == Is::Leading;
    let (role, known) = match (is, leader) {
        (Is::Leading, _) => (Role::Leader, Who::Oneself),
        (Is::Following | Is::Lagging(_), Some(leader)) => (Role::Follower, Who::Other(short(leader))),
        (Is::Seeking | Is::Cut, _) => (Role::Candidate, Who::Unknown),
        (_, _) => (Role::Follower, Who::Unknown),
    };
    RaftStatus {
        database: "OVN_Northbound".to_owned(),
        cluster: Some(if is == Is::Foreign { OTHER } else { CLUSTER }),
        server: id(member),
        address: raft_address(member),
        membership: membership(is),
        changes: Vec::new(),
        role,
        term: if matches!(is, Is::Seeking | Is::Cut) { 6 } else { 5 },
        leader: known,
        vote: Who::Unknown,
        election: None,
        election_timer: Duration::from_secs(5),
        election_timer_next: None,
        log: (2, 10_001),
        not_committed: 0,
        not_applied: 0,
        connections: others(member, members).map(|other| Connection { server: short(other), outgoing: true, up: true }).collect(),
        disconnections: 0,
        servers: (1..).zip(members).map(|(other, is)| server(other, *is, other == member, leads)).collect(),
    }
}

fn membership(is: Is) -> Membership {
    match is {
        Is::Cut => Membership::Disconnected,
        Is::Leaving => Membership::Leaving,
        Is::Leading | Is::Following | Is::Lagging(_) | Is::Seeking | Is::Silent | Is::Foreign => Membership::Member,
    }
}

fn others(member: u8, members: &[Is]) -> impl Iterator<Item = u8> {
    let heard = |is: &Is| !matches!(is, Is::Silent | Is::Cut | Is::Foreign);
    (1..).zip(members).filter(move |(other, is)| *other != member && heard(is)).map(|(other, _)| other)
}

fn server(other: u8, is: Is, oneself: bool, by_leader: bool) -> Server {
    let behind = if let Is::Lagging(behind) = is { behind } else { 0 };
    let heard = if matches!(is, Is::Silent | Is::Cut | Is::Foreign) { 60_000 } else { 80 };
    Server {
        id: short(other),
        address: raft_address(other),
        oneself,
        phase: None,
        voted_for: None,
        indexes: by_leader.then(|| (10_001, 10_000 - behind)),
        heard_ago: (!oneself).then(|| Duration::from_millis(heard)),
    }
}
