//! What is not as it should be in a raft, each with its evidence.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::super::guard::MOST_BEHIND;
use super::super::status::{Phase, Role};
use super::{Raft, Server, Standing, TroubleKind, View, Views, address_of};

/// What a storage that is well says.
const STORED: &str = "status: ok";

impl<'a> Views<'a> {
    /// Adds every trouble to a raft whose servers are known.
    pub(super) fn tell(&self, leader: Option<View<'a>>, raft: &mut Raft) {
        self.clusters(raft);
        self.leaders(leader, raft);
        changes(&self.own, raft);
        voters(raft);
        self.strangers(raft);
        self.lists(leader, raft);
        self.links(raft);
        if let Some(leader) = leader {
            work(&leader, raft);
        }
        self.storage(raft);
    }

    fn clusters(&self, raft: &mut Raft) {
        let (database, cluster) = (raft.database, raft.cluster);
        if cluster.is_none() {
            let ids: BTreeSet<_> = self.foreign.iter().filter_map(|view| view.status.cluster).collect();
            let text = match ids.len() {
                0 => format!("no server of the {database} database tells a cluster id"),
                _ => format!("the servers of the {database} database tell different cluster ids, none more often than another"),
            };
            raft.trouble(TroubleKind::Foreign, [], text);
        }
        for view in &self.foreign {
            let id = view.status.cluster.map(|id| id.to_string()).unwrap_or_default();
            let text =
                format!("pod {} at {} belongs to another cluster, {id}: it founded one of its own", view.pod, view.address);
            raft.trouble(TroubleKind::Foreign, [view.address], text);
        }
    }

    fn leaders(&self, leader: Option<View<'a>>, raft: &mut Raft) {
        let mut claims = false;
        for view in self.claimants().filter(|view| leader.is_none_or(|leader| leader.status.server != view.status.server)) {
            claims = true;
            let (of, followed) = (view.status.servers.len(), self.followers(view));
            let text = format!(
                "{} says that it leads, in term {}; {followed} of {of} members are seen to follow it",
                view.address, view.status.term
            );
            raft.amiss(leader.map(|_| view.address), text);
        }
        match leader {
            None if !claims => {
                let terms: Vec<String> =
                    self.own.iter().map(|view| format!("{} in term {}", view.address, view.status.term)).collect();
                let terms = if terms.is_empty() { String::new() } else { format!(" ({})", terms.join(", ")) };
                raft.amiss([], format!("nobody leads{terms}"));
            }
            None => {}
            Some(leader) => {
                for view in self.own.iter().filter(|view| view.status.term > leader.status.term) {
                    let text = format!("{} is in term {}, the leader in {}", view.address, view.status.term, leader.status.term);
                    raft.amiss([view.address], text);
                }
            }
        }
    }

    /// Servers that are no members, and pods that run and tell nothing.
    fn strangers(&self, raft: &mut Raft) {
        let strangers: Vec<(IpAddr, String, TroubleKind)> = raft
            .servers
            .iter()
            .filter(|server| !server.votes && !self.foreign.iter().any(|view| Some(view.status.server) == server.id))
            .map(|server| {
                let moves = matches!(server.standing, Standing::Joining | Standing::Leaving);
                let kind = if moves { TroubleKind::Changing } else { TroubleKind::Amiss };
                (server.address, format!("{} is no member and {}", server.label(), server.standing), kind)
            })
            .collect();
        for (address, text, kind) in strangers {
            raft.trouble(kind, [address], text);
        }
        for (answer, why) in &self.mute {
            // Of members it was said already, and a pod that does not run can't be a server.
            if answer.runs && !raft.servers.iter().any(|server| server.votes && Some(server.address) == answer.address) {
                raft.amiss(answer.address, format!("pod {}: {why}", answer.pod));
            }
        }
    }

    /// Every member names the same members.
    fn lists(&self, leader: Option<View<'a>>, raft: &mut Raft) {
        let bound = || self.own.iter().filter(|view| view.is_bound());
        let Some(by) = leader.as_ref().or_else(|| bound().next()) else { return };
        for view in bound().filter(|view| list(view) != list(by)) {
            let names =
                |list: BTreeSet<(&str, &str)>| list.iter().map(|(id, at)| format!("{id} at {at}")).collect::<Vec<_>>().join(", ");
            let text = format!("{} lists {}; {} lists {}", by.address, names(list(by)), view.address, names(list(view)));
            raft.trouble(TroubleKind::Disagree, leader.map(|_| view.address), text);
        }
    }

