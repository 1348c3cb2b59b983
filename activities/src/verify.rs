//! Health between the hops, and the proof at the end.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::Cluster;
use crate::condition::{
    Concern, Reason, Verdict, control_plane_done, nodes_healthy, operators_healthy, pool_rolled_out, pool_troubles,
};
use crate::ids::PoolName;
use crate::machine_health::{described, health_checks, is_ours};
use crate::release::{Minor, Release};
use crate::requests::ASSUMED;
use crate::snapshot::Snapshot;
use crate::views::{ClusterVersion, Conditions as _, Status, View as _};
use crate::wait::{Wait, wait_for};

/// Operators flap after a rollout; three good samples half a minute apart are what the vendor's own playbooks ask for.
pub(crate) const SETTLED: Wait = Wait {
    samples: 3,
    spacing: Duration::from_secs(30),
    outage_budget: crate::wait::OUTAGE_BUDGET,
    alone: false,
    told_elsewhere: false,
};

/// Waits until the cluster is healthy several times in a row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckHealth {
    /// Whether the cluster must also accept a new minor release.
    pub before_hop: bool,
}

/// That the cluster is healthy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Healthy {
    /// What was seen in the last sample.
    pub evidence: String,
    /// How many samples in a row were good.
    pub samples: u32,
}

impl Activity for CheckHealth {
    const NAME: ActivityName = ActivityName::new("check-health");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Healthy;

    fn summary(&self) -> String {
        let further = if self.before_hop { " and accepts a new minor release" } else { "" };
        format!("wait until the cluster is healthy{further}")
    }

    fn assumed(&self) -> Option<Healthy> {
        Some(Healthy { evidence: ASSUMED.to_owned(), samples: 0 })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Healthy, ActivityError> {
        let seen = wait_for(&cx, SETTLED, |snapshot| healthy(snapshot, self.before_hop)).await?;
        Ok(Healthy { evidence: seen.evidence, samples: SETTLED.samples })
    }
}

/// Operators, nodes, pools that are not held still, and the ClusterVersion.
pub(crate) fn healthy(snapshot: &Snapshot, before_hop: bool) -> Verdict {
    let mut reasons = Vec::new();
    for verdict in [operators_healthy(snapshot), nodes_healthy(snapshot)] {
        reasons.extend_from_slice(verdict.reasons());
    }
    for pool in snapshot.pools.values() {
        // A paused pool is behind on purpose, and broken all the same if it says so.
        let verdict = pool_rolled_out(snapshot, &PoolName::new(pool.name()), None);
        if pool.spec.paused { reasons.extend(pool_troubles(pool)) } else { reasons.extend_from_slice(verdict.reasons()) }
    }
    match snapshot.version() {
        Some(version) => reasons.extend(version_troubles(version, before_hop)),
        None => reasons.push(Reason::waiting("the cluster", "shows no ClusterVersion")),
    }
    Verdict::from_reasons(reasons, || {
        let (operators, nodes) = (snapshot.operators.len(), snapshot.nodes.len());
        format!("{operators} operators and {nodes} nodes are healthy")
    })
}

fn version_troubles(version: &ClusterVersion, before_hop: bool) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for kind in ["Failing", "Progressing"] {
        if let Some(condition) = version.holds(kind) {
            let what = format!("is {}: {}", kind.to_lowercase(), condition.explanation());
            reasons.push(Reason::waiting("the cluster version", what).since(condition.since()));
        }
    }
    let objection = version.condition("Upgradeable").filter(|upgradeable| before_hop && upgradeable.status == Status::False);
    if let Some(objection) = objection {
        let what = format!("refuses a new minor release ({}): {}", objection.reason, objection.explanation());
        reasons.push(Reason::waiting("the cluster version", what).since(objection.since()).graded(Concern::Broken));
    }
    reasons
}

/// Proves that the update is done: the release, every pool and node, and nothing of ours left behind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FinalVerification {
    /// The release.
    pub release: Release,
}

/// The proof.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verified {
    /// The release.
    pub release: Release,
    /// What was seen, one line each.
    pub evidence: Vec<String>,
}

impl Activity for FinalVerification {
    const NAME: ActivityName = ActivityName::new("final-verification");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Verified;

    fn summary(&self) -> String {
        format!("verify that all of the cluster is at {}", self.release.title())
    }

