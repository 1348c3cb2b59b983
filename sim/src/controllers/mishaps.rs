//! What the rarer scripted faults do to the cluster.

use serde_json::json;

use super::Cx;
use super::disruptions::{LEGACY, node_name, settle_on};
use super::hosts::{add_taint, remove_taints};
use crate::kube_ovn::Database;
use crate::scenario::{Pressure, WorldFault};
use crate::store::Preconditions;
use crate::store::resources::{CERTIFICATESIGNINGREQUESTS, MACHINES, NODES, PODS};
use crate::world::json::{Said, annotation, cordoned, name, set_condition, text};
use crate::world::nodes::{MACHINE_API, mco};
use crate::world::shape::PodRequests;
use crate::world::workloads::Workload;

/// The finalizer of a pod that does not end.
const FINALIZER: &str = "example.com/flush-before-exit";

/// Begins a fault.
pub(super) fn begin(cx: &mut Cx<'_>, fault: &WorldFault) {
    match fault {
        WorldFault::NodeOff { node, minutes, .. } => {
            let back = minutes.map(|m| cx.now + super::minutes(m));
            cx.shared.lose_power(&node_name(node), cx.now, back);
        }
        WorldFault::NodePressure { node, of, .. } => press(cx, &node_name(node), *of, true),
        WorldFault::SigningRequestPending { node, .. } => request_certificate(cx, &node_name(node)),
        WorldFault::PodStuck { node, .. } => {
            let node = node_name(node);
            settle_on(cx, &stuck(&node), &node, &[FINALIZER]);
        }
        WorldFault::MachineDeleted { node, .. } => delete_machine(cx, &node_name(node)),
        WorldFault::RiskChanged { from, to, risk, applies, .. } => {
            cx.shared.republish(|graph| graph.judge_risk(from, to, risk, *applies));
        }
        WorldFault::ClockJump { hours, .. } => cx.store.clock().jump(super::minutes(hours * 60.0).num_milliseconds()),
        WorldFault::RaftCut { node, .. }
        | WorldFault::RaftHangs { node, .. }
        | WorldFault::RaftCrashes { node, .. }
        | WorldFault::RaftRejoins { node, .. } => disturb(cx, fault, &node_name(node), true),
        // The disruptions themselves begin these.
        WorldFault::DrainBlocked { .. }
        | WorldFault::NodeStuck { .. }
        | WorldFault::NodeCordoned { .. }
        | WorldFault::NodeSilent { .. }
        | WorldFault::OperatorDegraded { .. }
        | WorldFault::OperatorSlow { .. }
        | WorldFault::UpdateRefused { .. }
        | WorldFault::PoolDegraded { .. }
        | WorldFault::EdgeWithdrawn { .. }
        | WorldFault::MachineConfigAdded { .. }
        | WorldFault::PoolPaused { .. }
        | WorldFault::SignerEnds { .. }
        | WorldFault::EtcdSlow { .. }
        | WorldFault::NodeRebootsTwice { .. }
        | WorldFault::NodeUncordoned { .. } => {}
    }
}

/// Ends a fault that lasted its minutes; another actor's work is only done then.
pub(super) fn end(cx: &Cx<'_>, fault: &WorldFault) {
    if let WorldFault::NodePressure { node, of, .. } = fault {
        press(cx, &node_name(node), *of, false);
    } else if let WorldFault::SigningRequestPending { node, .. } = fault {
        approve(cx, &request_name(&node_name(node)));
    } else if let WorldFault::NodeUncordoned { node, .. } = fault {
        uncordon(cx, &node_name(node));
    } else if let WorldFault::RaftCut { node, .. } | WorldFault::RaftHangs { node, .. } = fault {
        disturb(cx, fault, &node_name(node), false);
    } else if let WorldFault::PodStuck { node, .. } = fault {
        let prefix = stuck(&node_name(node)).name;
        for ((_, pod), _) in cx.mirror.pods_in(LEGACY).filter(|((_, pod), _)| pod.starts_with(&prefix)) {
            cx.modify(&PODS, Some(LEGACY), pod, |p| p["metadata"]["finalizers"] = json!([]));
        }
    }
}

