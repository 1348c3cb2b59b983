//! The facts that the checks judge, read once.

mod look;

pub use look::Look;

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_engine::{ActivityError, Timestamp};

use crate::cluster::{Cluster, Query};
use crate::machine_health::health_checks;
use crate::snapshot::membership;
use crate::views::{
    ApiRequestCount, Budget, ClusterOperator, ClusterVersion, MachineConfigPool, MachineHealthCheck, Node, PersistentVolume, Pod,
    SigningRequest, TlsSecret, View as _, VirtualMachineInstance,
};

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
    /// The pods of all namespaces.
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
    /// The volumes.
    pub volumes: Look<Vec<PersistentVolume>>,
    /// The running virtual machines.
    pub virtual_machines: Look<Vec<VirtualMachineInstance>>,
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
        say("pods and what ties them to nodes");
        facts.pods = cluster.list(&all).await?;
        facts.volumes = Look::of(cluster.list(&all).await)?;
        facts.virtual_machines = Look::of(cluster.list(&all).await)?;
        say("certificates, API use and acknowledgements");
        for (namespace, name) in SIGNERS {
            facts.signers.extend(cluster.get_metadata::<TlsSecret>(Some(namespace), name).await?);
        }
        facts.request_counts = cluster.list_if_served(&all).await?;
        (facts.gates, facts.acks) = crate::admin_ack::read(cluster).await?;
        (facts.now, facts.clock_skew) = (cluster.time(), cluster.clock_skew());
        Ok(facts)
    }

    /// The nodes of a pool.
    pub fn members(&self, pool: &MachineConfigPool) -> Vec<&Node> {
        let is_member = |node: &&Node| membership(node, self.pools.iter()).is_some_and(|owner| owner.name() == pool.name());
        self.nodes.iter().filter(is_member).collect()
    }
}
