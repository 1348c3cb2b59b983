use windlass_engine::Activity as _;

use super::NAMESPACE;
use super::backup::BackUpDatabase;
use super::central::{AwaitCentralRollout, RemoveCentralPod, SetCentralMembers};
use super::clients::{AwaitClient, ListClients, ListStalePods, RestartOvsPod, SetDatabaseAddresses};
use super::directory::{LookAtDirectory, MoveDirectoryAside, SweepHostPods};
use super::label::LabelNode;
use crate::rbac::{LOOK_AT_CENTRAL, Permission, on, within};

const LABEL: [Permission; 2] = [on("get", "", "nodes"), on("patch", "", "nodes")];
const READ_DEPLOYMENT: Permission = within(NAMESPACE, "get", "apps", "deployments");
const PATCH_DEPLOYMENT: Permission = within(NAMESPACE, "patch", "apps", "deployments");
const PATCH_SET: Permission = within(NAMESPACE, "patch", "apps", "daemonsets");
const READ_SET: Permission = within(NAMESPACE, "get", "apps", "daemonsets");
const LIST_CLIENTS: [Permission; 2] =
    [within(NAMESPACE, "list", "apps", "deployments"), within(NAMESPACE, "list", "apps", "daemonsets")];
const LIST_PODS: Permission = within(NAMESPACE, "list", "", "pods");
const LOOK_AT_CLIENT: [Permission; 4] = [READ_DEPLOYMENT, READ_SET, LIST_PODS, on("list", "", "nodes")];
const REMOVE_POD: [Permission; 2] = [within(NAMESPACE, "get", "", "pods"), within(NAMESPACE, "delete", "", "pods")];
/// The pod that reaches a node's disk; commands in it need no more than the look at ovn-central does.
const REACH_DISK: [Permission; 4] =
    [on("get", "", "nodes"), within(NAMESPACE, "create", "", "pods"), REMOVE_POD[0], REMOVE_POD[1]];

/// The permissions that an activity of this family needs, on a cluster's objects.
pub(crate) fn needed_by(activity: &str) -> Option<Vec<Permission>> {
    let table: [(_, &[&[Permission]]); 13] = [
        (BackUpDatabase::NAME, &[&LOOK_AT_CENTRAL]),
        (LookAtDirectory::NAME, &[&LOOK_AT_CENTRAL, &REACH_DISK]),
        (MoveDirectoryAside::NAME, &[&LOOK_AT_CENTRAL, &REACH_DISK]),
        (SweepHostPods::NAME, &[&[LIST_PODS, REMOVE_POD[1]]]),
        (LabelNode::NAME, &[&LABEL]),
        (SetCentralMembers::NAME, &[&LOOK_AT_CENTRAL, &[PATCH_DEPLOYMENT]]),
        (AwaitCentralRollout::NAME, &[&[READ_DEPLOYMENT, LIST_PODS]]),
        (RemoveCentralPod::NAME, &[&LOOK_AT_CENTRAL, &[REMOVE_POD[1]]]),
        (ListClients::NAME, &[&LIST_CLIENTS]),
        (SetDatabaseAddresses::NAME, &[&[READ_DEPLOYMENT, PATCH_DEPLOYMENT, READ_SET, PATCH_SET]]),
        (AwaitClient::NAME, &[&LOOK_AT_CLIENT]),
        (ListStalePods::NAME, &[&LOOK_AT_CLIENT]),
        (RestartOvsPod::NAME, &[&LOOK_AT_CLIENT, &[REMOVE_POD[1]]]),
    ];
    let (_, permissions) = table.into_iter().find(|(name, _)| name.as_str() == activity)?;
    Some(permissions.concat())
}
