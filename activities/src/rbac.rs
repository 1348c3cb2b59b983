//! The permissions that activities need, so that they can be asked for before a run and named when one is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};
use windlass_engine::{Activity, ActivityName};

use crate::lease;

/// One permission.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Permission {
    /// The verb.
    pub verb: &'static str,
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource, plural.
    pub resource: &'static str,
    /// The namespace; none for cluster-wide permissions.
    pub namespace: Option<&'static str>,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{} {}{dot}{}", self.verb, self.resource, self.group)?;
        self.namespace.iter().try_for_each(|namespace| write!(f, " in namespace {namespace}"))
    }
}

pub(crate) const fn on(verb: &'static str, group: &'static str, resource: &'static str) -> Permission {
    Permission { verb, group, resource, namespace: None }
}

pub(crate) const fn within(
    namespace: &'static str,
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
) -> Permission {
    Permission { verb, group, resource, namespace: Some(namespace) }
}

pub(crate) const CONFIG: &str = "config.openshift.io";
pub(crate) const MACHINE_CONFIG: &str = "machineconfiguration.openshift.io";
const MACHINE: &str = "machine.openshift.io";
const MACHINES: &str = "openshift-machine-api";

const READ_VERSION: Permission = on("get", CONFIG, "clusterversions");
const PATCH_VERSION: Permission = on("patch", CONFIG, "clusterversions");
const READ_POOL: Permission = on("get", MACHINE_CONFIG, "machineconfigpools");
const LIST_POOLS: Permission = on("list", MACHINE_CONFIG, "machineconfigpools");
const PATCH_POOL: Permission = on("patch", MACHINE_CONFIG, "machineconfigpools");
const LIST_HEALTH_CHECKS: Permission = within(MACHINES, "list", MACHINE, "machinehealthchecks");
const READ_GATES: [Permission; 2] =
    [within("openshift-config-managed", "get", "", "configmaps"), within("openshift-config", "get", "", "configmaps")];
const READ_SIGNERS: [Permission; 2] = [
    within("openshift-kube-apiserver-operator", "get", "", "secrets"),
    within("openshift-kube-controller-manager-operator", "get", "", "secrets"),
];

/// What the shared watches need, and a look at a drain that does not end and at machines that are being deleted.
pub(crate) const WAIT: [Permission; 12] = [
    READ_VERSION,
    on("list", CONFIG, "clusterversions"),
    on("watch", CONFIG, "clusterversions"),
    on("list", CONFIG, "clusteroperators"),
    on("watch", CONFIG, "clusteroperators"),
    LIST_POOLS,
    on("watch", MACHINE_CONFIG, "machineconfigpools"),
    on("list", "", "nodes"),
    on("watch", "", "nodes"),
    on("list", "", "pods"),
    on("list", "policy", "poddisruptionbudgets"),
    within(MACHINES, "list", MACHINE, "machines"),
];

const PREFLIGHT: [Permission; 12] = [
    READ_VERSION,
    on("list", CONFIG, "clusteroperators"),
    LIST_POOLS,
    on("list", "", "nodes"),
    on("list", "", "pods"),
    on("list", "policy", "poddisruptionbudgets"),
    on("list", "certificates.k8s.io", "certificatesigningrequests"),
    on("list", "apiserver.openshift.io", "apirequestcounts"),
    LIST_HEALTH_CHECKS,
    within("openshift-kube-apiserver-operator", "get", "", "secrets"),
    within("openshift-kube-controller-manager-operator", "get", "", "secrets"),
    READ_GATES[0],
];

