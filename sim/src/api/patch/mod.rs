//! The four kinds of patch.

mod apply;
mod fields;
mod schema;
mod strategic;

use serde_json::Value;

pub(super) use apply::{Manager, apply, note_update};

use crate::store::{ApiError, Resource};

/// Media type of server-side apply.
pub(super) const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// How a patch states its change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PatchKind {
    /// RFC 6902: operations.
    Json,
    /// RFC 7386: a partial object.
    Merge,
    /// A partial object whose lists merge by key.
    Strategic,
    /// Server-side apply: the fields that a manager wants.
    Apply,
}

impl PatchKind {
    /// The kind that a content type names; custom resources have no strategic merge.
    pub(super) fn of(r: &Resource, content_type: &str) -> Result<Self, ApiError> {
        match content_type {
            JSON => Ok(Self::Json),
            MERGE => Ok(Self::Merge),
            APPLY => Ok(Self::Apply),
            STRATEGIC if !r.custom => Ok(Self::Strategic),
            _ => {
                let mut accepted = vec![JSON, MERGE, APPLY];
                if !r.custom {
                    accepted.insert(2, STRATEGIC);
                }
                let message = format!(
                    "the body of the request was in an unknown format - accepted media types include: {}",
                    accepted.join(", ")
                );
                Err(ApiError::new(415, "UnsupportedMediaType", message))
            }
        }
    }
}

/// The object as the patch leaves it; for all kinds but apply.
pub(super) fn patched(r: &Resource, kind: PatchKind, current: &Value, patch: &Value) -> Result<Value, ApiError> {
    let mut object = current.clone();
    match kind {
        PatchKind::Json => {
            let operations: json_patch::Patch =
                serde_json::from_value(patch.clone()).map_err(|e| ApiError::bad_request(format!("error decoding patch: {e}")))?;
            json_patch::patch(&mut object, &operations).map_err(|e| {
                ApiError::unprocessable(format!("the server rejected our request due to an error in our request: {e}"))
            })?;
        }
        PatchKind::Merge | PatchKind::Apply => {
            if !patch.is_object() {
                return Err(ApiError::bad_request("error decoding patch: a merge patch is a JSON object"));
            }
            json_patch::merge(&mut object, patch);
        }
        PatchKind::Strategic => strategic::merge(r, &mut object, patch)?,
    }
    if object.is_object() {
        return Ok(object);
    }
    Err(ApiError::unprocessable("the patch does not leave an object"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::resources::{CLUSTERVERSIONS, PODS};

    fn check(kind: PatchKind, patch: &Value, expect: &Result<Value, u16>) {
        let current = json!({ "a": { "b": 1, "c": [1, 2] }, "d": "x" });
        let got = patched(&PODS, kind, &current, patch).map_err(|e| e.code);
        assert_eq!(&got, expect, "{kind:?} {patch}");
    }

    #[test]
    fn json_patches() {
        let ops = |ops: Value| ops;
        check(
            PatchKind::Json,
            &ops(json!([{ "op": "replace", "path": "/d", "value": "y" }])),
            &Ok(json!({ "a": { "b": 1, "c": [1, 2] }, "d": "y" })),
        );
        check(
            PatchKind::Json,
            &ops(json!([{ "op": "add", "path": "/a/c/-", "value": 3 }])),
            &Ok(json!({ "a": { "b": 1, "c": [1, 2, 3] }, "d": "x" })),
        );
        check(
            PatchKind::Json,
            &ops(json!([{ "op": "test", "path": "/d", "value": "z" }, { "op": "remove", "path": "/d" }])),
            &Err(422),
        );
        check(PatchKind::Json, &ops(json!([{ "op": "remove", "path": "/nothing" }])), &Err(422));
        check(PatchKind::Json, &ops(json!({ "op": "remove" })), &Err(400));
        check(PatchKind::Json, &ops(json!([{ "op": "fly", "path": "/d" }])), &Err(400));
    }

    #[test]
    fn merge_patches() {
        check(PatchKind::Merge, &json!({ "a": { "b": null, "c": [9] } }), &Ok(json!({ "a": { "c": [9] }, "d": "x" })));
        check(
            PatchKind::Merge,
            &json!({ "new": { "deep": null } }),
            &Ok(json!({ "a": { "b": 1, "c": [1, 2] }, "d": "x", "new": {} })),
        );
        check(PatchKind::Merge, &json!("no"), &Err(400));
    }

    #[test]
    fn custom_resources_have_no_strategic_merge() {
        assert_eq!(PatchKind::of(&PODS, STRATEGIC), Ok(PatchKind::Strategic));
        assert_eq!(PatchKind::of(&CLUSTERVERSIONS, STRATEGIC).map_err(|e| e.code), Err(415));
        assert_eq!(PatchKind::of(&PODS, "application/json").map_err(|e| e.code), Err(415));
    }
}
