//! The delays between attempts: the one file that names `backoff`, used as a calculator only.
//!
//! Its clock is fed by hand and its randomness is off, so the schedule is a pure function; the jitter is ours, seeded by
//! run, command and attempt, and the due time that comes out is journaled.

use std::time::{Duration, Instant};

use backoff::backoff::Backoff;
use backoff::exponential::ExponentialBackoff;

use crate::activity::Attempt;

/// How often and at what distance a transient failure is tried again.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RetryPolicy {
    /// The delay after the first failure.
    pub initial: Duration,
    /// What each further delay is multiplied by.
    pub factor: f64,
    /// No delay is longer, jitter aside.
    pub longest: Duration,
    /// How many attempts are made before the run parks.
    pub attempts: u32,
}

/// Up to this share is added to each delay, so that many runs do not knock together.
const JITTER: f64 = 0.1;

impl Default for RetryPolicy {
    /// Ten attempts over about twenty minutes: rides out a master's reboot, then asks a person.
    fn default() -> Self {
        Self { initial: Duration::from_secs(2), factor: 2.0, longest: Duration::from_secs(300), attempts: 10 }
    }
}

impl RetryPolicy {
    /// One attempt and no more.
    pub const NEVER: Self = Self { initial: Duration::ZERO, factor: 1.0, longest: Duration::ZERO, attempts: 1 };

    /// The delay before the attempt after `attempt` failed `failures` times in a row; `None` when it is time to park.
    pub fn delay(&self, attempt: Attempt, failures: u32) -> Option<Duration> {
        if failures >= self.attempts {
            return None;
        }
        let base = self.schedule(failures);
        Some(base + base.mul_f64(JITTER * unit_interval(attempt)))
    }

    fn schedule(&self, failures: u32) -> Duration {
        let mut calculator = ExponentialBackoff::<StoppedClock> {
            current_interval: self.initial,
            initial_interval: self.initial,
            randomization_factor: 0.0,
            multiplier: self.factor,
            max_interval: self.longest,
            max_elapsed_time: None,
            clock: StoppedClock::default(),
            ..Default::default()
        };
        let mut delay = self.initial;
        for _ in 0..failures.clamp(1, LONGEST_RAMP) {
            delay = calculator.next_backoff().unwrap_or(self.longest);
        }
        delay.min(self.longest)
    }
}

/// Every sensible schedule has reached its longest delay by then.
const LONGEST_RAMP: u32 = 64;

/// A clock that stands still: the elapsed time plays no part, attempts are counted instead.
#[derive(Clone, Debug)]
struct StoppedClock(Instant);

impl Default for StoppedClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl backoff::Clock for StoppedClock {
    fn now(&self) -> Instant {
        self.0
    }
}

fn unit_interval(attempt: Attempt) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(attempt.run.as_bytes());
    hasher.update(&attempt.command.0.to_le_bytes());
    hasher.update(&attempt.number.to_le_bytes());
    let bytes = hasher.finalize();
    f64::from(u32::from_le_bytes([bytes.as_bytes()[0], bytes.as_bytes()[1], bytes.as_bytes()[2], bytes.as_bytes()[3]]))
        / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CommandId, RunId};

    fn attempt(number: u32) -> Attempt {
        Attempt { run: RunId::from_bytes([7; 16]), command: CommandId(3), number }
    }

    #[test]
    fn delays_double_up_to_the_longest_and_then_end() {
        let policy = RetryPolicy { initial: Duration::from_secs(1), factor: 2.0, longest: Duration::from_secs(30), attempts: 8 };
        let whole: Vec<_> = (1..=9).map(|n| policy.delay(attempt(n), n).map(|d| d.as_secs())).collect();
        let expect = [1_u64, 2, 4, 8, 16, 30, 30];
        for (i, seconds) in expect.iter().enumerate() {
            let got = whole[i].unwrap();
            assert!((*seconds..=seconds + seconds.div_ceil(10)).contains(&got), "delay {i} is {got} s, not about {seconds} s");
        }
        assert_eq!(&whole[7..], [None, None]);
    }

    #[test]
    fn the_same_attempt_always_has_the_same_delay() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.delay(attempt(2), 2), policy.delay(attempt(2), 2));
        assert_ne!(policy.delay(attempt(2), 2), policy.delay(Attempt { command: CommandId(4), ..attempt(2) }, 2));
    }
}
