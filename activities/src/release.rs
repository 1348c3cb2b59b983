//! Releases: named by version, pinned by digest, and resolved along a path that the update graph has.

use std::fmt;
use std::str::FromStr;

use semver::Version;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::channel::refuse_unoffered;
use crate::cluster::{Cluster, Query};
use crate::graph::{Allowed, NoPath, UpdateGraph};
use crate::ids::Channel;
use crate::views::{ClusterVersion, Node};

/// A release, pinned: the version is for people, the image is what counts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Release {
    /// The version.
    pub version: Version,
    /// The release image by digest.
    pub image: String,
}

/// Stands for a version that nobody could tell: no release has it.
const UNNAMED: Version = Version::new(0, 0, 0);

impl Release {
    /// A release of which only the image is known; its version reads `0.0.0` until the cluster tells it.
    pub fn unnamed(image: impl Into<String>) -> Self {
        Self { version: UNNAMED, image: image.into() }
    }

    /// Whether the version is known.
    pub fn is_named(&self) -> bool {
        self.version != UNNAMED
    }

    /// What people call it: the version, or the digest while no version is known.
    pub fn title(&self) -> String {
        if self.is_named() { self.version.to_string() } else { self.digest().to_owned() }
    }

    /// The image's digest; the whole image if it has none.
    pub fn digest(&self) -> &str {
        self.image.rsplit_once('@').map_or(self.image.as_str(), |(_, digest)| digest)
    }
}

/// A minor release: `4.18`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Minor {
    /// The first number.
    pub major: u64,
    /// The second number.
    pub minor: u64,
}

impl Minor {
    /// The minor release of a version.
    pub fn of(version: &Version) -> Self {
        Self { major: version.major, minor: version.minor }
    }

    /// The minor release so many after this one.
    #[must_use]
    pub fn plus(self, minors: u64) -> Self {
        Self { minor: self.minor + minors, ..self }
    }

    /// Whether extended update support goes from and to it: every second one, the even ones.
    pub fn is_eus(self) -> bool {
        self.minor.is_multiple_of(2)
    }

    /// The minor release of Kubernetes inside: OpenShift 4.y has 1.(y+13).
    pub fn kubernetes(self) -> u64 {
        self.minor + 13
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Minor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('.').map(|(major, minor)| (major.parse(), minor.parse()));
        match parts {
            Some((Ok(major), Ok(minor))) => Ok(Self { major, minor }),
            _ => Err(format!("{text:?} is not a minor release; write it as 4.18")),
        }
    }
}

impl Serialize for Minor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Minor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Finds the two hops from the cluster's release to a minor release two later, by digest, along edges that exist.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResolvePath {
    /// The channel whose graph counts: `eus-4.18`.
    pub channel: Channel,
    /// Where to go.
    pub target: Minor,
    /// Risks that a person accepted by name: edges that carry only such risks may be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept_risks: Vec<String>,
}

/// The way of an EUS-to-EUS update.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UpdatePath {
    /// The channel.
    pub channel: Channel,
    /// The release that the cluster has.
    pub from: Release,
    /// The two hops, in order.
    pub hops: Vec<Hop>,
    /// Where the edges were read: the graph's address, or the cluster's own list.
    pub source: String,
    /// What a person should know about the choice.
    pub notes: Vec<String>,
}

/// One hop of the way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hop {
    /// Its minor release.
    pub minor: Minor,
    /// Its release; none if it can only be pinned once the hop before it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
}

impl Activity for ResolvePath {
    const NAME: ActivityName = ActivityName::new("resolve-path");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = UpdatePath;

