//! Virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The cluster's clock: tokio's clock, stretched by a speed, counted from an epoch.
///
/// On a paused tokio runtime with speed 1 it jumps from timer to timer.
#[derive(Clone, Debug)]
pub struct SimClock {
    epoch: DateTime<Utc>,
    start: Instant,
    speed: f64,
    jumped: Arc<Jumped>,
}

#[derive(Debug, Default)]
struct Jumped {
    millis: AtomicI64,
    happened: Notify,
}

/// The slowest speed that is accepted; a clock that stands still would hang every sleeper.
const MIN_SPEED: f64 = 1e-3;

impl SimClock {
    /// A clock that shows `epoch` now and runs `speed` virtual seconds a real second.
    pub fn new(epoch: DateTime<Utc>, speed: f64) -> Self {
        let speed = if speed.is_finite() { speed.max(MIN_SPEED) } else { 1.0 };
        Self { epoch, start: Instant::now(), speed, jumped: Arc::default() }
    }

    /// The virtual time.
    pub fn now(&self) -> DateTime<Utc> {
        let passed = self.start.elapsed().mul_f64(self.speed);
        let jumped = TimeDelta::milliseconds(self.jumped.millis.load(Ordering::Acquire));
        self.epoch + TimeDelta::from_std(passed).unwrap_or(TimeDelta::MAX) + jumped
    }

    /// Virtual time that has passed since the epoch.
    pub fn elapsed(&self) -> Duration {
        (self.now() - self.epoch).to_std().unwrap_or_default()
    }

    /// The virtual time at which the clock started.
    pub fn epoch(&self) -> DateTime<Utc> {
        self.epoch
    }

    /// Sleeps for `d` of virtual time.
    pub async fn sleep(&self, d: Duration) {
        self.sleep_until(self.now() + TimeDelta::from_std(d).unwrap_or(TimeDelta::MAX)).await;
    }

    /// Sleeps until the clock shows `at`; returns at once when it already does.
    pub async fn sleep_until(&self, at: DateTime<Utc>) {
        loop {
            let jump = self.jumped.happened.notified();
            let Ok(left) = (at - self.now()).to_std() else { return };
            if left.is_zero() {
                return;
            }
            // Dividing rounds down, and a sleeper that woke a nanosecond early would spin.
            let real = left.div_f64(self.speed) + Duration::from_nanos(1);
            tokio::select! {
                () = tokio::time::sleep(real) => {}
                () = jump => {}
            }
        }
    }

    /// Moves the clock by `millis` at once, for every holder of it; sleepers look again.
    pub fn jump(&self, millis: i64) {
        self.jumped.millis.fetch_add(millis, Ordering::AcqRel);
        self.jumped.happened.notify_waiters();
    }

    /// Virtual seconds a real second.
    pub fn speed(&self) -> f64 {
        self.speed
    }
}

/// A time as Kubernetes writes it: RFC 3339 in UTC, whole seconds.
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Minutes as a span of time.
pub(crate) fn minutes(minutes: f64) -> TimeDelta {
    // A century is for ever; it keeps a script's absurd figure inside the calendar.
    TimeDelta::from_std(Duration::from_secs_f64(minutes.clamp(0.0, 52_596_000.0) * 60.0)).unwrap_or(TimeDelta::zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch() -> DateTime<Utc> {
        DateTime::from_timestamp(1_750_000_000, 0).expect("a valid time")
    }

    #[tokio::test(start_paused = true)]
    async fn virtual_time_follows_tokios_clock_times_speed() {
        for speed in [0.5, 1.0, 600.0] {
            let clock = SimClock::new(epoch(), speed);
            let real = Instant::now();
            clock.sleep(Duration::from_secs(3600)).await;
            let seen = (clock.now() - epoch()).as_seconds_f64();
            assert!((3600.0..3600.0 + 0.002 * speed).contains(&seen), "speed {speed}: {seen}");
            assert!((real.elapsed().as_secs_f64() * speed - 3600.0).abs() < 0.002 * speed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_wakes_sleepers_whose_time_has_come() {
        let clock = SimClock::new(epoch(), 1.0);
        let real = Instant::now();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(3600)).await }
        });
        tokio::task::yield_now().await;
        clock.jump(3_600_000);
        sleeper.await.expect("the sleeper ends");
        assert_eq!(real.elapsed(), Duration::ZERO);
    }

    #[test]
    fn times_are_written_as_kubernetes_writes_them() {
        assert_eq!(rfc3339(epoch()), "2025-06-15T15:06:40Z");
    }
}
