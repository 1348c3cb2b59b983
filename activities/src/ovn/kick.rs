//! Taking a server out of a database's raft: done once, after the quorum guard has looked, and probed when in doubt.
//!
//! The order goes to the leader. If the leader itself shall go, it goes to a follower, who passes it on: told in its own pod, a leader
//! would begin to *leave*, and would try again by itself for as long as it takes, when no guard looks any more. An order that is
//! passed on happens at once or is lost; either shows.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, FailureKind, Probe};

use super::guard::{self, Act, counts};
use super::look::{LOOKS, PAUSE, exec, look_at};
use super::{Database, NAMESPACE, Raft, Server, TroubleKind};
use crate::cluster::Cluster;
use crate::exec::Purpose;
use crate::requests::ASSUMED;

mod judge;
mod reply;

use judge::{Settled, Settling};
use reply::Reply;

/// Takes one server out of a database's raft.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KickServer {
    /// The database.
    pub database: Database,
    /// The cluster that it must be.
    pub cluster: Uuid,
    /// The server's address.
    pub address: IpAddr,
    /// Its full id as the plan saw it; by its exact raft address if it never told one.
    pub id: Option<Uuid>,
    /// The first digits of its id.
    pub short: String,
    /// The addresses of all voters before, itself among them.
    pub voters: Vec<IpAddr>,
}

/// That a server was told to go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServerKicked {
    /// What the answering server said, or what was seen instead.
    pub evidence: String,
}

impl Activity for KickServer {
    const NAME: ActivityName = ActivityName::new("kick-ovn-server");
    const EFFECT: Effect = Effect::Once;
    type World = Cluster;
    type Output = ServerKicked;

    fn summary(&self) -> String {
        format!("take {} ({}) out of the {} database", self.address, self.short, self.database)
    }

    fn requests(&self) -> Vec<String> {
        let id = self.id.map_or_else(|| format!("{} at {}", self.short, self.address), |id| id.to_string());
        let words = self.words(&id).join(" ");
        vec![format!("POST /api/v1/namespaces/{NAMESPACE}/pods/(one that is not at {})/exec {words}", self.address)]
    }

    fn assumed(&self) -> Option<ServerKicked> {
        Some(ServerKicked { evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<ServerKicked, ActivityError> {
        let order = match self.next(&cx).await? {
            Next::Gone(evidence) => return Ok(ServerKicked { evidence }),
            Next::Kick(order) => order,
        };
        let words = self.words(&order.server);
        let ended = cx.world().exec(&exec(&order.pod, &words, Purpose::Act)).await;
        let said = match ended {
            // The pod was replaced since the look: nothing was sent.
            Err(error) if error.is_not_found() => return Err(ActivityError::transient("pod-gone", error.to_string())),
            ended => reply::read(&ended?),
        };
        let said = match said {
            Reply::Under(said) => said,
            Reply::NotDone(said) => return Err(ActivityError::transient("kick-not-done", order.answered(&said))),
            Reply::Refused(said) => return Err(ActivityError::permanent("kick-refused", order.answered(&said))),
            Reply::Unclear(said) => return Err(ActivityError::unknown("kick-unclear", order.answered(&said))),
        };
        match self.settle(&cx).await {
            Ok(Settled::Gone(seen)) => Ok(ServerKicked { evidence: format!("{}; {seen}", order.answered(&said)) }),
            Ok(Settled::Still(seen)) => {
                let lost = format!("{}, and the removal was lost: {seen}", order.answered(&said));
                Err(ActivityError::transient("removal-lost", lost))
            }
            Ok(Settled::NotYet(seen)) => {
                Err(ActivityError::unknown("kick-unsettled", format!("{}; {seen}", order.answered(&said))))
            }
            Err(error) => Err(ActivityError::unknown("kick-unseen", format!("{}; {error}", order.answered(&said)))),
        }
    }

    async fn probe(&self, cx: ActivityContext<Cluster>) -> Result<Probe<ServerKicked>, ActivityError> {
        Ok(match self.settle(&cx).await? {
            Settled::Gone(evidence) => Probe::Happened { output: ServerKicked { evidence: evidence.clone() }, evidence },
            Settled::Still(seen) => Probe::DidNotHappen(seen),
            Settled::NotYet(seen) => Probe::CannotTell(seen),
        })
    }
}

/// What is to be done by what a look shows.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Next {
    /// It is out already; how that shows.
    Gone(String),
    /// The order may be given.
    Kick(Order),
}

/// An order to take a server out.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Order {
    /// The pod that it is given in.
    pod: String,
    /// The full id of the server that shall go, or its exact raft address if the id was never told.
    server: String,
}

impl Order {
    fn answered(&self, said: &str) -> String {
        format!("told to take {} out, pod {} said {said:?}", self.server, self.pod)
    }
}

impl KickServer {
    fn words<'a>(&self, server: &'a str) -> [&'a str; 6] {
        ["ovn-appctl", "-t", self.database.control(), "cluster/kick", self.database.schema(), server]
    }

