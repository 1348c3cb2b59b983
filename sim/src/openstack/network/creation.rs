//! New objects and changes of their names, as far as anybody makes some here.

use serde_json::{Value, json};

use super::objects::{self, Common, Device};
use super::{known, trunks};
use crate::openstack::answer::{Answer, Question, Refusal};
use crate::openstack::state::{Kind, State};
use crate::world::json::text;

/// Attributes that a change may set.
const MUTABLE: [&str; 6] = ["name", "description", "admin_state_up", "device_id", "device_owner", "security_groups"];

pub(super) fn update(state: &mut State, kind: Kind, id: &str, question: &Question<'_>) -> Result<Answer, Refusal> {
    let changes = question.body[kind.one()].as_object().cloned().unwrap_or_default();
    if let Some(object) = state.get_mut(kind, id) {
        for (key, value) in changes.into_iter().filter(|(key, _)| MUTABLE.contains(&key.as_str())) {
            object[key] = value;
        }
    }
    state.touch(kind, id, question.now);
    Ok(Answer::new(200, json!({ kind.one(): known(state, kind, id)? })))
}

pub(super) fn create(state: &mut State, kind: Kind, question: &Question<'_>) -> Result<Answer, Refusal> {
    let asked = &question.body[kind.one()];
    if !asked.is_object() {
        let message = format!("Unable to find '{}' in request body", kind.one());
        return Err(Refusal::new(400, "HTTPBadRequest", message));
    }
    let (id, project) = (state.id(), state.project().to_owned());
    let common = Common {
        id: &id,
        name: text(asked, "/name"),
        project: &project,
        description: text(asked, "/description"),
        tags: &[],
        at: question.now,
    };
    let object = match kind {
        Kind::Network => objects::network(&common),
        Kind::Subnet => subnet(state, &common, asked)?,
        Kind::Port => port(state, &common, asked)?,
        Kind::Router => objects::router(&common),
        Kind::Trunk => trunk(state, &common, asked)?,
        Kind::SecurityGroup => objects::security_group(&common),
        Kind::SubnetPool => {
            let prefixes: Vec<&str> = asked["prefixes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            objects::subnet_pool(&common, &prefixes, 23)
        }
        Kind::LoadBalancer | Kind::Server => return Err(Refusal::no_such_method()),
    };
    state.put(kind, None, object);
    Ok(Answer::new(201, json!({ kind.one(): known(state, kind, &id)? })))
}

fn subnet(state: &mut State, common: &Common<'_>, asked: &Value) -> Result<Value, Refusal> {
    let network = text(asked, "/network_id");
    known(state, Kind::Network, network)?;
    let pool = asked["subnetpool_id"].as_str();
    let cidr = match pool {
        None => text(asked, "/cidr"),
        Some(pool) => text(known(state, Kind::SubnetPool, pool)?, "/prefixes/0"),
    };
    let gateway = address(cidr, 1);
    let subnet = objects::subnet(common, network, cidr, &gateway, pool);
    if let Some(subnets) = state.get_mut(Kind::Network, network).and_then(|network| network["subnets"].as_array_mut()) {
        subnets.push(json!(common.id));
    }
    Ok(subnet)
}

fn port(state: &State, common: &Common<'_>, asked: &Value) -> Result<Value, Refusal> {
    let network = text(asked, "/network_id");
    let on = known(state, Kind::Network, network)?;
    let subnet = text(on, "/subnets/0");
    let cidr = state.get(Kind::Subnet, subnet).map_or("", |subnet| text(subnet, "/cidr"));
    let used = state.all(Kind::Port).filter(|port| super::is_on(port, subnet)).count();
    let address = address(cidr, u32::try_from(used).unwrap_or(u32::MAX - 2) + 2);
    let device = Device { id: text(asked, "/device_id"), owner: text(asked, "/device_owner") };
    let groups: Vec<&str> = asked["security_groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut port = objects::port(common, network, (subnet, &address), &device, &groups);
    if subnet.is_empty() {
        port["fixed_ips"] = json!([]);
    }
    Ok(port)
}

fn trunk(state: &mut State, common: &Common<'_>, asked: &Value) -> Result<Value, Refusal> {
    let parent = text(asked, "/port_id");
    known(state, Kind::Port, parent)?;
    let mut trunk = objects::trunk(common, parent);
    let subs = asked["sub_ports"].as_array().cloned().unwrap_or_default();
    for sub in &subs {
        if let Some(port) = state.get_mut(Kind::Port, text(sub, "/port_id")) {
            port["device_owner"] = json!(trunks::SUB_PORT);
        }
    }
    trunk["sub_ports"] = json!(subs);
    Ok(trunk)
}

/// The nth address of a range.
fn address(cidr: &str, nth: u32) -> String {
    let base = cidr.split('/').next().and_then(|base| base.parse::<std::net::Ipv4Addr>().ok());
    base.map_or_else(String::new, |base| std::net::Ipv4Addr::from(u32::from(base).wrapping_add(nth)).to_string())
}
