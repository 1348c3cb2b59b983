//! The label that makes a node one of ovn-central's.

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::Cluster;
use crate::ids::NodeName;

/// Gives a node the label `kube-ovn/role=master`, or takes it away.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LabelNode {
    /// The node.
    pub node: NodeName,
    /// Whether it has the label afterwards.
    pub central: bool,
}

/// That a node is labelled as asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeLabelled {
    /// Whether it was so already.
    pub already: bool,
}

impl Activity for LabelNode {
    const NAME: ActivityName = ActivityName::new("label-central-node");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = NodeLabelled;

    fn summary(&self) -> String {
        {
            let Self { node, central } = self;
            if *central {
                format!("label node {node} kube-ovn/role=master")
            } else {
                format!("take the label kube-ovn/role from node {node}")
            }
        }
    }

    fn assumed(&self) -> Option<NodeLabelled> {
        Some(NodeLabelled { already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<NodeLabelled, ActivityError> {
        let _ = (self, cx);
        Err(ActivityError::permanent("unbuilt", "not built yet"))
    }
}
