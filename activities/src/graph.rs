//! The update graph: which release may follow which, as the update service serves it.

use std::collections::{BTreeMap, BTreeSet};

use kube::{Client, Config};
use semver::Version;
use serde::Deserialize;

use crate::cluster::Cluster;
use crate::error::Call;
use crate::ids::Channel;
use crate::link::Source;
use crate::release::{Minor, Release};
use crate::views::ConditionalRisk;

/// The vendor's own update service, asked when the cluster names no other.
const DEFAULT_UPSTREAM: &str = "https://api.openshift.com/api/upgrades_info/v1/graph";

/// Releases and the edges between them.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateGraph {
    nodes: Vec<GraphNode>,
    edges: Vec<(usize, usize)>,
    conditional_edges: Vec<ConditionalEdges>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
struct GraphNode {
    version: Version,
    payload: String,
}

#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default)]
struct ConditionalEdges {
    edges: Vec<NamedEdge>,
    risks: Vec<ConditionalRisk>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
struct NamedEdge {
    from: String,
    to: String,
}

/// Which edges that carry risks may be used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed<'a> {
    /// Versions that the cluster itself recommends from where it is.
    pub judged: &'a [Version],
    /// Risks that a person accepted by name; they count on every hop.
    pub accepted: &'a [String],
}

/// A release that another one may be updated to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Successor {
    /// The release.
    pub release: Release,
    /// What may go wrong; empty for a plain edge.
    pub risks: Vec<ConditionalRisk>,
}

/// A way through the graph.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    /// The releases in order, without the one that it begins at.
    pub releases: Vec<Release>,
    /// What was passed over, and why.
    pub notes: Vec<String>,
}

/// That there is no way, and what would help.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoPath {
    /// The cluster's release is not in the graph.
    #[error("{from} is not in the channel's graph; choose a channel that has it, or wait until it does")]
    UnknownStart {
        /// The release.
        from: Version,
    },
    /// No edges lead there.
    #[error("no path leads from {from} to {target}{advice}", advice = advice_text(.advice))]
    NoEdges {
        /// Where it would begin.
        from: Version,
        /// Where it should lead.
        target: Minor,
        /// What would help.
        advice: Vec<String>,
    },
}

fn advice_text(advice: &[String]) -> String {
    if advice.is_empty() {
        return "; wait until the channel has one, or choose another channel".to_owned();
    }
    format!("; {}", advice.join("; "))
}

impl UpdateGraph {
    /// The way over the minor release between: the newest one that leads on, then the newest that it leads to.
    /// What the cluster judged counts only for the first hop.
    pub fn two_hops(&self, from: &Version, target: Minor, allowed: Allowed<'_>) -> Result<Path, NoPath> {
        let start = self.index_of(from).ok_or_else(|| NoPath::UnknownStart { from: from.clone() })?;
        let between = Minor { minor: target.minor.saturating_sub(1), ..target };
        if let Some((first, second)) = self.way(start, between, target, allowed) {
            let releases = vec![self.release(first), self.release(second)];
            let mut notes = self.passed_over(from, &releases[0].version, between, allowed);
            notes.extend(self.overruled(start, first, allowed.judged));
            notes.extend(self.overruled(first, second, &[]));
            return Ok(Path { releases, notes });
        }
        Err(NoPath::NoEdges { from: from.clone(), target, advice: self.advice(start, between, target, allowed) })
    }

    /// Every release that a release may be updated to, newest first.
    pub fn successors(&self, from: &Version) -> Vec<Successor> {
        let Some(start) = self.index_of(from) else { return Vec::new() };
        let plain = self.edges.iter().filter(|(begin, end)| *begin == start && *end < self.nodes.len());
        let mut found: BTreeMap<usize, Vec<ConditionalRisk>> = plain.map(|(_, end)| (*end, Vec::new())).collect();
        for (end, risks) in self.conditional_from(start) {
            found.entry(end).or_default().extend(risks.into_iter().cloned());
        }
        let mut successors: Vec<Successor> =
            found.into_iter().map(|(end, risks)| Successor { release: self.release(end), risks }).collect();
        successors.sort_by(|a, b| b.release.version.cmp(&a.release.version));
        successors
    }

