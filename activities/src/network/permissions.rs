use windlass_engine::Activity as _;

use super::backup::BackUpNetwork;
use super::check::CheckMigration;
use super::infer::InferStep;
use super::operator::{AwaitNetworkOperator, EndMigration, PrepareMigration};
use super::policies::{BackUpHostPolicies, DeleteHostPolicy};
use super::prepared::CheckPrepared;
use super::reboot::{ArmReboot, AwaitReboots, CheckLogins, ReadBoots};
use super::remove::{AwaitNamespaceGone, ClearPluginSettings, DeleteNamespace};
use super::switch::{AwaitMultus, SwitchPlugin};
use crate::rbac::{CONFIG, MACHINE_CONFIG, OPERATOR, Permission, WAIT, on, within};

const READ_CONFIG: Permission = on("get", CONFIG, "networks");
const PATCH_CONFIG: Permission = on("patch", CONFIG, "networks");
const READ_OPERATOR: Permission = on("get", OPERATOR, "networks");
const PATCH_OPERATOR: Permission = on("patch", OPERATOR, "networks");
const POLICIES: &str = "nodenetworkconfigurationpolicies";
const READ_POLICY: Permission = on("get", "nmstate.io", POLICIES);
const DAEMONS: &str = "openshift-machine-config-operator";
const CHECK: [Permission; 9] = [
    READ_CONFIG,
    READ_OPERATOR,
    on("get", CONFIG, "clusterversions"),
    on("list", MACHINE_CONFIG, "machineconfigpools"),
    on("list", "", "nodes"),
    on("list", "nmstate.io", POLICIES),
    on("list", "nmstate.io", "nodenetworkstates"),
    within("kube-system", "get", "", "configmaps"),
    on("get", "", "namespaces"),
];
const INFER: [Permission; 8] = [
    READ_CONFIG,
    READ_OPERATOR,
    on("list", CONFIG, "clusteroperators"),
    on("list", MACHINE_CONFIG, "machineconfigpools"),
    on("get", MACHINE_CONFIG, "machineconfigs"),
    on("list", "", "nodes"),
    on("get", "", "namespaces"),
    on("get", "apps", "daemonsets"),
];
/// A command in a container is asked for with GET where it goes over a WebSocket, and with POST elsewhere.
const ARM: [Permission; 5] = [
    on("get", "", "nodes"),
    on("list", "", "nodes"),
    within(DAEMONS, "list", "", "pods"),
    within(DAEMONS, "get", "", "pods/exec"),
    within(DAEMONS, "create", "", "pods/exec"),
];

/// The permissions that an activity of this family needs.
pub(crate) fn needed_by(activity: &str) -> Option<Vec<Permission>> {
    let table: [(_, &[&[Permission]]); 18] = [
        (BackUpNetwork::NAME, &[&[READ_CONFIG, READ_OPERATOR]]),
        (CheckMigration::NAME, &[&CHECK]),
        (InferStep::NAME, &[&INFER, &ARM]),
        (PrepareMigration::NAME, &[&[READ_OPERATOR, PATCH_OPERATOR]]),
        (EndMigration::NAME, &[&[READ_CONFIG, READ_OPERATOR, PATCH_OPERATOR]]),
        (AwaitNetworkOperator::NAME, &[&[READ_CONFIG, on("get", CONFIG, "clusteroperators")]]),
        (BackUpHostPolicies::NAME, &[&[READ_POLICY]]),
        (DeleteHostPolicy::NAME, &[&[READ_POLICY, on("delete", "nmstate.io", POLICIES)]]),
        (CheckPrepared::NAME, &[&[on("list", "", "nodes"), on("get", MACHINE_CONFIG, "machineconfigs")]]),
        (SwitchPlugin::NAME, &[&[READ_CONFIG, PATCH_CONFIG]]),
        (AwaitMultus::NAME, &[&[within("openshift-multus", "get", "apps", "daemonsets")]]),
        (ArmReboot::NAME, &[&ARM]),
        (AwaitReboots::NAME, &[&WAIT]),
        (CheckLogins::NAME, &[&[on("list", "", "nodes")]]),
        (ReadBoots::NAME, &[&[on("list", "", "nodes")]]),
        (ClearPluginSettings::NAME, &[&[READ_OPERATOR, PATCH_OPERATOR]]),
        (DeleteNamespace::NAME, &[&[on("get", "", "namespaces"), on("delete", "", "namespaces")]]),
        (AwaitNamespaceGone::NAME, &[&[on("get", "", "namespaces")]]),
    ];
    let (_, permissions) = table.into_iter().find(|(name, _)| name.as_str() == activity)?;
    Some(permissions.concat())
}
