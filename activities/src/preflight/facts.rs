//! The facts that the checks judge, read once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use windlass_engine::{ActivityError, Timestamp};

use crate::cluster::{Cluster, Query};
use crate::machine_health::health_checks;
use crate::release::Minor;
use crate::views::{
    ApiRequestCount, Budget, ClusterOperator, ClusterVersion, MachineConfigPool, MachineHealthCheck, Node, Pod, SigningRequest,
    TlsSecret, View,
};

/// What the update intends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Where it goes.
    pub target: Minor,
    /// For how many days pools may stay paused.
    pub pause_days: u32,
}

/// A cluster as it was at one moment.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The cluster's time.
    pub now: Timestamp,
    /// How far the cluster's clock and ours are apart.
    pub clock_skew: Duration,
    /// The ClusterVersion.
    pub version: ClusterVersion,
    /// The cluster operators.
    pub operators: Vec<ClusterOperator>,
    /// The machine config pools.
    pub pools: Vec<MachineConfigPool>,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The disruption budgets of all namespaces.
    pub budgets: Vec<Budget>,
    /// The pods of namespaces that have several budgets.
    pub pods: Vec<Pod>,
    /// The machine health checks, without the platform's own.
    pub health_checks: Vec<MachineHealthCheck>,
    /// The signers whose end kubelets and the API server feel.
    pub signers: Vec<TlsSecret>,
    /// How often each API was used.
    pub request_counts: Vec<ApiRequestCount>,
    /// The acknowledgements that are asked for, by key.
    pub gates: BTreeMap<String, String>,
    /// The acknowledgements that were given, by key.
    pub acks: BTreeMap<String, String>,
    /// The requests for certificates.
    pub signing_requests: Vec<SigningRequest>,
}

/// Signers whose end cuts nodes off from the API server or the API server from nodes.
const SIGNERS: [(&str, &str); 3] = [
    ("openshift-kube-apiserver-operator", "kube-apiserver-to-kubelet-signer"),
    ("openshift-kube-apiserver-operator", "loadbalancer-serving-signer"),
    ("openshift-kube-controller-manager-operator", "csr-signer-signer"),
];

impl Facts {
    /// Reads them, saying what is being read.
    pub async fn read(cluster: &Cluster, say: impl Fn(&str)) -> Result<Self, ActivityError> {
        let all = Query::default();
        say("the version and the operators");
        let mut facts =
            Self { version: cluster.must_get(None, "version").await?, operators: cluster.list(&all).await?, ..Self::default() };
        say("pools and nodes");
        facts.pools = cluster.list(&all).await?;
        facts.nodes = cluster.list(&all).await?;
        facts.health_checks = health_checks(cluster).await?;
        facts.signing_requests = cluster.list_if_served(&all).await?;
        say("disruption budgets");
        facts.budgets = cluster.list(&all).await?;
        for namespace in crowded(&facts.budgets) {
            let query = Query { namespace: Some(namespace), ..Query::default() };
            facts.pods.extend(cluster.list_metadata::<Pod>(&query).await?);
        }
        say("certificates, API use and acknowledgements");
        for (namespace, name) in SIGNERS {
            facts.signers.extend(cluster.get_metadata::<TlsSecret>(Some(namespace), name).await?);
        }
        facts.request_counts = cluster.list_if_served(&all).await?;
        (facts.gates, facts.acks) = crate::admin_ack::read(cluster).await?;
        (facts.now, facts.clock_skew) = (cluster.time(), cluster.clock_skew());
        Ok(facts)
    }
}

/// The namespaces with more than one budget: only there can two of them be on one pod.
fn crowded(budgets: &[Budget]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let again = budgets.iter().map(View::namespace_name).filter(|namespace| !seen.insert(*namespace));
    again.map(str::to_owned).collect()
}
