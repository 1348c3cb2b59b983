use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::wave::{OWNER, owner_of};
use crate::cluster::{Cluster, Patch};
use crate::ids::NodeName;
use crate::machine_health::changed_meanwhile;
use crate::views::{Node, View as _};

/// Keeps new pods from a node, in the name of the run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CordonNode {
    /// Which.
    pub node: NodeName,
}

/// A node that is cordoned.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeCordoned {
    /// Which.
    pub node: NodeName,
    /// Whether the cordon is the run's own: only such a one is to be given back.
    pub ours: bool,
}

impl Activity for CordonNode {
    const NAME: ActivityName = ActivityName::new("cordon-node");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = NodeCordoned;

    fn summary(&self) -> String {
        format!("cordon node {}", self.node)
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("PATCH /api/v1/nodes/{} merge {{\"spec\":{{\"unschedulable\":true}}}}", self.node)]
    }

    fn assumed(&self) -> Option<NodeCordoned> {
        // Who says so has cordoned it, or left it out: either way it is not the run's to give back.
        Some(NodeCordoned { node: self.node.clone(), ours: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<NodeCordoned, ActivityError> {
        let owner = owner_of(cx.attempt().run);
        let node: Node = cx.world().must_get(None, self.node.as_str()).await?;
        if node.spec.unschedulable {
            return Ok(NodeCordoned { ours: node.annotation(OWNER) == Some(owner.as_str()), node: self.node });
        }
        let patch = Patch::Merge(json!({
            // Two who cordon at the same moment must not both believe that it was them.
            "metadata": {"annotations": {OWNER: owner}, "resourceVersion": node.metadata.resource_version},
            "spec": {"unschedulable": true},
        }));
        cx.world().patch::<Node>(None, self.node.as_str(), &patch).await.map_err(changed_meanwhile)?;
        Ok(NodeCordoned { ours: true, node: self.node })
    }
}

/// Lets pods onto a node again, if it was this run that cordoned it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UncordonNode {
    /// Which.
    pub node: NodeName,
}

/// What became of a cordon.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeUncordoned {
    /// Pods may come again.
    Uncordoned,
    /// The run has no cordon on it; how it is now is somebody else's wish.
    NotOurs,
    /// The node no longer exists.
    Gone,
}

impl Activity for UncordonNode {
    const NAME: ActivityName = ActivityName::new("uncordon-node");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = NodeUncordoned;

    fn summary(&self) -> String {
        format!("uncordon node {} if it was cordoned by this run", self.node)
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("PATCH /api/v1/nodes/{} merge {{\"spec\":{{\"unschedulable\":null}}}}", self.node)]
    }

    fn assumed(&self) -> Option<NodeUncordoned> {
        Some(NodeUncordoned::NotOurs)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<NodeUncordoned, ActivityError> {
        let owner = owner_of(cx.attempt().run);
        let found: Option<Node> = cx.world().get(None, self.node.as_str()).await?;
        let Some(node) = found else { return Ok(NodeUncordoned::Gone) };
        if node.annotation(OWNER) != Some(owner.as_str()) {
            return Ok(NodeUncordoned::NotOurs);
        }
        let patch = Patch::Merge(json!({
            "metadata": {"annotations": {OWNER: null}, "resourceVersion": node.metadata.resource_version},
            "spec": {"unschedulable": null},
        }));
        cx.world().patch::<Node>(None, self.node.as_str(), &patch).await.map_err(changed_meanwhile)?;
        Ok(NodeUncordoned::Uncordoned)
    }
}
