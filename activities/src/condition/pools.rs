//! Machine config pools: rolled out to a target, paused, degraded.
//!
//! Right after a pool is told to move its old status is still green, so the target, the generations and the nodes'
//! own annotations are compared before any condition is believed.

use super::nodes::{configuring, not_ready};
use super::{Concern, Reason, Verdict};
use crate::ids::{PoolName, RenderedConfig};
use crate::snapshot::Snapshot;
use crate::views::{Conditions as _, MachineConfigPool, Node, Status, View as _};

/// Whether every node of a pool has the pool's target configuration and is back.
///
/// `was` is the configuration from before the rollout: while the pool still targets it, nothing has begun.
pub fn pool_rolled_out(snapshot: &Snapshot, name: &PoolName, was: Option<&RenderedConfig>) -> Verdict {
    let Some(pool) = snapshot.pool(name) else {
        return Verdict::Failed {
            code: "not-found",
            message: format!("pool {name} does not exist; restore it or skip this step"),
        };
    };
    if pool.spec.paused {
        return Verdict::Failed {
            code: "pool-paused",
            message: format!("pool {name} is paused and will not move; somebody paused it again, unpause it and retry"),
        };
    }
    if let Some(reason) = not_begun(pool, was) {
        return Verdict::not_yet(reason);
    }
    let mut reasons = pool_troubles(pool);
    reasons.extend(unfinished(pool));
    let nodes: Vec<&Node> = snapshot.nodes_of(pool).collect();
    reasons.extend(nodes.iter().filter_map(|node| not_ready(node).or_else(|| configuring(node))));
    reasons.extend(waiting_for_their_turn(&nodes, target(pool)));
    reasons.extend(super::drains_blocked(snapshot).into_iter().filter(|blocked| {
        nodes.iter().any(|node| matches!(&blocked.concern, Concern::BlockedDrain(name) if name.as_str() == node.name()))
    }));
    if pool.status.machine_count == 0 && nodes.is_empty() {
        return Verdict::from_reasons(reasons, || format!("pool {name} has no nodes"));
    }
    Verdict::from_reasons(reasons, || format!("pool {name}: {} nodes at {}", pool.status.machine_count, target(pool)))
}

/// Whether a pool is paused.
pub fn pool_paused(snapshot: &Snapshot, name: &PoolName) -> Verdict {
    match snapshot.pool(name) {
        Some(pool) if pool.spec.paused => Verdict::Met { evidence: format!("pool {name} is paused") },
        Some(_) => Verdict::not_yet(Reason::waiting(format!("pool {name}"), "is not paused")),
        None => Verdict::Failed { code: "not-found", message: format!("pool {name} does not exist; plan again") },
    }
}

/// The pools other than `master` that are not paused: they would follow the control plane at once.
pub fn others_paused(snapshot: &Snapshot) -> Vec<PoolName> {
    let moving = snapshot.pools.values().filter(|pool| pool.name() != "master" && !pool.spec.paused);
    moving.map(|pool| PoolName::new(pool.name())).collect()
}

/// What is broken about a pool, in its own words or its nodes'.
pub fn pool_troubles(pool: &MachineConfigPool) -> Vec<Reason> {
    let told = ["RenderDegraded", "NodeDegraded", "Degraded"].into_iter().find_map(|kind| pool.holds(kind));
    let reason = told.map(|condition| {
        Reason::waiting(subject(pool), format!("is degraded: {}", condition.explanation()))
            .since(condition.since())
            .graded(Concern::Broken)
    });
    reason.into_iter().collect()
}

fn not_begun(pool: &MachineConfigPool, was: Option<&RenderedConfig>) -> Option<Reason> {
    let subject = subject(pool);
    if !pool.is_observed() {
        return Some(Reason::waiting(subject, "has not been looked at since its last change"));
    }
    if target(pool).is_empty() {
        return Some(Reason::waiting(subject, "has no rendered configuration yet"));
    }
    was.filter(|was| was.as_str() == target(pool))
        .map(|was| Reason::waiting(subject, format!("still targets {was}; the update's configuration is not rendered yet")))
}

