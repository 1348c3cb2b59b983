//! What is read of each kind of the cloud's objects: only what is judged.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// One of the cloud's services.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Service {
    /// Nova.
    Compute,
    /// Neutron.
    Network,
    /// Octavia.
    LoadBalancer,
}

impl Service {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Compute, Self::Network, Self::LoadBalancer];

    /// As the catalogue calls it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Network => "network",
            Self::LoadBalancer => "load-balancer",
        }
    }

    /// What stands between an address of the catalogue and an object's path, unless the address ends with a version already.
    pub(super) fn version(self) -> &'static str {
        match self {
            Self::Compute => "/v2.1",
            Self::Network => "/v2.0",
            Self::LoadBalancer => "/v2",
        }
    }
}

/// A kind of object of the cloud.
pub trait Resource: DeserializeOwned + Send {
    /// The service that has it.
    const SERVICE: Service;
    /// Its collection's path under the service's version, and what it is called in permissions and messages: `networks`.
    const PATH: &'static str;
    /// The key of a list in an answer: `networks`.
    const MANY: &'static str;
    /// The key of one object in an answer: `network`.
    const ONE: &'static str;

    /// Its id.
    fn id(&self) -> &str;
    /// Its name; names are not unique.
    fn name(&self) -> &str;
    /// Its tags.
    fn tags(&self) -> &[String];
}

macro_rules! resource {
    ($kind:ident, $service:ident, $path:literal, $many:literal, $one:literal) => {
        impl Resource for $kind {
            const SERVICE: Service = Service::$service;
            const PATH: &'static str = $path;
            const MANY: &'static str = $many;
            const ONE: &'static str = $one;

            fn id(&self) -> &str {
                &self.id
            }

            fn name(&self) -> &str {
                &self.name
            }

            fn tags(&self) -> &[String] {
                &self.tags
            }
        }
    };
}

macro_rules! object {
    ($(#[$doc:meta])* $kind:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $kind {
            /// Its id.
            pub id: String,
            /// Its name.
            #[serde(deserialize_with = "crate::views::nullable")]
            pub name: String,
            /// Its tags.
            #[serde(deserialize_with = "crate::views::nullable")]
            pub tags: Vec<String>,
            $($(#[$field_doc])* #[serde(deserialize_with = "crate::views::nullable")] pub $field: $type,)*
        }
    };
}

object! {
    /// A network.
    Network {
        /// The ids of its subnets.
        subnets: Vec<String>,
    }
}
resource!(Network, Network, "networks", "networks", "network");

object! {
    /// A subnet of a network.
    Subnet {
        /// The network's id.
        network_id: String,
    }
}
resource!(Subnet, Network, "subnets", "subnets", "subnet");

object! {
    /// A port of a network.
    Port {
        /// The network's id.
        network_id: String,
        /// What it is good for: `compute:nova`, `network:router_interface`, `trunk:subport`.
        device_owner: String,
        /// The id of the server, router or trunk that it belongs to.
        device_id: String,
    }
}
resource!(Port, Network, "ports", "ports", "port");

object! {
    /// A router.
    Router {
        /// What somebody wrote about it.
        description: String,
    }
}
resource!(Router, Network, "routers", "routers", "router");

object! {
    /// A port of a server that carries other ports.
    Trunk {
        /// The ports that it carries.
        sub_ports: Vec<SubPort>,
    }
}
resource!(Trunk, Network, "trunks", "trunks", "trunk");

/// A port that a trunk carries.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SubPort {
    /// Its id.
    pub port_id: String,
}

object! {
    /// A security group.
    SecurityGroup {
        /// What somebody wrote about it.
        description: String,
    }
}
resource!(SecurityGroup, Network, "security-groups", "security_groups", "security_group");

object! {
    /// A pool that subnets get their addresses from.
    SubnetPool {}
}
resource!(SubnetPool, Network, "subnetpools", "subnetpools", "subnetpool");

object! {
    /// A load balancer.
    Balancer {
        /// What somebody wrote about it; where the service has no tags yet, Kuryr writes its tag here.
        description: String,
        /// `ACTIVE`, `PENDING_DELETE`, `ERROR`.
        provisioning_status: String,
    }
}
resource!(Balancer, LoadBalancer, "lbaas/loadbalancers", "loadbalancers", "loadbalancer");

object! {
    /// A virtual machine.
    Server {
        /// `ACTIVE`, `REBOOT`, `SHUTOFF`, `ERROR`.
        status: String,
        /// What is being done to it.
        #[serde(rename = "OS-EXT-STS:task_state")]
        task_state: String,
        /// What somebody wrote about it.
        metadata: std::collections::BTreeMap<String, String>,
    }
}
resource!(Server, Compute, "servers", "servers", "server");
