//! Waiting until the members of a database agree on who they are.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, FailureKind, Timestamp};

use super::guard::counts;
use super::look::{PAUSE, look_at};
use super::{Database, NAMESPACE, Raft, Trouble, TroubleKind};
use crate::cluster::Cluster;

/// A server that is taken in is sent the whole database first, and the election after a change takes seconds.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// How often in a row the members must be seen to agree.
const SAMPLES: u32 = 2;

/// An election takes up to two timers; whoever has no leader for longer will not get one by waiting.
const TIMERS: u32 = 2;

/// Waits until the members of a database are exactly these, all of them alive, caught up and of one mind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitMembers {
    /// The database.
    pub database: Database,
    /// The cluster that it must be; a server that founded one of its own is an error.
    pub cluster: Uuid,
    /// Their addresses.
    pub members: Vec<IpAddr>,
}

/// That the members agree.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MembersAgree {
    /// What was seen: leader, term, how far each is.
    pub evidence: String,
}

impl Activity for AwaitMembers {
    const NAME: ActivityName = ActivityName::new("await-ovn-members");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = MembersAgree;

    fn summary(&self) -> String {
        {
            let members: Vec<String> = self.members.iter().map(ToString::to_string).collect();
            format!("wait until the members of the {} database are {}", self.database, members.join(", "))
        }
    }

    fn assumed(&self) -> Option<MembersAgree> {
        Some(MembersAgree { evidence: crate::requests::ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<MembersAgree, ActivityError> {
        let begun = cx.now();
        let mut watch = Watch::default();
        loop {
            let looked = look_at(cx.world(), self.database, Some(self.cluster)).await;
            let not_yet = match looked {
                Ok(raft) => match watch.take(&self, &raft, cx.now()) {
                    Verdict::Met(evidence) => return Ok(MembersAgree { evidence }),
                    Verdict::Failed(error) => return Err(error),
                    Verdict::NotYet(why) => why,
                },
                Err(error) if error.kind == FailureKind::Transient => watch.miss(&error),
                Err(error) => return Err(error),
            };
            if cx.now().since(begun) >= LIMIT {
                return Err(self.too_late(&not_yet));
            }
            cx.progress(not_yet);
            cx.sleep(PAUSE).await;
        }
    }
}

/// The look at one moment, judged.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Verdict {
    Met(String),
    NotYet(String),
    Failed(ActivityError),
}

/// What a row of looks shows.
#[derive(Default)]
struct Watch {
    met: u32,
    leaderless_since: Option<Timestamp>,
}

impl Watch {
    fn take(&mut self, wait: &AwaitMembers, raft: &Raft, now: Timestamp) -> Verdict {
        let verdict = self.weigh(judge(wait, raft));
        if raft.leader.is_some() {
            self.leaderless_since = None;
            return verdict;
        }
        let since = *self.leaderless_since.get_or_insert(now);
        let (lost, timer) = (now.since(since), Duration::from_millis(raft.election_timer_ms));
        match verdict {
            Verdict::NotYet(ref why) if lost > timer * TIMERS => Verdict::NotYet(format!(
                "nobody has led the {} database for {} s, more than {TIMERS} election timers ({} ms): elections fail, or too few \
                 members are alive; look at the members' logs and disks; {why}",
                wait.database,
                lost.as_secs(),
                timer.as_millis(),
            )),
            Verdict::Met(_) | Verdict::NotYet(_) | Verdict::Failed(_) => verdict,
        }
    }

    fn miss(&mut self, error: &ActivityError) -> String {
        self.met = 0;
        format!("the cluster can't be asked: {error}")
    }

    fn weigh(&mut self, verdict: Verdict) -> Verdict {
        let Verdict::Met(evidence) = verdict else {
            self.met = 0;
            return verdict;
        };
        self.met += 1;
        if self.met < SAMPLES {
            Verdict::NotYet(format!("the members agree, to be seen once more: {evidence}"))
        } else {
            Verdict::Met(evidence)
        }
    }
}

fn judge(wait: &AwaitMembers, raft: &Raft) -> Verdict {
    let strange =
        |trouble: &&Trouble| trouble.kind == TroubleKind::Foreign && trouble.concerns.iter().any(|at| wait.members.contains(at));
    if let Some(trouble) = raft.troubles.iter().find(strange) {
        return Verdict::Failed(wait.foreign(trouble));
    }
    let mut why = Vec::new();
    let members: BTreeSet<IpAddr> = wait.members.iter().copied().collect();
    let voters: BTreeSet<IpAddr> = raft.voters().map(|server| server.address).collect();
    let names = |addresses: BTreeSet<&IpAddr>| addresses.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (missing, more): (BTreeSet<_>, BTreeSet<_>) =
        (members.difference(&voters).collect(), voters.difference(&members).collect());
    if !missing.is_empty() {
        why.push(format!("not a member yet: {}", names(missing)));
    }
    if !more.is_empty() {
        why.push(format!("still a member, or again: {}", names(more)));
    }
    // What troubles a server that is no member and shall be none is no concern of the others; nor is its pod, which restarts.
    let elsewhere = |trouble: &Trouble| !trouble.concerns.is_empty() && !trouble.concerns.iter().any(|at| members.contains(at));
    let tolerated = |trouble: &&Trouble| trouble.kind != TroubleKind::Changing && elsewhere(trouble);
    why.extend(raft.troubles.iter().filter(|trouble| !tolerated(trouble)).map(ToString::to_string));
    if why.is_empty() && raft.leader.is_some() && raft.voters().all(counts) {
        return Verdict::Met(raft.in_words());
    }
    Verdict::NotYet(format!("{} (seen: {})", why.join("; "), raft.in_words()))
}

impl AwaitMembers {
    fn foreign(&self, trouble: &Trouble) -> ActivityError {
        let text = format!(
            "{trouble}, and the {} database is cluster {}. Clients that reach it see an empty network: take its address out of NODE_IPS \
             of deployment/ovn-central (`kubectl set env -n {NAMESPACE} deployment/ovn-central NODE_IPS=…`), move its databases aside on \
             its node, then retry",
            self.database, self.cluster
        );
        ActivityError::permanent("foreign-cluster", text)
    }

    fn too_late(&self, not_yet: &str) -> ActivityError {
        let text = format!(
            "waited {} minutes for the members of the {} database to be {}: {not_yet}; see `kubectl logs -n {NAMESPACE} -l app=ovn-central`, \
             mend what is named, then retry",
            LIMIT.as_secs() / 60,
            self.database,
            super::list(&self.members),
        );
        ActivityError::permanent("members-disagree", text)
    }
}

#[cfg(test)]
mod tests;
