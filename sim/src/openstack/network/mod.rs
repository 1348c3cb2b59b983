//! Neutron v2.0: networks and what belongs to them.

mod creation;
mod deletion;
mod interfaces;
mod list;
pub(crate) mod objects;
mod trunks;

use http::Method;
use serde_json::{Value, json};

use super::answer::{Answer, Question, Refusal};
use super::state::{Kind, State};
use list::only;

pub(super) fn answer(state: &mut State, question: &Question<'_>) -> Result<Answer, Refusal> {
    let (first, path) = question.path.split_first().ok_or_else(Refusal::no_such_path)?;
    if *first != "v2.0" {
        return Err(Refusal::no_such_path());
    }
    let (named, path) = path.split_first().ok_or_else(Refusal::no_such_path)?;
    let kind = Kind::NETWORK.into_iter().find(|kind| kind.in_path() == *named).ok_or_else(Refusal::no_such_path)?;
    match path {
        [] if *question.method == Method::GET => list::list(state, kind, question),
        [] if *question.method == Method::POST => creation::create(state, kind, question),
        [id] => one(state, kind, id, question),
        [id, action] => {
            known(state, kind, id)?;
            act(state, kind, id, action, question)
        }
        _ => Err(Refusal::no_such_path()),
    }
}

fn one(state: &mut State, kind: Kind, id: &str, question: &Question<'_>) -> Result<Answer, Refusal> {
    let object = known(state, kind, id)?;
    match *question.method {
        Method::GET => Ok(Answer::new(200, json!({ kind.one(): only(object, question) }))),
        Method::PUT => creation::update(state, kind, id, question),
        Method::DELETE => deletion::delete(state, kind, id).map(|()| Answer::empty(204)),
        _ => Err(Refusal::no_such_method()),
    }
}

fn act(state: &mut State, kind: Kind, id: &str, action: &str, question: &Question<'_>) -> Result<Answer, Refusal> {
    match (kind, action, question.method) {
        (_, "tags", &Method::GET) => {
            let tags = state.get(kind, id).map_or(Value::Null, |object| object["tags"].clone());
            Ok(Answer::new(200, json!({ "tags": tags })))
        }
        (_, "tags", &Method::PUT) => {
            let tags = question.body["tags"].clone();
            if let Some(object) = state.get_mut(kind, id) {
                object["tags"] = tags.clone();
            }
            state.touch(kind, id, question.now);
            Ok(Answer::new(200, json!({ "tags": tags })))
        }
        (Kind::Router, "add_router_interface", &Method::PUT) => interfaces::add(state, id, question),
        (Kind::Router, "remove_router_interface", &Method::PUT) => interfaces::remove(state, id, question),
        (Kind::Trunk, "get_subports", &Method::GET) => trunks::sub_ports(state, id),
        (Kind::Trunk, "add_subports", &Method::PUT) => trunks::add(state, id, question),
        (Kind::Trunk, "remove_subports", &Method::PUT) => trunks::remove(state, id, question),
        _ => Err(Refusal::no_such_path()),
    }
}

/// The object of this id, or why it can't be found.
fn known<'s>(state: &'s State, kind: Kind, id: &str) -> Result<&'s Value, Refusal> {
    state.get(kind, id).ok_or_else(|| not_found(kind, id))
}

fn not_found(kind: Kind, id: &str) -> Refusal {
    let (name, message) = match kind {
        Kind::Network => ("NetworkNotFound", format!("Network {id} could not be found.")),
        Kind::Subnet => ("SubnetNotFound", format!("Subnet {id} could not be found.")),
        Kind::Port => ("PortNotFound", format!("Port {id} could not be found.")),
        Kind::Router => ("RouterNotFound", format!("Router {id} could not be found")),
        Kind::Trunk => ("TrunkNotFound", format!("Trunk {id} could not be found.")),
        Kind::SecurityGroup => ("SecurityGroupNotFound", format!("Security group {id} does not exist")),
        Kind::SubnetPool => ("SubnetPoolNotFound", format!("Subnet pool {id} could not be found.")),
        Kind::LoadBalancer | Kind::Server => ("HTTPNotFound", "The resource could not be found.".to_owned()),
    };
    Refusal::new(404, name, message)
}

/// What a router's ports on its subnets say of their device, whichever kind of router it is.
const ROUTER_PORTS: [&str; 3] =
    ["network:router_interface", "network:router_interface_distributed", "network:ha_router_replicated_interface"];
/// What a router's port on the external network says.
const GATEWAY: &str = "network:router_gateway";
/// Ports that come and go with their network.
const AUTOMATIC: [&str; 2] = ["network:dhcp", "network:distributed"];

fn owner_of(port: &Value) -> &str {
    crate::world::json::text(port, "/device_owner")
}

fn is_on(port: &Value, subnet: &str) -> bool {
    port["fixed_ips"].as_array().into_iter().flatten().any(|ip| ip["subnet_id"] == subnet)
}
