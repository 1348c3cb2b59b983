//! Keeping a lease: renewals while it is held, and giving it back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use windlass_engine::RunId;

use super::fence::Fence;
use super::record::{self, Adopter, Lost, Standing};
use super::{LOOK_EVERY, RENEW_EVERY};
use crate::cluster::Cluster;
use crate::error::CallError;

/// Somebody changed the lease between our look and our write so often in a row; not a thing that happens by chance.
const MOST_TRIES: u32 = 5;

/// A lease that is ours; it is renewed until this is dropped or given back.
pub struct Held {
    cluster: Arc<Cluster>,
    fence: Arc<Fence>,
    keeper: AbortHandle,
    journal: String,
    adopted: BTreeMap<RunId, Adopter>,
}

/// What became of a lease that was to be given back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Release {
    /// Anybody may take it now.
    GivenBack,
    /// It stays until its term is over, for a write of ours may still take effect. Only our own journal may take it at once.
    RunsOut,
    /// It was not ours any more.
    Lost(Lost),
}

impl Held {
    /// Starts to renew the lease that was just taken.
    pub(super) fn new(cluster: &Arc<Cluster>, fence: Arc<Fence>, journal: String, standing: Standing) -> Self {
        let keeper = tokio::spawn(keep(cluster.clone(), fence.clone())).abort_handle();
        Self { cluster: cluster.clone(), fence, keeper, journal, adopted: standing.adopted }
    }

    /// Counts the times that the cluster was taken; an older one's writes are refused.
    pub fn epoch(&self) -> u64 {
        self.fence.epoch()
    }

    /// The journal to which a run went, if that is not ours. It goes on there, whoever holds the cluster meanwhile.
    pub fn adopted_elsewhere(&self, run: RunId) -> Option<&Adopter> {
        self.adopted.get(&run).filter(|adopter| adopter.journal != self.journal)
    }

    /// The journal that had adopted a run before ours did. What it did since is in its own mirror, if it has one.
    pub fn adopted_after(&self, run: RunId) -> Option<&str> {
        self.adopted.get(&run).filter(|adopter| adopter.journal == self.journal)?.after.as_deref()
    }

    /// Every run that went to another journal.
    pub fn elsewhere(&self) -> BTreeSet<RunId> {
        self.adopted.keys().copied().filter(|run| self.adopted_elsewhere(*run).is_some()).collect()
    }

    /// Tells when the lease is lost. Found out by the renewals too, so that a worker which only waits learns of it.
    pub fn lost(&self) -> watch::Receiver<Option<Lost>> {
        self.fence.lost()
    }

    /// Gives the lease back, unless a write of ours may still be on its way.
    pub async fn release(self) -> Result<Release, CallError> {
        self.keeper.abort();
        if self.fence.is_unsettled() {
            return Ok(Release::RunsOut);
        }
        for _ in 0..MOST_TRIES {
            match write(&self.cluster, &self.fence, record::released(self.cluster.time())).await {
                Ok(()) => return Ok(Release::GivenBack),
                Err(Trouble::Lost(lost)) => return Ok(Release::Lost(lost)),
                // The last renewal came between.
                Err(Trouble::Call(error)) if error.is_precondition() => {}
                Err(Trouble::Call(error)) => return Err(error),
            }
        }
        Ok(Release::RunsOut)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Renews the lease until it is lost. What fails is tried again: while the API is away nobody else can take it either.
async fn keep(cluster: Arc<Cluster>, fence: Arc<Fence>) {
    let mut pause = RENEW_EVERY;
    loop {
        tokio::time::sleep(cluster.at_pace(pause)).await;
        pause = match write(&cluster, &fence, record::renewed(cluster.time())).await {
            Ok(()) => RENEW_EVERY,
            Err(Trouble::Lost(lost)) => {
                tracing::warn!(%lost, "the lease is lost");
                return;
            }
            Err(Trouble::Call(error)) => {
                tracing::debug!(%error, "the lease could not be renewed");
                LOOK_EVERY
            }
        };
    }
}

enum Trouble {
    Lost(Lost),
    Call(CallError),
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// Changes the lease if it is ours, in the state in which it was seen to be.
async fn write(cluster: &Cluster, fence: &Fence, parts: Value) -> Result<(), Trouble> {
    let standing = super::take::read(cluster).await?;
    fence.check(standing.as_ref(), cluster.time()).map_err(Trouble::Lost)?;
    super::take::swap(cluster, standing.as_ref(), parts).await?;
    Ok(())
}