    /// Every release, whether an edge leads to it or not.
    pub fn releases(&self) -> impl Iterator<Item = Release> {
        (0..self.nodes.len()).map(|index| self.release(index))
    }

    /// The names of all risks.
    pub fn risk_names(&self) -> BTreeSet<&str> {
        self.conditional_edges.iter().flat_map(|group| &group.risks).map(|risk| risk.name.as_str()).collect()
    }

    fn way(&self, start: usize, between: Minor, target: Minor, allowed: Allowed<'_>) -> Option<(usize, usize)> {
        let first_hops = self.next(start, between, allowed);
        let later = Allowed { judged: &[], ..allowed };
        first_hops.into_iter().find_map(|first| Some((first, *self.next(first, target, later).first()?)))
    }

    /// The successors of a release within a minor, newest first.
    fn next(&self, from: usize, minor: Minor, allowed: Allowed<'_>) -> Vec<usize> {
        let plain = self.edges.iter().filter(|(begin, _)| *begin == from).map(|(_, end)| *end);
        let usable = |(end, risks): &(usize, Vec<&ConditionalRisk>)| {
            self.nodes.get(*end).is_some_and(|node| allowed.judged.contains(&node.version))
                || (!risks.is_empty() && risks.iter().all(|risk| allowed.accepted.contains(&risk.name)))
        };
        let conditional = self.conditional_from(from).into_iter().filter(usable).map(|(end, _)| end);
        let mut next: Vec<usize> = plain.chain(conditional).filter(|end| self.minor(*end) == Some(minor)).collect();
        next.sort_by(|a, b| self.nodes[*b].version.cmp(&self.nodes[*a].version));
        next.dedup();
        next
    }

    /// The releases that edges with risks lead to; the risks of one edge may stand in several groups.
    fn conditional_from(&self, from: usize) -> BTreeMap<usize, Vec<&ConditionalRisk>> {
        let name = self.nodes.get(from).map(|node| node.version.to_string()).unwrap_or_default();
        let mut found: BTreeMap<usize, Vec<&ConditionalRisk>> = BTreeMap::new();
        for group in &self.conditional_edges {
            for edge in group.edges.iter().filter(|edge| edge.from == name) {
                if let Some(end) = edge.to.parse().ok().and_then(|version| self.index_of(&version)) {
                    found.entry(end).or_default().extend(&group.risks);
                }
            }
        }
        found
    }

    /// Newer releases of the first hop that were not chosen because their edges carry risks.
    fn passed_over(&self, from: &Version, chosen: &Version, between: Minor, allowed: Allowed<'_>) -> Vec<String> {
        let mut risky: BTreeMap<&Version, Vec<&str>> = BTreeMap::new();
        let start = self.index_of(from).unwrap_or(usize::MAX);
        for (end, risks) in self.conditional_from(start) {
            let version = &self.nodes[end].version;
            let open = risks.iter().filter(|risk| !allowed.accepted.contains(&risk.name));
            let open: Vec<&str> = open.map(|risk| risk.name.as_str()).collect();
            if self.minor(end) == Some(between) && version > chosen && !allowed.judged.contains(version) && !open.is_empty() {
                risky.entry(version).or_default().extend(open);
            }
        }
        let note = |(version, risks): (&Version, Vec<&str>)| {
            format!("{version} is newer than {chosen} but carries a risk for some clusters ({})", risks.join(", "))
        };
        risky.into_iter().map(note).collect()
    }

    /// That an edge is used only because its risks were accepted.
    fn overruled(&self, from: usize, to: usize, judged: &[Version]) -> Option<String> {
        let version = &self.nodes.get(to)?.version;
        let conditional = self.conditional_from(from);
        let risks = conditional.get(&to).filter(|_| !judged.contains(version) && !self.edges.contains(&(from, to)))?;
        let names: Vec<&str> = risks.iter().map(|risk| risk.name.as_str()).collect();
        Some(format!("{version} is used with its risks accepted by name ({})", names.join(", ")))
    }

