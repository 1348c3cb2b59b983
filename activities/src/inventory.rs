//! What a plan is pinned to besides releases: the nodes of each pool, what the cluster objects to, what stands on it.

use std::collections::BTreeMap;

use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::{Cluster, Query};
use crate::snapshot::membership;
use crate::views::{ClusterVersion, Conditions as _, MachineConfigPool, Node, Status, View, view};

/// Reads what a plan is pinned to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadInventory {}

/// A cluster as a plan pins it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// The nodes, by pool.
    pub nodes: BTreeMap<String, Vec<String>>,
    /// Why the cluster refuses a new minor release, if it does.
    pub objection: Option<String>,
    /// The updates that are offered with risks, each with the risks' names and whether the cluster recommends it.
    pub conditional: Vec<String>,
    /// Products on top of the platform that follow each of its minor releases.
    pub layered: Vec<String>,
}

/// The operators of products whose own update follows the platform's, hop by hop.
const LAYERED: [(&str, &str); 5] = [
    ("odf-operator", "OpenShift Data Foundation"),
    ("ocs-operator", "OpenShift Data Foundation"),
    ("kubevirt-hyperconverged-operator", "OpenShift Virtualization"),
    ("advanced-cluster-management", "Advanced Cluster Management"),
    ("local-storage-operator", "Local Storage Operator"),
];

/// An operator that OLM installed, by its name only.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct InstalledOperator {
    metadata: ObjectMeta,
}
view!(InstalledOperator, Namespaced, "operators.coreos.com", "v1alpha1", "ClusterServiceVersion", "clusterserviceversions");

impl Activity for ReadInventory {
    const NAME: ActivityName = ActivityName::new("read-inventory");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Inventory;

    fn summary(&self) -> String {
        "read the nodes of each pool and what the cluster objects to".to_owned()
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Inventory, ActivityError> {
        let (cluster, all) = (cx.world(), Query::default());
        let version: ClusterVersion = cluster.must_get(None, "version").await?;
        let pools: Vec<MachineConfigPool> = cluster.list(&all).await?;
        let nodes: Vec<Node> = cluster.list(&all).await?;
        let installed = match cluster.list_metadata::<InstalledOperator>(&all).await {
            // Clusters without OLM do not serve these, and a person without the right to read them may still update.
            Err(error) if error.is_not_found() || error.is_forbidden() => Vec::new(),
            outcome => outcome?,
        };
        Ok(Inventory {
            nodes: by_pool(&pools, &nodes),
            objection: objection(&version),
            conditional: conditional(&version),
            layered: layered(installed.iter().map(View::name)),
        })
    }
}

fn by_pool(pools: &[MachineConfigPool], nodes: &[Node]) -> BTreeMap<String, Vec<String>> {
    let mut by_pool: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in nodes {
        let pool = membership(node, pools.iter()).map_or("no pool", |pool| pool.name());
        by_pool.entry(pool.to_owned()).or_default().push(node.name().to_owned());
    }
    for nodes in by_pool.values_mut() {
        nodes.sort();
    }
    by_pool
}

fn objection(version: &ClusterVersion) -> Option<String> {
    let objection = version.condition("Upgradeable").filter(|upgradeable| upgradeable.status == Status::False)?;
    Some(format!("{}: {}", objection.reason, objection.explanation()))
}

fn conditional(version: &ClusterVersion) -> Vec<String> {
    let one = |update: &crate::views::ConditionalUpdate| {
        let verdict = match update.conditions.iter().find(|condition| condition.kind == "Recommended").map(|c| c.status) {
            Some(Status::True) => "recommended",
            Some(Status::False) => "not recommended",
            Some(Status::Unknown) | None => "not judged",
        };
        let risks: Vec<&str> = update.risks.iter().map(|risk| risk.name.as_str()).collect();
        format!("{} ({verdict}; risks: {})", update.release.version, risks.join(", "))
    };
    let mut found: Vec<String> = version.status.conditional_updates.iter().map(one).collect();
    found.sort();
    found
}

fn layered<'a>(installed: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut found: Vec<String> = installed
        .filter_map(|name| LAYERED.iter().find(|(operator, _)| name.split('.').next() == Some(*operator)))
        .map(|(_, product)| (*product).to_owned())
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::{healthy, version};
    use crate::views::{ConditionalRisk, ConditionalUpdate, PublishedRelease};

    #[test]
    fn nodes_are_listed_by_the_pool_that_they_are_in() {
        let snapshot = healthy();
        let pools: Vec<MachineConfigPool> = snapshot.pools.values().map(|pool| (**pool).clone()).collect();
        let nodes: Vec<Node> = snapshot.nodes.values().map(|node| (**node).clone()).collect();
        let found = by_pool(&pools, &nodes);
        assert_eq!(found["worker"], ["worker-0", "worker-1"]);
        assert_eq!(found["master"].len(), 3);
    }

    #[test]
    fn products_are_known_by_the_operators_they_come_with() {
        let check = |installed: &[&str], expect: &[&str]| assert_eq!(layered(installed.iter().copied()), expect);
        check(&["odf-operator.v4.16.3", "ocs-operator.v4.16.3"], &["OpenShift Data Foundation"]);
        check(&["web-terminal.v1.10.0", "odf-operators.v1"], &[]);
    }

    #[test]
    fn a_conditional_update_is_named_with_its_risks_and_the_clusters_verdict() {
        let mut snapshot = healthy();
        version(&mut snapshot, |version| {
            version.status.conditional_updates = vec![ConditionalUpdate {
                release: PublishedRelease { version: "4.17.12".to_owned(), ..PublishedRelease::default() },
                risks: vec![ConditionalRisk { name: "SlowRoutes".to_owned(), ..ConditionalRisk::default() }],
                conditions: Vec::new(),
            }];
        });
        assert_eq!(conditional(snapshot.version().unwrap()), ["4.17.12 (not judged; risks: SlowRoutes)"]);
    }
}
