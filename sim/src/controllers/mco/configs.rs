//! Rendered configs that nodes name: whether they are there, and what a change from one to another costs.

use serde_json::Value;

use crate::controllers::Cx;
use crate::store::Preconditions;
use crate::store::resources::{MACHINECONFIGS, NODES};
use crate::world::json::{annotate, annotation, name};
use crate::world::nodes::mco;

/// The end of what a node reports when a config is gone.
const NOT_FOUND: &str = "not found";

/// What a node has to do to get from one config to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing but to take the new name: the contents are the same.
    Rename,
    /// Write the operating system anew and reboot.
    Reboot,
    /// It can't: this config is gone.
    Missing(String),
}

/// What a change of a node from `current` to `target` costs.
pub(super) fn change(cx: &Cx<'_>, current: &str, target: &str) -> Change {
    let config = |name: &str| cx.store.get(&MACHINECONFIGS, None, name).ok_or_else(|| name.to_owned());
    match (config(current), config(target)) {
        (Err(missing), _) | (_, Err(missing)) => Change::Missing(missing),
        (Ok(old), Ok(new)) if old["spec"] == new["spec"] => Change::Rename,
        (Ok(_), Ok(_)) => Change::Reboot,
    }
}

/// What a node reports whose config is gone.
pub(super) fn not_found(config: &str) -> String {
    format!("machineconfig.machineconfiguration.openshift.io \"{config}\" {NOT_FOUND}")
}

/// Removes what a pool that is gone rendered, as the garbage collector does.
pub(super) fn collect(cx: &Cx<'_>, pool_uid: &Value) {
    let owned = |mc: &Value| mc.pointer("/metadata/ownerReferences/0/uid") == Some(pool_uid);
    for config in cx.store.list(&MACHINECONFIGS).iter().filter(|mc| owned(mc)) {
        if cx.store.delete(&MACHINECONFIGS, None, name(config), &Preconditions::default()).is_err() {
            tracing::debug!(config = name(config), "a rendered config was gone already");
        }
    }
}

/// Lets the nodes report whose configs are gone, and recover those whose configs are there again.
pub(super) fn judge_nodes(cx: &Cx<'_>) {
    for (node, object) in &cx.mirror.nodes {
        let named = ["currentConfig", "desiredConfig"].map(|key| annotation(object, &mco(key)));
        let missing = named.into_iter().find(|config| cx.store.get(&MACHINECONFIGS, None, config).is_none());
        let reported = annotation(object, &mco("reason")).ends_with(NOT_FOUND);
        let (state, reason) = match missing {
            Some(config) => ("Degraded", not_found(config)),
            None if reported => ("Done", String::new()),
            None => continue,
        };
        cx.modify(&NODES, None, node, |n| {
            annotate(n, &mco("state"), state);
            annotate(n, &mco("reason"), &reason);
        });
    }
}
