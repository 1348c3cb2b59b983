//! A preflight makes a hundred reads: one that fails in passing is repeated alone, not with all the others.

use std::time::Duration;

use windlass_engine::{ActivityContext, ActivityError, FailureKind};

use crate::cluster::Cluster;
use crate::error::{CallError, classify};

/// An API server that restarts is back within half a minute; past that the attempt ends and its policy decides.
const TRIES: u32 = 5;
/// A server may ask for a delay, within reason.
const LONGEST_WISH: Duration = Duration::from_secs(10);

/// Errors that tell what another try may bring.
pub(super) trait Passing {
    /// What the error means for the attempt.
    fn verdict(&self) -> ActivityError;
}

impl Passing for CallError {
    fn verdict(&self) -> ActivityError {
        classify(self)
    }
}

impl Passing for ActivityError {
    fn verdict(&self) -> ActivityError {
        self.clone()
    }
}

/// Makes a read again while its failure may pass. A macro, for a closure that borrows would have to live longer than it can
/// in a future that is sent between threads.
macro_rules! patiently {
    ($cx:expr, $read:expr) => {{
        let mut tried = 1;
        loop {
            match $read.await {
                Err(error) if crate::preflight::facts::patience::may_pass(&error, tried) => {
                    crate::preflight::facts::patience::pause($cx, &error, tried).await;
                    tried += 1;
                }
                outcome => break outcome,
            }
        }
    }};
}
pub(super) use patiently;

/// Whether another try may bring what this one did not. `Unknown` is only said of writes, and no question here is one that
/// changes anything.
pub(super) fn may_pass(error: &impl Passing, tried: u32) -> bool {
    let verdict = error.verdict();
    tried < TRIES && verdict.kind != FailureKind::Permanent && verdict.code != "unauthorized"
}

/// Waits before the next try, longer each time, and as long as the server asks for.
pub(super) async fn pause(cx: &ActivityContext<Cluster>, error: &impl Passing, tried: u32) {
    let wished = Duration::from_secs(error.verdict().retry_after_seconds.unwrap_or(0));
    cx.sleep(wished.clamp(Duration::from_secs(1), LONGEST_WISH) * tried).await;
}
