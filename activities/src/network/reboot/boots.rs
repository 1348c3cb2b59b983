//! Which boot every node is in.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::{Cluster, Query};
use crate::ids::NodeName;
use crate::views::{Node, View as _};

/// A node and the boot that it is in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Boot {
    /// The node.
    pub node: NodeName,
    /// `status.nodeInfo.bootID`, the kernel's own.
    pub boot_id: String,
    /// Where its host is reached while there is no API; histories of before lack it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Whether it is of the control plane; histories of before do not say so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub control_plane: bool,
}

impl Boot {
    pub(in crate::network) fn of(node: &Node) -> Self {
        Self {
            node: NodeName::new(node.name()),
            boot_id: node.status.node_info.boot_id.clone(),
            addresses: node.internal_addresses().collect(),
            control_plane: node.is_control_plane(),
        }
    }
}

/// Lists all nodes with the boots that they are in, right before they are told to reboot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadBoots {}

/// The nodes of a cluster with their boots.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Boots {
    /// Those of the control plane, by name.
    pub control_plane: Vec<Boot>,
    /// All others, by name.
    pub workers: Vec<Boot>,
}

impl Boots {
    /// All of them, workers first.
    pub fn all(&self) -> impl Iterator<Item = &Boot> {
        self.workers.iter().chain(&self.control_plane)
    }
}

impl Activity for ReadBoots {
    const NAME: ActivityName = ActivityName::new("read-boots");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Boots;

    fn summary(&self) -> String {
        "read which boot every node is in".to_owned()
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Boots, ActivityError> {
        let mut nodes: Vec<Node> = cx.world().list(&Query::default()).await?;
        nodes.sort_by(|a, b| a.name().cmp(b.name()));
        if let Some(silent) = nodes.iter().find(|node| node.status.node_info.boot_id.is_empty()) {
            let message = format!("node {} does not tell its boot id; nothing could prove that it rebooted once", silent.name());
            return Err(ActivityError::permanent("no-boot-id", message));
        }
        let (control_plane, workers): (Vec<&Node>, Vec<&Node>) = nodes.iter().partition(|node| node.is_control_plane());
        Ok(Boots {
            control_plane: control_plane.into_iter().map(Boot::of).collect(),
            workers: workers.into_iter().map(Boot::of).collect(),
        })
    }
}
