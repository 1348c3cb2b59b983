//! The update service: releases, channels and the edges between them.

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the update service knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateGraph {
    /// Every release.
    pub releases: Vec<Release>,
    /// Every update that it offers, conditional ones included.
    pub edges: Vec<Edge>,
}

/// One release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Its version, e.g. `4.17.11`.
    pub version: String,
    /// The channels that carry it.
    pub channels: Vec<String>,
}

/// An offered update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// The version to update.
    pub from: String,
    /// The version to update to.
    pub to: String,
    /// Known risks; any makes the update conditional.
    #[serde(default)]
    pub risks: Vec<Risk>,
}

/// A known risk of an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Risk {
    /// Its name, in CamelCase.
    pub name: String,
    /// What may happen.
    pub message: String,
    /// Where to read more.
    pub url: String,
    /// Whether it applies to this cluster.
    pub applies: Applies,
}

/// Whether a risk applies to this cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applies {
    /// It does.
    Yes,
    /// It doesn't.
    No,
    /// The query that would tell could not be evaluated.
    Unknown,
}

impl Release {
    /// The pull spec, pinned by digest; a function of the version alone.
    pub fn image(&self) -> String {
        format!("quay.io/openshift-release-dev/ocp-release@sha256:{}", blake3::hash(self.version.as_bytes()).to_hex())
    }

    /// The advisory.
    pub fn url(&self) -> String {
        let hash = blake3::hash(self.version.as_bytes());
        let [a, b, ..] = *hash.as_bytes();
        format!("https://access.redhat.com/errata/RHBA-2025:{}", 1000 + u32::from(a) * 31 + u32::from(b))
    }

    /// As `status.desired` of a ClusterVersion shows it.
    pub fn to_value(&self) -> Value {
        json!({ "version": self.version, "image": self.image(), "url": self.url(), "channels": self.channels })
    }

    /// The version parsed; `0.0.0` when it isn't one.
    pub fn semver(&self) -> Version {
        parse(&self.version)
    }

    /// The kubelet that it brings.
    pub fn kubelet(&self) -> String {
        let v = self.semver();
        let hash = blake3::hash(self.version.as_bytes()).to_hex();
        format!("v1.{}.{}+{}", v.minor + 13, 4 + v.patch / 3, &hash[..7])
    }

    /// The operating system image that it brings, as nodes report it.
    pub fn os_image(&self) -> String {
        let v = self.semver();
        format!("Red Hat Enterprise Linux CoreOS 4{}.94.2025{:02}{:02}0812-0", v.minor, 1 + v.patch % 12, 1 + (v.patch * 7) % 28)
    }
}

/// The digest of a pull spec, `sha256:…`; the whole of it when it names none.
pub fn digest(image: &str) -> &str {
    image.rsplit_once('@').map_or(image, |(_, digest)| digest)
}

/// No release has a larger number in its version, and those of its successors are reckoned from it.
const LARGEST_NUMBER: u64 = 1_000_000;

/// The version of a release; `None` when it isn't one.
pub fn release(version: &str) -> Option<Version> {
    Version::parse(version).ok().filter(|v| v.major.max(v.minor).max(v.patch) <= LARGEST_NUMBER)
}

/// Parses a version; `0.0.0` when it isn't one.
pub fn parse(version: &str) -> Version {
    release(version).unwrap_or(Version::new(0, 0, 0))
}

impl UpdateGraph {
    /// A graph around `from` that shows what real ones do: several patch releases of each minor, a newest y+1 release with no way on
    /// to y+2, and conditional edges whose risk applies, does not, or cannot be evaluated.
    pub fn eus(from: &str) -> Self {
        let v = parse(from);
        let (y, z) = (v.minor, v.patch);
        let mut releases = vec![];
        let mut add = |minor: u64, patches: &[u64]| {
            releases.extend(patches.iter().map(|p| Release { version: format!("4.{minor}.{p}"), channels: channels(minor, y) }));
        };
        add(y, &[z.saturating_sub(6), z.saturating_sub(3), z, z + 2, z + 4]);
        add(y + 1, &[7, 9, 10, 11, 12]);
        add(y + 2, &[1, 3, 5, 6]);
        releases.dedup_by(|a, b| a.version == b.version);
        let mut graph = Self { releases, edges: vec![] };
        graph.connect(y, z);
        graph
    }