    /// Every two members that are alive are connected with each other.
    fn links(&self, raft: &mut Raft) {
        let live: Vec<Server> = raft.voters().filter(|server| server.is_live()).cloned().collect();
        for from in &live {
            let Some(view) = self.own.iter().find(|view| Some(view.status.server) == from.id) else { continue };
            for to in live.iter().filter(|to| to.raft_address != from.raft_address) {
                let up = view.status.connections.iter().any(|link| link.up && is_prefix(&link.server, &to.short));
                if !up {
                    let text = format!("{} has no connection with {}", from.label(), to.label());
                    raft.amiss([from.address, to.address], text);
                }
            }
        }
    }

    fn storage(&self, raft: &mut Raft) {
        for view in &self.own {
            if view.storage.trim() != STORED {
                raft.amiss([view.address], format!("the storage of {} is not well: {:?}", view.address, view.storage.trim()));
            }
            if let Some(node) = view.node.filter(|node| *node != view.address) {
                let text = format!(
                    "pod {} is on the node with {node}, and its server has {}: a copied directory?",
                    view.pod, view.address
                );
                raft.amiss([view.address, node], text);
            }
            // Followers learn of what is decided a heartbeat late; more than that is not late but stuck.
            let stuck = view.status.not_committed.max(view.status.not_applied);
            if view.status.role != Role::Leader && stuck > MOST_BEHIND {
                raft.amiss([view.address], format!("{} has {stuck} entries that are not in its database yet", view.address));
            }
        }
    }
}

/// Two ways of writing the first digits of one id.
fn is_prefix(a: &str, b: &str) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

fn list<'a>(view: &View<'a>) -> BTreeSet<(&'a str, &'a str)> {
    view.status.servers.iter().map(|server| (server.id.as_str(), server.address.as_str())).collect()
}

fn changes(own: &[View<'_>], raft: &mut Raft) {
    let said = |phase: Phase| match phase {
        Phase::CatchUp => "is being sent the log",
        Phase::CaughtUp => "has the log and waits to be taken in",
        Phase::Committing => "is being taken in",
        Phase::Removing => "is being taken out",
    };
    for view in own {
        let listed = view.status.servers.iter().filter_map(|server| Some((&server.id, &server.address, server.phase?)));
        for (id, address, phase) in view.status.changes.iter().map(|c| (&c.server, &c.address, c.phase)).chain(listed) {
            let text = format!("{id} at {address} {} (says {})", said(phase), view.address);
            raft.trouble(TroubleKind::Changing, address_of(address), text);
        }
        if let Some(next) = view.status.election_timer_next {
            let text = format!("the election timer is being changed to {} ms (says {})", next.as_millis(), view.address);
            raft.trouble(TroubleKind::Changing, [], text);
        }
    }
}

fn voters(raft: &mut Raft) {
    let voters: Vec<Server> = raft.voters().cloned().collect();
    for server in &voters {
        match server.standing {
            Standing::Leader | Standing::Follower => {}
            Standing::Leaving | Standing::Joining => {
                raft.trouble(TroubleKind::Changing, [server.address], format!("{} {}", server.label(), server.standing));
            }
            Standing::Candidate | Standing::Left | Standing::Down { .. } | Standing::Silent { .. } => {
                raft.amiss([server.address], format!("{} {}", server.label(), server.standing));
            }
        }
        if let Some(behind) = server.behind.filter(|behind| *behind > MOST_BEHIND) {
            raft.amiss([server.address], format!("{} is {behind} entries behind the leader", server.label()));
        }
    }
}

fn work(leader: &View<'_>, raft: &mut Raft) {
    let (committed, applied) = (leader.status.not_committed, leader.status.not_applied);
    if committed > 0 || applied > 0 {
        let text =
            format!("the leader has {committed} entries that a majority does not have yet, and {applied} that are not applied");
        raft.trouble(TroubleKind::Busy, [], text);
    }
}
