//! What became of an order to take a server out, by what the servers say afterwards.

use std::time::Duration;

use windlass_engine::Timestamp;

use super::super::{Raft, Server, Standing, TroubleKind};
use super::KickServer;

/// How an order stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Settled {
    /// The server is out; what shows it.
    Gone(String),
    /// It is a member, and nothing is under way that could change that.
    Still(String),
    /// That can't be said yet.
    NotYet(String),
}

/// Whether a server is the one that was pinned, as far as the first digits tell.
pub(super) fn is_pinned(kick: &KickServer, server: &Server) -> bool {
    let pinned = kick.id.map_or_else(|| kick.short.clone(), |id| id.to_string());
    server.address == kick.address && (pinned.starts_with(&server.short) || server.short.starts_with(&pinned))
}

/// Judges one look.
///
/// A server is out once a leader with a majority behind it lists it no more and has nothing left to agree on: that can't be taken back.
/// It is still in only if besides nobody who may have been told is out of hearing, because who hangs may yet pass the order on.
pub(super) fn judge(kick: &KickServer, raft: &Raft) -> Settled {
    let seen = raft.in_words();
    if raft.leader.is_none() {
        return Settled::NotYet(format!("no server leads with a majority behind it; seen: {seen}"));
    }
    let under_way = raft.troubles.iter().find(|trouble| match trouble.kind {
        TroubleKind::Changing | TroubleKind::Busy => true,
        TroubleKind::Disagree => !trouble.is_only_about(&[kick.address]),
        TroubleKind::Foreign | TroubleKind::Amiss => false,
    });
    if let Some(trouble) = under_way {
        return Settled::NotYet(trouble.to_string());
    }
    let Some(target) = raft.voters().find(|server| is_pinned(kick, server)) else { return gone(kick, raft, &seen) };
    if target.standing == Standing::Leaving {
        return Settled::NotYet(format!("{} is leaving by itself", target.label()));
    }
    let unheard = raft.voters().find(|server| server.address != kick.address && !server.is_live());
    match unheard {
        Some(unheard) => Settled::NotYet(format!("{} may have been told, and {}", unheard.label(), unheard.standing)),
        None => Settled::Still(format!("{} is a member, and nothing is under way; seen: {seen}", target.label())),
    }
}

fn gone(kick: &KickServer, raft: &Raft, seen: &str) -> Settled {
    let at = raft.servers.iter().find(|server| server.address == kick.address);
    let itself = match at {
        Some(server) if server.votes => format!(", and another server has joined from its address, {}", server.short),
        Some(server) => format!(", and it {}", server.standing),
        None => String::new(),
    };
    let name = format!("{} ({})", kick.address, kick.short);
    Settled::Gone(format!("{name} is no member any more{itself}; seen: {seen}"))
}

/// How often in a row a server must be seen as a member: a request that was passed on may be on its way.
const SAMPLES: u32 = 3;

/// Besides a few election timers: pods that are asked and hang take ten seconds a look.
const PATIENCE: Duration = Duration::from_secs(60);
const TIMERS: u32 = 4;

/// At least this long between two looks.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// A row of looks that ends when they agree, or after a bounded time.
pub(super) struct Settling {
    begun: Timestamp,
    still: u32,
    term: u64,
    timer: Duration,
    last: String,
}

impl Settling {
    pub(super) fn begun(now: Timestamp) -> Self {
        Self { begun: now, still: 0, term: 0, timer: Duration::ZERO, last: String::new() }
    }

    /// Takes one look into account; tells what is settled.
    pub(super) fn take(&mut self, kick: &KickServer, raft: &Raft, now: Timestamp) -> Option<Settled> {
        self.timer = self.timer.max(Duration::from_millis(raft.election_timer_ms));
        if self.term != raft.term {
            // After an election everything has to be seen anew.
            (self.term, self.still) = (raft.term, 0);
        }
        self.weigh(judge(kick, raft), now)
    }

    /// As [`Settling::take`], of a look that failed.
    pub(super) fn miss(&mut self, why: String, now: Timestamp) -> Option<Settled> {
        self.weigh(Settled::NotYet(why), now)
    }

    fn weigh(&mut self, settled: Settled, now: Timestamp) -> Option<Settled> {
        let text = match settled {
            Settled::Gone(_) => return Some(settled),
            Settled::Still(text) => {
                self.still += 1;
                if self.still >= SAMPLES {
                    return Some(Settled::Still(text));
                }
                text
            }
            Settled::NotYet(text) => {
                self.still = 0;
                text
            }
        };
        let limit = PATIENCE + self.timer * TIMERS;
        if now.since(self.begun) >= limit {
            return Some(Settled::NotYet(format!("not settled after {} s: {text}", limit.as_secs())));
        }
        self.last = text;
        None
    }

    pub(super) fn says(&self) -> String {
        self.last.clone()
    }

    /// An election timer: within it a leader that is gone is noticed.
    pub(super) fn pause(&self) -> Duration {
        self.timer.max(SHORTEST_PAUSE)
    }
}
