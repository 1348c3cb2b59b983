//! The scripted faults of the cluster: when they begin, what they change, when they end.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::mirror::News;
use super::{Controller, Cx, earlier, minutes, mishaps};
use crate::scenario::{Refusal, When, WorldFault};
use crate::store::Preconditions;
use crate::store::resources::{
    CLUSTEROPERATORS, DEPLOYMENTS, MACHINECONFIGPOOLS, MACHINECONFIGS, NAMESPACES, NODES, PDBS, PODS, REPLICASETS, SECRETS,
};
use crate::world::config::{SIGNER, signer_annotations};
use crate::world::json::{Said, annotate, annotation, name, set_condition};
use crate::world::nodes::mco;
use crate::world::pools::{cert_expirys, machine_config};
use crate::world::shape::PodRequests;
use crate::world::workloads::{Workload, budget_object, deployment_objects, pod_of, start};

/// How long a drain goes on before another actor undoes its cordon: between two questions of the operator, who would undo that at once.
const MEDDLES_AFTER: TimeDelta = TimeDelta::seconds(62);
/// The file that an added machine config writes.
const ADDED_FILE: &str = "/etc/sysctl.d/99-added.conf";
/// The namespace of the pods that block drains.
pub(super) const LEGACY: &str = "legacy";

/// All scripted faults and how far each is.
#[derive(Debug)]
pub(super) struct Board {
    slots: Vec<(WorldFault, State)>,
    deleted: BTreeSet<String>,
}

/// How a reboot is scripted to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScriptedReboot {
    AsUsual,
    BackAt(DateTime<Utc>),
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Active { until: Option<DateTime<Utc>> },
    Over,
}

impl Board {
    pub(super) fn new(faults: Vec<WorldFault>) -> Self {
        Self { slots: faults.into_iter().map(|fault| (fault, State::Waiting)).collect(), deleted: BTreeSet::new() }
    }

    /// Adds a fault to those that were scripted from the start.
    pub(super) fn add(&mut self, fault: WorldFault) {
        self.slots.push((fault, State::Waiting));
    }

    /// Notes a machine that the scenario deleted.
    pub(super) fn note_deleted(&mut self, machine: &str) {
        self.deleted.insert(machine.to_owned());
    }

    /// Whether the scenario deleted this machine.
    pub(super) fn deleted(&self, machine: &str) -> bool {
        self.deleted.contains(machine)
    }

    fn active(&mut self) -> impl Iterator<Item = &mut (WorldFault, State)> {
        self.slots.iter_mut().filter(|(_, state)| matches!(state, State::Active { .. }))
    }

    /// How a reboot that starts now is scripted to go.
    pub(super) fn reboot(&mut self, node: &str, now: DateTime<Utc>) -> ScriptedReboot {
        let found = self.active().find_map(|(fault, state)| {
            let WorldFault::NodeStuck { node: stuck, minutes: scripted, .. } = fault else { return None };
            (node_name(stuck) == node).then(|| {
                *state = State::Over;
                scripted.map_or(ScriptedReboot::Never, |m| ScriptedReboot::BackAt(now + minutes(m)))
            })
        });
        found.unwrap_or(ScriptedReboot::AsUsual)
    }

    /// How much longer an operator's update takes that starts now.
    pub(super) fn slowness(&mut self, operator: &str) -> (f64, TimeDelta) {
        let (mut factor, mut extra) = (1.0, TimeDelta::zero());
        for (fault, state) in self.active() {
            if let WorldFault::EtcdSlow { factor: slow, .. } = fault {
                factor *= slow.max(1.0);
            } else if let WorldFault::OperatorSlow { operator: slow, minutes: more, .. } = fault
                && slow == operator
            {
                extra += minutes(*more);
                *state = State::Over;
            }
        }
        (factor, extra)
    }

