//! The known failure modes of node rollouts and updates by their number: a cluster shape or a scenario that shows each.

mod central;
mod faults;
mod network;
mod nodes;
mod updates;

pub use faults::Faults;

use serde_json::{Value, json};

use crate::scenario::{Scenario, When, WorldFault};
use crate::world::shape::ClusterShape;

/// One failure mode, as a simulated cluster shows it.
#[derive(Clone, Copy, Debug)]
pub struct Hazard {
    /// Its number: 7 of F7.
    pub number: u8,
    /// What is wrong, in a line.
    pub title: &'static str,
    /// What of it is there from the start.
    pub apply: fn(&mut ClusterShape),
    /// What of it happens later.
    pub scenario: fn() -> Scenario,
}

/// All of them that a preflight or a watchdog can see, by number.
pub const ALL: &[&[Hazard]] = &[nodes::ALL, updates::ALL];

/// The other numbers, each with the reason why neither a preflight nor a watchdog can see it.
pub const UNSEEN: [(u8, &str); 4] = [
    (16, "a tool that drains the node it runs on: windlass is no pod of the cluster that it works on"),
    (
        17,
        "an update job that is lost with its state: there is no such job, and every step stands in the journal before it begins",
    ),
    (24, "a refused change of the target in the middle of a hop: windlass asks for each release once and never changes its mind"),
    (34, "an alert that the tool itself raises: only a configured Prometheus tells of alerts, and a default cluster has none"),
];

/// Those of a Kube-OVN cluster, by number; each makes the cluster one.
pub const KUBE_OVN: &[Hazard] = central::ALL;

/// Those of the network's migrations that are shown, by number; each makes the cluster one with OpenShift SDN.
pub const NETWORK: &[Hazard] = network::ALL;

/// The other numbers of Kube-OVN's, each with the reason why it is not shown.
pub const KUBE_OVN_UNSEEN: [(u8, &str); 2] = [
    (
        59,
        "a controller that goes on asking a leader that is gone: only its own log tells, and after each change of members windlass \
         tells every controller the new addresses, which starts it anew",
    ),
    (60, "a restored database that is not the one that was lost: windlass restores nothing, it keeps copies"),
];

/// The hazards of node rollouts and updates in the order of their numbers.
pub fn all() -> impl Iterator<Item = &'static Hazard> {
    ALL.iter().copied().flatten()
}

/// The hazard of this number.
pub fn numbered(number: u8) -> Option<&'static Hazard> {
    all().chain(NETWORK).chain(KUBE_OVN).find(|hazard| hazard.number == number)
}

/// Nothing is wrong from the start.
fn as_usual(_: &mut ClusterShape) {}

/// Nothing happens later.
fn calm() -> Scenario {
    Scenario::calm()
}

/// A scenario of these faults.
fn of(number: u8, world: Vec<WorldFault>) -> Scenario {
    Scenario { name: format!("F{number}"), world, ..Scenario::default() }
}

/// So many minutes after the nth accepted update.
fn on(update: u32, after_minutes: f64) -> When {
    When { update: Some(update), after_minutes }
}

/// Adds to an object of the shape, or adds the object.
fn lay(shape: &mut ClusterShape, object: Value) {
    shape.objects.push(object);
}

/// Adds to a node.
fn lay_node(shape: &mut ClusterShape, name: &str, mut fields: Value) {
    // The last node of a pool is the one that a rollout would reach last.
    let name = shape.node_named(name).unwrap_or_else(|| name.replacen('/', "-", 1));
    fields["apiVersion"] = json!("v1");
    fields["kind"] = json!("Node");
    fields["metadata"]["name"] = json!(name);
    lay(shape, fields);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_a_hazard_or_has_a_reason() {
        let shown: Vec<u8> = all().map(|hazard| hazard.number).collect();
        assert!(shown.is_sorted_by(|one, other| one < other), "{shown:?}");
        for number in 1..=35 {
            let reasons = UNSEEN.iter().filter(|(n, _)| *n == number).count();
            assert_eq!(usize::from(shown.contains(&number)) + reasons, 1, "F{number}");
        }
        for number in 50..=61 {
            let ways = KUBE_OVN.iter().filter(|hazard| hazard.number == number).count()
                + KUBE_OVN_UNSEEN.iter().filter(|(n, _)| *n == number).count();
            assert_eq!(ways, 1, "F{number}");
        }
    }

    #[test]
    fn every_scenario_names_what_a_default_cluster_has() {
        for hazard in all().chain(NETWORK).chain(KUBE_OVN) {
            let mut shape = ClusterShape::default();
            (hazard.apply)(&mut shape);
            let scenario = (hazard.scenario)().resolved(&shape);
            assert!(scenario.is_ok(), "F{}: {scenario:?}", hazard.number);
            let changed = shape != ClusterShape::default() || scenario.is_ok_and(|s| !s.world.is_empty());
            assert!(changed || hazard.number == 22 || hazard.number == 33, "F{} changes nothing", hazard.number);
        }
    }
}
