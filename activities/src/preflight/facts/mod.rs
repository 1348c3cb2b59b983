//! The facts that the checks judge, read once.

mod look;
mod optional;
mod patience;

pub use look::Look;
use patience::patiently;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use windlass_engine::{ActivityContext, ActivityError, Timestamp};

use super::Preflight;
use crate::cluster::{Cluster, Query};
use crate::credentials::CredentialsState;
use crate::error::CallError;
use crate::lease::Holder;
use crate::machine_health::health_checks;
use crate::rbac::Permission;
use crate::snapshot::membership;
use crate::views::{
    ApiRequestCount, BareMetalHost, Budget, CephCluster, ClusterNetwork, ClusterOperator, ClusterVersion, ConfigMap,
    EtcdOperator, Infrastructure, InstalledOperator, Lease, MachineConfigPool, MachineHealthCheck, Node, NodeHealthCheck,
    PersistentVolume, Pod, Service, SigningRequest, TlsSecret, View as _, VirtualMachineInstance, Webhook,
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
    /// What could not be read, by the check that judges it.
    pub unread: BTreeMap<&'static str, String>,
    /// The volumes.
    pub volumes: Look<Vec<PersistentVolume>>,
    /// The running virtual machines.
    pub virtual_machines: Look<Vec<VirtualMachineInstance>>,
    /// What the cluster stands on.
    pub platform: Look<Infrastructure>,
    /// The cluster's network.
    pub network: Look<ClusterNetwork>,
    /// What the operator of etcd says.
    pub etcd: Look<EtcdOperator>,
    /// The voting members of etcd, by id.
    pub etcd_endpoints: Look<ConfigMap>,
    /// The machines that are reached out of band.
    pub hosts: Look<Vec<BareMetalHost>>,
    /// The node health checks.
    pub node_health_checks: Look<Vec<NodeHealthCheck>>,
    /// The storage clusters.
    pub storage: Look<Vec<CephCluster>>,
    /// Who drives the cluster.
    pub lock: Look<Lease>,
    /// Who we are, if that is known: what our own journal left behind is no other's.
    pub us: Option<Holder>,
    /// Rendered configurations that nodes or pools name and that do not exist.
    pub unrendered: Look<BTreeSet<String>>,
    /// Operators that the lifecycle manager installed, metadata only.
    pub installed: Look<Vec<InstalledOperator>>,
    /// Admission webhooks, each with the name of its configuration.
    pub webhooks: Look<Vec<(String, Webhook)>>,
    /// The services.
    pub services: Look<Vec<Service>>,
    /// The components whose only replica must not be away unnoticed.
    pub replicas: Look<Vec<Replicas>>,
    /// The permissions that the run needs and the login lacks.
    pub denied: Look<Vec<Permission>>,
    /// Signatures and mirrors of the pinned releases.
    pub signed: Look<Vec<Signed>>,
    /// How operators get their cloud credentials.
    pub credentials: Look<CredentialsState>,
    /// What Prometheus says; absent if none is configured.
    pub alerts: Look<Result<Vec<String>, String>>,
}

/// A component and how many replicas of it are wished.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replicas {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How many.
    pub wished: i32,
}

/// What a cluster without a way to the vendor lacks for a release.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// The release.
    pub release: String,
    /// What is lacking, each with what to do.
    pub lacking: Vec<String>,
}

/// Signers whose end cuts nodes off from the API server or the API server from nodes.
const SIGNERS: [(&str, &str); 3] = [
    ("openshift-kube-apiserver-operator", "kube-apiserver-to-kubelet-signer"),
    ("openshift-kube-apiserver-operator", "loadbalancer-serving-signer"),
    ("openshift-kube-controller-manager-operator", "csr-signer-signer"),
];

impl Facts {
    /// Reads them, saying what is being read.
    pub async fn read(cx: &ActivityContext<Cluster>, plan: &Preflight) -> Result<Self, ActivityError> {
        let cluster = cx.world();
        let say = |what: &str| cx.progress(format!("reading {what}"));
        let all = Query::default();
        say("the version and the operators");
        let mut facts = Self {
            version: patiently!(cx, cluster.must_get(None, "version"))?,
            operators: patiently!(cx, cluster.list(&all))?,
            ..Self::default()
        };
        say("pools and nodes");
        facts.pools = patiently!(cx, cluster.list(&all))?;
        facts.nodes = patiently!(cx, cluster.list(&all))?;
        facts.look_around(cx, say).await?;
        facts.look_further(cx, plan, say).await?;
        (facts.now, facts.clock_skew) = (cluster.time(), cluster.clock_skew());
        Ok(facts)
    }

    /// Reads what every cluster has, and what a login may still be refused.
    async fn look_around(&mut self, cx: &ActivityContext<Cluster>, say: impl Fn(&str)) -> Result<(), ActivityError> {
        let (cluster, all) = (cx.world(), Query::default());
        let checks = patiently!(cx, health_checks(cluster));
        self.health_checks = self.kept(&["health-checks"], checks)?;
        let requests = patiently!(cx, cluster.list(&all));
        self.signing_requests = self.kept(&["signing-requests"], requests)?;
        say("disruption budgets");
        let budgets = patiently!(cx, cluster.list(&all));
        self.budgets = self.kept(&["budgets", "evictable"], budgets)?;
        say("pods");
        let pods = patiently!(cx, cluster.list(&all));
        self.pods = self.kept(&["budgets", "capacity", "evictable", "webhooks"], pods)?;
        say("certificates, API use and acknowledgements");
        for (namespace, name) in SIGNERS {
            let signer = patiently!(cx, cluster.get_metadata::<TlsSecret>(Some(namespace), name));
            let signer = self.kept(&["certificates"], signer)?;
            self.signers.extend(signer);
        }
        let counts = patiently!(cx, cluster.list(&all));
        self.request_counts = self.kept(&["removed-apis"], counts)?;
        let gates = patiently!(cx, crate::admin_ack::read(cluster));
        (self.gates, self.acks) = self.kept(&["acknowledgements"], gates)?;
        Ok(())
    }

    /// What was read; nothing if there is nothing, and then the checks that judge it are told if it was refused.
    fn kept<T: Default>(&mut self, checks: &[&'static str], outcome: Result<T, CallError>) -> Result<T, ActivityError> {
        Ok(match Look::of(outcome)? {
            Look::Seen(seen) => seen,
            Look::Absent => T::default(),
            Look::Unreadable(why) => {
                self.unread.extend(checks.iter().map(|check| (*check, why.clone())));
                T::default()
            }
        })
    }

    /// The nodes of a pool.
    pub fn members(&self, pool: &MachineConfigPool) -> Vec<&Node> {
        let is_member = |node: &&Node| membership(node, self.pools.iter()).is_some_and(|owner| owner.name() == pool.name());
        self.nodes.iter().filter(is_member).collect()
    }
}