    /// Why a release cannot be loaded now.
    pub(super) fn refusal(&mut self, version: &str, now: DateTime<Utc>) -> Option<Refusal> {
        self.active().find_map(|(fault, state)| {
            let WorldFault::UpdateRefused { reason, version: only, minutes: scripted, .. } = fault else { return None };
            if only.as_ref().is_some_and(|v| v != version) {
                return None;
            }
            // The first try starts its clock, and a later one may find that it has run out.
            match (*state, *scripted) {
                (State::Active { until: Some(until) }, _) if until <= now => {
                    *state = State::Over;
                    return None;
                }
                (State::Active { until: None }, Some(m)) => *state = State::Active { until: Some(now + minutes(m)) },
                (State::Waiting | State::Active { .. } | State::Over, _) => {}
            }
            Some(*reason)
        })
    }

    /// Whether a node that has just booted is scripted to boot once more; asked, it is used up.
    pub(super) fn boots_again(&mut self, node: &str) -> bool {
        let found = self
            .active()
            .find(|(fault, _)| matches!(fault, WorldFault::NodeRebootsTwice { node: twice, .. } if node_name(twice) == node));
        found.map(|(_, state)| *state = State::Over).is_some()
    }

    /// Whether an operator is scripted to be degraded now.
    pub(super) fn degraded(&self, operator: &str) -> bool {
        self.slots.iter().any(|(fault, state)| {
            matches!(state, State::Active { .. })
                && matches!(fault, WorldFault::OperatorDegraded { operator: o, .. } if o == operator)
        })
    }
}

/// Whether two rendered configs differ in nothing but the files of machine configs that a scenario added.
pub(super) fn differ_by_script(old: &Value, new: &Value) -> bool {
    let without = |rendered: &Value| {
        let mut spec = rendered["spec"].clone();
        if let Some(files) = spec.pointer_mut("/config/storage/files").and_then(Value::as_array_mut) {
            files.retain(|file| file["path"] != ADDED_FILE);
        }
        spec
    };
    old["spec"] != new["spec"] && without(old) == without(new)
}

/// A node as scripts name it: `worker/0` is the first of its pool.
pub(super) fn node_name(text: &str) -> String {
    text.replacen('/', "-", 1)
}

/// Begins and ends the scripted faults.
pub(super) struct Disruptions;

impl Controller for Disruptions {
    fn name(&self) -> &'static str {
        "disruptions"
    }

    fn concerns(&self, news: &News) -> bool {
        // Another actor meddles with nodes that are being drained.
        !news.nodes.is_empty()
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        let mut due = None;
        for index in 0..cx.shared.board.slots.len() {
            let (fault, state) = cx.shared.board.slots[index].clone();
            let next = step(cx, &fault, state);
            // A fault that was used up meanwhile stays so.
            if cx.shared.board.slots[index].1 == state {
                cx.shared.board.slots[index].1 = next;
            }
            due = earlier(
                due,
                match next {
                    State::Waiting => begins(cx, fault.when()),
                    State::Active { until } => until,
                    State::Over => None,
                },
            );
        }
        due
    }
}

fn step(cx: &mut Cx<'_>, fault: &WorldFault, state: State) -> State {
    match state {
        State::Waiting if begins(cx, fault.when()).is_some_and(|at| at <= cx.now) => {
            begin(cx, fault);
            // A refusal counts its minutes from the first try.
            let counted = !matches!(fault, WorldFault::UpdateRefused { .. } | WorldFault::NodeStuck { .. });
            State::Active { until: fault.minutes().filter(|_| counted).map(|m| cx.now + minutes(m)) }
        }
        State::Active { until: Some(until) } if until <= cx.now => {
            end(cx, fault);
            State::Over
        }
        State::Active { until: None } if mishaps::may_meddle(cx, fault) => State::Active { until: Some(cx.now + MEDDLES_AFTER) },
        State::Waiting | State::Active { .. } | State::Over => state,
    }
}

fn begins(cx: &Cx<'_>, when: When) -> Option<DateTime<Utc>> {
    let from = match when.update {
        None => Some(cx.shared.started),
        Some(nth) => {
            let index = usize::try_from(nth.max(1) - 1).unwrap_or(usize::MAX);
            cx.shared.accepted.get(index).copied()
        }
    };
    from.map(|at| at + minutes(when.after_minutes))
}

