//! The requests of a write in words, for plans: the same patch that is sent, without what is only known when it is.

use crate::cluster::Patch;
use crate::views::View;

/// The evidence in a result that a plan or a person takes for granted.
pub(crate) const ASSUMED: &str = "taken as done; nobody has looked";

/// `PATCH /apis/…/worker merge {"spec":{"paused":true}}`. Preconditions (`test` operations, resource versions) are left
/// out: they are read right before the write.
pub(crate) fn patch_line<K: View>(namespace: Option<&str>, name: &str, patch: &Patch) -> String {
    let (kind, body) = match patch {
        Patch::Merge(body) => ("merge", body.clone()),
        Patch::Json(body) => ("json", body.clone()),
    };
    format!("PATCH {}/{name} {kind} {}", K::url_path(&(), namespace), lasting(body))
}

fn lasting(mut body: serde_json::Value) -> serde_json::Value {
    if let Some(operations) = body.as_array_mut() {
        operations.retain(|operation| operation["op"] != "test");
    }
    if let Some(metadata) = body.get_mut("metadata").and_then(serde_json::Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
    body
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::views::{ClusterVersion, MachineConfigPool, MachineHealthCheck};

    #[test]
    fn a_request_is_told_without_its_preconditions() {
        let pause = Patch::Merge(json!({"spec": {"paused": true}}));
        assert_eq!(
            patch_line::<MachineConfigPool>(None, "worker", &pause),
            r#"PATCH /apis/machineconfiguration.openshift.io/v1/machineconfigpools/worker merge {"spec":{"paused":true}}"#
        );
        let annotate = Patch::Merge(json!({"metadata": {"annotations": {"a": "b"}, "resourceVersion": "7"}}));
        assert_eq!(
            patch_line::<MachineHealthCheck>(Some("openshift-machine-api"), "workers", &annotate),
            "PATCH /apis/machine.openshift.io/v1beta1/namespaces/openshift-machine-api/machinehealthchecks/workers merge \
             {\"metadata\":{\"annotations\":{\"a\":\"b\"}}}"
        );
        let wish = Patch::Json(json!([
            {"op": "test", "path": "/metadata/generation", "value": 3},
            {"op": "add", "path": "/spec/desiredUpdate", "value": {"version": "4.17.9"}},
        ]));
        assert_eq!(
            patch_line::<ClusterVersion>(None, "version", &wish),
            "PATCH /apis/config.openshift.io/v1/clusterversions/version json \
             [{\"op\":\"add\",\"path\":\"/spec/desiredUpdate\",\"value\":{\"version\":\"4.17.9\"}}]"
        );
    }
}
