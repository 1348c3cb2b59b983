//! A Deployment or a DaemonSet, where it makes no difference which; and its pods with the nodes that they are on.

use std::collections::BTreeSet;

use windlass_engine::ActivityError;

use super::Workload;
use crate::cluster::{Cluster, Patch, Query};
use crate::error::CallError;
use crate::ovn::NAMESPACE;
use crate::requests::patch_line;
use crate::views::{Conditions as _, DaemonSet, Deployment, LabelSelector, Node, Pod, PodTemplate, Status, View as _};

/// A workload as it was read.
pub(super) enum Found {
    Deployment(Deployment),
    DaemonSet(DaemonSet),
}

impl Found {
    pub(super) async fn read(cluster: &Cluster, kind: Workload, name: &str) -> Result<Self, ActivityError> {
        Ok(match kind {
            Workload::Deployment => Self::Deployment(cluster.must_get(Some(NAMESPACE), name).await?),
            Workload::DaemonSet => Self::DaemonSet(cluster.must_get(Some(NAMESPACE), name).await?),
        })
    }

    pub(super) fn template(&self) -> &PodTemplate {
        match self {
            Self::Deployment(deployment) => &deployment.spec.template,
            Self::DaemonSet(set) => &set.spec.template,
        }
    }

    fn selector(&self) -> &LabelSelector {
        match self {
            Self::Deployment(deployment) => &deployment.spec.selector,
            Self::DaemonSet(set) => &set.spec.selector,
        }
    }

    pub(super) async fn patch(&self, cluster: &Cluster, patch: &Patch) -> Result<(), CallError> {
        match self {
            Self::Deployment(one) => cluster.patch::<Deployment>(Some(NAMESPACE), one.name(), patch).await.map(drop),
            Self::DaemonSet(one) => cluster.patch::<DaemonSet>(Some(NAMESPACE), one.name(), patch).await.map(drop),
        }
    }

    pub(super) fn patch_line(kind: Workload, name: &str, patch: &Patch) -> String {
        match kind {
            Workload::Deployment => patch_line::<Deployment>(Some(NAMESPACE), name, patch),
            Workload::DaemonSet => patch_line::<DaemonSet>(Some(NAMESPACE), name, patch),
        }
    }

    /// Its pods that have not ended, and the nodes of the cluster.
    pub(super) async fn pods(&self, cluster: &Cluster) -> Result<Pods, CallError> {
        let selector = self.selector();
        let labels: Vec<String> = selector.match_labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let query = Query { namespace: Some(NAMESPACE.to_owned()), labels: Some(labels.join(",")), ..Query::default() };
        let mut pods: Vec<Pod> = cluster.list(&query).await?;
        pods.retain(|pod| selector.selects(pod.metadata.labels.as_ref()) && !pod.has_ended());
        pods.sort_by(|a, b| (&a.spec.node_name, a.name()).cmp(&(&b.spec.node_name, b.name())));
        let nodes: Vec<Node> = cluster.list(&Query::default()).await?;
        let (ready, unready): (Vec<Node>, Vec<Node>) = nodes.into_iter().partition(|node| node.says("Ready") == Status::True);
        let names = |nodes: Vec<Node>| nodes.iter().map(|node| node.name().to_owned()).collect();
        Ok(Pods { pods, ready: names(ready), unready: names(unready) })
    }
}

/// The pods of a workload, by node; and which nodes can run any.
pub(super) struct Pods {
    pub(super) pods: Vec<Pod>,
    /// Nodes that are ready, by name.
    pub(super) ready: BTreeSet<String>,
    /// Nodes that are not: what is on them can't be waited for.
    pub(super) unready: BTreeSet<String>,
}

impl Pods {
    /// The pods on nodes that are ready.
    pub(super) fn within_reach(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(|pod| pod.spec.node_name.as_ref().is_some_and(|node| self.ready.contains(node)))
    }

    /// Whether a pod is where nothing can be waited for.
    pub(super) fn is_out_of_reach(&self, pod: &Pod) -> bool {
        pod.spec.node_name.as_ref().is_some_and(|node| !self.ready.contains(node))
    }

    /// What is said of the nodes that are not waited for; nothing if there are none.
    pub(super) fn left_out(&self) -> String {
        if self.unready.is_empty() {
            return String::new();
        }
        let names: Vec<&str> = self.unready.iter().map(String::as_str).collect();
        format!("; not waited for what is on {}, not ready", names.join(", "))
    }
}
