//! The fence: before each write the lease is looked at, and without it the write is not sent.

use std::sync::{Arc, Mutex, PoisonError};

use kube::Client;
use tokio::sync::watch;
use tokio::time::Instant;
use windlass_engine::{Clock, Timestamp};

use super::record::{Lost, Standing};
use super::{LEAVES_WITHIN, NAME, NAMESPACE, SETTLES_WITHIN};
use crate::cluster::read_alone;
use crate::error::{Call, CallError, Failure};
use crate::ids::ClusterId;
use crate::link::Link;
use crate::views::Lease;

/// Looks at the lease before one write; a machine that is suspended more often has other worries.
const MOST_LOOKS: u32 = 3;

/// Guards the writes of whoever took the lease, from then on.
pub(crate) struct Fence {
    cluster: ClusterId,
    holder: String,
    epoch: u64,
    lost: watch::Sender<Option<Lost>>,
    /// When the last write left whose answer never came.
    unsettled: Mutex<Option<Instant>>,
}

impl Fence {
    pub(super) fn new(cluster: ClusterId, holder: String, epoch: u64) -> Arc<Self> {
        Arc::new(Self { cluster, holder, epoch, lost: watch::Sender::new(None), unsettled: Mutex::new(None) })
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn lost(&self) -> watch::Receiver<Option<Lost>> {
        self.lost.subscribe()
    }

    /// Whether the lease, as it was read, is still ours; once it is not, it never is again.
    pub(super) fn check(&self, standing: Option<&Standing>, now: Timestamp) -> Result<(), Lost> {
        if let Some(lost) = &*self.lost.borrow() {
            return Err(lost.clone());
        }
        let ours = standing.is_some_and(|standing| standing.holder == self.holder && standing.epoch == self.epoch);
        if ours {
            return Ok(());
        }
        let to = standing.filter(|standing| !standing.holder.is_empty()).map(|standing| standing.owner.in_words(now));
        let lost = Lost { cluster: self.cluster.clone(), to };
        self.lost.send_replace(Some(lost.clone()));
        Err(lost)
    }

    /// Lets a write pass that is sent at once. What can't be found out counts as no: a write that is not sent did nothing.
    pub(crate) async fn admit(self: &Arc<Self>, link: &Link, client: &Client, call: &Call) -> Result<Passage, CallError> {
        let refused = |failure| CallError { call: call.clone().into(), failure };
        for _ in 0..MOST_LOOKS {
            // From before the look: the answer tells how it was at some time after this.
            let began = Moment::of(link.clock.as_ref());
            let standing = match read_alone::<Lease>(link, Some(client.clone()), Some(NAMESPACE), NAME).await {
                Ok(lease) => lease.as_ref().map(Standing::of),
                // It is the login that has ended, whichever call finds out.
                Err(error) if error.is_unauthorized() => return Err(error),
                Err(error) => {
                    return Err(refused(Failure::NotSent(format!("whether the cluster is still ours is not known: {error}"))));
                }
            };
            self.check(standing.as_ref(), link.time.at(link.clock.now()))
                .map_err(|lost| refused(Failure::Fenced(lost.to_string())))?;
            if began.is_recent(link.clock.as_ref()) {
                return Ok(Passage { fence: self.clone(), settled: false });
            }
        }
        Err(refused(Failure::NotSent("the look at the lease took too long each time to be relied on".to_owned())))
    }

    /// Whether a write of ours may still take effect.
    pub(super) fn is_unsettled(&self) -> bool {
        let left = *self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        left.is_some_and(|left| left.elapsed() < SETTLES_WITHIN)
    }
}

/// A write that was let through. Dropped before its answer is known, it may still take effect.
pub(crate) struct Passage {
    fence: Arc<Fence>,
    settled: bool,
}

impl Passage {
    /// Takes note of how the call ended.
    pub(crate) fn end<T>(mut self, outcome: &Result<T, Failure>) {
        self.settled = !matches!(outcome, Err(Failure::Lost(_) | Failure::TimedOut(_)));
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if !self.settled {
            *self.fence.unsettled.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }
}

/// A point in time on two clocks: one that stands still while the machine sleeps, and one that does not.
#[derive(Clone, Copy)]
struct Moment {
    wall: Timestamp,
    monotonic: Instant,
}

impl Moment {
    fn of(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), monotonic: Instant::now() }
    }

    /// Whether little time has passed, by both clocks: a suspended machine only shows in the wall's, a clock that was put
    /// back only in the other.
    fn is_recent(&self, clock: &dyn Clock) -> bool {
        let limit = LEAVES_WITHIN.as_secs_f64();
        let wall = clock.now().as_micros().saturating_sub(self.wall.as_micros());
        #[expect(clippy::cast_precision_loss, reason = "seconds are counted here, not microseconds")]
        let wall = wall as f64 / 1e6 / clock.speed();
        let monotonic = self.monotonic.elapsed().as_secs_f64();
        monotonic <= limit && (wall - monotonic).abs() <= limit
    }
}