fn begin(cx: &mut Cx<'_>, fault: &WorldFault) {
    match fault {
        WorldFault::DrainBlocked { node, .. } => block_drain(cx, &node_name(node)),
        WorldFault::NodeCordoned { node, .. } => {
            cx.modify(&NODES, None, &node_name(node), |n| n["spec"]["unschedulable"] = json!(true));
        }
        WorldFault::NodeSilent { node, minutes: for_minutes, .. } => {
            let back = for_minutes.map(|m| cx.now + minutes(m));
            cx.shared.fall_silent(&node_name(node), cx.now, back);
        }
        WorldFault::OperatorDegraded { operator, reason, message, .. } => {
            degrade(cx, operator, &Said::new("True", reason, message));
        }
        WorldFault::PoolDegraded { pool, reason, .. } => break_node(cx, pool, reason),
        WorldFault::EdgeWithdrawn { from, to, .. } => {
            cx.shared.republish(|graph| {
                graph.withdraw(from, to);
            });
        }
        WorldFault::MachineConfigAdded { pool, .. } => {
            let name = format!("99-{pool}-added-{}", cx.now.timestamp() % 100_000);
            cx.create(&MACHINECONFIGS, machine_config(&name, pool, ADDED_FILE));
        }
        WorldFault::PoolPaused { pool, .. } => {
            cx.modify(&MACHINECONFIGPOOLS, None, pool, |p| p["spec"]["paused"] = json!(true));
        }
        WorldFault::SignerEnds { days, .. } => {
            let (ns, secret) = SIGNER;
            let annotations = signer_annotations(cx.now + TimeDelta::days(*days));
            cx.modify(&SECRETS, Some(ns), secret, |s| s["metadata"]["annotations"] = annotations);
            for pool in cx.store.list(&MACHINECONFIGPOOLS) {
                cx.modify(&MACHINECONFIGPOOLS, None, name(&pool), |p| p["status"]["certExpirys"] = cert_expirys(cx.now, *days));
            }
        }
        WorldFault::NodeOff { .. }
        | WorldFault::NodePressure { .. }
        | WorldFault::SigningRequestPending { .. }
        | WorldFault::PodStuck { .. }
        | WorldFault::MachineDeleted { .. }
        | WorldFault::RiskChanged { .. }
        | WorldFault::ClockJump { .. }
        | WorldFault::RaftCut { .. }
        | WorldFault::RaftHangs { .. }
        | WorldFault::RaftCrashes { .. }
        | WorldFault::RaftRejoins { .. } => mishaps::begin(cx, fault),
        // These wait until somebody runs into them.
        WorldFault::NodeStuck { .. }
        | WorldFault::NodeRebootsTwice { .. }
        | WorldFault::NodeUncordoned { .. }
        | WorldFault::OperatorSlow { .. }
        | WorldFault::UpdateRefused { .. }
        | WorldFault::EtcdSlow { .. } => {}
    }
}

fn end(cx: &mut Cx<'_>, fault: &WorldFault) {
    match fault {
        WorldFault::DrainBlocked { node, .. } => {
            let budget = blocker(&node_name(node)).name;
            if cx.store.delete(&PDBS, Some(LEGACY), &budget, &Preconditions::default()).is_err() {
                tracing::debug!(budget, "the budget that blocked a drain was gone already");
            }
        }
        WorldFault::NodeCordoned { node, .. } => {
            cx.modify(&NODES, None, &node_name(node), |n| {
                n["spec"].as_object_mut().map(|s| s.remove("unschedulable"));
            });
        }
        WorldFault::OperatorDegraded { operator, .. } => {
            degrade(cx, operator, &Said::new("False", "AsExpected", "All is well"));
            cx.shared.wake("cvo");
        }
        WorldFault::PoolDegraded { pool, reason, .. } => mend_nodes(cx, pool, reason),
        WorldFault::PoolPaused { pool, .. } => {
            cx.modify(&MACHINECONFIGPOOLS, None, pool, |p| p["spec"]["paused"] = json!(false));
        }
        WorldFault::NodePressure { .. }
        | WorldFault::SigningRequestPending { .. }
        | WorldFault::PodStuck { .. }
        | WorldFault::RaftCut { .. }
        | WorldFault::RaftHangs { .. }
        | WorldFault::NodeUncordoned { .. } => {
            mishaps::end(cx, fault);
        }
        // The hosts bring a silent node back, and the others have nothing to take back.
        WorldFault::NodeSilent { .. }
        | WorldFault::NodeOff { .. }
        | WorldFault::NodeStuck { .. }
        | WorldFault::OperatorSlow { .. }
        | WorldFault::UpdateRefused { .. }
        | WorldFault::EdgeWithdrawn { .. }
        | WorldFault::MachineConfigAdded { .. }
        | WorldFault::SignerEnds { .. }
        | WorldFault::NodeRebootsTwice { .. }
        | WorldFault::MachineDeleted { .. }
        | WorldFault::RiskChanged { .. }
        | WorldFault::ClockJump { .. }
        | WorldFault::RaftCrashes { .. }
        | WorldFault::RaftRejoins { .. }
        | WorldFault::EtcdSlow { .. } => {}
    }
}