    /// A later release of the minor that the cluster is at may have the way that the present one lacks.
    fn advice(&self, start: usize, between: Minor, target: Minor, allowed: Allowed<'_>) -> Vec<String> {
        let here = self.minor(start).unwrap_or(between);
        let later = Allowed { judged: &[], ..allowed };
        let nearer = self.next(start, here, allowed).into_iter();
        let nearer = nearer.into_iter().find(|near| self.way(*near, between, target, later).is_some());
        let update = nearer.map(|near| format!("update to {} first, from there a path leads on", self.nodes[near].version));
        update.into_iter().collect()
    }

    fn index_of(&self, version: &Version) -> Option<usize> {
        self.nodes.iter().position(|node| node.version == *version)
    }

    fn minor(&self, index: usize) -> Option<Minor> {
        self.nodes.get(index).map(|node| Minor::of(&node.version))
    }

    fn release(&self, index: usize) -> Release {
        let node = &self.nodes[index];
        Release { version: node.version.clone(), image: node.payload.clone() }
    }
}

/// Which part of the graph is asked for.
pub(crate) struct GraphQuery<'a> {
    pub(crate) channel: &'a Channel,
    pub(crate) architecture: String,
    pub(crate) from: &'a Version,
}

impl GraphQuery<'_> {
    /// Channel names, versions and architectures hold no characters that a query would have to escape but `+`.
    fn text(&self) -> String {
        let version = self.from.to_string().replace('+', "%2B");
        format!("channel={}&arch={}&version={version}", self.channel, self.architecture)
    }
}

/// Reads the graph, from the API server itself when that is what the cluster's upstream names (simulated clusters do),
/// and says where it was read; the error says why it could not be.
pub(crate) async fn fetch(
    cluster: &Cluster,
    upstream: Option<&str>,
    query: &GraphQuery<'_>,
) -> Result<(UpdateGraph, String), String> {
    let upstream = upstream.filter(|url| !url.is_empty()).unwrap_or(DEFAULT_UPSTREAM);
    let url: http::Uri = upstream.parse().map_err(|error| format!("{upstream:?} is not an address: {error}"))?;
    let path = format!("{}?{}", url.path(), query.text());
    let request = http::Request::get(path).header(http::header::ACCEPT, "application/json").body(Vec::new());
    let request = request.map_err(|error| error.to_string())?;
    let call = Call { verb: "get", group: String::new(), resource: format!("graph at {upstream}"), namespace: None, name: None };
    let answer = if is_served_by(cluster, &url) {
        cluster.link.exchange(call, request).await
    } else {
        cluster.link.exchange_unfenced(Some(service(cluster, &url)?), call, request).await
    };
    let body = answer.map_err(|error| error.to_string())?;
    let graph = serde_json::from_slice(&body).map_err(|error| format!("{upstream} did not answer with a graph: {error}"))?;
    Ok((graph, upstream.to_owned()))
}

fn is_served_by(cluster: &Cluster, url: &http::Uri) -> bool {
    match cluster.link.source {
        Source::Given => true,
        Source::Kubeconfig(_) => {
            let server = cluster.link.address.parse::<http::Uri>().ok();
            server.is_some_and(|server| server.authority() == url.authority())
        }
    }
}

