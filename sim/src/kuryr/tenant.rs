//! Making objects in the cloud for one of those who share the project.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::openstack::objects::{self, Common, Device};
use crate::openstack::{Kind, Owner, State};

/// One of those who share the project.
pub(crate) struct Tenant<'a> {
    pub(crate) state: &'a mut State,
    /// The infrastructure's name of a cluster; a prefix of names.
    pub(crate) infra: String,
    /// Whose the objects are.
    pub(crate) owner: Owner,
    /// What the objects are tagged with.
    pub(crate) tags: Vec<String>,
    pub(crate) at: DateTime<Utc>,
}

impl Tenant<'_> {
    /// The same tenant, making objects of another part of it.
    pub(crate) fn of(&mut self, owner: Owner) -> Tenant<'_> {
        Tenant { state: self.state, infra: self.infra.clone(), owner, tags: self.tags.clone(), at: self.at }
    }

    fn make(&mut self, kind: Kind, name: &str, description: &str, form: impl FnOnce(&Common<'_>) -> Value) -> String {
        let (id, project) = (self.state.id(), self.state.project().to_owned());
        let tags: Vec<&str> = self.tags.iter().map(String::as_str).collect();
        let common = Common { id: &id, name, project: &project, description, tags: &tags, at: self.at };
        self.state.put(kind, Some(&self.owner), form(&common))
    }

    /// A network with one subnet; their ids.
    pub(crate) fn network(
        &mut self,
        [network, subnet]: [String; 2],
        cidr: &str,
        gateway: &str,
        pool: Option<&str>,
    ) -> (String, String) {
        let network = self.make(Kind::Network, &network, "", objects::network);
        let subnet = self.make(Kind::Subnet, &subnet, "", |common| objects::subnet(common, &network, cidr, gateway, pool));
        if let Some(object) = self.state.get_mut(Kind::Network, &network) {
            object["subnets"] = json!([subnet]);
        }
        (network, subnet)
    }

    pub(crate) fn router(&mut self, name: &str, description: &str) -> String {
        self.make(Kind::Router, name, description, objects::router)
    }

    /// A router's interface on a subnet.
    pub(crate) fn interface(&mut self, router: &str, (network, subnet): (&str, &str), address: &str) -> String {
        let device = Device { id: router, owner: "network:router_interface" };
        self.port("", (network, subnet, address), &device, &[])
    }

    pub(crate) fn port(&mut self, name: &str, at: (&str, &str, &str), device: &Device<'_>, groups: &[&str]) -> String {
        let (network, subnet, address) = at;
        self.make(Kind::Port, name, "", |common| objects::port(common, network, (subnet, address), device, groups))
    }

    pub(crate) fn trunk(&mut self, name: &str, port: &str) -> String {
        self.make(Kind::Trunk, name, "", |common| objects::trunk(common, port))
    }

    /// A port that is a sub-port of a trunk.
    pub(crate) fn sub_port(&mut self, name: &str, at: (&str, &str, &str), trunk: &str, groups: &[&str]) -> String {
        let port = self.port(name, at, &Device { id: "", owner: "trunk:subport" }, groups);
        if let Some(subs) = self.state.get_mut(Kind::Trunk, trunk).and_then(|trunk| trunk["sub_ports"].as_array_mut()) {
            let tag = subs.iter().filter_map(|sub| sub["segmentation_id"].as_u64()).max().unwrap_or(100) + 1;
            subs.push(json!({ "port_id": port, "segmentation_type": "vlan", "segmentation_id": tag }));
        }
        port
    }

    pub(crate) fn security_group(&mut self, name: &str, description: &str) -> String {
        self.make(Kind::SecurityGroup, name, description, objects::security_group)
    }

    pub(crate) fn subnet_pool(&mut self, name: &str, prefixes: &[&str], length: u8) -> String {
        self.make(Kind::SubnetPool, name, "", |common| objects::subnet_pool(common, prefixes, length))
    }

    /// A server; of a cluster, unless that is empty.
    pub(crate) fn server(&mut self, name: &str, cluster: &str, address: &str) -> String {
        let (id, project) = (self.state.id(), self.state.project().to_owned());
        let object = crate::openstack::server((&id, name, cluster), &project, address, self.at);
        self.state.put(Kind::Server, Some(&self.owner), object)
    }

    /// A load balancer with the port of its address; the ids of both.
    pub(crate) fn balancer(&mut self, name: &str, (network, subnet, address): (&str, &str, &str)) -> (String, String) {
        let (id, project) = (self.state.id(), self.state.project().to_owned());
        let device = Device { id: &format!("lb-{id}"), owner: "Octavia" };
        let port = self.port(&format!("octavia-lb-{id}"), (network, subnet, address), &device, &[]);
        let tags: Vec<&str> = self.tags.iter().map(String::as_str).collect();
        let vip = [network, subnet, port.as_str(), address];
        let object = crate::openstack::balancer((&id, name, &project), vip, &tags, self.at);
        (self.state.put(Kind::LoadBalancer, Some(&self.owner), object), port)
    }
}
