//! The label that makes a node one of ovn-central's.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::{Cluster, Patch};
use crate::ids::NodeName;
use crate::requests::patch_line;
use crate::views::Node;

/// What ovn-central asks of its nodes, and the value that it asks for.
const ROLE: (&str, &str) = ("kube-ovn/role", "master");

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

impl LabelNode {
    fn patch(&self) -> Patch {
        let value = if self.central { json!(ROLE.1) } else { Value::Null };
        Patch::Merge(json!({"metadata": {"labels": {ROLE.0: value}}}))
    }

    fn is_done(&self, node: &Node) -> bool {
        let label = node.metadata.labels.as_ref().and_then(|labels| labels.get(ROLE.0));
        (label.map(String::as_str) == Some(ROLE.1)) == self.central
    }
}

impl Activity for LabelNode {
    const NAME: ActivityName = ActivityName::new("label-central-node");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = NodeLabelled;

    fn summary(&self) -> String {
        let Self { node, central } = self;
        if *central {
            format!("label node {node} {}={}", ROLE.0, ROLE.1)
        } else {
            format!("take the label {} from node {node}", ROLE.0)
        }
    }

    fn requests(&self) -> Vec<String> {
        vec![patch_line::<Node>(None, self.node.as_str(), &self.patch())]
    }

    fn assumed(&self) -> Option<NodeLabelled> {
        Some(NodeLabelled { already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<NodeLabelled, ActivityError> {
        let node: Option<Node> = cx.world().get(None, self.node.as_str()).await?;
        let Some(node) = node else { return self.without_node() };
        if self.is_done(&node) {
            return Ok(NodeLabelled { already: true });
        }
        cx.world().patch::<Node>(None, self.node.as_str(), &self.patch()).await?;
        Ok(NodeLabelled { already: false })
    }
}

impl LabelNode {
    /// A node that is gone has no label either.
    fn without_node(&self) -> Result<NodeLabelled, ActivityError> {
        if !self.central {
            return Ok(NodeLabelled { already: true });
        }
        let message = format!("node {} does not exist on this cluster, so it can't be labelled; plan again", self.node);
        Err(ActivityError::permanent("not-found", message))
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use windlass_engine::FailureKind;

    use super::*;
    use crate::testing::{Fault, NODES, Server, attempt};

    /// Seen to fail with: the patch sent without a look.
    #[tokio::test(start_paused = true)]
    async fn a_node_is_labelled_once_whatever_reply_is_lost() {
        for fault in [Fault::ResetBefore, Fault::ResetAfter, Fault::Code(504)] {
            let server = Server::healthy();
            let cluster = server.cluster().await;
            let label = |central| LabelNode { node: "worker-0".into(), central };
            for (central, expect) in [(true, json!("master")), (false, Value::Null)] {
                let before = server.writes().len();
                server.fail_next(&Method::PATCH, fault);
                let error = label(central).run(attempt(&cluster).0).await.unwrap_err();
                assert_eq!(error.kind, FailureKind::Unknown, "{error}");
                let again = label(central).run(attempt(&cluster).0).await.unwrap();
                assert_eq!(again.already, fault == Fault::ResetAfter);
                assert!(label(central).run(attempt(&cluster).0).await.unwrap().already);
                assert_eq!(server.writes().len(), before + 1, "{fault:?}");
                assert_eq!(server.read(NODES, "worker-0")["metadata"]["labels"]["kube-ovn/role"], expect);
            }
        }
    }

    /// Seen to fail with: another value of the label taken for ours.
    #[tokio::test(start_paused = true)]
    async fn a_node_that_is_gone_has_no_label_and_gets_none() {
        let server = Server::healthy();
        server.edit(NODES, "worker-0", |node| node["metadata"]["labels"][ROLE.0] = json!("edge"));
        let cluster = server.cluster().await;
        let label = async |node: &str, central| LabelNode { node: node.into(), central }.run(attempt(&cluster).0).await;
        assert!(label("worker-9", false).await.unwrap().already);
        assert_eq!(label("worker-9", true).await.unwrap_err().code, "not-found");
        assert!(label("worker-0", false).await.unwrap().already);
        assert!(server.writes().is_empty());
    }

    #[test]
    fn a_plan_shows_the_request() {
        let label = |central| LabelNode { node: "a".into(), central }.requests().remove(0);
        assert_eq!(label(true), r#"PATCH /api/v1/nodes/a merge {"metadata":{"labels":{"kube-ovn/role":"master"}}}"#);
        assert_eq!(label(false), r#"PATCH /api/v1/nodes/a merge {"metadata":{"labels":{"kube-ovn/role":null}}}"#);
    }
}