/// A client for the update service, on the same HTTP and TLS stack as the cluster's, without its credentials.
fn service(cluster: &Cluster, url: &http::Uri) -> Result<Client, String> {
    let base = format!("{}://{}", url.scheme_str().unwrap_or("https"), url.authority().map_or("", |host| host.as_str()));
    let mut config = Config::new(base.parse().map_err(|error| format!("{base:?} is not an address: {error}"))?);
    config.default_retry = false;
    config.proxy_url.clone_from(&cluster.link.proxy);
    Client::try_from(config).map_err(|error| crate::link::root_cause(&error))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn graph(nodes: &[&str], edges: &[(&str, &str)], conditional: &[(&str, &str, &str)]) -> UpdateGraph {
        let at = |version: &str| nodes.iter().position(|node| *node == version).unwrap();
        let conditional: Vec<Value> = conditional
            .iter()
            .map(|(from, to, risk)| json!({"edges": [{"from": from, "to": to}], "risks": [{"name": risk, "url": "u", "message": "m", "matchingRules": []}]}))
            .collect();
        serde_json::from_value(json!({
            "version": 1,
            "nodes": nodes.iter().map(|node| json!({"version": node, "payload": format!("r@sha256:{node}"), "metadata": {}})).collect::<Vec<_>>(),
            "edges": edges.iter().map(|(from, to)| [at(from), at(to)]).collect::<Vec<_>>(),
            "conditionalEdges": conditional,
        }))
        .unwrap()
    }

    const NODES: [&str; 8] = ["4.16.20", "4.16.30", "4.17.9", "4.17.12", "4.17.13", "4.18.1", "4.18.5", "4.18.4"];

    #[test]
    fn the_newest_first_hop_that_leads_on_wins() {
        let check = |edges: &[(&str, &str)], conditional: &[(&str, &str, &str)], judged: &[&str], expect: Result<&str, &str>| {
            let judged: Vec<Version> = judged.iter().map(|version| version.parse().unwrap()).collect();
            let allowed = Allowed { judged: &judged, accepted: &["SlowDisk".to_owned()] };
            let outcome =
                graph(&NODES, edges, conditional).two_hops(&"4.16.20".parse().unwrap(), "4.18".parse().unwrap(), allowed);
            let shown = outcome.map(|path| {
                let releases: Vec<String> = path.releases.iter().map(|release| release.version.to_string()).collect();
                [releases, path.notes.iter().map(|note| format!("[{note}]")).collect()].concat().join(" ")
            });
            assert_eq!(shown.as_deref().map_err(ToString::to_string), expect.map_err(str::to_owned));
        };
        let plain =
            [("4.16.20", "4.17.9"), ("4.16.20", "4.17.12"), ("4.17.9", "4.18.1"), ("4.17.12", "4.18.4"), ("4.17.12", "4.18.5")];
        check(&plain, &[], &[], Ok("4.17.12 4.18.5"));
        check(&plain[..3], &[], &[], Ok("4.17.9 4.18.1"));
        let risky = [("4.16.20", "4.17.13", "SlowBoot")];
        let onward = [plain.as_slice(), &[("4.17.13", "4.18.5")]].concat();
        check(
            &onward,
            &risky,
            &[],
            Ok("4.17.12 4.18.5 [4.17.13 is newer than 4.17.12 but carries a risk for some clusters (SlowBoot)]"),
        );
        check(&onward, &risky, &["4.17.13"], Ok("4.17.13 4.18.5"));
        let accepted = [("4.16.20", "4.17.13", "SlowDisk"), ("4.17.13", "4.18.4", "SlowDisk")];
        check(
            &plain,
            &accepted,
            &[],
            Ok("4.17.13 4.18.4 [4.17.13 is used with its risks accepted by name (SlowDisk)] \
                [4.18.4 is used with its risks accepted by name (SlowDisk)]"),
        );
        // One of two risks is not accepted, whichever group it stands in.
        check(
            &plain,
            &[accepted[0], risky[0], accepted[1]],
            &[],
            Ok("4.17.12 4.18.5 [4.17.13 is newer than 4.17.12 but carries a risk for some clusters (SlowBoot)]"),
        );
        check(
            &[("4.16.20", "4.17.9")],
            &[],
            &[],
            Err("no path leads from 4.16.20 to 4.18; wait until the channel has one, or choose another channel"),
        );
        check(
            &[("4.16.20", "4.16.30"), ("4.16.30", "4.17.12"), ("4.17.12", "4.18.5")],
            &[],
            &[],
            Err("no path leads from 4.16.20 to 4.18; update to 4.16.30 first, from there a path leads on"),
        );
    }

    #[test]
    fn a_release_outside_the_graph_is_named() {
        let graph = graph(&["4.17.9"], &[], &[]);
        let error = graph.two_hops(&"4.16.20".parse().unwrap(), "4.18".parse().unwrap(), Allowed::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "4.16.20 is not in the channel's graph; choose a channel that has it, or wait until it does"
        );
    }

    #[test]
    fn an_edge_to_nowhere_is_no_edge() {
        let broken: UpdateGraph =
            serde_json::from_value(json!({"nodes": [{"version": "4.16.20", "payload": "p"}], "edges": [[0, 7]]})).unwrap();
        assert!(broken.two_hops(&"4.16.20".parse().unwrap(), "4.18".parse().unwrap(), Allowed::default()).is_err());
    }
}
