//! Taking a lease: watch, compare and swap, and wait until nothing of the last holder's can be on its way.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use windlass_engine::RunId;

use super::decide::{Step, Watch};
use super::fence::Fence;
use super::record::{self, Lost, Standing};
use super::{Claim, Held, Holder, LOOK_EVERY, NAME, NAMESPACE, RENEW_EVERY, SETTLES_WITHIN};
use crate::cluster::{Cluster, Patch};
use crate::error::{CallError, classify};
use crate::views::{Lease, Namespace};

/// Failures in a row after which a cluster is said not to answer; an API server that restarts is back before.
const MOST_FAILURES: u32 = 12;
/// Somebody changed the lease so often between our look and our write; who does that wants it more.
const MOST_RACES: u32 = 10;

/// How a lease is taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Taking {
    /// If nobody who lives holds it.
    Free,
    /// To go on with the runs of somebody else.
    Over {
        /// Why, for those who read it.
        reason: String,
        /// Even from a holder who lives.
        force: bool,
    },
}

/// Why a lease could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody who lives holds it.
    #[error("cluster {cluster} is driven by {owner}")]
    Driven {
        /// The cluster's id.
        cluster: String,
        /// Who, in words.
        owner: String,
    },
    /// It was taken from us in the same moment.
    #[error("{0}")]
    Lost(Lost),
    /// The login may not.
    #[error("permission missing: {permission}")]
    Forbidden {
        /// The permission.
        permission: String,
    },
    /// The cluster did not answer, or not as it should.
    #[error("the lease of cluster {cluster} can't be taken: {error}")]
    Call {
        /// The cluster's id.
        cluster: String,
        /// What went wrong.
        error: CallError,
    },
}

/// Where is told what is waited for.
pub type Tell<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Looks whether somebody else drives the cluster, for so long as a holder who lives needs to renew once; takes nothing.
/// `us` is missing while our journal has no name yet.
pub async fn look(cluster: &Cluster, us: Option<&Holder>, tell: Tell<'_>) -> Result<(), LeaseError> {
    let mut taker = Taker::new(cluster, us, tell);
    match tokio::time::timeout(cluster.at_pace(RENEW_EVERY + LOOK_EVERY), taker.find()).await {
        Ok(found) => found.map(drop),
        // Nothing was heard of its holder; whoever takes it watches on.
        Err(_) => Ok(()),
    }
}

/// Takes the lease, and in the same write the runs that are adopted. Returns when no write of another holder can take
/// effect any more; from then on every write over this connection looks at the lease first.
pub async fn take(
    cluster: &Arc<Cluster>,
    claim: &Claim,
    taking: &Taking,
    adopting: &[RunId],
    tell: Tell<'_>,
) -> Result<Held, LeaseError> {
    cluster.introduce(claim.holder.clone());
    let (reason, force) = match taking {
        Taking::Free => (None, false),
        Taking::Over { reason, force } => (Some(reason.as_str()), *force),
    };
    let mut taker = Taker { force, ..Taker::new(cluster, Some(&claim.holder), tell) };
    // Of whom writes may be on their way; remembered, for a lost answer makes the next look find ourselves.
    let mut other = None;
    let mut races = 0;
    loop {
        let found = taker.find().await?;
        if found.from_other {
            other.clone_from(&found.standing);
        }
        let (epoch, parts) = record::taken(claim, found.standing.as_ref(), reason, adopting, cluster.time());
        match swap(cluster, found.standing.as_ref(), parts).await {
            Ok(standing) => {
                let fence = Fence::new(cluster.id().clone(), claim.holder.to_string(), epoch);
                cluster.link.guard(fence.clone());
                let held = Held::new(cluster, fence, claim.holder.journal.clone(), standing);
                if let Some(other) = other {
                    let who = other.owner.who;
                    tell(&format!("waiting {} s: so long a last write of {who} may still take effect", SETTLES_WITHIN.as_secs()));
                    settle(&held, cluster.at_pace(SETTLES_WITHIN)).await?;
                }
                return Ok(held);
            }
            Err(error) if races == MOST_RACES => return Err(LeaseError::Call { cluster: cluster.id().to_string(), error }),
            Err(error) => taker.stumbled(error).await?,
        }
        races += 1;
    }
}

/// Waits until the writes of the last holder have taken effect or never will.
async fn settle(held: &Held, time: Duration) -> Result<(), LeaseError> {
    let mut lost = held.lost();
    tokio::select! {
        () = tokio::time::sleep(time) => Ok(()),
        lost = lost.wait_for(Option::is_some) => match lost.ok().and_then(|lost| lost.clone()) {
            Some(lost) => Err(LeaseError::Lost(lost)),
            None => Ok(()),
        },
    }
}

