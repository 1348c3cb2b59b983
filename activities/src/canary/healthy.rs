use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, Timestamp};

use super::wave::Wave;
use crate::cluster::Cluster;
use crate::condition::Verdict;
use crate::requests::ASSUMED;
use crate::snapshot::Snapshot;
use crate::verify::{SETTLED, healthy};
use crate::wait::wait_for;

/// Waits until the cluster is healthy with a wave at the new release, and fails for good if that takes too long.
///
/// Other waits end by a person who looks; this one ends by itself, since a wave that does not become healthy has failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitWaveHealthy {
    /// The wave.
    pub wave: Wave,
    /// How long it may take.
    pub limit_minutes: u32,
}

/// That the cluster is healthy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WaveHealthy {
    /// What was seen in the last sample.
    pub evidence: String,
}

impl Activity for AwaitWaveHealthy {
    const NAME: ActivityName = ActivityName::new("await-wave-healthy");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = WaveHealthy;

    fn summary(&self) -> String {
        format!("look for {} min whether the cluster is healthy with wave {}", self.limit_minutes, self.wave.name)
    }

    fn assumed(&self) -> Option<WaveHealthy> {
        Some(WaveHealthy { evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<WaveHealthy, ActivityError> {
        let until = cx.now().plus(Duration::from_secs(60 * u64::from(self.limit_minutes)));
        let seen = wait_for(&cx, SETTLED, |snapshot| judge(snapshot, &self.wave, cx.now(), until)).await?;
        Ok(WaveHealthy { evidence: seen.evidence })
    }
}

fn judge(snapshot: &Snapshot, wave: &Wave, now: Timestamp, until: Timestamp) -> Verdict {
    let verdict = match gone(snapshot, wave) {
        Some(gone) => return gone,
        None => healthy(snapshot, false),
    };
    if verdict.is_met() || now < until {
        return verdict;
    }
    Verdict::Failed { code: "not-healthy", message: verdict.to_string() }
}

/// A node that vanished is no node that is well.
fn gone(snapshot: &Snapshot, wave: &Wave) -> Option<Verdict> {
    let missing = wave.nodes.iter().find(|node| !snapshot.nodes.contains_key(node.name.as_str()))?;
    let message = format!("node {} of wave {} no longer exists", missing.name, wave.name);
    Some(Verdict::Failed { code: "not-healthy", message })
}

#[cfg(test)]
mod tests {
    use super::super::wave::fixtures::wave;
    use super::*;
    use crate::condition::fixtures::{at, healthy as healthy_cluster, operator};
    use crate::views::Status;

    #[test]
    fn a_cluster_that_does_not_become_healthy_in_time_has_failed_its_wave() {
        let check = |minute: i64, edit: &dyn Fn(&mut Snapshot), expect: &str| {
            let mut snapshot = healthy_cluster();
            edit(&mut snapshot);
            let shown = match judge(&snapshot, &wave(), at(minute), at(20)) {
                Verdict::Met { evidence } => format!("met: {evidence}"),
                Verdict::NotYet { .. } => "not yet".to_owned(),
                Verdict::Failed { message, .. } => format!("failed: {message}"),
            };
            assert_eq!(shown, expect);
        };
        let degraded = |snapshot: &mut Snapshot| {
            operator(snapshot, "dns", |operator| operator.status.conditions[2].status = Status::True);
        };
        check(0, &|_| {}, "met: 4 operators and 5 nodes are healthy");
        check(30, &|_| {}, "met: 4 operators and 5 nodes are healthy");
        check(19, &degraded, "not yet");
        check(20, &degraded, "failed: !! operator dns is degraded: all is well (since 2026-03-01 10:00:00Z)");
        check(
            0,
            &|snapshot| drop(std::sync::Arc::make_mut(&mut snapshot.nodes).remove("worker-0")),
            "failed: node worker-0 of wave canary no longer exists",
        );
    }
}
