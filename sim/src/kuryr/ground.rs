//! What an installer makes in the cloud before there is a cluster: the machines' network, their ports and trunks.

use std::collections::BTreeMap;

use super::tenant::Tenant;
use crate::openstack::Owner;
use crate::openstack::objects::Device;

/// What a router of the installer's says of itself; clean-ups spare it by this.
pub(crate) const BY_INSTALLER: &str = "Created By OpenShift Installer";

/// The machines' part of a cluster.
pub(crate) struct Ground {
    /// The router that Kuryr's networks are on.
    pub(crate) router: String,
    /// The trunk of each node.
    pub(crate) trunks: BTreeMap<String, String>,
    /// The server of each node.
    pub(crate) servers: BTreeMap<String, String>,
}

/// Lays the ground for these nodes, given with their addresses; with a router of Kuryr's beside the installer's if it is to have one.
pub(crate) fn lay(tenant: &mut Tenant<'_>, nodes: &[(String, String)], kuryrs: Option<Owner>) -> Ground {
    let infra = tenant.infra.clone();
    let named = |suffix: &str| format!("{infra}-{suffix}");
    let installers = tenant.router(&named("external-router"), BY_INSTALLER);
    let (network, subnet) = tenant.network([named("openshift"), named("nodes")], "10.0.0.0/16", "10.0.0.1", None);
    tenant.interface(&installers, (&network, &subnet), "10.0.0.1");
    let group = tenant.security_group(&named("worker"), &BY_INSTALLER.replace("By", "by"));
    let (mut trunks, mut servers) = (BTreeMap::new(), BTreeMap::new());
    for (node, address) in nodes {
        let server = tenant.server(node, &infra, address);
        let device = Device { id: &server, owner: "compute:nova" };
        let port = tenant.port(&named(&format!("{node}-port")), (&network, &subnet, address), &device, &[&group]);
        trunks.insert(node.clone(), tenant.trunk(&named(&format!("{node}-trunk")), &port));
        servers.insert(node.clone(), server);
    }
    let router = kuryrs.map_or(installers, |owner| tenant.of(owner).router(&named("kuryr-router"), ""));
    Ground { router, trunks, servers }
}
