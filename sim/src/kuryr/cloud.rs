//! What Kuryr makes in the cloud.

use super::ground::Ground;
use super::tenant::Tenant;
use crate::openstack::objects::Device;

/// What all of Kuryr's objects of one cluster hang on.
pub(crate) struct Base {
    pub(crate) router: String,
    pub(crate) pool: String,
    pub(crate) group: String,
    pub(crate) service_network: String,
    pub(crate) service_subnet: String,
}

/// The network of one namespace.
pub(crate) struct NamespaceNetwork {
    pub(crate) network: String,
    pub(crate) subnet: String,
    pub(crate) cidr: String,
    /// Its place among the namespaces, from which its addresses follow.
    pub(crate) index: usize,
}

/// Lays what does not belong to any namespace.
pub(crate) fn base(tenant: &mut Tenant<'_>, ground: &Ground) -> Base {
    let infra = tenant.infra.clone();
    let named = |suffix: &str| format!("{infra}-{suffix}");
    let (service_network, service_subnet) =
        tenant.network([named("kuryr-service-network"), named("kuryr-service-subnet")], "172.30.0.0/15", "172.31.255.254", None);
    tenant.interface(&ground.router, (&service_network, &service_subnet), "172.31.255.254");
    let dhcp = Device { id: "dhcp-agent", owner: "network:dhcp" };
    tenant.port("", (&service_network, &service_subnet, "172.31.0.2"), &dhcp, &[]);
    let pool = tenant.subnet_pool(&named("kuryr-pod-subnetpool"), &["10.128.0.0/14"], 23);
    let group = tenant.security_group(&named("kuryr-pods-security-group"), "");
    Base { router: ground.router.clone(), pool, group, service_network, service_subnet }
}

/// Lays the network of a namespace.
pub(crate) fn namespace(tenant: &mut Tenant<'_>, base: &Base, name: &str, index: usize) -> NamespaceNetwork {
    let (second, third) = (128 + index / 128, (index % 128) * 2);
    let cidr = format!("10.{second}.{third}.0/23");
    let gateway = format!("10.{second}.{third}.1");
    let names = [format!("ns/{name}-net"), format!("ns/{name}-subnet")];
    let (network, subnet) = tenant.network(names, &cidr, &gateway, Some(&base.pool));
    tenant.interface(&base.router, (&network, &subnet), &gateway);
    let found = NamespaceNetwork { network, subnet, cidr, index };
    let metadata = Device { id: &format!("ovnmeta-{}", found.network), owner: "network:distributed" };
    tenant.port("", (&found.network, &found.subnet, &address(&found, 0)), &metadata, &[]);
    found
}

/// The nth address for pods in a namespace's network.
pub(crate) fn address(network: &NamespaceNetwork, nth: usize) -> String {
    let (second, third) = (128 + network.index / 128, (network.index % 128) * 2);
    let nth = nth + 2;
    format!("10.{second}.{}.{}", third + nth / 256, nth % 256)
}

/// Lays a port for a pod on its node's trunk.
pub(crate) fn pod_port(
    tenant: &mut Tenant<'_>,
    network: &NamespaceNetwork,
    (pod, address): (&str, &str),
    trunk: &str,
    groups: &[&str],
) -> String {
    tenant.sub_port(pod, (&network.network, &network.subnet, address), trunk, groups)
}

/// Lays the security group of a network policy.
pub(crate) fn policy_group(tenant: &mut Tenant<'_>, name: &str) -> String {
    tenant.security_group(&format!("sg-{name}"), &format!("Kuryr-Kubernetes Network Policy {name} SG"))
}

/// The place among the namespaces of the one whose network has this range.
pub(crate) fn index_of(cidr: &str) -> usize {
    let mut parts = cidr.split('.').skip(1).map(|part| part.parse::<usize>().unwrap_or(0));
    let (second, third) = (parts.next().unwrap_or(128), parts.next().unwrap_or(0));
    second.saturating_sub(128) * 128 + third / 2
}
