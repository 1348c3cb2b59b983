//! The Deployment ovn-central: its replicas and the addresses that its pods are started with, in one change.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::Cluster;
use crate::ids::NodeName;

/// Sets `spec.replicas` and `NODE_IPS` of ovn-central in one patch, which restarts its pods one after the other; refuses if either is
/// neither as it was nor as it shall be, and if the quorum guard does not let a restart.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SetCentralMembers {
    /// `NODE_IPS` as it shall be, in order: a new address comes last.
    pub node_ips: Vec<IpAddr>,
    /// `NODE_IPS` as it was.
    pub was: Vec<IpAddr>,
}

/// That ovn-central is set so.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CentralSet {
    /// The generation of the Deployment that has it.
    pub generation: i64,
    /// Whether it was so already.
    pub already: bool,
}

impl Activity for SetCentralMembers {
    const NAME: ActivityName = ActivityName::new("set-central-members");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = CentralSet;

    fn summary(&self) -> String {
        format!("set ovn-central to {} replicas and NODE_IPS {}", self.node_ips.len(), super::list(&self.node_ips))
    }

    fn assumed(&self) -> Option<CentralSet> {
        Some(CentralSet { generation: 0, already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<CentralSet, ActivityError> {
        let _ = (self, cx);
        Err(ActivityError::permanent("unbuilt", "not built yet"))
    }
}

/// Waits until every pod of ovn-central is one of the new template, and ready.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitCentralRollout {
    /// `NODE_IPS` that they were started with.
    pub node_ips: Vec<IpAddr>,
}

/// That a rollout is done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RolledOut {
    /// What was seen.
    pub evidence: String,
}

impl Activity for AwaitCentralRollout {
    const NAME: ActivityName = ActivityName::new("await-central-rollout");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = RolledOut;

    fn summary(&self) -> String {
        "wait until ovn-central is rolled out".to_owned()
    }

    fn assumed(&self) -> Option<RolledOut> {
        Some(RolledOut { evidence: crate::requests::ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<RolledOut, ActivityError> {
        let _ = (self, cx);
        Err(ActivityError::permanent("unbuilt", "not built yet"))
    }
}

/// Deletes the pod of ovn-central on a node that is a member of neither database any more, by its uid.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RemoveCentralPod {
    /// The node.
    pub node: NodeName,
    /// Its address, which must be in neither database.
    pub address: IpAddr,
    /// The pod.
    pub pod: String,
    /// Its uid.
    pub uid: String,
}

/// That a pod is gone or on its way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PodRemoved {
    /// Whether it was gone already.
    pub already: bool,
}

impl Activity for RemoveCentralPod {
    const NAME: ActivityName = ActivityName::new("remove-central-pod");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = PodRemoved;

    fn summary(&self) -> String {
        format!("delete pod {} of ovn-central on {}", self.pod, self.node)
    }

    fn assumed(&self) -> Option<PodRemoved> {
        Some(PodRemoved { already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<PodRemoved, ActivityError> {
        let _ = (self, cx);
        Err(ActivityError::permanent("unbuilt", "not built yet"))
    }
}
