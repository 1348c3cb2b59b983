//! What hangs on something that stays is taken off it: subnets off the router, ports off the nodes' trunks.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::capture::carries;
use crate::cluster::Cluster;
use crate::openstack::{CallFailed, Network, Port, Resource, Router, Subnet, Trunk};

/// Takes one of Kuryr's subnets off the router.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DetachSubnet {
    /// The cloud's name in `clouds.yaml`.
    pub cloud: String,
    /// The tag that the subnet's network must carry.
    pub tag: String,
    /// The router's id.
    pub router: String,
    /// The subnet's id.
    pub subnet: String,
    /// The id of the network that it was seen in.
    pub network: String,
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Detached {
    /// Whether it was so already.
    pub already: bool,
}

impl Activity for DetachSubnet {
    const NAME: ActivityName = ActivityName::new("detach-subnet");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = Detached;

    fn summary(&self) -> String {
        format!("take subnet {} off router {} in cloud {}", self.subnet, self.router, self.cloud)
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("PUT {}/{}/remove_router_interface {{\"subnet_id\":\"{}\"}}", Router::PATH, self.router, self.subnet)]
    }

    fn assumed(&self) -> Option<Detached> {
        Some(Detached { already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Detached, ActivityError> {
        let cloud = cx.world().cloud(&self.cloud).await?;
        let (Some(network), Some(subnet)) =
            (cloud.get::<Network>(&self.network).await?, cloud.get::<Subnet>(&self.subnet).await?)
        else {
            return Ok(Detached { already: true });
        };
        if !carries(&network, &self.tag) || subnet.network_id != network.id {
            let (id, net, tag) = (&self.subnet, &network.id, &self.tag);
            let message = format!("subnet {id} is not one of network {net} with the tag {tag}; nothing was changed");
            return Err(ActivityError::permanent("not-ours", message));
        }
        let ports: Vec<Port> = cloud.list(&[("network_id", &self.network), ("device_id", &self.router)]).await?;
        if !ports.iter().any(Port::is_router_interface) {
            return Ok(Detached { already: true });
        }
        let body = json!({"subnet_id": self.subnet});
        match cloud.change::<Router>(Method::PUT, &self.router, "remove_router_interface", &body).await {
            Ok(_) => Ok(Detached { already: false }),
            Err(CallFailed::Conflict(said)) => {
                let message = format!("subnet {} can't be taken off router {}: {said}", self.subnet, self.router);
                Err(ActivityError::transient("in-use", message))
            }
            // Of a network with several subnets, this one was off it already.
            Err(CallFailed::Other(error)) if error.code == "not-found" => Ok(Detached { already: true }),
            Err(CallFailed::Other(error)) => Err(error),
        }
    }
}

/// Takes Kuryr's ports off a node's trunk; the trunk and the node's own port stay.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RemoveSubPorts {
    /// The cloud's name in `clouds.yaml`.
    pub cloud: String,
    /// The tag that the trunk must carry.
    pub tag: String,
    /// The trunk's id.
    pub trunk: String,
    /// Its name, for people.
    pub name: String,
    /// The ids of the ports.
    pub ports: Vec<String>,
}

/// What was taken off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SubPortsRemoved {
    /// How many ports.
    pub removed: usize,
}

impl Activity for RemoveSubPorts {
    const NAME: ActivityName = ActivityName::new("remove-sub-ports");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = SubPortsRemoved;

    fn summary(&self) -> String {
        format!("take Kuryr's ports off trunk {} in cloud {}", self.name, self.cloud)
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("PUT {}/{}/remove_subports of {} ports", Trunk::PATH, self.trunk, self.ports.len())]
    }

    fn assumed(&self) -> Option<SubPortsRemoved> {
        Some(SubPortsRemoved { removed: self.ports.len() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<SubPortsRemoved, ActivityError> {
        let cloud = cx.world().cloud(&self.cloud).await?;
        let Some(trunk) = cloud.get::<Trunk>(&self.trunk).await? else { return Ok(SubPortsRemoved { removed: 0 }) };
        if !carries(&trunk, &self.tag) {
            let message = format!("trunk {} does not carry the tag {}; nothing was changed", self.trunk, self.tag);
            return Err(ActivityError::permanent("not-ours", message));
        }
        // Pods came since the ports were written down; what carries the tag is Kuryr's, since the node's own port is no sub-port.
        let tagged: Vec<Port> = cloud.list(&[("tags", &self.tag)]).await?;
        let is_ours = |id: &String| self.ports.contains(id) || tagged.iter().any(|port| port.id == *id);
        let there = trunk.sub_ports.iter().filter(|sub| is_ours(&sub.port_id));
        let bodies: Vec<_> = there.map(|sub| json!({"port_id": sub.port_id})).collect();
        if !bodies.is_empty() {
            cloud.change::<Trunk>(Method::PUT, &self.trunk, "remove_subports", &json!({"sub_ports": bodies})).await?;
        }
        Ok(SubPortsRemoved { removed: bodies.len() })
    }
}
