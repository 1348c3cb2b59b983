//! Deletions, and what stands in their way.

use serde_json::{Value, json};

use super::{AUTOMATIC, GATEWAY, ROUTER_PORTS, is_on, known, owner_of};
use crate::openstack::answer::Refusal;
use crate::openstack::state::{Kind, State};
use crate::world::json::text;

/// Deletes an object of Neutron, or says why it can't be.
pub(super) fn delete(state: &mut State, kind: Kind, id: &str) -> Result<(), Refusal> {
    known(state, kind, id)?;
    match kind {
        Kind::Network => network(state, id)?,
        Kind::Subnet => subnet(state, id)?,
        Kind::Port => return port(state, id),
        Kind::Router => router(state, id)?,
        Kind::Trunk => trunk(state, id)?,
        Kind::SecurityGroup => security_group(state, id)?,
        Kind::SubnetPool => subnet_pool(state, id)?,
        Kind::LoadBalancer | Kind::Server => return Err(Refusal::no_such_method()),
    }
    state.remove(kind, id);
    Ok(())
}

/// A network takes its subnets and its automatic ports along, and no others.
fn network(state: &mut State, id: &str) -> Result<(), Refusal> {
    let (automatic, others) = ports(state, |port| port["network_id"] == id);
    if !others.is_empty() {
        let message = format!(
            "Unable to complete operation on network {id}. There are one or more ports still in use on the network, id for these \
             ports is: {}.",
            others.join(",")
        );
        return Err(Refusal::new(409, "NetworkInUse", message));
    }
    for port in automatic {
        forget_port(state, &port);
    }
    let subnets: Vec<String> =
        state.all(Kind::Subnet).filter(|s| s["network_id"] == id).map(|s| text(s, "/id").to_owned()).collect();
    for subnet in subnets {
        state.remove(Kind::Subnet, &subnet);
    }
    Ok(())
}

fn subnet(state: &mut State, id: &str) -> Result<(), Refusal> {
    let (automatic, others) = ports(state, |port| is_on(port, id));
    if !others.is_empty() {
        let why = "One or more ports have an IP allocation from this subnet";
        let message = format!("Unable to complete operation on subnet {id}: {why}.");
        return Err(Refusal::new(409, "SubnetInUse", message));
    }
    for port in automatic {
        if let Some(port) = state.get_mut(Kind::Port, &port) {
            strike(&mut port["fixed_ips"], |ip| ip["subnet_id"] == id);
        }
    }
    let network = state.get(Kind::Subnet, id).map(|subnet| text(subnet, "/network_id").to_owned()).unwrap_or_default();
    if let Some(network) = state.get_mut(Kind::Network, &network) {
        strike(&mut network["subnets"], |known| known == id);
    }
    Ok(())
}

/// Takes entries out of a list.
fn strike(list: &mut Value, goes: impl Fn(&Value) -> bool) {
    if let Some(list) = list.as_array_mut() {
        list.retain(|entry| !goes(entry));
    }
}

fn port(state: &mut State, id: &str) -> Result<(), Refusal> {
    let port = known(state, Kind::Port, id)?;
    let owner = owner_of(port);
    let is_router_port = ROUTER_PORTS.contains(&owner) || owner == GATEWAY;
    let has_router = state.get(Kind::Router, text(port, "/device_id")).is_some();
    let has_address = port["fixed_ips"].as_array().is_some_and(|ips| !ips.is_empty());
    if is_router_port && has_router && has_address {
        let message = format!("Port {id} cannot be deleted directly via the port API: has device owner {owner}.");
        return Err(Refusal::new(409, "ServicePortInUse", message));
    }
    for trunk in state.all(Kind::Trunk) {
        let (kind, role) = if is_sub_port(trunk, id) {
            ("PortInUseAsSubPort", "a subport")
        } else if trunk["port_id"] == id {
            ("PortInUseAsTrunkParent", "a parent port")
        } else {
            continue;
        };
        let message = format!("Port {id} is currently {role} for trunk {}.", text(trunk, "/id"));
        return Err(Refusal::new(409, kind, message));
    }
    forget_port(state, id);
    Ok(())
}