/// Somebody who wants the lease.
struct Taker<'a> {
    cluster: &'a Cluster,
    us: Option<&'a Holder>,
    force: bool,
    tell: Tell<'a>,
    watch: Watch,
    failures: u32,
    is_told: bool,
}

/// A lease that may be taken, as it was read.
struct Found {
    standing: Option<Standing>,
    from_other: bool,
}

impl<'a> Taker<'a> {
    fn new(cluster: &'a Cluster, us: Option<&'a Holder>, tell: Tell<'a>) -> Self {
        Self { cluster, us, force: false, tell, watch: Watch::default(), failures: 0, is_told: false }
    }

    /// Looks at the lease until it may be taken.
    async fn find(&mut self) -> Result<Found, LeaseError> {
        loop {
            match read(self.cluster).await {
                Ok(standing) => {
                    self.failures = 0;
                    let term = standing.as_ref().map_or(Duration::ZERO, |standing| self.cluster.at_pace(standing.term));
                    match self.watch.judge(standing.as_ref(), self.us, self.force, (Instant::now(), term)) {
                        Step::Take { from_other } => return Ok(Found { standing, from_other }),
                        Step::Refuse => return Err(self.driven(standing.as_ref())),
                        Step::Watch => self.say(standing.as_ref()),
                    }
                    tokio::time::sleep(self.cluster.at_pace(LOOK_EVERY)).await;
                }
                Err(error) => self.stumbled(error).await?,
            }
        }
    }

    /// A call failed: whatever may pass is waited for, within reason.
    async fn stumbled(&mut self, error: CallError) -> Result<(), LeaseError> {
        self.watch.interrupted();
        self.failures += 1;
        if error.is_forbidden() {
            return Err(LeaseError::Forbidden { permission: error.call.permission() });
        }
        let lasts = classify(&error).kind == windlass_engine::FailureKind::Permanent;
        if lasts || self.failures > MOST_FAILURES {
            return Err(LeaseError::Call { cluster: self.cluster.id().to_string(), error });
        }
        if !error.is_precondition() {
            tokio::time::sleep(self.cluster.at_pace(LOOK_EVERY)).await;
        }
        Ok(())
    }

    fn driven(&self, standing: Option<&Standing>) -> LeaseError {
        let owner = standing.map(|standing| standing.owner.in_words(self.cluster.time())).unwrap_or_default();
        LeaseError::Driven { cluster: self.cluster.id().to_string(), owner }
    }

    fn say(&mut self, standing: Option<&Standing>) {
        let Some(standing) = standing.filter(|_| !self.is_told) else { return };
        self.is_told = true;
        let owner = standing.owner.in_words(self.cluster.time());
        let term = standing.term.as_secs();
        (self.tell)(&format!("the cluster is held by {owner}; watching for up to {term} s whether that worker still lives"));
    }
}

/// Reads the lease as it is now: not a cache's answer, but what a majority of the servers agree on.
pub(super) async fn read(cluster: &Cluster) -> Result<Option<Standing>, CallError> {
    let lease: Option<Lease> = cluster.get(Some(NAMESPACE), NAME).await?;
    Ok(lease.as_ref().map(Standing::of))
}

/// Writes the lease if it still is as it was read. Its own writes pass no fence: they are what the fence looks at.
pub(super) async fn swap(cluster: &Cluster, before: Option<&Standing>, parts: Value) -> Result<Standing, CallError> {
    let Some(before) = before else { return establish(cluster, &record::created(parts)).await };
    let patch = Patch::Merge(record::guarded(parts, &before.version));
    let lease: Lease = cluster.patch_unfenced(Some(NAMESPACE), NAME, &patch).await?;
    Ok(Standing::of(&lease))
}

/// Makes the lease, and its namespace if there is none yet.
async fn establish(cluster: &Cluster, lease: &Value) -> Result<Standing, CallError> {
    let lease: Lease = match cluster.create_unfenced(Some(NAMESPACE), lease).await {
        Err(error) if error.is_not_found() => {
            make_namespace(cluster).await?;
            cluster.create_unfenced(Some(NAMESPACE), lease).await?
        }
        outcome => outcome?,
    };
    Ok(Standing::of(&lease))
}

async fn make_namespace(cluster: &Cluster) -> Result<(), CallError> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    match cluster.create_unfenced::<Namespace>(None, &namespace).await {
        // Somebody else was faster.
        Err(error) if error.is_precondition() => Ok(()),
        outcome => outcome.map(drop),
    }
}
