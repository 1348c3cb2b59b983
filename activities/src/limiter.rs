//! Keeps the number of calls polite: a token bucket on tokio's clock.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Lets through a burst of calls and then a steady rate.
#[derive(Debug)]
pub(crate) struct Limiter {
    budget: Option<Budget>,
}

/// How many calls may be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallBudget {
    /// Calls a second in the long run.
    pub per_second: u32,
    /// Calls that may be made at once.
    pub burst: u32,
}

impl CallBudget {
    /// What an ordinary user's client is expected to keep to on a shared API server (client-go's own default rate).
    pub const POLITE: Self = Self { per_second: 5, burst: 20 };
}

#[derive(Debug)]
struct Budget {
    interval: Duration,
    burst: Duration,
    /// When the bucket would be full again; a call that finds it further than `burst` ahead has to wait.
    full_at: Mutex<Instant>,
}

impl Limiter {
    pub(crate) fn new(budget: Option<CallBudget>) -> Self {
        let budget = budget.map(|budget| {
            let interval = Duration::from_secs(1) / budget.per_second.max(1);
            Budget { interval, burst: interval * budget.burst.max(1), full_at: Mutex::new(Instant::now()) }
        });
        Self { budget }
    }

    /// Returns when a call may be made.
    pub(crate) async fn admit(&self) {
        if let Some(budget) = &self.budget {
            tokio::time::sleep_until(budget.reserve(Instant::now())).await;
        }
    }
}

impl Budget {
    fn reserve(&self, now: Instant) -> Instant {
        let mut full_at = self.full_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *full_at = (*full_at).max(now) + self.interval;
        full_at.checked_sub(self.burst).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_at_the_steady_rate() {
        let check = async |budget, calls: u32, expect: Duration| {
            let limiter = Limiter::new(budget);
            let began = Instant::now();
            for _ in 0..calls {
                limiter.admit().await;
            }
            assert_eq!(began.elapsed(), expect);
        };
        check(None, 1000, Duration::ZERO).await;
        check(Some(CallBudget::POLITE), 20, Duration::ZERO).await;
        check(Some(CallBudget::POLITE), 25, Duration::from_secs(1)).await;
        check(Some(CallBudget { per_second: 1, burst: 1 }), 3, Duration::from_secs(2)).await;
    }
}