/// Takes a port away, whatever it is.
pub(super) fn forget_port(state: &mut State, id: &str) {
    state.remove(Kind::Port, id);
}

fn is_sub_port(trunk: &Value, port: &str) -> bool {
    trunk["sub_ports"].as_array().into_iter().flatten().any(|sub| sub["port_id"] == port)
}

fn router(state: &mut State, id: &str) -> Result<(), Refusal> {
    let attached = state.all(Kind::Port).filter(|port| port["device_id"] == id && ROUTER_PORTS.contains(&owner_of(port)));
    let attached: Vec<&str> = attached.map(|port| text(port, "/id")).collect();
    if !attached.is_empty() {
        let message = format!("Router {id} has ports still attached: {}", attached.join(", "));
        return Err(Refusal::new(409, "RouterInUse", message));
    }
    let gateways: Vec<String> = state
        .all(Kind::Port)
        .filter(|port| port["device_id"] == id && owner_of(port) == GATEWAY)
        .map(|port| text(port, "/id").to_owned())
        .collect();
    for port in gateways {
        forget_port(state, &port);
    }
    Ok(())
}

/// A trunk goes while the port that it is on belongs to no device; its sub-ports become ordinary ones.
fn trunk(state: &mut State, id: &str) -> Result<(), Refusal> {
    let trunk = known(state, Kind::Trunk, id)?;
    let parent = state.get(Kind::Port, text(trunk, "/port_id"));
    if parent.is_some_and(|port| !text(port, "/device_id").is_empty()) {
        return Err(Refusal::new(409, "TrunkInUse", format!("Trunk {id} is currently in use.")));
    }
    let subs: Vec<String> =
        trunk["sub_ports"].as_array().into_iter().flatten().map(|sub| text(sub, "/port_id").to_owned()).collect();
    for port in subs {
        release(state, &port);
    }
    Ok(())
}

/// Makes a sub-port an ordinary port.
pub(super) fn release(state: &mut State, port: &str) {
    if let Some(port) = state.get_mut(Kind::Port, port) {
        port["device_owner"] = json!("");
        port["status"] = json!("DOWN");
    }
}

fn security_group(state: &State, id: &str) -> Result<(), Refusal> {
    let group = known(state, Kind::SecurityGroup, id)?;
    if group["name"] == "default" {
        let message = "Insufficient rights for removing default security group.";
        return Err(Refusal::new(409, "SecurityGroupCannotRemoveDefault", message));
    }
    let uses = |port: &Value| port["security_groups"].as_array().is_some_and(|groups| groups.iter().any(|group| group == id));
    if state.all(Kind::Port).any(uses) {
        return Err(Refusal::new(409, "SecurityGroupInUse", format!("Security Group {id} in use.")));
    }
    Ok(())
}

fn subnet_pool(state: &State, id: &str) -> Result<(), Refusal> {
    if state.all(Kind::Subnet).any(|subnet| subnet["subnetpool_id"] == id) {
        let message = "Unable to delete subnet pool: Subnet pool has existing allocations.";
        return Err(Refusal::new(400, "SubnetPoolDeleteError", message));
    }
    Ok(())
}

/// The ids of the automatic ports and of the others among those for which `on` holds.
fn ports(state: &State, on: impl Fn(&Value) -> bool) -> (Vec<String>, Vec<String>) {
    let all = state.all(Kind::Port).filter(|port| on(port));
    let (automatic, others): (Vec<&Value>, Vec<&Value>) = all.partition(|port| AUTOMATIC.contains(&owner_of(port)));
    let ids = |ports: Vec<&Value>| ports.into_iter().map(|port| text(port, "/id").to_owned()).collect();
    (ids(automatic), ids(others))
}
