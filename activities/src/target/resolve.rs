//! Resolving a wish to one release, pinned by digest.

use std::fmt;
use std::str::FromStr;

use semver::Version;
use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::choose::choose;
use super::offers;
use crate::channel::refuse_unoffered;
use crate::cluster::Cluster;
use crate::ids::Channel;
use crate::release::{Release, present};
use crate::views::{ClusterVersion, Status};

/// How a person names the release to update to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// The newest that the channel offers from where the cluster is.
    Newest,
    /// This version.
    Version(Version),
    /// This image, `repository@sha256:…`: for clusters that no update service can be read from.
    Digest(String),
}

impl FromStr for Wanted {
    type Err = String;

    /// Reads `newest`, `4.17.9` or `repository@sha256:…`.
    fn from_str(text: &str) -> Result<Self, String> {
        if matches!(text, "newest" | "latest") {
            return Ok(Self::Newest);
        }
        if text.contains('/') || text.contains('@') {
            return check_pullspec(text).map(|()| Self::Digest(text.to_owned()));
        }
        let hint = "write newest, a version such as 4.17.9, or an image by digest such as registry.example.com/ocp@sha256:…";
        text.parse().map(Self::Version).map_err(|error| format!("{text:?} names no release ({error}); {hint}"))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => f.write_str("the newest release"),
            Self::Version(version) => version.fmt(f),
            Self::Digest(image) => f.write_str(image),
        }
    }
}

/// A tag may be moved between the plan and the update; only a digest names one image.
pub(super) fn check_pullspec(image: &str) -> Result<(), String> {
    let digest = image.split_once("@sha256:").filter(|(repository, _)| !repository.is_empty()).map(|(_, digest)| digest);
    if digest.is_some_and(|digest| digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))) {
        return Ok(());
    }
    Err(format!(
        "{image:?} does not name an image by digest; write REPOSITORY@sha256: and 64 hexadecimal digits, \
         `oc adm release info IMAGE -o jsonpath={{.digest}}` tells them"
    ))
}

/// Finds the release that is meant, of the present minor or the next, and what is known to go wrong with it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResolveTarget {
    /// The channel whose updates count; the cluster's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// Which release.
    pub wanted: Wanted,
    /// Risks that a person accepted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept_risks: Vec<String>,
    /// Another update server to ask; the cluster's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
}

/// The release that is meant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Target {
    /// The release that the cluster has.
    pub from: Release,
    /// The release to update to; its version reads `0.0.0` if only the digest is known.
    pub release: Release,
    /// The channel whose updates counted, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// What is known to go wrong with this update on some clusters.
    pub risks: Vec<Risk>,
    /// Where the updates were read: an update server's address, or the cluster's own list.
    pub source: String,
    /// What a person should know about the choice.
    pub notes: Vec<String>,
    /// Whether no list of updates could be read at all.
    pub disconnected: bool,
}

/// A known problem of an update.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Risk {
    /// Its name, by which it is accepted.
    pub name: String,
    /// What happens.
    pub message: String,
    /// Where it is described.
    pub url: String,
    /// Whether the cluster recommends the update in spite of it: true, false, or unknown while nobody could judge.
    pub state: Status,
    /// Whether a person accepted it by name.
    pub accepted: bool,
}

impl Risk {
    /// Whether the update must not be asked for because of it.
    pub fn blocks(&self) -> bool {
        self.state != Status::True && !self.accepted
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            Status::True => "does not concern this cluster",
            Status::False => "concerns this cluster",
            Status::Unknown => "could not be judged",
        };
        write!(f, "{} ({state}): {}", self.name, self.message.trim())?;
        if self.url.is_empty() { Ok(()) } else { write!(f, " {}", self.url) }
    }
}

impl Activity for ResolveTarget {
    const NAME: ActivityName = ActivityName::new("resolve-target");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Target;

    fn summary(&self) -> String {
        match &self.channel {
            Some(channel) => format!("resolve {} in channel {channel}", self.wanted),
            None => format!("resolve {}", self.wanted),
        }
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Target, ActivityError> {
        let version: ClusterVersion = cx.world().must_get(None, "version").await?;
        let from = present(&version)?;
        let own = Some(version.spec.channel.as_str()).filter(|name| !name.is_empty()).map(Channel::from);
        let channel = self.channel.or(own);
        if let Some(channel) = &channel {
            refuse_unoffered(&version, channel)?;
        }
        let market = offers::read(cx.world(), &version, &from, channel.as_ref(), self.upstream.as_deref()).await?;
        let mut choice = choose(&from, &self.wanted, &market, &self.accept_risks)?;
        choice.notes.extend(under_way(&version));
        Ok(Target {
            from,
            release: choice.release,
            channel,
            risks: choice.risks,
            disconnected: market.unread.is_some(),
            source: market.source,
            notes: choice.notes,
        })
    }
}

/// An update that has not ended yet: the offers are those of its target, not of the release before it.
fn under_way(version: &ClusterVersion) -> Option<String> {
    let head = version.status.history.first()?;
    let open = head.state == crate::views::HistoryState::Partial;
    open.then(|| format!("an update to {} is under way and has not completed", head.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_named_in_three_ways_and_never_by_a_tag() {
        let digest = "a1".repeat(32);
        let check = |text: &str, expect: Result<Wanted, &str>| match (text.parse::<Wanted>(), expect) {
            (Ok(wanted), Ok(expect)) => assert_eq!(wanted, expect),
            (Err(error), Err(expect)) => assert!(error.starts_with(expect), "{error}"),
            (outcome, expect) => panic!("{text}: {outcome:?}, not {expect:?}"),
        };
        check("newest", Ok(Wanted::Newest));
        check("4.17.9", Ok(Wanted::Version("4.17.9".parse().unwrap())));
        let image = format!("registry.example.com:5000/ocp/release@sha256:{digest}");
        check(&image, Ok(Wanted::Digest(image.clone())));
        check("4.17", Err("\"4.17\" names no release ("));
        check(
            "quay.example.com/r:4.17.9",
            Err("\"quay.example.com/r:4.17.9\" does not name an image by digest; write REPOSITORY@"),
        );
        check("r@sha256:abc", Err("\"r@sha256:abc\" does not name an image by digest"));
        check(&format!("@sha256:{digest}"), Err("\"@sha256:a1"));
    }

    #[test]
    fn a_wish_is_journaled_by_name() {
        let check = |wanted: Wanted, expect: &str| {
            assert_eq!(serde_json::to_string(&wanted).unwrap(), expect);
            assert_eq!(serde_json::from_str::<Wanted>(expect).unwrap(), wanted);
        };
        check(Wanted::Newest, "\"newest\"");
        check(Wanted::Version("4.17.9".parse().unwrap()), "{\"version\":\"4.17.9\"}");
        check(Wanted::Digest("r@sha256:aa".to_owned()), "{\"digest\":\"r@sha256:aa\"}");
    }
}
