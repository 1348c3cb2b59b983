//! One raft out of what each of its servers says. Where they differ, where one is missing, where something is under way, a trouble
//! says so; nothing is guessed.

mod standing;
mod troubles;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use uuid::Uuid;

use super::guard::quorum;
use super::status::{self, Membership, RaftStatus, Role, Who};
use super::{Database, Raft, Server, Standing, Trouble, TroubleKind};

/// What came of asking one pod about one database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    /// The pod.
    pub(crate) pod: String,
    /// The address of its node, if it is on one.
    pub(crate) address: Option<IpAddr>,
    /// Whether its containers run.
    pub(crate) runs: bool,
    /// What it said.
    pub(crate) said: Said,
}

/// What a pod said of a database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// The raft's status, and that of the storage.
    Status(Box<RaftStatus>, String),
    /// That it does not serve the database: a server that was taken out closes it.
    NotServed,
    /// Nothing that is understood, and why.
    Nothing(String),
}

/// What one server says, with where it says so.
#[derive(Clone, Copy)]
struct View<'a> {
    pod: &'a str,
    node: Option<IpAddr>,
    address: IpAddr,
    status: &'a RaftStatus,
    storage: &'a str,
}

/// The answers, sorted by what they are.
struct Views<'a> {
    /// Servers of the cluster, those that ask to be taken in among them.
    own: Vec<View<'a>>,
    /// Servers of other clusters.
    foreign: Vec<View<'a>>,
    /// Pods that told nothing of use, and why.
    mute: Vec<(&'a Answer, String)>,
    cluster: Option<Uuid>,
}

impl Raft {
    /// Brings the answers of all pods together.
    #[cfg(test)]
    pub(crate) fn of(database: Database, answers: &[Answer]) -> Self {
        Self::of_cluster(database, None, answers)
    }

    /// As [`Raft::of`], with the cluster that is known to be the right one, if it is known.
    pub(crate) fn of_cluster(database: Database, known: Option<Uuid>, answers: &[Answer]) -> Self {
        let views = Views::sort(database, known, answers);
        let leader = views.leader();
        let mut raft = Self {
            database,
            cluster: views.cluster,
            term: views.own.iter().map(|view| view.status.term).max().unwrap_or_default(),
            leader: leader.map(|view| view.address),
            election_timer_ms: views.election_timer(leader),
            servers: Vec::new(),
            troubles: Vec::new(),
        };
        views.add_voters(leader, &mut raft);
        views.add_others(leader, &mut raft);
        raft.servers.sort_by(|a, b| (!a.votes, a.address, &a.short).cmp(&(!b.votes, b.address, &b.short)));
        views.tell(leader, &mut raft);
        raft
    }
}

impl<'a> Views<'a> {
    fn sort(database: Database, known: Option<Uuid>, answers: &'a [Answer]) -> Self {
        let mut views = Vec::new();
        let mut mute = Vec::new();
        for answer in answers {
            match &answer.said {
                Said::Nothing(why) => mute.push((answer, why.clone())),
                Said::NotServed => mute.push((answer, NOT_SERVED.to_owned())),
                Said::Status(status, _) if status.database != database.schema() => {
                    mute.push((answer, format!("it answered for {} and not for {}", status.database, database.schema())));
                }
                Said::Status(status, storage) => match address_of(&status.address) {
                    Some(address) => {
                        views.push(View { pod: &answer.pod, node: answer.address, address, status, storage });
                    }
                    None => mute.push((answer, format!("its raft address {} is not one", status.address))),
                },
            }
        }
        let cluster = known.or_else(|| most_told(&views));
        let own = |view: &View<'_>| view.status.cluster.is_none() || view.status.cluster == cluster;
        let (own, foreign) = views.into_iter().partition(own);
        Self { own, foreign, mute, cluster }
    }