/// Disturbs what runs in a node's pod of ovn-central, or leaves it alone again.
fn disturb(cx: &Cx<'_>, fault: &WorldFault, node: &str, on: bool) {
    let Some(kube_ovn) = &cx.shared.kube_ovn else { return };
    if matches!(fault, WorldFault::RaftCut { .. }) {
        kube_ovn.cut(node, on);
    } else if matches!(fault, WorldFault::RaftHangs { .. }) {
        kube_ovn.hang(node, on);
    } else if matches!(fault, WorldFault::RaftRejoins { .. }) {
        kube_ovn.rejoin(node);
    } else {
        for database in Database::BOTH {
            kube_ovn.crash(node, database);
        }
    }
}

/// Whether another actor's moment has come: its node is being drained.
pub(super) fn may_meddle(cx: &Cx<'_>, fault: &WorldFault) -> bool {
    let WorldFault::NodeUncordoned { node, .. } = fault else { return false };
    let Some(object) = cx.mirror.nodes.get(&node_name(node)) else { return false };
    let (wished, applied) = (annotation(object, &mco("desiredDrain")), annotation(object, &mco("lastAppliedDrain")));
    cordoned(object) && wished.starts_with("drain-") && wished != applied
}

fn uncordon(cx: &Cx<'_>, node: &str) {
    cx.modify(&NODES, None, node, |n| {
        n["spec"].as_object_mut().map(|spec| spec.remove("unschedulable"));
        remove_taints(n, "node.kubernetes.io/unschedulable");
    });
}

fn press(cx: &Cx<'_>, node: &str, of: Pressure, on: bool) {
    let (kind, short, long) = match of {
        Pressure::Disk => ("DiskPressure", "KubeletHasDiskPressure", "kubelet has disk pressure"),
        Pressure::Memory => ("MemoryPressure", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
        Pressure::Pid => ("PIDPressure", "KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
    };
    let taint = match of {
        Pressure::Disk => "node.kubernetes.io/disk-pressure",
        Pressure::Memory => "node.kubernetes.io/memory-pressure",
        Pressure::Pid => "node.kubernetes.io/pid-pressure",
    };
    cx.modify(&NODES, None, node, |n| {
        if on {
            set_condition(n, kind, &Said::new("True", short, long), cx.now);
            add_taint(n, taint, "NoSchedule");
        } else {
            set_condition(n, kind, &Said::new("False", "KubeletHasEnoughAgain", "kubelet has enough again"), cx.now);
            remove_taints(n, taint);
        }
    });
}

fn request_name(node: &str) -> String {
    format!("csr-{node}")
}

fn request_certificate(cx: &Cx<'_>, node: &str) {
    let user = format!("system:node:{node}");
    let request = json!({
        "metadata": { "name": request_name(node) },
        "spec": { "signerName": "kubernetes.io/kubelet-serving", "username": user, "groups": ["system:nodes", "system:authenticated"],
            "usages": ["digital signature", "server auth"], "request": "" },
        "status": {},
    });
    cx.create(&CERTIFICATESIGNINGREQUESTS, request);
}

fn approve(cx: &Cx<'_>, request: &str) {
    let said = Said::new("True", "ApprovedByAdministrator", "approved by hand");
    cx.modify(&CERTIFICATESIGNINGREQUESTS, None, request, |r| set_condition(r, "Approved", &said, cx.now));
}

fn stuck(node: &str) -> Workload {
    Workload {
        namespace: LEGACY.into(),
        name: format!("ledger-{node}"),
        replicas: 1,
        role: "worker".into(),
        grace: 10,
        requests: PodRequests::default(),
        budget: None,
    }
}

fn delete_machine(cx: &mut Cx<'_>, node: &str) {
    let machines = cx.store.list(&MACHINES);
    let Some(machine) = machines.iter().find(|m| text(m, "/status/nodeRef/name") == node) else { return };
    // A machine that somebody deletes already is not the scenario's.
    let untouched = !machine["metadata"]["deletionTimestamp"].is_string();
    match cx.store.delete(&MACHINES, Some(MACHINE_API), name(machine), &Preconditions::default()) {
        Ok(_) if untouched => cx.shared.board.note_deleted(name(machine)),
        Ok(_) | Err(_) => tracing::debug!(node, "the machine was gone or going already"),
    }
}
