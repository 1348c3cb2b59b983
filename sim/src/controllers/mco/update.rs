//! One node on its way to another config.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::configs::{self, Change};
use super::drain::Drain;
use crate::clock::rfc3339;
use crate::controllers::hosts::{add_taint, remove_taints};
use crate::controllers::{Cx, minutes};
use crate::rng::Rng;
use crate::store::resources::NODES;
use crate::world::graph::Release;
use crate::world::json::{annotate, annotation, cordoned, node_ready};
use crate::world::nodes::mco;

/// The taint that goes with a cordon.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// The spread of the time that writing an image takes.
const SIGMA: f64 = 0.3;

/// A node that is being updated.
pub(super) struct NodeUpdate {
    pub(super) pool: String,
    target: String,
    release: Release,
    phase: Phase,
}

/// What happens to the node next.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The daemon sees its new config then.
    Told(DateTime<Utc>),
    /// The controller cordons it then.
    Asked(DateTime<Utc>),
    Draining(Drain),
    /// The new image is written then.
    Writing(DateTime<Utc>),
    Booting,
    /// The daemon is satisfied with the boot then.
    Settling(DateTime<Utc>),
    /// The controller uncordons it then.
    Uncordoning(DateTime<Utc>),
}

impl NodeUpdate {
    pub(super) fn new(pool: &str, target: &str, release: Release, due: DateTime<Utc>) -> Self {
        Self { pool: pool.to_owned(), target: target.to_owned(), release, phase: Phase::Told(due) }
    }

    /// When it goes on by itself.
    pub(super) fn due(&self) -> Option<DateTime<Utc>> {
        match self.phase {
            Phase::Told(at) | Phase::Asked(at) | Phase::Writing(at) | Phase::Settling(at) | Phase::Uncordoning(at) => Some(at),
            Phase::Draining(drain) => Some(drain.next),
            Phase::Booting => None,
        }
    }

    /// Goes on if it is time; says whether the node is done.
    pub(super) fn step(&mut self, cx: &mut Cx<'_>, node: &str, rng: &mut Rng) -> bool {
        if self.due().is_some_and(|at| at > cx.now) {
            return false;
        }
        match self.phase {
            Phase::Told(_) => return self.weigh(cx, node, rng),
            Phase::Asked(_) => {
                cordon(cx, node);
                self.phase = Phase::Draining(Drain::new(cx.now));
            }
            Phase::Draining(drain) => self.drain(cx, node, drain, rng),
            Phase::Writing(_) => {
                cx.shared.reboot(node, self.release.clone(), cx.now, rng);
                self.phase = Phase::Booting;
            }
            Phase::Booting => {
                let ready = cx.mirror.nodes.get(node).is_some_and(|n| node_ready(n));
                if ready && cx.shared.is_up(node) {
                    self.phase = Phase::Settling(cx.in_seconds(rng.range(5..20)));
                }
            }
            Phase::Settling(_) => {
                let uncordon = format!("uncordon-{}", self.target);
                set(cx, node, &[("desiredDrain", &uncordon)]);
                self.phase = Phase::Uncordoning(cx.in_seconds(rng.range(2..6)));
            }
            Phase::Uncordoning(_) => {
                uncordon(cx, node, &self.target);
                return true;
            }
        }
        false
    }

    /// Looks at what the new config changes; says whether the node is done with it.
    fn weigh(&mut self, cx: &mut Cx<'_>, node: &str, rng: &mut Rng) -> bool {
        let current = cx.mirror.nodes.get(node).map_or_else(String::new, |n| annotation(n, &mco("currentConfig")).to_owned());
        match configs::change(cx, &current, &self.target) {
            Change::Missing(config) => {
                set(cx, node, &[("state", "Degraded"), ("reason", &configs::not_found(&config))]);
                return true;
            }
            Change::Rename => {
                set(cx, node, &[("state", "Working"), ("reason", "")]);
                self.phase = Phase::Settling(cx.in_seconds(rng.range(1..4)));
            }
            // There is nowhere for the pods of a single node to go.
            Change::Reboot if cx.shared.shape.control_plane == 1 => {
                set(cx, node, &[("state", "Working"), ("reason", "")]);
                self.write(cx, rng);
            }
            Change::Reboot => {
                let drain = format!("drain-{}", self.target);
                set(cx, node, &[("state", "Working"), ("reason", ""), ("desiredDrain", &drain)]);
                self.phase = Phase::Asked(cx.in_seconds(rng.range(1..4)));
            }
        }
        false
    }

    fn write(&mut self, cx: &Cx<'_>, rng: &mut Rng) {
        let takes = minutes(rng.lognormal(cx.shared.shape.timing.write_minutes, SIGMA));
        self.phase = Phase::Writing(cx.now + takes);
    }

    fn drain(&mut self, cx: &mut Cx<'_>, node: &str, mut drain: Drain, rng: &mut Rng) {
        // Somebody else's uncordon is undone.
        if cx.mirror.nodes.get(node).is_some_and(|n| !cordoned(n)) {
            cordon(cx, node);
        }
        if drain.ask(cx, node) {
            let applied = format!("drain-{}", self.target);
            set(cx, node, &[("lastAppliedDrain", &applied), ("state", "Working"), ("reason", "")]);
            self.write(cx, rng);
            return;
        }
        if drain.is_overdue(cx.now) {
            drain.reported = true;
            let reason = format!(
                "failed to drain node: {node} after 1 hour. Please see machine-config-controller logs for more information"
            );
            set(cx, node, &[("state", "Degraded"), ("reason", &reason)]);
        }
        self.phase = Phase::Draining(drain);
    }
}

fn set(cx: &Cx<'_>, node: &str, annotations: &[(&str, &str)]) {
    cx.modify(&NODES, None, node, |n| {
        for (key, value) in annotations {
            annotate(n, &mco(key), value);
        }
    });
}

fn cordon(cx: &Cx<'_>, node: &str) {
    cx.modify(&NODES, None, node, |n| {
        n["spec"]["unschedulable"] = json!(true);
        add_taint(n, UNSCHEDULABLE, "NoSchedule");
        let taints = n["spec"]["taints"].as_array_mut().into_iter().flatten();
        for taint in taints.filter(|t| t["key"] == UNSCHEDULABLE) {
            taint["timeAdded"] = json!(rfc3339(cx.now));
        }
    });
}

fn uncordon(cx: &Cx<'_>, node: &str, target: &str) {
    cx.modify(&NODES, None, node, |n| {
        n["spec"].as_object_mut().map(|s| s.remove("unschedulable"));
        remove_taints(n, UNSCHEDULABLE);
        let applied = n["metadata"]["annotations"][mco("desiredDrain")].clone();
        annotate(n, &mco("lastAppliedDrain"), applied.as_str().unwrap_or_default());
        annotate(n, &mco("currentConfig"), target);
        annotate(n, &mco("state"), "Done");
        annotate(n, &mco("reason"), "");
    });
}
