use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::view;

/// Where nodes fetch images by digest instead.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DigestMirrorSet {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// The rules.
    pub spec: DigestMirrorSpec,
}
view!(DigestMirrorSet, Cluster, "config.openshift.io", "v1", "ImageDigestMirrorSet", "imagedigestmirrorsets");

/// The rules of a mirror set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DigestMirrorSpec {
    /// One rule a source.
    #[serde(deserialize_with = "super::nullable")]
    pub image_digest_mirrors: Vec<MirrorRule>,
}

/// The same in its older form, which clusters may still have.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ContentSourcePolicy {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// The rules.
    pub spec: ContentSourceSpec,
}
view!(
    ContentSourcePolicy,
    Cluster,
    "operator.openshift.io",
    "v1alpha1",
    "ImageContentSourcePolicy",
    "imagecontentsourcepolicies"
);

/// The rules of a content source policy.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContentSourceSpec {
    /// One rule a source.
    #[serde(deserialize_with = "super::nullable")]
    pub repository_digest_mirrors: Vec<MirrorRule>,
}

/// One source and its mirrors.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MirrorRule {
    /// The registry, or a path on it.
    pub source: String,
    /// Where the same digests are found.
    #[serde(deserialize_with = "super::nullable")]
    pub mirrors: Vec<String>,
}

impl DigestMirrorSet {
    /// Each source with its mirrors.
    pub fn mirrors(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.spec.image_digest_mirrors.iter().map(MirrorRule::pair)
    }
}

impl ContentSourcePolicy {
    /// Each source with its mirrors.
    pub fn mirrors(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.spec.repository_digest_mirrors.iter().map(MirrorRule::pair)
    }
}

impl MirrorRule {
    fn pair(&self) -> (&str, &[String]) {
        (&self.source, &self.mirrors)
    }
}
