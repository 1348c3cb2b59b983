//! What a simulated Kube-OVN cluster looks like when it starts.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::world::shape::ClusterShape;

/// Kube-OVN and ovn-central on a cluster that is plain Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a part or a trouble of its own, in any mixture")]
pub struct KubeOvnShape {
    /// Kube-OVN's version, without the `v` of its tag.
    pub version: String,
    /// The address of the first node; the others follow. A raft of real servers needs one of this machine's loopback addresses.
    pub address_base: Ipv4Addr,
    /// So many control-plane nodes, from the first, are members of ovn-central; all of them if absent.
    pub members: Option<usize>,
    /// Whether there is a kube-ovn-monitor.
    pub monitor: bool,
    /// Whether every node that is no member has the databases' files of a membership that ended.
    pub stale_files: bool,
    /// Whether the labels of the leaders stand on the pod of the last member, where no database is led; else no pod has them.
    pub stale_leader_labels: bool,
    /// Whether both databases still list a server of a node that is gone.
    pub ghost: bool,
}

impl Default for KubeOvnShape {
    fn default() -> Self {
        Self {
            version: VERSION.to_owned(),
            address_base: Ipv4Addr::new(172, 18, 0, 3),
            members: None,
            monitor: true,
            stale_files: false,
            stale_leader_labels: false,
            ghost: false,
        }
    }
}

/// The version that is installed unless the shape says otherwise.
pub const VERSION: &str = "1.13.2";

/// The last minor version whose ovs-ovn is restarted by whoever deletes its pods.
const LAST_ON_DELETE: u64 = 11;

impl KubeOvnShape {
    /// Whether the pods of ovs-ovn take up a change only when somebody deletes them: so it was up to 1.11.
    pub fn is_on_delete(&self) -> bool {
        semver::Version::parse(&self.version).is_ok_and(|version| version.major == 1 && version.minor <= LAST_ON_DELETE)
    }

    /// Kube-OVN's image.
    pub fn image(&self) -> String {
        format!("docker.io/kubeovn/kube-ovn:v{}", self.version)
    }

    /// Every node of a cluster of this shape with its address, control plane first.
    pub fn nodes(&self, shape: &ClusterShape) -> Vec<(String, Ipv4Addr)> {
        let names = shape.nodes_by_pool().into_iter().flat_map(|(_, nodes)| nodes);
        names.zip(u32::from(self.address_base)..).map(|(name, address)| (name, Ipv4Addr::from(address))).collect()
    }

    /// The nodes that are members of ovn-central at the start.
    pub fn member_nodes(&self, shape: &ClusterShape) -> Vec<(String, Ipv4Addr)> {
        let mut nodes = self.nodes(shape);
        nodes.truncate(self.members.unwrap_or(shape.control_plane).min(shape.control_plane));
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ovs_pods_wait_to_be_deleted_up_to_1_11() {
        for (version, expected) in [("1.10.9", true), ("1.11.0", true), ("1.12.0", false), ("1.13.2", false), ("latest", false)] {
            let shape = KubeOvnShape { version: version.into(), ..KubeOvnShape::default() };
            assert_eq!(shape.is_on_delete(), expected, "{version}");
        }
    }

    #[test]
    fn nodes_have_addresses_in_a_row() {
        let shape = ClusterShape { kube_ovn: Some(KubeOvnShape::default()), ..ClusterShape::default() }.with_nodes("3+1");
        let shape = shape.expect("a shape");
        let kube_ovn = shape.kube_ovn.clone().expect("just set");
        let nodes: Vec<String> = kube_ovn.nodes(&shape).into_iter().map(|(name, at)| format!("{name} {at}")).collect();
        assert_eq!(
            nodes,
            ["control-plane-0 172.18.0.3", "control-plane-1 172.18.0.4", "control-plane-2 172.18.0.5", "worker-0 172.18.0.6"]
        );
        assert_eq!(kube_ovn.member_nodes(&shape).len(), 3);
    }
}
