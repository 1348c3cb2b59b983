//! A host by way of the machine-config daemon's pod on it.

use std::time::Duration;

use windlass_engine::ActivityError;

use crate::cluster::{Cluster, Query};
use crate::exec::{Ended, Exec, Purpose};
use crate::ids::NodeName;
use crate::views::{Pod, View as _};

/// Where the machine-config daemon lives; its DaemonSet and its container have one name.
pub(super) const NAMESPACE: &str = "openshift-machine-config-operator";
pub(super) const DAEMON: &str = "machine-config-daemon";

const LIMIT: Duration = Duration::from_secs(60);
const MOST_BYTES: u64 = 64 << 10;

/// The daemon's pod on one node.
pub(in crate::network) struct Daemon<'a> {
    cluster: &'a Cluster,
    pod: String,
}

impl<'a> Daemon<'a> {
    pub(in crate::network) async fn on(cluster: &'a Cluster, node: &NodeName) -> Result<Self, ActivityError> {
        let query = Query { namespace: Some(NAMESPACE.to_owned()), fields: Some(format!("spec.nodeName={node}")), labels: None };
        let pods: Vec<Pod> = cluster.list(&query).await?;
        let is_daemon = |pod: &&Pod| {
            let owners = pod.metadata.owner_references.iter().flatten();
            owners.into_iter().any(|owner| owner.kind == "DaemonSet" && owner.name == DAEMON)
        };
        let running = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).find(is_daemon);
        let pod = running.map(|pod| pod.name().to_owned()).ok_or_else(|| {
            let advice = format!("look at `oc -n {NAMESPACE} get pods -o wide`, then retry");
            ActivityError::transient("no-daemon", format!("no {DAEMON} runs on {node}; {advice}"))
        })?;
        Ok(Self { cluster, pod })
    }

    pub(in crate::network) async fn command(&self, words: &[&str], purpose: Purpose) -> Result<Ended, ActivityError> {
        let words = [&["chroot", "/rootfs"], words].concat();
        let (namespace, pod, container) = (NAMESPACE, self.pod.as_str(), DAEMON);
        let exec = Exec { namespace, pod, container, words: &words, purpose, limit: LIMIT, most_bytes: MOST_BYTES };
        Ok(self.cluster.exec(&exec).await?)
    }

    pub(super) fn shell(&self) -> String {
        format!("oc -n {NAMESPACE} rsh {} chroot /rootfs", self.pod)
    }
}
