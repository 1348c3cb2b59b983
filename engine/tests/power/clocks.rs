//! Wall clocks that are set forward and back, and by a disk that takes its time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use windlass_engine::{Clock, Timestamp, TokioClock};

/// The longest stretch that is slept without a look at the clock, as the machine's clock does it.
const NAP: Duration = Duration::from_secs(15);

/// A clock on the wall: it follows tokio's, and it can be set. Clones are the same clock.
#[derive(Clone)]
pub(crate) struct Wall {
    steady: TokioClock,
    ahead_micros: Arc<AtomicI64>,
}

impl Wall {
    pub(crate) fn new() -> Self {
        let steady = TokioClock::starting_at(Timestamp::from_micros(1_800_000_000_000_000));
        Self { steady, ahead_micros: Arc::default() }
    }

    /// Sets the clock forward by so many seconds, or back.
    pub(crate) fn jump(&self, seconds: i64) {
        self.ahead_micros.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.steady.now().as_micros() + self.ahead_micros.load(Ordering::Relaxed))
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            loop {
                let left = at.since(self.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(NAP)).await;
            }
        })
    }
}
