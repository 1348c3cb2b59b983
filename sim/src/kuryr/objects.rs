//! What Kuryr writes in the cluster of what it made in the cloud.

use serde_json::{Value, json};

use super::cloud::NamespaceNetwork;
use super::{BALANCER_FINALIZER, NETWORK_FINALIZER, POLICY_FINALIZER, PORT_FINALIZER};

pub(crate) fn network(ns: &str, project: &str, router: &str, made: &NamespaceNetwork) -> Value {
    let labels = json!({ "kubernetes.io/metadata.name": ns });
    json!({
        "metadata": { "name": ns, "namespace": ns, "finalizers": [NETWORK_FINALIZER] },
        "spec": { "nsName": ns, "projectId": project, "nsLabels": labels },
        "status": { "netId": made.network, "subnetId": made.subnet, "subnetCIDR": made.cidr, "routerId": router,
            "nsLabels": labels, "populated": true },
    })
}

/// The port of a pod.
pub(crate) struct PodPort<'a> {
    pub(crate) ns: &'a str,
    pub(crate) pod: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) node: &'a str,
    pub(crate) project: &'a str,
    pub(crate) port: &'a str,
    pub(crate) address: &'a str,
}

pub(crate) fn port(of: &PodPort<'_>, network: &NamespaceNetwork) -> Value {
    let PodPort { ns, pod, uid, node, project, port, address } = *of;
    let subnet = json!({ "versioned_object.name": "Subnet", "versioned_object.namespace": "os_vif", "versioned_object.version": "1.0",
        "versioned_object.data": { "cidr": network.cidr } });
    let vif = json!({ "versioned_object.name": "VIFVlanNested", "versioned_object.namespace": "os_vif",
        "versioned_object.version": "1.0",
        "versioned_object.data": { "id": port, "active": true, "address": address, "vif_name": format!("tap{}", &port[..11]),
            "network": { "versioned_object.name": "Network", "versioned_object.namespace": "os_vif",
                "versioned_object.version": "1.1", "versioned_object.data": { "id": network.network, "subnets": [subnet] } } } });
    json!({
        "metadata": { "name": pod, "namespace": ns, "finalizers": [PORT_FINALIZER], "labels": { "kuryr.openstack.org/nodeName": node } },
        "spec": { "podUid": uid, "podNodeName": node },
        "status": { "projectId": project, "vifs": { "eth0": { "default": true, "vif": vif } } },
    })
}

/// The load balancer of a service.
pub(crate) struct ServiceBalancer<'a> {
    pub(crate) ns: &'a str,
    pub(crate) service: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) project: &'a str,
    pub(crate) balancer: &'a str,
    pub(crate) port: &'a str,
    pub(crate) subnet: &'a str,
    pub(crate) address: &'a str,
}

pub(crate) fn balancer(of: &ServiceBalancer<'_>) -> Value {
    let ServiceBalancer { ns, service, kind, project, balancer, port, subnet, address } = *of;
    let ports = json!([{ "name": "http", "port": 80, "protocol": "TCP", "targetPort": "8080" }]);
    json!({
        "metadata": { "name": service, "namespace": ns, "finalizers": [BALANCER_FINALIZER] },
        "spec": { "ip": address, "ports": ports, "project_id": project, "subnet_id": subnet, "security_groups_ids": [],
            "type": kind, "provider": "ovn", "endpointSlices": [] },
        "status": { "loadbalancer": { "id": balancer, "ip": address, "name": format!("{ns}/{service}"), "port_id": port,
                "project_id": project, "provider": "ovn", "subnet_id": subnet, "security_groups": [] },
            "listeners": [], "members": [], "pools": [] },
    })
}

pub(crate) fn policy(ns: &str, name: &str, group: &str) -> Value {
    json!({
        "metadata": { "name": name, "namespace": ns, "finalizers": [POLICY_FINALIZER] },
        "spec": { "podSelector": {}, "policyTypes": ["Ingress"], "egressSgRules": [],
            "ingressSgRules": [{ "sgRule": { "direction": "ingress", "ethertype": "IPv4" } }] },
        "status": { "securityGroupId": group, "securityGroupRules": [], "podSelector": {} },
    })
}
