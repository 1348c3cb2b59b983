use std::net::IpAddr;

use kube::Resource as _;
use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::permitted;
use crate::cluster::Cluster;
use crate::ids::NodeName;
use crate::ovn::{Act, NAMESPACE};
use crate::views::{Pod, View as _};

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

    fn requests(&self) -> Vec<String> {
        vec![format!("DELETE {}/{} with its uid", Pod::url_path(&(), Some(NAMESPACE)), self.pod)]
    }

    fn assumed(&self) -> Option<PodRemoved> {
        Some(PodRemoved { already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<PodRemoved, ActivityError> {
        let found: Option<Pod> = cx.world().get(Some(NAMESPACE), &self.pod).await?;
        let Some(pod) = found.filter(|pod| pod.uid_text() == self.uid && pod.metadata.deletion_timestamp.is_none()) else {
            return Ok(PodRemoved { already: true });
        };
        self.is_where_it_should_be(&pod)?;
        // The look at both databases is the last thing before the deletion.
        permitted(&cx, Act::Delete { address: self.address }).await?;
        match cx.world().delete::<Pod>(Some(NAMESPACE), &self.pod, &self.uid).await {
            Ok(()) => Ok(PodRemoved { already: false }),
            // Gone, or its successor has its name.
            Err(error) if error.is_not_found() || error.is_precondition() => Ok(PodRemoved { already: true }),
            Err(error) => Err(error.into()),
        }
    }
}

impl RemoveCentralPod {
    fn is_where_it_should_be(&self, pod: &Pod) -> Result<(), ActivityError> {
        let node = pod.spec.node_name.as_deref().unwrap_or("no node");
        let host = pod.status.host_ip.as_deref().and_then(|address| address.parse::<IpAddr>().ok());
        if node == self.node.as_str() && host.is_none_or(|host| host == self.address) {
            return Ok(());
        }
        let host = host.map(|host| format!(" ({host})")).unwrap_or_default();
        let (name, wanted, address) = (&self.pod, &self.node, self.address);
        let message = format!("pod {name} is on {node}{host}, not on {wanted} ({address}): nothing was deleted; plan again");
        Err(ActivityError::permanent("wrong-host", message))
    }
}