    /// Looks until the guard agrees, or its no has stayed.
    async fn next(&self, cx: &ActivityContext<Cluster>) -> Result<Next, ActivityError> {
        for _ in 1..LOOKS {
            match self.decide(&look_at(cx.world(), self.database, Some(self.cluster)).await?) {
                Err(error) if error.kind == FailureKind::Transient => cx.progress(error.message),
                decided => return decided,
            }
            cx.sleep(PAUSE).await;
        }
        self.decide(&look_at(cx.world(), self.database, Some(self.cluster)).await?)
    }

    /// What to do by what a look shows: nothing, an order, or an error that says what does not fit.
    fn decide(&self, raft: &Raft) -> Result<Next, ActivityError> {
        let foreign = raft.troubles.iter().find(|trouble| trouble.kind == TroubleKind::Foreign);
        if let (None, Some(foreign)) = (raft.voters().next(), foreign) {
            let text = format!("the {} database is not cluster {} any more: {foreign}; plan again", self.database, self.cluster);
            return Err(ActivityError::permanent("other-cluster", text));
        }
        let Some(leader) = raft.leader else { return Err(self.refused(raft)) };
        let Some(target) = raft.voters().find(|server| server.address == self.address) else { return self.without(raft) };
        let voters = addresses(raft.voters());
        if voters != sorted(&self.voters) {
            return Err(self.drifted(&format!("its members were {}, and are {}", join(&sorted(&self.voters)), join(&voters))));
        }
        let same = judge::is_pinned(self, target);
        if !same || target.id.is_some_and(|now| self.id.is_some_and(|pinned| now != pinned)) {
            let (was, is) = (self.pinned(), target.id.map_or_else(|| target.short.clone(), |id| id.to_string()));
            return Err(self.drifted(&format!("the server at {} was {was}, and is {is}", self.address)));
        }
        guard::allow(raft, Act::Kick { address: self.address })?;
        let teller = |server: &&Server| server.address != self.address && counts(server) && server.pod.is_some();
        // The leader if it may, else the follower that is furthest.
        let teller = raft.voters().filter(teller).min_by_key(|server| (server.address != leader, server.behind, server.address));
        let Some(pod) = teller.and_then(|server| server.pod.clone()) else { return Err(self.refused(raft)) };
        let id = target.id.or(self.id).map(|id| id.to_string());
        Ok(Next::Kick(Order { pod, server: id.unwrap_or_else(|| target.raft_address.clone()) }))
    }

    /// The server is listed no more: out of itself or by an earlier order.
    fn without(&self, raft: &Raft) -> Result<Next, ActivityError> {
        let rest: Vec<IpAddr> = sorted(&self.voters).into_iter().filter(|voter| *voter != self.address).collect();
        let voters = addresses(raft.voters());
        if voters != rest {
            return Err(self.drifted(&format!("its members should be {}, and are {}", join(&rest), join(&voters))));
        }
        match judge::judge(self, raft) {
            Settled::Gone(seen) => Ok(Next::Gone(format!("it was out before anything was sent: {seen}"))),
            Settled::Still(seen) | Settled::NotYet(seen) => Err(ActivityError::transient("kick-unsettled", seen)),
        }
    }

    fn refused(&self, raft: &Raft) -> ActivityError {
        match guard::allow(raft, Act::Kick { address: self.address }) {
            Err(refusal) => refusal.into(),
            Ok(_) => ActivityError::transient("nobody-to-tell", format!("no live member answers; seen: {}", raft.in_words())),
        }
    }

    fn drifted(&self, what: &str) -> ActivityError {
        ActivityError::permanent("members-changed", format!("the {} database has changed: {what}; plan again", self.database))
    }

    fn pinned(&self) -> String {
        self.id.map_or_else(|| self.short.clone(), |id| id.to_string())
    }

    /// Looks until it is clear what became of an order, for a bounded time.
    async fn settle(&self, cx: &ActivityContext<Cluster>) -> Result<Settled, ActivityError> {
        let mut settling = Settling::begun(cx.now());
        loop {
            let looked = look_at(cx.world(), self.database, Some(self.cluster)).await;
            let settled = match looked {
                Ok(raft) => settling.take(self, &raft, cx.now()),
                Err(error) if error.kind == FailureKind::Transient => settling.miss(error.message, cx.now()),
                Err(error) => return Err(error),
            };
            if let Some(settled) = settled {
                return Ok(settled);
            }
            cx.progress(settling.says());
            cx.sleep(settling.pause()).await;
        }
    }
}

fn addresses<'a>(servers: impl Iterator<Item = &'a Server>) -> Vec<IpAddr> {
    sorted(&servers.map(|server| server.address).collect::<Vec<_>>())
}

fn sorted(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let mut addresses = addresses.to_vec();
    addresses.sort_unstable();
    addresses
}

fn join(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
