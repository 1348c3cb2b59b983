use windlass_engine::Activity as _;

use super::capture::CaptureKuryr;
use super::delete::DeleteCloudObject;
use super::detach::{DetachSubnet, RemoveSubPorts};
use super::finalizers::{DeleteGatewayService, RemoveFinalizers};
use super::ports::DeletePorts;
use super::sweep::SweepKuryr;
use crate::rbac::{CONFIG, Permission, on, within};

const OPENSTACK: &str = "openstack.org";
const NETWORKING: &str = "networking.k8s.io";

const NAMED: [Permission; 4] = [
    on("get", CONFIG, "infrastructures"),
    on("list", OPENSTACK, "kuryrnetworks"),
    on("list", OPENSTACK, "kuryrloadbalancers"),
    on("list", OPENSTACK, "kuryrnetworkpolicies"),
];

/// Cluster-wide, because Kuryr's finalizers are in every namespace.
const FINALIZERS: [Permission; 14] = [
    on("list", "", "services"),
    on("patch", "", "services"),
    on("list", "", "pods"),
    on("patch", "", "pods"),
    on("list", NETWORKING, "networkpolicies"),
    on("patch", NETWORKING, "networkpolicies"),
    on("list", OPENSTACK, "kuryrloadbalancers"),
    on("patch", OPENSTACK, "kuryrloadbalancers"),
    on("list", OPENSTACK, "kuryrports"),
    on("patch", OPENSTACK, "kuryrports"),
    on("list", OPENSTACK, "kuryrnetworkpolicies"),
    on("patch", OPENSTACK, "kuryrnetworkpolicies"),
    on("list", OPENSTACK, "kuryrnetworks"),
    on("patch", OPENSTACK, "kuryrnetworks"),
];

/// The permissions that an activity of this family needs in the cluster; in the cloud it needs the project's member role.
pub(crate) fn needed_by(activity: &str) -> Option<Vec<Permission>> {
    const GATEWAY: [Permission; 2] =
        [within("openshift-kuryr", "get", "", "services"), within("openshift-kuryr", "delete", "", "services")];
    let table: [(_, &[Permission]); 8] = [
        (CaptureKuryr::NAME, &NAMED),
        (SweepKuryr::NAME, &NAMED),
        (RemoveFinalizers::NAME, &FINALIZERS),
        (DeleteGatewayService::NAME, &GATEWAY),
        (DeleteCloudObject::NAME, &[]),
        (DetachSubnet::NAME, &[]),
        (RemoveSubPorts::NAME, &[]),
        (DeletePorts::NAME, &[]),
    ];
    let (_, permissions) = table.into_iter().find(|(name, _)| name.as_str() == activity)?;
    Some(permissions.to_vec())
}