/// What the preflight reads if it may; a check without its read says so and asks for the permission.
pub(crate) const PREFLIGHT_OPTIONAL: [Permission; 21] = [
    on("get", CONFIG, "infrastructures"),
    on("get", CONFIG, "networks"),
    on("get", "operator.openshift.io", "etcds"),
    on("get", MACHINE_CONFIG, "machineconfigs"),
    on("list", "", "persistentvolumes"),
    on("list", "", "services"),
    on("list", "admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    on("list", "admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    on("list", "ceph.rook.io", "cephclusters"),
    on("list", "kubevirt.io", "virtualmachineinstances"),
    on("list", "metal3.io", "baremetalhosts"),
    on("list", "operators.coreos.com", "clusterserviceversions"),
    on("list", "remediation.medik8s.io", "nodehealthchecks"),
    within("openshift-etcd", "get", "", "configmaps"),
    within("openshift-image-registry", "list", "apps", "deployments"),
    within("openshift-ingress", "list", "apps", "deployments"),
    within("openshift-monitoring", "list", "apps", "deployments"),
    within("openshift-monitoring", "list", "apps", "statefulsets"),
    within("openshift-image-registry", "list", "apps", "statefulsets"),
    within("openshift-ingress", "list", "apps", "statefulsets"),
    LEASE[0],
];

/// What a worker needs to drive a cluster alone; the namespace itself comes with the roles.
pub const LEASE: [Permission; 3] = [
    within(lease::NAMESPACE, "get", "coordination.k8s.io", "leases"),
    within(lease::NAMESPACE, "create", "coordination.k8s.io", "leases"),
    within(lease::NAMESPACE, "patch", "coordination.k8s.io", "leases"),
];

/// What a mirror in the cluster needs, and whoever adopts from it.
pub const MIRROR: [Permission; 4] = [
    within(lease::NAMESPACE, "create", "", "secrets"),
    within(lease::NAMESPACE, "delete", "", "secrets"),
    within(lease::NAMESPACE, "list", "", "secrets"),
    within(lease::NAMESPACE, "patch", "", "secrets"),
];

/// The activities of an update, for a preflight that is not told which.
pub(crate) const UPDATE_ACTIVITIES: [ActivityName; 20] = [
    crate::preflight::Preflight::NAME,
    crate::release::ResolvePath::NAME,
    crate::release::ResolveHop::NAME,
    crate::channel::SetChannel::NAME,
    crate::channel::AwaitUpdatesRetrieved::NAME,
    crate::machine_health::ListHealthChecks::NAME,
    crate::machine_health::PauseHealthCheck::NAME,
    crate::machine_health::ResumeHealthCheck::NAME,
    crate::pool::ListPools::NAME,
    crate::pool::PausePool::NAME,
    crate::pool::ReleasePool::NAME,
    crate::pool::ReturnPool::NAME,
    crate::pool::AwaitPool::NAME,
    crate::update::ReadUpdateState::NAME,
    crate::update::RequestUpdate::NAME,
    crate::update::AwaitControlPlane::NAME,
    crate::admin_ack::ReadGates::NAME,
    crate::admin_ack::AcknowledgeGate::NAME,
    crate::verify::CheckHealth::NAME,
    crate::verify::FinalVerification::NAME,
];

/// The permissions that an activity needs; none is known for names that are not activities on clusters.
pub fn needed_by(activity: &str) -> Option<Vec<Permission>> {
    let table: &[(ActivityName, &[&[Permission]])] = &[
        (crate::preflight::Preflight::NAME, &[&PREFLIGHT, &PREFLIGHT_OPTIONAL, &READ_GATES]),
        (crate::release::ResolvePath::NAME, &[&[READ_VERSION, on("list", "", "nodes")]]),
        (crate::release::ResolveHop::NAME, &[&[READ_VERSION]]),
        (crate::channel::SetChannel::NAME, &[&[READ_VERSION, PATCH_VERSION]]),
        (crate::channel::AwaitUpdatesRetrieved::NAME, &[&WAIT]),
        (crate::machine_health::ListHealthChecks::NAME, &[&[LIST_HEALTH_CHECKS]]),
        (crate::machine_health::PauseHealthCheck::NAME, &[&HOLD_HEALTH_CHECK]),
        (crate::machine_health::ResumeHealthCheck::NAME, &[&HOLD_HEALTH_CHECK]),
        (crate::pool::ListPools::NAME, &[&[LIST_POOLS]]),
        (crate::pool::PausePool::NAME, &[&[READ_POOL, PATCH_POOL]]),
        (crate::pool::ReleasePool::NAME, &[&[READ_POOL, PATCH_POOL]]),
        (crate::pool::ReturnPool::NAME, &[&[READ_POOL, PATCH_POOL]]),
        (crate::pool::AwaitPool::NAME, &[&WAIT]),
        (crate::update::ReadUpdateState::NAME, &[&[READ_VERSION]]),
        (crate::update::RequestUpdate::NAME, &[&[READ_VERSION, PATCH_VERSION]]),
        (crate::update::AwaitControlPlane::NAME, &[&WAIT]),
        (crate::admin_ack::ReadGates::NAME, &[&[READ_VERSION], &READ_GATES]),
        (crate::admin_ack::AcknowledgeGate::NAME, &[&READ_GATES, &ANSWER_GATES]),
        (crate::target::ResolveTarget::NAME, &[&[READ_VERSION, on("list", "", "nodes")]]),
        (crate::target::SetUpstream::NAME, &[&[READ_VERSION, PATCH_VERSION]]),
        (crate::target::CheckRisks::NAME, &[&[READ_VERSION]]),
        (crate::target::CheckDisconnected::NAME, &[&READ_MIRRORS]),
        (crate::credentials::ReadCredentials::NAME, &[&READ_CREDENTIALS]),
        (crate::credentials::CheckCredentialFiles::NAME, &[&[LIST_CREDENTIALS_REQUESTS]]),
        (crate::credentials::ExtractRequests::NAME, &[]),
        (crate::credentials::RunCcoctl::NAME, &[]),
        (crate::credentials::SetUpgradeableTo::NAME, &[&[READ_VERSION], &HOLD_CREDENTIALS]),
        (crate::credentials::AwaitCredentialsUpgradeable::NAME, &[&WAIT]),
        (crate::windows::FindWindow::NAME, &[]),
        // Asks Prometheus, addresses and commands of the user, with their own logins.
        (crate::health::ProbeHealth::NAME, &[]),
        (crate::inventory::ReadInventory::NAME, &[&READ_INVENTORY]),
        (crate::estimate::ReadEstimates::NAME, &[&[READ_VERSION, on("get", CONFIG, "infrastructures")]]),
        (crate::deadline::ReadDeadlines::NAME, &[&[READ_VERSION, LIST_POOLS], &READ_SIGNERS]),
        (crate::verify::CheckHealth::NAME, &[&WAIT]),
        (crate::verify::FinalVerification::NAME, &[&WAIT, &[LIST_HEALTH_CHECKS]]),
        (crate::ovn::check::CheckCentral::NAME, &[&LOOK_AT_CENTRAL]),
        (crate::ovn::kick::KickServer::NAME, &[&LOOK_AT_CENTRAL]),
        (crate::ovn::members::AwaitMembers::NAME, &[&LOOK_AT_CENTRAL]),
    ];
    let own = table.iter().find(|(name, _)| name.as_str() == activity).map(|(_, permissions)| permissions.concat());
    own.or_else(|| crate::canary::needed_by(activity))
        .or_else(|| crate::kuryr::needed_by(activity))
        .or_else(|| crate::network::needed_by(activity))
        .or_else(|| crate::ovn::needed_by(activity))
}

const READ_INVENTORY: [Permission; 4] =
    [READ_VERSION, LIST_POOLS, on("list", "", "nodes"), on("list", "operators.coreos.com", "clusterserviceversions")];
pub(crate) const OPERATOR: &str = "operator.openshift.io";
const LIST_CREDENTIALS_REQUESTS: Permission = on("list", "cloudcredential.openshift.io", "credentialsrequests");
/// The secrets that operators ask for are looked up where the login may; a role over all secrets would be too much for that.
const READ_CREDENTIALS: [Permission; 7] = [
    READ_VERSION,
    on("get", CONFIG, "infrastructures"),
    on("get", CONFIG, "authentications"),
    on("get", CONFIG, "clusteroperators"),
    on("get", OPERATOR, "cloudcredentials"),
    within("kube-system", "get", "", "secrets"),
    LIST_CREDENTIALS_REQUESTS,
];
const HOLD_CREDENTIALS: [Permission; 2] = [on("get", OPERATOR, "cloudcredentials"), on("patch", OPERATOR, "cloudcredentials")];
const READ_MIRRORS: [Permission; 3] = [
    within("openshift-config-managed", "get", "", "configmaps"),
    on("list", CONFIG, "imagedigestmirrorsets"),
    on("list", OPERATOR, "imagecontentsourcepolicies"),
];
/// A command in a container is asked for with GET where it goes over a WebSocket, and with POST elsewhere.
pub(crate) const LOOK_AT_CENTRAL: [Permission; 5] = [
    on("list", "", "nodes"),
    within(crate::ovn::NAMESPACE, "get", "apps", "deployments"),
    within(crate::ovn::NAMESPACE, "list", "", "pods"),
    within(crate::ovn::NAMESPACE, "get", "", "pods/exec"),
    within(crate::ovn::NAMESPACE, "create", "", "pods/exec"),
];
const HOLD_HEALTH_CHECK: [Permission; 2] =
    [within(MACHINES, "get", MACHINE, "machinehealthchecks"), within(MACHINES, "patch", MACHINE, "machinehealthchecks")];
const ANSWER_GATES: [Permission; 2] =
    [within("openshift-config", "patch", "", "configmaps"), within("openshift-config", "create", "", "configmaps")];

/// Verbs by group and resource.
type Rules = BTreeMap<(&'static str, &'static str), BTreeSet<&'static str>>;

/// What the named activities and the worker that makes them need.
pub fn needed_for<'a>(activities: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = Permission> {
    activities.into_iter().filter_map(needed_by).flatten().chain(LEASE)
}