    fn summary(&self) -> String {
        format!("resolve the releases on the way to {} in channel {}", self.target, self.channel)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<UpdatePath, ActivityError> {
        let version: ClusterVersion = cx.world().must_get(None, "version").await?;
        let from = present(&version)?;
        check_target(&from.version, self.target)?;
        refuse_unoffered(&version, &self.channel)?;
        let nodes: Vec<Node> = cx.world().list(&Query::default()).await?;
        let query = crate::graph::GraphQuery {
            channel: &self.channel,
            architecture: architecture(&version, &nodes),
            from: &from.version,
        };
        match crate::graph::fetch(cx.world(), version.spec.upstream.as_deref(), &query).await {
            Ok((graph, source)) => {
                self.refuse_unknown_risks(&graph)?;
                self.along(&version, from, &graph, source).map_err(|error| ActivityError::permanent("no-path", error.to_string()))
            }
            Err(why) => Ok(self.without_graph(&version, from, &why)),
        }
    }
}

impl ResolvePath {
    /// A misspelt risk would otherwise be accepted for ever and never used.
    fn refuse_unknown_risks(&self, graph: &UpdateGraph) -> Result<(), ActivityError> {
        let known = graph.risk_names();
        let unknown = self.accept_risks.iter().find(|name| !known.contains(name.as_str()));
        unknown.map_or(Ok(()), |name| {
            let known = if known.is_empty() { "none".to_owned() } else { known.into_iter().collect::<Vec<_>>().join(", ") };
            let message = format!("no update of channel {} carries a risk {name:?} (risks there: {known})", self.channel);
            Err(ActivityError::permanent("unknown-risk", message))
        })
    }

    fn along(self, version: &ClusterVersion, from: Release, graph: &UpdateGraph, source: String) -> Result<UpdatePath, NoPath> {
        // A conditional edge from here was judged by the cluster itself; the graph alone can't.
        let judged: Vec<Version> = version.recommended().filter_map(|release| release.version.parse().ok()).collect();
        let path = graph.two_hops(&from.version, self.target, Allowed { judged: &judged, accepted: &self.accept_risks })?;
        let hops = path.releases.into_iter().map(|release| Hop { minor: Minor::of(&release.version), release: Some(release) });
        Ok(UpdatePath { channel: self.channel, from, hops: hops.collect(), source, notes: path.notes })
    }

    /// The cluster lists only edges from where it is; the second hop is pinned when the first is done.
    fn without_graph(self, version: &ClusterVersion, from: Release, why: &str) -> UpdatePath {
        let first = Minor::of(&from.version).plus(1);
        let follows = version.spec.channel == self.channel.as_str();
        let release = follows.then(|| newest_acceptable(version, first, &self.accept_risks)).flatten();
        let hops = vec![Hop { minor: first, release }, Hop { minor: self.target, release: None }];
        let notes = vec![format!(
            "the update graph could not be read ({why}): a release that is not named here is pinned right before its hop, \
             out of those that the cluster then recommends"
        )];
        UpdatePath { channel: self.channel, from, hops, source: "the cluster's own list of updates".to_owned(), notes }
    }
}

/// The release that the cluster has, wholly applied.
pub(crate) fn present(version: &ClusterVersion) -> Result<Release, ActivityError> {
    let Some(entry) = version.completed() else {
        let message = "the cluster has not completed any release yet; wait until its installation is done";
        return Err(ActivityError::permanent("not-installed", message));
    };
    let parsed = entry.version.parse().map_err(|error| {
        ActivityError::permanent("odd-version", format!("the cluster's version {:?} is not one: {error}", entry.version))
    })?;
    Ok(Release { version: parsed, image: entry.image.clone() })
}

fn check_target(from: &Version, target: Minor) -> Result<(), ActivityError> {
    let here = Minor::of(from);
    if !target.is_eus() {
        let even = Minor { minor: target.minor + 1, ..target };
        let message = format!("{target} has no extended update support; choose an even minor release such as {even}");
        return Err(ActivityError::permanent("odd-target", message));
    }
    if here.plus(2) == target {
        return Ok(());
    }
    let message = if here.is_eus() {
        format!("the cluster is at {from}, an EUS-to-EUS update goes to {}, not to {target}", here.plus(2))
    } else {
        format!("the cluster is at {from}, which is not an EUS release; update it to {} first", here.plus(1))
    };
    Err(ActivityError::permanent("wrong-target", message))
}

pub(crate) fn architecture(version: &ClusterVersion, nodes: &[Node]) -> String {
    let multi = version.status.desired.architecture.as_ref().filter(|architecture| !architecture.is_empty());
    let node = || nodes.iter().map(|node| node.status.node_info.architecture.clone()).find(|name| !name.is_empty());
    multi.map(|architecture| architecture.to_lowercase()).or_else(node).unwrap_or_else(|| "amd64".to_owned())
}

/// The newest release of a minor that the cluster recommends from where it is, or whose risks are all accepted.
fn newest_acceptable(version: &ClusterVersion, minor: Minor, accepted: &[String]) -> Option<Release> {
    let parsed = version
        .acceptable(accepted)
        .filter_map(|offer| Some(Release { version: offer.version.parse().ok()?, image: offer.image.clone() }));
    parsed.filter(|release| Minor::of(&release.version) == minor).max_by(|a, b| a.version.cmp(&b.version))
}

/// Pins the newest release of a minor that the cluster recommends now, for a hop that could not be pinned before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResolveHop {
    /// The minor release.
    pub minor: Minor,
    /// Risks that a person accepted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept_risks: Vec<String>,
}