    /// The server that says that it leads and that a majority of its members follow; two can't both have one.
    fn leader(&self) -> Option<View<'a>> {
        let mut leading = self.claimants().filter(|claimant| self.followers(claimant) >= quorum(claimant.status.servers.len()));
        leading.next().filter(|_| leading.next().is_none()).copied()
    }

    fn claimants(&self) -> impl Iterator<Item = &View<'a>> {
        self.own.iter().filter(|view| view.status.role == Role::Leader && view.status.membership == Membership::Member)
    }

    /// How many of a leader's members say that they follow it in its term, itself among them.
    fn followers(&self, leader: &View<'_>) -> usize {
        leader.status.servers.iter().filter(|listed| self.own.iter().any(|view| view.is(listed) && view.follows(leader))).count()
    }

    fn election_timer(&self, leader: Option<View<'_>>) -> u64 {
        let longest = || self.own.iter().map(|view| view.status.election_timer).max();
        let timer = leader.map(|view| view.status.election_timer).or_else(longest).unwrap_or_default();
        u64::try_from(timer.as_millis()).unwrap_or(u64::MAX)
    }

    /// The members: the leader's list, or all lists together.
    fn members(&self, leader: Option<View<'a>>) -> Vec<&'a status::Server> {
        let lists = match leader {
            Some(leader) => vec![leader.status],
            None => self.own.iter().filter(|view| view.is_bound()).map(|view| view.status).collect(),
        };
        let mut seen = BTreeSet::new();
        let all = lists.into_iter().flat_map(|status| &status.servers);
        all.filter(|server| seen.insert((server.address.as_str(), server.id.as_str()))).collect()
    }

    fn add_voters(&self, leader: Option<View<'a>>, raft: &mut Raft) {
        for listed in self.members(leader) {
            let Some(address) = address_of(&listed.address) else {
                // Without it the voters can't be counted: nobody may act on the rest.
                raft.leader = None;
                raft.amiss([], format!("a member's raft address is not one: {}", listed.address));
                continue;
            };
            if raft.servers.iter().any(|known| known.address == address) {
                raft.amiss(
                    [],
                    format!("two members have the address {address}; one of them is an earlier membership of the same host"),
                );
            }
            let view = self.own.iter().find(|view| view.is(listed));
            let behind = leader.and_then(|leader| leader.behind(listed));
            raft.servers.push(Server {
                address,
                raft_address: listed.address.clone(),
                id: view.map(|view| view.status.server),
                short: listed.id.clone(),
                pod: view.map(|view| view.pod.to_owned()),
                standing: self.standing(leader, listed, address, view),
                votes: true,
                behind,
            });
        }
    }

    /// Whoever answered and is no member.
    fn add_others(&self, leader: Option<View<'a>>, raft: &mut Raft) {
        let members = self.members(leader);
        let own = self.own.iter().filter(|view| !members.iter().any(|listed| view.is(listed)));
        for view in own.chain(&self.foreign) {
            raft.servers.push(Server {
                address: view.address,
                raft_address: view.status.address.clone(),
                id: Some(view.status.server),
                short: view.status.server.to_string().chars().take(SHORT).collect(),
                pod: Some(view.pod.to_owned()),
                standing: self.standing_without_vote(view),
                votes: false,
                behind: None,
            });
        }
    }
}

impl View<'_> {
    /// Whether it is the member that a list names.
    fn is(&self, listed: &status::Server) -> bool {
        self.status.address == listed.address && self.is_called(&listed.id)
    }

    /// Whether these are the first digits of its id.
    fn is_called(&self, short: &str) -> bool {
        self.status.server.to_string().starts_with(short)
    }

    /// Whether its list of members means anything: not while it asks to be taken in, nor once it was taken out.
    fn is_bound(&self) -> bool {
        !matches!(self.status.membership, Membership::Joining { .. } | Membership::Left)
    }

    fn follows(&self, leader: &View<'_>) -> bool {
        let chosen = match &self.status.leader {
            Who::Oneself => self.status.server == leader.status.server,
            Who::Other(short) => leader.is_called(short),
            Who::Unknown => false,
        };
        chosen && self.status.term == leader.status.term && self.status.membership == Membership::Member
    }

    /// How many entries a member is behind this leader.
    fn behind(&self, member: &status::Server) -> Option<u64> {
        let (_, matched) = member.indexes?;
        Some(self.status.log.1.saturating_sub(1).saturating_sub(matched))
    }
}

impl Raft {
    fn trouble(&mut self, kind: TroubleKind, concerns: impl IntoIterator<Item = IpAddr>, text: String) {
        self.troubles.push(Trouble { kind, concerns: concerns.into_iter().collect(), text });
    }

    fn amiss(&mut self, concerns: impl IntoIterator<Item = IpAddr>, text: String) {
        self.trouble(TroubleKind::Amiss, concerns, text);
    }
}

/// How many digits of an id servers show.
const SHORT: usize = 4;

/// What is said of a pod whose server does not know the database.
pub(super) const NOT_SERVED: &str = "it does not serve the database: it was taken out, or can't read its file";

/// `tcp:[172.18.0.5]:6643`, `tcp:172.18.0.5:6643`, `ssl:[fd00::5]:6643`.
pub(super) fn address_of(raft: &str) -> Option<IpAddr> {
    let (_, rest) = raft.split_once(':')?;
    if let Ok(socket) = rest.parse::<SocketAddr>() {
        return Some(socket.ip());
    }
    let (address, port) = rest.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    address.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// The cluster that most servers tell; none if two are told equally often, because nothing says which of them has the data.
fn most_told(views: &[View<'_>]) -> Option<Uuid> {
    let told: BTreeSet<Uuid> = views.iter().filter_map(|view| view.status.cluster).collect();
    let count = |id: Uuid| views.iter().filter(|view| view.status.cluster == Some(id)).count();
    let most = told.iter().map(|id| count(*id)).max()?;
    let mut first = told.into_iter().filter(|id| count(*id) == most);
    first.next().filter(|_| first.next().is_none())
}

#[cfg(test)]
mod tests;
