//! The window of a step, decided once and kept.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, Registry};

use super::text::length_text;
use super::{Calendar, CalendarError, Placement};
use crate::cluster::Cluster;

/// Registers the activities of this family.
pub(crate) fn register(registry: Registry, cluster: &Arc<Cluster>) -> Registry {
    registry.activity::<FindWindow>(cluster)
}

/// Finds the window of a step. The finding stands in the journal, so that a later database of time zones can't change the
/// course of a run that has taken it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FindWindow {
    /// When work is allowed.
    pub calendar: Calendar,
    /// The step, for messages.
    pub step: String,
    /// How long it may take.
    pub need_seconds: u64,
}

impl Activity for FindWindow {
    const NAME: ActivityName = ActivityName::new("find-window");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Placement;

    fn summary(&self) -> String {
        let need = length_text(Duration::from_secs(self.need_seconds));
        format!("find a window of {need} to {}", self.step)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Placement, ActivityError> {
        // By the clock that waits for the window, not by the cluster's.
        let placed = self.calendar.place(cx.now(), Duration::from_secs(self.need_seconds));
        placed.map_err(|error| self.refusal(&error))
    }
}

impl FindWindow {
    fn refusal(&self, error: &CalendarError) -> ActivityError {
        ActivityError::permanent(error.code(), format!("{}: {error}", self.step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::at;
    use crate::testing::{Server, attempt};

    #[tokio::test(start_paused = true)]
    async fn a_window_is_found_by_the_clock_of_the_run() {
        let cluster = Server::healthy().cluster().await;
        // The fixtures' now is 2026-03-01 12:00 UTC, a Sunday.
        let calendar = Calendar::parse("{zone: UTC, slots: [{days: [sun], from: '10:00', until: '14:00'}]}").unwrap();
        let find =
            |hours: u64| FindWindow { calendar: calendar.clone(), step: "unpause worker".into(), need_seconds: hours * 3600 };
        let check = async |hours: u64, begin: i64| {
            let placed = find(hours).run(attempt(&cluster).0).await.unwrap();
            assert_eq!(placed.begin_at, at(begin), "{hours} h");
        };
        check(2, 0).await;
        check(3, (7 * 24 - 2) * 60).await;
        let refused = find(5).run(attempt(&cluster).0).await.unwrap_err();
        assert_eq!(refused.code, "window-too-short");
        assert!(
            refused.message.starts_with("unpause worker: no window is long enough: 5h are needed, the longest has 4h"),
            "{refused}"
        );
        assert_eq!(find(5).summary(), "find a window of 5h to unpause worker");
    }
}
