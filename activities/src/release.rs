//! Releases, named by version and pinned by digest.

use semver::Version;
use serde::{Deserialize, Serialize};

/// A release, pinned: the version is for people, the image is what counts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Release {
    /// The version.
    pub version: Version,
    /// The release image by digest.
    pub image: String,
}

impl Release {
    /// The image's digest; the whole image if it has none.
    pub fn digest(&self) -> &str {
        self.image.rsplit_once('@').map_or(self.image.as_str(), |(_, digest)| digest)
    }
}
