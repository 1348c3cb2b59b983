//! Waiting for a condition: woken by changes, never by a clock alone, and always able to say why not yet.

mod drains;
mod machines;
mod reporter;

use std::time::Duration;

use windlass_engine::{ActivityContext, ActivityError, Timestamp};

use crate::cluster::Cluster;
use crate::condition::Verdict;
use crate::snapshot::{ApiState, Snapshot};
use reporter::Reporter;

/// How long nothing may change before the condition is judged again all the same: thresholds pass in silence.
const SAFETY_CHECK: Duration = Duration::from_secs(60);

/// How soon at the earliest the condition is judged again though nothing changed.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// How a wait is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// How often in a row the condition must hold.
    pub samples: u32,
    /// How far apart these samples are.
    pub spacing: Duration,
    /// How long the API server may be away before the wait gives up for this attempt.
    pub outage_budget: Duration,
    /// Whether only the condition is told of, and nothing that is noticed beside it: where everything else is expected to be down.
    pub alone: bool,
    /// Whether somebody else says that the API server is away, with what else is seen meanwhile.
    pub told_elsewhere: bool,
}

/// Outside a declared outage an API server is back within a few minutes; half an hour covers the reboot of a
/// control-plane node that answers for the address.
pub const OUTAGE_BUDGET: Duration = Duration::from_secs(30 * 60);

impl Default for Wait {
    fn default() -> Self {
        Self { samples: 1, spacing: Duration::ZERO, outage_budget: OUTAGE_BUDGET, alone: false, told_elsewhere: false }
    }
}

/// What a wait saw when its condition was met.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What the condition said.
    pub evidence: String,
    /// The picture it judged.
    pub snapshot: Snapshot,
}

/// Waits until `judge` says met; its failures end the attempt for good.
pub async fn wait_for(
    cx: &ActivityContext<Cluster>,
    wait: Wait,
    mut judge: impl FnMut(&Snapshot) -> Verdict + Send,
) -> Result<Seen, ActivityError> {
    let mut pictures = cx.world().cache().subscribe();
    let mut samples = Samples::default();
    let mut reporter = Reporter::new(cx);
    loop {
        let mut snapshot = pictures.borrow_and_update().clone();
        snapshot.now = cx.world().time();
        let mut pause = SAFETY_CHECK;
        let current = cx.world().link.floor.is_reached(&snapshot);
        match followed(&snapshot, current, wait.outage_budget, cx.now()) {
            Followed::GiveUp(error) => return Err(error),
            Followed::No(_) if wait.told_elsewhere && matches!(snapshot.api(), ApiState::Lost { .. }) => {
                samples = Samples::default();
                reporter.hush();
            }
            Followed::No(state) => {
                samples = Samples::default();
                reporter.say(state);
            }
            Followed::Yes => match (judge(&snapshot), reporter.compare(&snapshot)) {
                (Verdict::Failed { code, message }, _) => return Err(ActivityError::permanent(code, message)),
                (verdict @ Verdict::NotYet { .. }, _) if wait.alone => {
                    samples = Samples::default();
                    reporter.say(verdict.to_string());
                }
                (verdict @ Verdict::NotYet { .. }, noticed) => {
                    samples = Samples::default();
                    reporter.explain(&verdict, noticed, &snapshot).await;
                    pause = reporter.pause(&snapshot).unwrap_or(pause).clamp(SHORTEST_PAUSE, pause);
                }
                (Verdict::Met { evidence }, _) => {
                    if samples.count(&wait, cx.now()) {
                        return Ok(Seen { evidence, snapshot });
                    }
                    pause = wait.spacing;
                    reporter.say(format!("{evidence}; sample {} of {}", samples.taken, wait.samples));
                }
            },
        }
        tokio::select! {
            changed = pictures.changed() => if changed.is_err() {
                return Err(ActivityError::transient("watch-ended", "the watches were ended"));
            },
            () = cx.sleep(pause) => reporter.beat(),
        }
    }
}

/// Whether a picture may be judged.
enum Followed {
    Yes,
    No(String),
    GiveUp(ActivityError),
}

fn followed(snapshot: &Snapshot, current: bool, budget: Duration, now: Timestamp) -> Followed {
    match snapshot.api() {
        ApiState::Reachable if current => Followed::Yes,
        ApiState::Reachable | ApiState::Reading => Followed::No("reading the state of the cluster".to_owned()),
        ApiState::Forbidden { error } => Followed::GiveUp(ActivityError::permanent("forbidden", error)),
        // A person has to act; however long that takes, nothing is lost.
        ApiState::LoginEnded { since, error } => Followed::No(format!("{error} (since {})", second(since))),
        ApiState::Lost { since, error } if now.since(since) >= budget => {
            let minutes = budget.as_secs() / 60;
            let message = format!("the API server is away since {}, longer than {minutes} min: {error}", second(since));
            Followed::GiveUp(ActivityError::transient("api-lost", message))
        }
        ApiState::Lost { since, error } => {
            let until = second(since.plus(budget));
            Followed::No(format!("the API server is away since {}, waited for until {until}: {error}", second(since)))
        }
    }
}

fn second(at: Timestamp) -> String {
    at.to_datetime().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Counts good samples in a row.
#[derive(Default)]
struct Samples {
    taken: u32,
    last: Option<Timestamp>,
}

impl Samples {
    /// Takes a good sample if it is time for one; true when it was the last that is needed.
    fn count(&mut self, wait: &Wait, now: Timestamp) -> bool {
        if self.last.is_none_or(|last| now.since(last) >= wait.spacing) {
            self.taken += 1;
            self.last = Some(now);
        }
        self.taken >= wait.samples
    }
}

#[cfg(test)]
mod tests;
