//! Routers' interfaces on subnets.

use serde_json::{Value, json};

use super::deletion::forget_port;
use super::objects::{Common, Device, port};
use super::{ROUTER_PORTS, is_on, known, owner_of};
use crate::openstack::answer::{Answer, Question, Refusal};
use crate::openstack::state::{Kind, State};
use crate::world::json::text;

const NEITHER: &str = "Either subnet_id or port_id must be specified";

pub(super) fn add(state: &mut State, router: &str, question: &Question<'_>) -> Result<Answer, Refusal> {
    let subnet_id = text(question.body, "/subnet_id").to_owned();
    if subnet_id.is_empty() {
        let port = named_port(state, question)?;
        let subnet = text(known(state, Kind::Port, &port)?, "/fixed_ips/0/subnet_id").to_owned();
        if let Some(port) = state.get_mut(Kind::Port, &port) {
            port["device_id"] = json!(router);
            port["device_owner"] = json!(ROUTER_PORTS[0]);
        }
        return Ok(shown(state, router, &port, &subnet));
    }
    let subnet = known(state, Kind::Subnet, &subnet_id)?;
    let (network, gateway) = (text(subnet, "/network_id").to_owned(), text(subnet, "/gateway_ip").to_owned());
    if state.all(Kind::Port).any(|port| port["device_id"] == router && is_on(port, &subnet_id)) {
        let message = format!("Bad router request: Router already has a port on subnet {subnet_id}.");
        return Err(Refusal::new(400, "BadRequest", message));
    }
    let (id, project) = (state.id(), state.project().to_owned());
    let common = Common { id: &id, name: "", project: &project, description: "", tags: &[], at: question.now };
    let device = Device { id: router, owner: ROUTER_PORTS[0] };
    state.put(Kind::Port, None, port(&common, &network, (&subnet_id, &gateway), &device, &[]));
    Ok(shown(state, router, &id, &subnet_id))
}

pub(super) fn remove(state: &mut State, router: &str, question: &Question<'_>) -> Result<Answer, Refusal> {
    let subnet = text(question.body, "/subnet_id").to_owned();
    let port = if question.body["port_id"].is_string() {
        let port = named_port(state, question)?;
        let is_own = state.get(Kind::Port, &port).is_some_and(|found| is_interface(found, router));
        if !is_own {
            let message = format!("Router {router} does not have an interface with id {port}");
            return Err(Refusal::new(404, "RouterInterfaceNotFound", message));
        }
        port
    } else if subnet.is_empty() {
        return Err(Refusal::new(400, "BadRequest", format!("Bad router request: {NEITHER}.")));
    } else {
        known(state, Kind::Subnet, &subnet)?;
        let found = state.all(Kind::Port).find(|port| is_interface(port, router) && is_on(port, &subnet));
        let message = || format!("Router {router} has no interface on subnet {subnet}");
        text(found.ok_or_else(|| Refusal::new(404, "RouterInterfaceNotFoundForSubnet", message()))?, "/id").to_owned()
    };
    let on = text(known(state, Kind::Port, &port)?, "/fixed_ips/0/subnet_id").to_owned();
    let answer = shown(state, router, &port, &on);
    forget_port(state, &port);
    Ok(answer)
}

fn named_port(state: &State, question: &Question<'_>) -> Result<String, Refusal> {
    let port = text(question.body, "/port_id");
    if port.is_empty() {
        return Err(Refusal::new(400, "BadRequest", format!("Bad router request: {NEITHER}.")));
    }
    known(state, Kind::Port, port).map(|_| port.to_owned())
}

fn is_interface(port: &Value, router: &str) -> bool {
    port["device_id"] == router && ROUTER_PORTS.contains(&owner_of(port))
}

fn shown(state: &State, router: &str, port: &str, subnet: &str) -> Answer {
    let network = state.get(Kind::Port, port).map_or(Value::Null, |port| port["network_id"].clone());
    Answer::new(
        200,
        json!({ "id": router, "tenant_id": state.project(), "port_id": port, "network_id": network,
            "subnet_id": subnet, "subnet_ids": [subnet] }),
    )
}