fn unfinished(pool: &MachineConfigPool) -> Option<Reason> {
    let status = &pool.status;
    let all = status.machine_count;
    let counts = format!("{} of {all} nodes updated, {} ready", status.updated_machine_count, status.ready_machine_count);
    let whole = status.updated_machine_count == all
        && status.ready_machine_count == all
        && status.unavailable_machine_count == 0
        && status.degraded_machine_count == 0;
    let settled = status.configuration.name == target(pool) && pool.says("Updated") == Status::True;
    let since = pool.holds("Updating").or_else(|| pool.condition("Updated")).and_then(crate::views::Condition::since);
    (!whole || !settled).then(|| Reason::waiting(subject(pool), format!("is moving to {}: {counts}", target(pool))).since(since))
}

/// Nodes that are settled on another configuration than the pool's: a large pool has many, so they are counted.
fn waiting_for_their_turn(nodes: &[&Node], target: &str) -> Option<Reason> {
    let settled = |node: &&&Node| not_ready(node).is_none() && configuring(node).is_none();
    let waiting: Vec<&&Node> = nodes.iter().filter(settled).filter(|node| node.desired_config() != target).collect();
    let first = waiting.first()?;
    let at = first.desired_config();
    Some(match waiting.len() {
        1 => Reason::waiting(format!("node {}", first.name()), format!("waits for its turn, at {at}")),
        count => Reason::waiting(format!("{count} nodes"), format!("wait for their turn, among them {}, at {at}", first.name())),
    })
}

fn subject(pool: &MachineConfigPool) -> String {
    format!("pool {}", pool.name())
}

