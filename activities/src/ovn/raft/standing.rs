//! How one server stands, by what it says and by what the leader says of it.

use std::net::IpAddr;
use std::time::Duration;

use super::super::status::{self, Membership, Role, Who};
use super::{Standing, View, Views};

impl<'a> Views<'a> {
    pub(super) fn standing(
        &self,
        leader: Option<View<'a>>,
        listed: &status::Server,
        address: IpAddr,
        view: Option<&View<'a>>,
    ) -> Standing {
        let Some(view) = view else { return self.absence(listed, address) };
        match &view.status.membership {
            Membership::Member => member(leader, listed, view),
            Membership::Joining { .. } => Standing::Joining,
            Membership::Leaving => Standing::Leaving,
            Membership::Left => Standing::Left,
            Membership::Failed => down("says that it has failed"),
            Membership::Disconnected => down("says that it has lost touch with the cluster"),
        }
    }

    /// Of a server that is no member by the leader's list.
    pub(super) fn standing_without_vote(&self, view: &View<'_>) -> Standing {
        match (&view.status.membership, view.status.cluster) {
            (_, Some(id)) if Some(id) != self.cluster => down(&format!("belongs to another cluster, {id}")),
            (Membership::Joining { .. }, _) => Standing::Joining,
            (Membership::Left, _) => Standing::Left,
            (Membership::Leaving, _) => Standing::Leaving,
            (Membership::Failed, _) => down("says that it has failed"),
            (Membership::Member | Membership::Disconnected, _) => down("takes itself for a member and is not listed"),
        }
    }

    /// Why nothing is heard from a member.
    fn absence(&self, listed: &status::Server, address: IpAddr) -> Standing {
        if let Some(other) = self.own.iter().chain(&self.foreign).find(|view| view.address == address) {
            let (id, pod) = (other.status.server, other.pod);
            return Standing::Silent { why: format!("pod {pod} answers at its address as another server, {id}") };
        }
        let there = self.mute.iter().filter(|(answer, _)| answer.address == Some(address));
        let mute = there.max_by_key(|(answer, _)| answer.runs);
        let why = mute.map(|(answer, why)| format!("pod {}: {why}", answer.pod));
        Standing::Silent { why: why.unwrap_or_else(|| format!("no pod of ovn-central is at {}", listed.address)) }
    }
}

fn member(leader: Option<View<'_>>, listed: &status::Server, view: &View<'_>) -> Standing {
    let Some(leader) = leader else { return without_leader(view) };
    if view.status.server == leader.status.server {
        return Standing::Leader;
    }
    if !view.follows(&leader) {
        return match (&view.status.role, &view.status.leader) {
            (Role::Candidate, _) | (Role::Follower, Who::Unknown) => Standing::Candidate,
            (Role::Leader, _) => down(&format!("says that it leads, in term {}", view.status.term)),
            (Role::Follower, other) => down(&format!("follows {}, in term {}", who(other), view.status.term)),
        };
    }
    // It must hear the leader, and the leader it: one may be true without the other.
    let timer = leader.status.election_timer;
    let heard = view.status.servers.iter().find(|server| leader.is(server)).and_then(|server| server.heard_ago);
    match (listed.heard_ago, heard) {
        (Some(by_leader), _) if by_leader > timer => down(&format!("was last heard by the leader {}", ago(by_leader))),
        (None, _) => down("was never heard by the leader"),
        (_, Some(by_it)) if by_it > timer => down(&format!("last heard the leader {}", ago(by_it))),
        (Some(_), _) => Standing::Follower,
    }
}

fn without_leader(view: &View<'_>) -> Standing {
    match (&view.status.role, &view.status.leader) {
        (Role::Leader, _) => down(&format!("says that it leads, in term {}, and too few follow it", view.status.term)),
        (Role::Follower, Who::Other(_)) => Standing::Follower,
        (Role::Follower, Who::Oneself | Who::Unknown) | (Role::Candidate, _) => Standing::Candidate,
    }
}

fn down(says: &str) -> Standing {
    Standing::Down { says: says.to_owned() }
}

fn who(who: &Who) -> &str {
    match who {
        Who::Oneself => "itself",
        Who::Unknown => "nobody",
        Who::Other(short) => short,
    }
}

/// In seconds what is longer than a few.
pub(super) fn ago(time: Duration) -> String {
    if time < Duration::from_secs(10) { format!("{} ms ago", time.as_millis()) } else { format!("{} s ago", time.as_secs()) }
}
