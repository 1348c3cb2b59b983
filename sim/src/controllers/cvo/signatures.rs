//! Whether a release's signature can be verified, and its image pulled.

use serde_json::Value;

use super::Request;
use crate::controllers::Cx;
use crate::store::resources::{CONFIGMAPS, IMAGECONTENTSOURCEPOLICIES, IMAGEDIGESTMIRRORSETS};
use crate::world::graph::{Release, digest};
use crate::world::json::{label, text};

/// The namespace of the ConfigMaps that hold signatures.
const NAMESPACE: &str = "openshift-config-managed";
/// The label by which they are found.
const LABEL: &str = "release.openshift.io/verification-signatures";

/// Why a release cannot be retrieved: its signature is out of reach, or its image is. Signatures of known releases are public.
pub(super) fn objection(cx: &Cx<'_>, request: &Request, release: Option<&Release>) -> Option<String> {
    let image = if request.image.is_empty() { release?.image() } else { request.image.clone() };
    let disconnected = cx.shared.shape.disconnected;
    let public = release.is_some() && !disconnected;
    let failed =
        |why: String| format!("Retrieving payload failed version=\"{}\" image=\"{image}\" failure={why}", request.version);
    if !request.force && !public && !is_signed(cx, digest(&image)) {
        let why = format!("unable to verify {} against keyrings: verifier-public-key-redhat", digest(&image));
        return Some(failed(format!("The update cannot be verified: {why}")));
    }
    (disconnected && !is_mirrored(cx, &image)).then(|| {
        let job = "deadline exceeded, reason: \"DeadlineExceeded\", message: \"Job was active longer than specified deadline\"";
        failed(format!("Unable to download and prepare the update: {job}"))
    })
}

fn is_signed(cx: &Cx<'_>, digest: &str) -> bool {
    let map = cx.store.get(&CONFIGMAPS, Some(NAMESPACE), &digest.replacen(':', "-", 1));
    let filled = |m: &Value, key: &str| m[key].as_object().is_some_and(|data| !data.is_empty());
    map.is_some_and(|m| label(&m, LABEL).is_some() && (filled(&m, "binaryData") || filled(&m, "data")))
}

/// Whether a repository of this cluster's own network has the image: the one it names, or one that its source is mirrored to.
fn is_mirrored(cx: &Cx<'_>, image: &str) -> bool {
    let repository = image.rsplit_once('@').map_or(image, |(repository, _)| repository);
    let within = |name: &str| repository == name || repository.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
    let sets = cx.store.list(&IMAGEDIGESTMIRRORSETS);
    let policies = cx.store.list(&IMAGECONTENTSOURCEPOLICIES);
    let listed = sets.iter().map(|s| &s["spec"]["imageDigestMirrors"]);
    let older = policies.iter().map(|p| &p["spec"]["repositoryDigestMirrors"]);
    listed.chain(older).filter_map(Value::as_array).flatten().any(|entry| {
        let mirrors = entry["mirrors"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let named: Vec<&str> = mirrors.collect();
        !named.is_empty() && (within(text(entry, "/source")) || named.into_iter().any(within))
    })
}