    fn assumed(&self) -> Option<Verified> {
        Some(Verified { release: self.release.clone(), evidence: vec![ASSUMED.to_owned()] })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Verified, ActivityError> {
        let seen = wait_for(&cx, SETTLED, |snapshot| arrived(snapshot, &self.release)).await?;
        let mut evidence = vec![seen.evidence];
        evidence.extend(seen.snapshot.pools.values().map(|pool| {
            format!("pool {}: {} nodes at {}", pool.name(), pool.status.machine_count, pool.status.configuration.name)
        }));
        let left = leftovers(cx.world()).await?;
        if !left.is_empty() {
            let message = format!("still paused by windlass: {}; resume them, then retry", left.join(", "));
            return Err(ActivityError::permanent("leftovers", message));
        }
        evidence.push("no machine health check is left paused".to_owned());
        Ok(Verified { release: self.release, evidence })
    }
}

fn arrived(snapshot: &Snapshot, release: &Release) -> Verdict {
    let control_plane = control_plane_done(snapshot, release);
    if let failed @ Verdict::Failed { .. } = control_plane {
        return failed;
    }
    let mut reasons = control_plane.reasons().to_vec();
    for pool in snapshot.pools.values() {
        match pool_rolled_out(snapshot, &PoolName::new(pool.name()), None) {
            Verdict::Met { .. } => {}
            Verdict::NotYet { reasons: pool } => reasons.extend(pool),
            failed @ Verdict::Failed { .. } => return failed,
        }
    }
    reasons.extend_from_slice(nodes_healthy(snapshot).reasons());
    let wanted = Minor::of(&release.version).kubernetes();
    for node in snapshot.nodes.values().filter(|node| node.kubelet_minor() != Some(wanted)) {
        let what = format!("runs kubelet {}, not 1.{wanted}", node.status.node_info.kubelet_version);
        reasons.push(Reason::waiting(format!("node {}", node.name()), what));
    }
    reasons.dedup();
    Verdict::from_reasons(reasons, || {
        format!(
            "{}: {} operators, {} pools, {} nodes",
            release.version,
            snapshot.operators.len(),
            snapshot.pools.len(),
            snapshot.nodes.len()
        )
    })
}

async fn leftovers(cluster: &Cluster) -> Result<Vec<String>, ActivityError> {
    let checks = health_checks(cluster).await?;
    let paused = checks.iter().map(described).filter(|check| check.paused.as_deref().is_some_and(is_ours));
    Ok(paused.map(|check| format!("machine health check {}", check.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::{condition, healthy as cluster, node, pool, release, updated_to, version};

    #[test]
    fn a_pool_that_is_held_still_is_no_illness() {
        let check = |before_hop: bool, edit: &dyn Fn(&mut Snapshot), expect: &str| {
            let mut snapshot = cluster();
            edit(&mut snapshot);
            assert_eq!(healthy(&snapshot, before_hop).to_string(), expect);
        };
        let behind = |paused: bool| {
            move |snapshot: &mut Snapshot| {
                pool(snapshot, "worker", |pool| {
                    pool.spec.paused = paused;
                    pool.spec.configuration.name = "rendered-worker-r1".to_owned();
                    pool.status.conditions[0].status = Status::False;
                });
            }
        };
        check(false, &|_| {}, "4 operators and 5 nodes are healthy");
        check(false, &behind(true), "4 operators and 5 nodes are healthy");
        check(
            false,
            &behind(false),
            "pool worker is moving to rendered-worker-r1: 2 of 2 nodes updated, 2 ready (since 2026-03-01 10:00:00Z); \
             2 nodes wait for their turn, among them worker-0, at rendered-worker-r0",
        );
        let objecting = |snapshot: &mut Snapshot| {
            version(snapshot, |version| {
                version.status.conditions.push(condition("Upgradeable", Status::False, "acknowledge first"));
            });
        };
        check(false, &objecting, "4 operators and 5 nodes are healthy");
        check(
            true,
            &objecting,
            "!! the cluster version refuses a new minor release (): acknowledge first (since 2026-03-01 10:00:00Z)",
        );
    }

    #[test]
    fn the_proof_needs_every_kubelet() {
        let mut snapshot = cluster();
        updated_to(&mut snapshot, &release("4.18.5"));
        let set = |snapshot: &mut Snapshot, name: &str, kubelet: &str| {
            node(snapshot, name, |node| node.status.node_info.kubelet_version = kubelet.to_owned());
        };
        for name in ["master-0", "master-1", "master-2", "worker-0"] {
            set(&mut snapshot, name, "v1.31.4");
        }
        assert_eq!(arrived(&snapshot, &release("4.18.5")).to_string(), "node worker-1 runs kubelet v1.29.6+aba1e8d, not 1.31");
        set(&mut snapshot, "worker-1", "v1.31.4");
        assert_eq!(arrived(&snapshot, &release("4.18.5")).to_string(), "4.18.5: 4 operators, 2 pools, 5 nodes");
    }
}