/// The cluster role, and one role a namespace, that grant these permissions; ready to apply.
pub fn roles_granting(permissions: impl IntoIterator<Item = Permission>) -> Vec<Value> {
    let mut verbs: BTreeMap<Option<&str>, Rules> = BTreeMap::new();
    for permission in permissions {
        let rules = verbs.entry(permission.namespace).or_default();
        rules.entry((permission.group, permission.resource)).or_default().insert(permission.verb);
    }
    let mut roles = Vec::new();
    for (namespace, rules) in verbs {
        if namespace == Some(lease::NAMESPACE) {
            // No role can be made in a namespace that is not there; with it, nobody needs to be allowed to make one.
            roles.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": lease::NAMESPACE}}));
        }
        roles.push(role(namespace, rules));
    }
    roles
}

fn role(namespace: Option<&str>, rules: Rules) -> Value {
    let rule = |((group, resource), verbs): ((&str, &str), BTreeSet<&str>)| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    let rules: Vec<Value> = rules.into_iter().map(rule).collect();
    let api = "rbac.authorization.k8s.io/v1";
    match namespace {
        None => json!({"apiVersion": api, "kind": "ClusterRole", "metadata": {"name": "windlass"}, "rules": rules}),
        Some(namespace) => {
            json!({"apiVersion": api, "kind": "Role", "metadata": {"name": "windlass", "namespace": namespace}, "rules": rules})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_gathered_by_namespace_and_resource() {
        let needed = needed_for(["pause-pool", "list-pools", "resume-health-check", "not-an-activity"]);
        let roles = roles_granting(needed.chain(MIRROR));
        let rule =
            |group: &str, resource: &str, verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
        assert_eq!(roles[0]["rules"], json!([rule(MACHINE_CONFIG, "machineconfigpools", &["get", "list", "patch"])]));
        assert_eq!(roles[1]["metadata"]["namespace"], MACHINES);
        assert_eq!(roles[1]["rules"], json!([rule(MACHINE, "machinehealthchecks", &["get", "patch"])]));
        assert_eq!(roles[2]["kind"], "Namespace");
        assert_eq!(roles[3]["metadata"]["namespace"], "windlass");
        let secrets = rule("", "secrets", &["create", "delete", "list", "patch"]);
        assert_eq!(roles[3]["rules"], json!([secrets, rule("coordination.k8s.io", "leases", &["create", "get", "patch"])]));
        assert_eq!(roles.len(), 4);
    }
}