    fn connect(&mut self, y: u64, z: u64) {
        let versions: Vec<Version> = self.releases.iter().map(Release::semver).collect();
        for from in &versions {
            for to in versions.iter().filter(|to| *to > from) {
                let offered = match (from.minor.abs_diff(y), to.minor.abs_diff(y)) {
                    (a, b) if a == b => true,
                    (0, 1) => from.patch >= z && to.patch >= 9,
                    // The newest y+1 release is too young to have edges to y+2 yet.
                    (1, 2) => (9..=11).contains(&from.patch) && (to.patch < 6 || from.patch == 11),
                    _ => false,
                };
                if offered {
                    let risks = risks(from, to, y);
                    self.edges.push(Edge { from: from.to_string(), to: to.to_string(), risks });
                }
            }
        }
    }

    /// The release of this version.
    pub fn release(&self, version: &str) -> Option<&Release> {
        self.releases.iter().find(|r| r.version == version)
    }

    /// The release of this pull spec, whichever mirror it names: the digest decides.
    pub fn by_image(&self, image: &str) -> Option<&Release> {
        self.releases.iter().find(|r| digest(&r.image()) == digest(image))
    }

    /// Whether the risk of this name applies to the cluster; none when that can't be told.
    pub fn applies(&self, risk: &str) -> Option<bool> {
        let known = self.edges.iter().flat_map(|e| &e.risks).find(|r| r.name == risk)?;
        match known.applies {
            Applies::Yes => Some(true),
            Applies::No => Some(false),
            Applies::Unknown => None,
        }
    }

    /// The updates that `channel` offers to `from`, newest first; none when the channel does not know `from`.
    pub fn updates(&self, channel: &str, from: &str) -> Option<Vec<(&Release, &Edge)>> {
        let carried = |r: &&Release| r.channels.iter().any(|c| c == channel);
        self.release(from).filter(carried)?;
        let mut found: Vec<_> = self
            .edges
            .iter()
            .filter(|e| e.from == from)
            .filter_map(|e| self.release(&e.to).filter(carried).map(|r| (r, e)))
            .collect();
        found.sort_by_key(|(r, _)| std::cmp::Reverse(r.semver()));
        Some(found)
    }

    /// Takes an update back; says whether it was offered.
    pub fn withdraw(&mut self, from: &str, to: &str) -> bool {
        let before = self.edges.len();
        self.edges.retain(|e| e.from != from || e.to != to);
        self.edges.len() != before
    }

    /// Says of every update between two releases, or two minor versions, whether a risk applies.
    pub fn judge_risk(&mut self, from: &str, to: &str, name: &str, applies: Applies) {
        let hits = |pattern: &str, version: &str| version == pattern || version.starts_with(&format!("{pattern}."));
        for edge in self.edges.iter_mut().filter(|e| hits(from, &e.from) && hits(to, &e.to)) {
            match edge.risks.iter_mut().find(|risk| risk.name == name) {
                Some(risk) => risk.applies = applies,
                None => edge.risks.push(risk(name, "A defect was found after the release.", applies)),
            }
        }
    }

