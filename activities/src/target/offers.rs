//! The updates on offer: from the cluster's own lists where it follows the channel, else from the graph.

use windlass_engine::ActivityError;

use super::Risk;
use crate::cluster::{Cluster, Query};
use crate::graph::{GraphQuery, UpdateGraph};
use crate::ids::Channel;
use crate::release::{Release, architecture};
use crate::views::{ClusterVersion, ConditionalRisk, ConditionalUpdate, Conditions as _, Node, PublishedRelease, Status};

/// A release on offer, with what is known to go wrong; no risk is accepted yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Offer {
    pub(super) release: Release,
    pub(super) risks: Vec<Risk>,
}

/// What is on offer, and who says so.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Market {
    pub(super) offers: Vec<Offer>,
    pub(super) source: String,
    /// Releases that the graph has but offers no way to.
    pub(super) unreachable: Vec<Release>,
    /// Why no list could be read.
    pub(super) unread: Option<String>,
}

/// Reads what is on offer from a release in a channel.
pub(super) async fn read(
    cluster: &Cluster,
    version: &ClusterVersion,
    from: &Release,
    channel: Option<&Channel>,
    upstream: Option<&str>,
) -> Result<Market, ActivityError> {
    if follows(version, channel, upstream) {
        let source = "the cluster's own list of updates".to_owned();
        return Ok(Market { offers: of_cluster(version), source, ..Market::default() });
    }
    let Some(channel) = channel else {
        return Ok(unread("the cluster follows no channel"));
    };
    let nodes: Vec<Node> = cluster.list(&Query::default()).await?;
    let query = GraphQuery { channel, architecture: architecture(version, &nodes), from: &from.version };
    Ok(match crate::graph::fetch(cluster, upstream.or(version.spec.upstream.as_deref()), &query).await {
        Ok((graph, source)) => of_graph(&graph, version, from, source),
        Err(why) => unread(&why),
    })
}

fn unread(why: &str) -> Market {
    Market { unread: Some(why.to_owned()), source: "no list of updates".to_owned(), ..Market::default() }
}

/// Whether the cluster's lists are those of the channel and server, and about the present wish.
fn follows(version: &ClusterVersion, channel: Option<&Channel>, upstream: Option<&str>) -> bool {
    let same_channel = channel.is_some_and(|channel| version.spec.channel == channel.as_str());
    let same_server = upstream.is_none_or(|url| version.spec.upstream.as_deref().unwrap_or_default() == url);
    let retrieved = version.status.available_updates.is_some() && version.says("RetrievedUpdates") != Status::False;
    same_channel && same_server && retrieved && version.is_observed()
}

/// What the cluster itself offers, with its judgement of each risk.
pub(super) fn of_cluster(version: &ClusterVersion) -> Vec<Offer> {
    let plain = version.status.available_updates.iter().flatten().map(|release| (release, Vec::new()));
    let conditional = version.status.conditional_updates.iter().map(|update| (&update.release, judged(update)));
    plain.chain(conditional).filter_map(|(release, risks)| Some(Offer { release: parsed(release)?, risks })).collect()
}

fn parsed(release: &PublishedRelease) -> Option<Release> {
    Some(Release { version: release.version.parse().ok()?, image: release.image.clone() })
}

fn judged(update: &ConditionalUpdate) -> Vec<Risk> {
    update.risks.iter().map(|risk| as_risk(risk, update.recommended_despite(risk))).collect()
}

fn as_risk(risk: &ConditionalRisk, state: Status) -> Risk {
    Risk { name: risk.name.clone(), message: risk.message.clone(), url: risk.url.clone(), state, accepted: false }
}