fn degrade(cx: &Cx<'_>, operator: &str, said: &Said) {
    cx.modify(&CLUSTEROPERATORS, None, operator, |o| set_condition(o, "Degraded", said, cx.now));
}

fn blocker(node: &str) -> Workload {
    Workload {
        namespace: LEGACY.into(),
        name: format!("till-{node}"),
        replicas: 1,
        role: "worker".into(),
        grace: 10,
        requests: PodRequests::default(),
        budget: Some(json!({ "minAvailable": 1 })),
    }
}

/// Puts a pod on a node whose budget allows no disruption.
fn block_drain(cx: &Cx<'_>, node: &str) {
    let workload = blocker(node);
    if settle_on(cx, &workload, node, &[]).is_some()
        && let Some(budget) = budget_object(&workload, cx.now)
    {
        cx.create(&PDBS, budget);
    }
}

/// Runs a workload of one pod, with these finalizers, on one node and nowhere else; says what the pod is called.
pub(super) fn settle_on(cx: &Cx<'_>, workload: &Workload, node: &str, finalizers: &[&str]) -> Option<String> {
    let (mut deployment, mut set) = deployment_objects(workload);
    for object in [&mut deployment, &mut set] {
        object["spec"]["template"]["spec"]["nodeSelector"] = json!({ "kubernetes.io/hostname": node });
    }
    cx.create(&NAMESPACES, json!({ "metadata": { "name": LEGACY }, "status": { "phase": "Active" } }));
    let deployment = cx.create(&DEPLOYMENTS, deployment)?;
    set["metadata"]["ownerReferences"] = owner("Deployment", &deployment);
    let set = cx.create(&REPLICASETS, set)?;
    let mut pod = pod_of(&set["spec"]["template"], LEGACY, &format!("{}-x7k2p", name(&set)));
    pod["metadata"]["ownerReferences"] = owner("ReplicaSet", &set);
    if !finalizers.is_empty() {
        pod["metadata"]["finalizers"] = json!(finalizers);
    }
    start(&mut pod, node, &crate::clock::rfc3339(cx.now));
    cx.create(&PODS, pod).map(|pod| name(&pod).to_owned())
}

fn owner(kind: &str, object: &Value) -> Value {
    json!([{ "apiVersion": "apps/v1", "kind": kind, "name": name(object), "uid": object["metadata"]["uid"], "controller": true,
        "blockOwnerDeletion": true }])
}

/// Lets the first settled node of a pool report an error.
fn break_node(cx: &Cx<'_>, pool: &str, reason: &str) {
    let prefix = format!("rendered-{pool}-");
    let settled = cx
        .mirror
        .nodes
        .iter()
        .find(|(_, n)| annotation(n, &mco("currentConfig")).starts_with(&prefix) && annotation(n, &mco("state")) == "Done");
    let Some((node, _)) = settled else { return };
    cx.modify(&NODES, None, node, |n| {
        annotate(n, &mco("state"), "Degraded");
        annotate(n, &mco("reason"), reason);
    });
}

fn mend_nodes(cx: &Cx<'_>, pool: &str, reason: &str) {
    let prefix = format!("rendered-{pool}-");
    for (node, object) in &cx.mirror.nodes {
        if annotation(object, &mco("currentConfig")).starts_with(&prefix) && annotation(object, &mco("reason")) == reason {
            cx.modify(&NODES, None, node, |n| {
                annotate(n, &mco("state"), "Done");
                annotate(n, &mco("reason"), "");
            });
        }
    }
}
