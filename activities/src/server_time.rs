//! The cluster's own time: since-whens are written by its clock, so they are compared with its clock.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::DateTime;
use windlass_engine::Timestamp;

/// `Date` headers count whole seconds; an offset below this is no offset.
const RESOLUTION_MICROS: i64 = 1_500_000;

/// What is known of the cluster's clock, from the `Date` of its answers and the times in its objects.
#[derive(Debug, Default)]
pub(crate) struct ServerTime {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    ahead_micros: i64,
    latest: Timestamp,
}

impl ServerTime {
    /// Takes note of an answer's `Date` header, received at `local`.
    pub(crate) fn note_date(&self, date: &str, local: Timestamp) {
        let Ok(date) = DateTime::parse_from_rfc2822(date) else { return };
        let ahead = date.timestamp_micros().saturating_sub(local.as_micros());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.ahead_micros = if ahead.abs() < RESOLUTION_MICROS { 0 } else { ahead };
    }

    /// Takes note of a time that the cluster wrote into an object.
    pub(crate) fn note_event(&self, at: Timestamp) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.latest = seen.latest.max(at);
    }

    /// The cluster's time when it is `local` here.
    pub(crate) fn at(&self, local: Timestamp) -> Timestamp {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Timestamp::from_micros(local.as_micros().saturating_add(seen.ahead_micros)).max(seen.latest)
    }

    /// How far the two clocks are apart.
    pub(crate) fn skew(&self) -> Duration {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_micros(seen.ahead_micros.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clusters_time_follows_its_answers_and_never_falls_behind_its_events() {
        let local = Timestamp::from_micros(1_700_000_000_000_000);
        let check = |date: Option<&str>, event: Option<i64>, expect_ahead_seconds: i64| {
            let time = ServerTime::default();
            time.note_date(date.unwrap_or_default(), local);
            time.note_event(Timestamp::from_micros(event.unwrap_or_default()));
            assert_eq!(time.at(local).as_micros() - local.as_micros(), expect_ahead_seconds * 1_000_000);
        };
        check(None, None, 0);
        check(Some("Tue, 14 Nov 2023 22:13:21 GMT"), None, 0);
        check(Some("Tue, 14 Nov 2023 22:13:50 GMT"), None, 30);
        check(Some("Tue, 14 Nov 2023 22:12:50 GMT"), None, -30);
        check(Some("yesterday"), None, 0);
        check(None, Some(1_700_000_600_000_000), 600);
        check(Some("Tue, 14 Nov 2023 22:13:50 GMT"), Some(1_600_000_000_000_000), 30);
    }
}