    /// The document that the update service sends for `channel`.
    pub fn document(&self, channel: &str) -> Value {
        let carried: Vec<&Release> = self.releases.iter().filter(|r| r.channels.iter().any(|c| c == channel)).collect();
        let index = |version: &str| carried.iter().position(|r| r.version == version);
        let inside = |e: &&Edge| index(&e.from).is_some() && index(&e.to).is_some();
        let node = |r: &&Release| {
            let metadata = json!({ "url": r.url(), "io.openshift.upgrades.graph.release.channels": r.channels.join(",") });
            json!({ "version": r.version, "payload": r.image(), "metadata": metadata })
        };
        let plain = self.edges.iter().filter(inside).filter(|e| e.risks.is_empty());
        let conditional = self.edges.iter().filter(inside).filter(|e| !e.risks.is_empty());
        json!({
            "version": 1,
            "nodes": carried.iter().map(node).collect::<Vec<_>>(),
            "edges": plain.map(|e| json!([index(&e.from), index(&e.to)])).collect::<Vec<_>>(),
            "conditionalEdges": conditional.map(|e| json!({
                "edges": [{ "from": e.from, "to": e.to }],
                "risks": e.risks.iter().map(Risk::to_value).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
        })
    }
}

impl Risk {
    /// As the update service and `status.conditionalUpdates` show it.
    pub fn to_value(&self) -> Value {
        let query = format!("group(windlass_sim_risk{{name=\"{}\"}})", self.name);
        let rules = json!([{ "type": "PromQL", "promql": { "promql": query } }]);
        json!({ "url": self.url, "name": self.name, "message": self.message, "matchingRules": rules })
    }
}

fn channels(minor: u64, base: u64) -> Vec<String> {
    let mut found: Vec<String> = (minor..=base + 2)
        .flat_map(|m| ["candidate", "fast", "stable"].map(|stage| format!("{stage}-4.{m}")))
        .chain((minor..=base + 2).filter(|m| m % 2 == 0).map(|m| format!("eus-4.{m}")))
        .collect();
    found.sort();
    found
}

fn risk(name: &str, message: &str, applies: Applies) -> Risk {
    Risk {
        name: name.into(),
        message: message.into(),
        url: format!("https://issues.redhat.com/browse/OCPBUGS-{}", 40_000 + name.len() * 137),
        applies,
    }
}

fn risks(from: &Version, to: &Version, y: u64) -> Vec<Risk> {
    match (from.minor.abs_diff(y), to.minor.abs_diff(y), to.patch) {
        (0, 1, 9) => vec![risk(
            "AzureRegistryImagePreservation",
            "Clusters on Azure may lose their registry's storage account.",
            Applies::No,
        )],
        (0, 1, 10) => vec![risk("MonitoringConfigReset", "A custom monitoring configuration may be reset.", Applies::Unknown)],
        (1, 2, 6) => {
            vec![risk("OVNNorthdLeak", "ovn-northd may run out of memory on clusters of this network type.", Applies::Yes)]
        }
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(channel: &str, from: &str, plain: &[&str], conditional: &[&str]) {
        let graph = UpdateGraph::eus("4.16.21");
        let found = graph.updates(channel, from).expect("the channel carries the version");
        let split = |risky: bool| -> Vec<&str> {
            found.iter().filter(|(_, e)| e.risks.is_empty() != risky).map(|(r, _)| r.version.as_str()).collect()
        };
        assert_eq!((split(false).as_slice(), split(true).as_slice()), (plain, conditional), "{channel} from {from}");
    }

    #[test]
    fn a_channel_offers_what_it_carries() {
        check("stable-4.16", "4.16.21", &["4.16.25", "4.16.23"], &[]);
        check("eus-4.18", "4.16.21", &["4.17.12", "4.17.11", "4.16.25", "4.16.23"], &["4.17.10", "4.17.9"]);
        check("eus-4.18", "4.17.11", &["4.18.5", "4.18.3", "4.18.1", "4.17.12"], &["4.18.6"]);
        check("eus-4.18", "4.17.12", &[], &[]);
        assert!(UpdateGraph::eus("4.16.21").updates("stable-4.16", "4.17.11").is_none());
    }

    #[test]
    fn the_document_lists_edges_by_index() {
        let document = UpdateGraph::eus("4.16.21").document("stable-4.16");
        assert_eq!(document["nodes"].as_array().map(Vec::len), Some(5));
        assert_eq!(document["edges"].as_array().map(Vec::len), Some(10));
    }

    #[test]
    fn a_release_names_what_it_brings() {
        let release = UpdateGraph::eus("4.16.21").release("4.17.11").cloned().expect("a release of the graph");
        assert!(release.kubelet().starts_with("v1.30."));
        assert!(release.os_image().contains(" 417.94."));
        assert_eq!(release.image().len(), "quay.io/openshift-release-dev/ocp-release@sha256:".len() + 64);
    }
}
