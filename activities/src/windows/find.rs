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
