use std::net::IpAddr;

use kube::Resource as _;
use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::permitted;
use crate::cluster::{Cluster, Query};
use crate::ids::NodeName;
use crate::ovn::{Act, NAMESPACE};
use crate::views::{Pod, View as _};

/// Deletes every pod of ovn-central on a node that is a member of neither database any more, each by its uid.
///
/// Which pod that is is looked up right before: a rollout may have replaced the one that a plan saw.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RemoveCentralPod {
    /// The node.
    pub node: NodeName,
    /// Its address, which must be in neither database.
    pub address: IpAddr,
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
        format!("delete the pod of ovn-central on {}", self.node)
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("DELETE {}/… with its uid", Pod::url_path(&(), Some(NAMESPACE)))]
    }

    fn assumed(&self) -> Option<PodRemoved> {
        Some(PodRemoved { already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<PodRemoved, ActivityError> {
        let query = Query { namespace: Some(NAMESPACE.to_owned()), labels: Some(CENTRAL.to_owned()), ..Query::default() };
        let pods: Vec<Pod> = cx.world().list(&query).await?;
        let here = |pod: &&Pod| pod.spec.node_name.as_deref() == Some(self.node.as_str()) || host(pod) == Some(self.address);
        let mut already = true;
        for pod in pods.iter().filter(here).filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
            self.is_where_it_should_be(pod)?;
            // The look at both databases is the last thing before the deletion.
            permitted(&cx, Act::Delete { address: self.address }).await?;
            match cx.world().delete::<Pod>(Some(NAMESPACE), pod.name(), pod.uid_text()).await {
                Ok(()) => already = false,
                // Gone, or its successor has its name.
                Err(error) if error.is_not_found() || error.is_precondition() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(PodRemoved { already })
    }
}

/// The pods of ovn-central.
const CENTRAL: &str = "app=ovn-central";

/// The address of the node that a pod is on, which may be gone.
fn host(pod: &Pod) -> Option<IpAddr> {
    pod.status.host_ip.as_deref()?.parse().ok()
}

impl RemoveCentralPod {
    fn is_where_it_should_be(&self, pod: &Pod) -> Result<(), ActivityError> {
        let Some(host) = host(pod).filter(|host| *host != self.address) else { return Ok(()) };
        let (name, node, address) = (pod.name(), &self.node, self.address);
        let message = format!("pod {name} on {node} has the address {host} and not {address}: nothing was deleted; plan again");
        Err(ActivityError::permanent("wrong-host", message))
    }
}
