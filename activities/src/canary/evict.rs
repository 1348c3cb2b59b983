use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::{Cluster, Query};
use crate::drain::explain_blocked_drain;
use crate::error::{CallError, Failure};
use crate::ids::NodeName;
use crate::requests::ASSUMED;
use crate::views::{Node, Pod, View as _};

/// Budgets move as pods come up elsewhere, which takes them some seconds.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(15);

/// Evicts the pods of a cordoned node, as far as their budgets allow; nothing is forced.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DrainNode {
    /// Which.
    pub node: NodeName,
    /// When what is left is left.
    pub limit_minutes: u32,
}

/// How far a node was drained.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeDrained {
    /// Which.
    pub node: NodeName,
    /// Pods that this attempt evicted.
    pub evicted: usize,
    /// What is left on it, and why; empty if nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

impl Activity for DrainNode {
    const NAME: ActivityName = ActivityName::new("drain-node");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = NodeDrained;

    fn summary(&self) -> String {
        format!("evict the pods of node {} as their budgets allow", self.node)
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("POST /api/v1/namespaces/…/pods/…/eviction for each pod of node {}, with the pod's uid", self.node)]
    }

    fn assumed(&self) -> Option<NodeDrained> {
        Some(NodeDrained { node: self.node.clone(), evicted: 0, left: vec![format!("node {}: {ASSUMED}", self.node)] })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<NodeDrained, ActivityError> {
        let until = cx.now().plus(Duration::from_secs(60 * u64::from(self.limit_minutes)));
        let mut gone = BTreeSet::new();
        loop {
            let node: Node = cx.world().must_get(None, self.node.as_str()).await?;
            if !node.spec.unschedulable {
                let message = format!("node {} is not cordoned, its pods would come back; cordon it, then retry", self.node);
                return Err(ActivityError::permanent("not-cordoned", message));
            }
            let fields = Some(format!("spec.nodeName={}", self.node));
            let pods: Vec<Pod> = cx.world().list(&Query { fields, ..Query::default() }).await?;
            let on_it = sort(&pods);
            if on_it.movable.is_empty() {
                return Ok(NodeDrained { node: self.node, evicted: gone.len(), left: on_it.bare });
            }
            if cx.now() >= until {
                let blocked = explain_blocked_drain(cx.world(), &self.node).await?;
                let left = on_it.bare.into_iter().chain([blocked.to_string()]).collect();
                return Ok(NodeDrained { node: self.node, evicted: gone.len(), left });
            }
            for pod in on_it.movable.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
                if evict(cx.world(), pod).await? {
                    gone.insert(pod.uid_text().to_owned());
                }
            }
            cx.progress(format!("node {}: {} pods evicted, {} seen on it", self.node, gone.len(), on_it.movable.len()));
            cx.sleep(BETWEEN_ROUNDS).await;
        }
    }
}

/// The pods of a node that a drain is about.
struct OnIt<'a> {
    movable: Vec<&'a Pod>,
    /// Pods that nothing would start again elsewhere, in words.
    bare: Vec<String>,
}

fn sort(pods: &[Pod]) -> OnIt<'_> {
    let has_owner = |pod: &&Pod| pod.metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty());
    let (movable, bare): (Vec<&Pod>, Vec<&Pod>) = pods.iter().filter(|pod| pod.must_be_evicted()).partition(has_owner);
    let in_words =
        |pod: &Pod| format!("pod {}/{} stays: nothing would start it again elsewhere", pod.namespace_name(), pod.name());
    OnIt { movable, bare: bare.into_iter().map(in_words).collect() }
}

/// Whether this very pod is on its way; a budget that forbids it now may allow it later.
async fn evict(cluster: &Cluster, pod: &Pod) -> Result<bool, ActivityError> {
    match cluster.evict(pod.namespace_name(), pod.name(), pod.uid_text()).await {
        Ok(()) => Ok(true),
        // Gone, or its successor has its name.
        Err(error) if error.is_not_found() || error.is_precondition() => Ok(false),
        Err(error) if is_held(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether a budget stands in the way; with two of them on one pod the server says so with an internal error.
fn is_held(error: &CallError) -> bool {
    match &error.failure {
        Failure::Answered { status, .. } => {
            status.code == 429 || (status.code == 500 && status.message.contains("PodDisruptionBudget"))
        }
        Failure::NotSent(_)
        | Failure::Lost(_)
        | Failure::TimedOut(_)
        | Failure::NoCredentials(_)
        | Failure::Fenced(_)
        | Failure::Unreadable(_) => false,
    }
}
