//! Neutron's objects as it shows them.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::openstack::state::seconds;

/// What all objects have: id, name, project, tags, since when.
pub(crate) struct Common<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) project: &'a str,
    pub(crate) description: &'a str,
    pub(crate) tags: &'a [&'a str],
    pub(crate) at: DateTime<Utc>,
}

fn with(common: &Common<'_>, mut object: Value) -> Value {
    let since = seconds(common.at);
    for (key, value) in [
        ("id", json!(common.id)),
        ("name", json!(common.name)),
        ("project_id", json!(common.project)),
        ("tenant_id", json!(common.project)),
        ("description", json!(common.description)),
        ("tags", json!(common.tags)),
        ("created_at", json!(since)),
        ("updated_at", json!(since)),
        ("revision_number", json!(1)),
    ] {
        object[key] = value;
    }
    object
}

pub(crate) fn network(common: &Common<'_>) -> Value {
    with(
        common,
        json!({ "admin_state_up": true, "status": "ACTIVE", "shared": false, "router:external": false, "mtu": 1450, "subnets": [],
            "availability_zone_hints": [], "availability_zones": ["nova"], "ipv4_address_scope": null, "ipv6_address_scope": null,
            "port_security_enabled": true }),
    )
}

pub(crate) fn subnet(common: &Common<'_>, network: &str, cidr: &str, gateway: &str, pool: Option<&str>) -> Value {
    with(
        common,
        json!({ "network_id": network, "cidr": cidr, "gateway_ip": gateway, "ip_version": 4, "enable_dhcp": false,
            "allocation_pools": [], "dns_nameservers": [], "host_routes": [], "ipv6_address_mode": null, "ipv6_ra_mode": null,
            "service_types": [], "subnetpool_id": pool }),
    )
}

/// What a port belongs to: the device and what the device says of it.
pub(crate) struct Device<'a> {
    pub(crate) id: &'a str,
    pub(crate) owner: &'a str,
}

pub(crate) fn port(
    common: &Common<'_>,
    network: &str,
    (subnet, address): (&str, &str),
    device: &Device<'_>,
    groups: &[&str],
) -> Value {
    let mac: Vec<String> = blake3::hash(common.id.as_bytes()).as_bytes()[..3].iter().map(|byte| format!("{byte:02x}")).collect();
    with(
        common,
        json!({ "network_id": network, "fixed_ips": [{ "subnet_id": subnet, "ip_address": address }], "admin_state_up": true,
            "status": if device.id.is_empty() { "DOWN" } else { "ACTIVE" }, "device_id": device.id, "device_owner": device.owner,
            "security_groups": groups, "mac_address": format!("fa:16:3e:{}", mac.join(":")), "binding:vnic_type": "normal",
            "allowed_address_pairs": [], "extra_dhcp_opts": [], "port_security_enabled": true }),
    )
}

pub(crate) fn router(common: &Common<'_>) -> Value {
    with(
        common,
        json!({ "admin_state_up": true, "status": "ACTIVE", "external_gateway_info": null, "routes": [],
            "availability_zone_hints": [], "availability_zones": ["nova"], "flavor_id": null }),
    )
}

pub(crate) fn trunk(common: &Common<'_>, port: &str) -> Value {
    with(common, json!({ "admin_state_up": true, "status": "ACTIVE", "port_id": port, "sub_ports": [] }))
}

pub(crate) fn security_group(common: &Common<'_>) -> Value {
    with(common, json!({ "security_group_rules": [], "stateful": true, "shared": false }))
}

pub(crate) fn subnet_pool(common: &Common<'_>, prefixes: &[&str], length: u8) -> Value {
    with(
        common,
        json!({ "prefixes": prefixes, "default_prefixlen": length.to_string(), "min_prefixlen": length.to_string(),
            "max_prefixlen": "32", "address_scope_id": null, "ip_version": 4, "shared": false, "is_default": false,
            "default_quota": null }),
    )
}
