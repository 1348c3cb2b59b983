//! The ports of one of Kuryr's networks, deleted one by one, a few at a time.

use std::time::Duration;

use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::capture::carries;
use crate::cluster::Cluster;
use crate::openstack::{CallFailed, Network, Port, Resource};

/// How many deletions may be under way at a time, as in the vendor's text: Neutron serves other clusters, too.
const AT_A_TIME: usize = 20;

/// How soon ports that are still needed are tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// How many ports a message names.
const NAMED: usize = 5;

/// Deletes the ports of one network of Kuryr's, those of its router excepted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeletePorts {
    /// The cloud's name in `clouds.yaml`.
    pub cloud: String,
    /// The tag that the network and its ports must carry.
    pub tag: String,
    /// The network's id.
    pub network: String,
    /// Its name, for people.
    pub name: String,
    /// How many ports there were when they were captured.
    pub ports: usize,
}

/// What was deleted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PortsDeleted {
    /// How many ports.
    pub deleted: usize,
}

impl Activity for DeletePorts {
    const NAME: ActivityName = ActivityName::new("delete-ports");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = PortsDeleted;

    fn summary(&self) -> String {
        format!("delete the {} ports of network {} in cloud {}", self.ports, self.name, self.cloud)
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("DELETE {}/… of {} ports of network {}", Port::PATH, self.ports, self.network)]
    }

    fn assumed(&self) -> Option<PortsDeleted> {
        Some(PortsDeleted { deleted: self.ports })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<PortsDeleted, ActivityError> {
        let cloud = cx.world().cloud(&self.cloud).await?;
        let mut deleted = 0;
        loop {
            let Some(network) = cloud.get::<Network>(&self.network).await? else { return Ok(PortsDeleted { deleted }) };
            if !carries(&network, &self.tag) {
                let message = format!("network {} does not carry the tag {}; nothing was deleted", self.network, self.tag);
                return Err(ActivityError::permanent("not-ours", message));
            }
            let ports: Vec<Port> = cloud.list(&[("network_id", &self.network)]).await?;
            let ports = ours(&self.name, ports, &self.tag)?;
            if ports.is_empty() {
                return Ok(PortsDeleted { deleted });
            }
            let count = ports.len();
            let outcomes = futures::stream::iter(ports).map(|port| {
                let cloud = &cloud;
                async move { cloud.delete::<Port>(&port.id, "").await }
            });
            let outcomes: Vec<_> = outcomes.buffer_unordered(AT_A_TIME).collect().await;
            let mut held = None;
            for outcome in outcomes {
                match outcome {
                    Ok(was_there) => deleted += usize::from(was_there),
                    Err(CallFailed::Conflict(said)) => held = Some(said),
                    Err(CallFailed::Other(error)) => return Err(error),
                }
            }
            if let Some(said) = held {
                cx.progress(format!("some of {count} ports of network {} are still needed: {said}", self.name));
                cx.sleep(PAUSE).await;
            }
        }
    }
}

/// The ports that are to go. One that is not this cluster's stops everything: its network can't go, and somebody must look.
fn ours(network: &str, ports: Vec<Port>, tag: &str) -> Result<Vec<Port>, ActivityError> {
    let to_go = ports.into_iter().filter(|port| !port.is_router_interface() && !port.is_networks_own());
    let (ours, others): (Vec<Port>, Vec<Port>) = to_go.partition(|port| carries(port, tag));
    if others.is_empty() {
        return Ok(ours);
    }
    let named: Vec<String> =
        others.iter().take(NAMED).map(|port| format!("{} ({:?}, of {:?})", port.id, port.name, port.device_owner)).collect();
    let more = if others.len() > NAMED { ", …" } else { "" };
    let message = format!(
        "{} ports of network {network} do not carry the tag {tag}: {}{more}; nothing was deleted; look at them with \
         `openstack port show`, delete or tag them, then retry",
        others.len(),
        named.join(", ")
    );
    Err(ActivityError::permanent("not-ours", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_somebody_else_stops_everything() {
        let port = |id: &str, owner: &str, tags: &[&str]| Port {
            id: id.to_owned(),
            device_owner: owner.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..Port::default()
        };
        let ours_and_network = vec![
            port("1", "trunk:subport", &["t"]),
            port("2", "network:router_interface", &[]),
            port("3", "network:dhcp", &[]),
            port("4", "", &["t", "u"]),
        ];
        let ids: Vec<String> = ours("n", ours_and_network.clone(), "t").unwrap().into_iter().map(|port| port.id).collect();
        assert_eq!(ids, ["1", "4"]);
        let foreign = [ours_and_network, vec![port("5", "compute:nova", &["other"])]].concat();
        let error = ours("n", foreign, "t").unwrap_err();
        assert!(error.message.contains("5 (\"\", of \"compute:nova\")"), "{error}");
    }
}