fn target(pool: &MachineConfigPool) -> &str {
    &pool.spec.configuration.name
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{condition, healthy, node, pool};
    use super::*;

    /// A picture of pool `worker` on its way from `r0` to `r1`, changed by `edit`.
    fn check(edit: impl Fn(&mut Snapshot), expect: &str) {
        let mut snapshot = healthy();
        pool(&mut snapshot, "worker", |pool| pool.spec.configuration.name = "rendered-worker-r1".to_owned());
        edit(&mut snapshot);
        let was = RenderedConfig::new("rendered-worker-r0");
        assert_eq!(pool_rolled_out(&snapshot, &PoolName::new("worker"), Some(&was)).to_string(), expect);
    }

    fn at_target(snapshot: &mut Snapshot) {
        pool(snapshot, "worker", |pool| pool.status.configuration.name = "rendered-worker-r1".to_owned());
        for name in ["worker-0", "worker-1"] {
            move_to(snapshot, name, "rendered-worker-r1", "rendered-worker-r1", "Done");
        }
    }

    fn move_to(snapshot: &mut Snapshot, name: &str, current: &str, desired: &str, state: &str) {
        node(snapshot, name, |node| {
            let annotations = node.metadata.annotations.get_or_insert_default();
            for (key, value) in [("currentConfig", current), ("desiredConfig", desired), ("state", state)] {
                annotations.insert(format!("machineconfiguration.openshift.io/{key}"), value.to_owned());
            }
        });
    }

    #[test]
    fn a_pool_is_rolled_out_when_every_node_has_the_target() {
        check(at_target, "pool worker: 2 nodes at rendered-worker-r1");
    }

    #[test]
    fn the_old_green_right_after_the_trigger_is_not_believed() {
        check(
            |_| {},
            "pool worker is moving to rendered-worker-r1: 2 of 2 nodes updated, 2 ready (since 2026-03-01 10:00:00Z); \
             2 nodes wait for their turn, among them worker-0, at rendered-worker-r0",
        );
        check(
            |snapshot| {
                at_target(snapshot);
                pool(snapshot, "worker", |pool| pool.metadata.generation = Some(9));
            },
            "pool worker has not been looked at since its last change",
        );
        check(
            |snapshot| pool(snapshot, "worker", |pool| pool.spec.configuration.name = "rendered-worker-r0".to_owned()),
            "pool worker still targets rendered-worker-r0; the update's configuration is not rendered yet",
        );
    }

    #[test]
    fn each_thing_in_the_way_is_named() {
        check(
            |snapshot| {
                at_target(snapshot);
                pool(snapshot, "worker", |pool| pool.status.ready_machine_count = 1);
            },
            "pool worker is moving to rendered-worker-r1: 2 of 2 nodes updated, 1 ready (since 2026-03-01 10:00:00Z)",
        );
        check(
            |snapshot| {
                at_target(snapshot);
                move_to(snapshot, "worker-1", "rendered-worker-r0", "rendered-worker-r1", "Working");
            },
            "node worker-1 is moving to rendered-worker-r1 (working)",
        );
        check(
            |snapshot| {
                at_target(snapshot);
                pool(snapshot, "worker", |pool| {
                    let reason = "Node worker-1 is reporting: \"unexpected on-disk state\"";
                    pool.status.conditions.push(condition("NodeDegraded", Status::True, reason));
                });
            },
            "!! pool worker is degraded: Node worker-1 is reporting: \"unexpected on-disk state\" (since 2026-03-01 10:00:00Z)",
        );
        check(
            |snapshot| pool(snapshot, "worker", |pool| pool.spec.paused = true),
            "pool worker is paused and will not move; somebody paused it again, unpause it and retry",
        );
        check(
            |snapshot| drop(std::sync::Arc::make_mut(&mut snapshot.pools).remove("worker")),
            "pool worker does not exist; restore it or skip this step",
        );
    }

    #[test]
    fn a_blocked_drain_comes_first_and_only_for_nodes_of_the_pool() {
        let blocked = |snapshot: &mut Snapshot| {
            at_target(snapshot);
            let since = super::super::fixtures::at(-15);
            snapshot.draining_since =
                std::sync::Arc::new([("worker-0".to_owned(), since), ("master-0".to_owned(), since)].into());
        };
        check(blocked, "!! node worker-0 does not drain (since 2026-03-01 11:45:00Z)");
    }

    #[test]
    fn an_empty_pool_is_rolled_out() {
        check(
            |snapshot| {
                std::sync::Arc::make_mut(&mut snapshot.nodes).retain(|name, _| !name.starts_with("worker"));
                pool(snapshot, "worker", |pool| {
                    let status = &mut pool.status;
                    (status.machine_count, status.updated_machine_count, status.ready_machine_count) = (0, 0, 0);
                    status.configuration.name = "rendered-worker-r1".to_owned();
                });
            },
            "pool worker has no nodes",
        );
    }

    #[test]
    fn a_custom_pool_takes_its_nodes_from_worker_but_not_from_master() {
        let mut snapshot = healthy();
        pool(&mut snapshot, "worker", |worker| worker.metadata.name = Some("worker".to_owned()));
        let mut infra = snapshot.pool(&"worker".into()).unwrap().clone();
        infra.metadata.name = Some("infra".to_owned());
        infra.spec.node_selector.get_or_insert_default().match_labels =
            [("node-role.kubernetes.io/infra".to_owned(), String::new())].into();
        std::sync::Arc::make_mut(&mut snapshot.pools).insert("infra".to_owned(), std::sync::Arc::new(infra));
        for name in ["worker-1", "master-0"] {
            node(&mut snapshot, name, |node| {
                node.metadata.labels.get_or_insert_default().insert("node-role.kubernetes.io/infra".to_owned(), String::new());
            });
        }
        let check = |pool: &str, expect: &[&str]| {
            let pool = snapshot.pool(&pool.into()).unwrap();
            assert_eq!(snapshot.nodes_of(pool).map(crate::views::View::name).collect::<Vec<_>>(), expect);
        };
        check("master", &["master-0", "master-1", "master-2"]);
        check("worker", &["worker-0"]);
        check("infra", &["worker-1"]);
    }
}