/// What the graph offers; a risk that the cluster has not judged is unknown.
fn of_graph(graph: &UpdateGraph, version: &ClusterVersion, from: &Release, source: String) -> Market {
    let judged = |release: &Release, risk: &ConditionalRisk| {
        let known = version.status.conditional_updates.iter().find(|update| update.release.image == release.image);
        let known =
            known.and_then(|update| update.risks.iter().find(|other| other.name == risk.name).map(|other| (update, other)));
        known.map_or(Status::Unknown, |(update, other)| update.recommended_despite(other))
    };
    let offers = graph.successors(&from.version).into_iter().map(|successor| {
        let risks = successor.risks.iter().map(|risk| as_risk(risk, judged(&successor.release, risk))).collect();
        Offer { release: successor.release, risks }
    });
    let offers: Vec<Offer> = offers.collect();
    let reached = |release: &Release| offers.iter().any(|offer| offer.release.image == release.image);
    let unreachable = graph.releases().filter(|release| !reached(release)).collect();
    Market { offers, source, unreachable, unread: None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::condition::fixtures::{condition, healthy, offer, release, version};

    fn conditional(target: &str, status: Status, applies: Option<Status>) -> ConditionalUpdate {
        let conditions = applies.map(|applies| condition("Applies", applies, "")).into_iter().collect();
        let risk = ConditionalRisk { name: "SlowBoot".to_owned(), message: "slow".to_owned(), conditions, ..Default::default() };
        let conditions = vec![condition("Recommended", status, "")];
        ConditionalUpdate { release: offer(target, &[]), risks: vec![risk], conditions }
    }

    #[test]
    fn the_cluster_judges_each_risk_or_all_together() {
        let check = |recommended: Status, applies: Option<Status>, expect: Status| {
            let mut snapshot = healthy();
            version(&mut snapshot, |version| {
                version.status.available_updates = Some(vec![offer("4.17.8", &[])]);
                version.status.conditional_updates = vec![conditional("4.17.9", recommended, applies)];
            });
            let offers = of_cluster(snapshot.version().unwrap());
            assert_eq!(offers[0], Offer { release: release("4.17.8"), risks: Vec::new() });
            assert_eq!((&offers[1].release, offers[1].risks[0].state), (&release("4.17.9"), expect));
        };
        check(Status::True, None, Status::True);
        check(Status::False, None, Status::False);
        check(Status::Unknown, None, Status::Unknown);
        check(Status::False, Some(Status::False), Status::True);
        check(Status::False, Some(Status::True), Status::False);
        check(Status::False, Some(Status::Unknown), Status::Unknown);
    }

    #[test]
    fn the_clusters_lists_count_only_for_its_own_channel_and_server() {
        let check = |edit: &dyn Fn(&mut ClusterVersion), channel: &str, upstream: Option<&str>, expect: bool| {
            let mut snapshot = healthy();
            version(&mut snapshot, |version| {
                version.status.available_updates = Some(Vec::new());
                edit(version);
            });
            let channel = Channel::from(channel);
            assert_eq!(follows(snapshot.version().unwrap(), Some(&channel), upstream), expect);
        };
        check(&|_| {}, "stable-4.16", None, true);
        check(&|_| {}, "eus-4.18", None, false);
        check(&|_| {}, "stable-4.16", Some("https://osus.example.com/graph"), false);
        let own = |version: &mut ClusterVersion| version.spec.upstream = Some("https://osus.example.com/graph".to_owned());
        check(&own, "stable-4.16", Some("https://osus.example.com/graph"), true);
        check(&|version| version.status.available_updates = None, "stable-4.16", None, false);
        check(&|version| version.metadata.generation = Some(99), "stable-4.16", None, false);
        let failed = |version: &mut ClusterVersion| {
            version.status.conditions.retain(|condition| condition.kind != "RetrievedUpdates");
            version.status.conditions.push(condition("RetrievedUpdates", Status::False, ""));
        };
        check(&failed, "stable-4.16", None, false);
    }

    #[test]
    fn a_graphs_risks_are_unknown_until_the_cluster_judged_them() {
        let graph: UpdateGraph = serde_json::from_value(json!({
            "nodes": [
                {"version": "4.16.20", "payload": release("4.16.20").image},
                {"version": "4.17.9", "payload": release("4.17.9").image},
                {"version": "4.18.1", "payload": release("4.18.1").image},
            ],
            "edges": [],
            "conditionalEdges": [{"edges": [{"from": "4.16.20", "to": "4.17.9"}], "risks": [{"name": "SlowBoot"}]}],
        }))
        .unwrap();
        let check = |known: Vec<ConditionalUpdate>, expect: Status| {
            let mut snapshot = healthy();
            version(&mut snapshot, |version| version.status.conditional_updates = known);
            let market = of_graph(&graph, snapshot.version().unwrap(), &release("4.16.20"), "g".to_owned());
            assert_eq!((market.offers.len(), market.offers[0].risks[0].state), (1, expect));
            assert!(market.unreachable.contains(&release("4.18.1")));
        };
        check(Vec::new(), Status::Unknown);
        check(vec![conditional("4.17.9", Status::True, None)], Status::True);
    }
}
