//! The ClusterOperator `machine-config`: done with a release when the control plane's nodes are.

use serde_json::{Value, json};

use crate::controllers::Cx;
use crate::store::resources::{CLUSTEROPERATORS, MACHINECONFIGPOOLS, MACHINECONFIGS};
use crate::world::graph::{Release, parse};
use crate::world::json::{Said, condition, condition_is, name, set_condition, text};
use crate::world::operators::{MACHINE_CONFIG, Operator};
use crate::world::pools::RELEASE;

/// The last minor version whose operator objects to a minor update while pools are updating.
const OBJECTS_WHILE_UPDATING: u64 = 16;
/// How many minor versions kubelets may be behind before the next minor update is forbidden.
const SUPPORTED_SKEW: u64 = 1;

/// Writes the operator's status for the release that it renders from.
pub(super) fn report(cx: &Cx<'_>, release: &Release) {
    let Some(operator) = Operator::named(MACHINE_CONFIG) else { return };
    let Some(object) = cx.store.get(&CLUSTEROPERATORS, None, MACHINE_CONFIG) else { return };
    let pools = cx.store.list(&MACHINECONFIGPOOLS);
    let pools: Vec<&Value> = pools.iter().map(|p| &**p).collect();
    let running = operator_version(&object);
    let rolling = running != release.version;
    let required: Vec<&&Value> = pools.iter().filter(|p| is_required(p)).collect();
    let complete = rolling && required.iter().all(|p| has_rolled_out(cx, p, release));
    let upgradeable = upgradeable(cx, &pools, parse(if complete { &release.version } else { &running }).minor);
    let degraded = required.iter().filter(|_| rolling && !complete).find(|p| condition_is(p, "Degraded", "True"));
    let degraded =
        degraded.map_or_else(Said::no, |pool| Said::new("True", "RequiredPoolsFailed", not_ready(pool, &release.version)));
    let scripted = cx.shared.board.degraded(MACHINE_CONFIG);
    let objection = cx.shared.shape.not_upgradeable.iter().any(|o| o.operator == MACHINE_CONFIG);
    cx.modify(&CLUSTEROPERATORS, None, MACHINE_CONFIG, |o| {
        if complete {
            let [available, progressing, _] = operator.healthy(&release.version, 0, 0);
            o["status"]["versions"] = operator.versions(&release.version, &release.kubelet());
            set_condition(o, "Available", &Said::new("True", "AsExpected", available), cx.now);
            set_condition(o, "Progressing", &Said::new("False", "", progressing), cx.now);
        }
        o["status"]["extension"] =
            pools.iter().map(|p| (name(p).to_owned(), json!(summary(p)))).collect::<serde_json::Map<_, _>>().into();
        if !scripted {
            set_condition(o, "Degraded", &degraded, cx.now);
        }
        if !objection {
            set_condition(o, "Upgradeable", &upgradeable, cx.now);
        }
    });
}

fn operator_version(object: &Value) -> String {
    let versions = object["status"]["versions"].as_array().into_iter().flatten();
    versions.filter(|v| v["name"] == "operator").map(|v| text(v, "/version").to_owned()).next().unwrap_or_default()
}

fn is_required(pool: &Value) -> bool {
    !pool["metadata"]["labels"]["operator.machineconfiguration.openshift.io/required-for-upgrade"].is_null()
}

/// Whether all nodes of a pool run a config that was rendered from the release.
fn has_rolled_out(cx: &Cx<'_>, pool: &Value, release: &Release) -> bool {
    let target = text(pool, "/spec/configuration/name");
    let from_release = cx
        .store
        .get(&MACHINECONFIGS, None, target)
        .is_some_and(|mc| mc["metadata"]["annotations"][RELEASE] == release.version.as_str());
    from_release && text(pool, "/status/configuration/name") == target && condition_is(pool, "Updated", "True")
}

fn not_ready(pool: &Value, version: &str) -> String {
    let count = |key: &str| pool["status"][key].as_u64().unwrap_or(0);
    let detail = condition(pool, "NodeDegraded").map_or("", |c| text(c, "/message"));
    format!(
        "Unable to apply {version}: error during syncRequiredMachineConfigPools: [context deadline exceeded, error required \
         MachineConfigPool {} is not ready, retrying. Status: (total: {}, ready {}, updated: {}, unavailable: {}, degraded: {})] {detail}",
        name(pool),
        count("machineCount"),
        count("readyMachineCount"),
        count("updatedMachineCount"),
        count("unavailableMachineCount"),
        count("degradedMachineCount"),
    )
}

fn upgradeable(cx: &Cx<'_>, pools: &[&Value], minor: u64) -> Said {
    let any = |kind: &str| pools.iter().any(|p| condition_is(p, kind, "True"));
    if any("Degraded") {
        let message = "One or more machine config pools are degraded, please see `oc get mcp` for further details and resolve before upgrading";
        return Said::new("False", "DegradedPool", message);
    }
    if minor <= OBJECTS_WHILE_UPDATING && any("Updating") {
        let message = "One or more machine config pools are updating, please see `oc get mcp` for further details";
        return Said::new("False", "PoolUpdating", message);
    }
    let control_plane = minor + 13;
    let oldest = cx.mirror.nodes.values().filter_map(|n| kubelet_minor(n)).min().unwrap_or(control_plane);
    match control_plane.saturating_sub(oldest) {
        0 => Said::new("True", "AsExpected", ""),
        skew if skew <= SUPPORTED_SKEW => Said::new(
            "True",
            "KubeletSkewPresent",
            "One or more nodes have an older kubelet than the control plane; this is supported",
        ),
        _ => {
            let message = format!(
                "One or more nodes have an unsupported kubelet version skew. Please see `oc get nodes` for details and upgrade all nodes \
                 so that they have a kubelet version of at least 1.{}.",
                control_plane - SUPPORTED_SKEW
            );
            Said::new("False", "KubeletSkewUnsupported", message)
        }
    }
}

/// The minor version of a node's kubelet, from `v1.29.10+67d3387`.
fn kubelet_minor(node: &Value) -> Option<u64> {
    text(node, "/status/nodeInfo/kubeletVersion").split('.').nth(1)?.parse().ok()
}

/// What `status.extension` says of a pool.
fn summary(pool: &Value) -> String {
    let count = |key: &str| pool["status"][key].as_u64().unwrap_or(0);
    let (total, updated, ready) = (count("machineCount"), count("updatedMachineCount"), count("readyMachineCount"));
    let target = text(pool, "/spec/configuration/name");
    if condition_is(pool, "Updated", "True") {
        format!("all {total} nodes are at latest configuration {target}")
    } else {
        format!("{updated} (ready {ready}) out of {total} nodes are updating to latest configuration {target}")
    }
}