impl Activity for ResolveHop {
    const NAME: ActivityName = ActivityName::new("resolve-hop");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Release;

    fn summary(&self) -> String {
        format!("pin the newest recommended release of {}", self.minor)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Release, ActivityError> {
        let version: ClusterVersion = cx.world().must_get(None, "version").await?;
        newest_acceptable(&version, self.minor, &self.accept_risks).ok_or_else(|| {
            let offered: Vec<&str> = version.recommended().map(|release| release.version.as_str()).collect();
            let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
            let message = format!(
                "no release of {} is recommended from {} in channel {} (recommended: {offered}); wait until one is, or choose \
                 another channel",
                self.minor, version.status.desired.version, version.spec.channel
            );
            ActivityError::permanent("no-path", message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::{healthy, offer, release, version};

    #[test]
    fn only_the_next_even_minor_is_a_target() {
        let check = |from: &str, target: &str, expect: Option<&str>| {
            let verdict = check_target(&from.parse().unwrap(), target.parse().unwrap());
            assert_eq!(verdict.err().map(|error| error.message).as_deref(), expect);
        };
        check("4.16.20", "4.18", None);
        check("4.16.20", "4.17", Some("4.17 has no extended update support; choose an even minor release such as 4.18"));
        check("4.16.20", "4.20", Some("the cluster is at 4.16.20, an EUS-to-EUS update goes to 4.18, not to 4.20"));
        check("4.17.3", "4.18", Some("the cluster is at 4.17.3, which is not an EUS release; update it to 4.18 first"));
    }

    #[test]
    fn without_a_graph_only_the_first_hop_is_pinned_and_only_from_the_right_channel() {
        let mut snapshot = healthy();
        version(&mut snapshot, |version| {
            version.spec.channel = "eus-4.18".to_owned();
            version.status.available_updates = Some(vec![offer("4.17.9", &[]), offer("4.17.12", &[]), offer("4.16.30", &[])]);
        });
        let mut check = |channel: &str, expect: Option<Release>| {
            version(&mut snapshot, |version| version.spec.channel = channel.to_owned());
            let version = snapshot.version().unwrap();
            let input = ResolvePath { channel: "eus-4.18".into(), target: "4.18".parse().unwrap(), accept_risks: Vec::new() };
            let path = input.without_graph(version, present(version).unwrap(), "no route");
            assert_eq!(path.hops[0].release, expect);
            assert_eq!(path.hops[1], Hop { minor: "4.18".parse().unwrap(), release: None });
        };
        check("eus-4.18", Some(release("4.17.12")));
        check("stable-4.16", None);
    }

    #[test]
    fn a_minor_is_journaled_as_text() {
        let minor: Minor = "4.18".parse().unwrap();
        assert_eq!(serde_json::to_string(&minor).unwrap(), "\"4.18\"");
        assert_eq!(serde_json::from_str::<Minor>("\"4.18\"").unwrap(), minor);
        assert_eq!("4".parse::<Minor>().unwrap_err(), "\"4\" is not a minor release; write it as 4.18");
        assert_eq!(minor.kubernetes(), 31);
    }
}
