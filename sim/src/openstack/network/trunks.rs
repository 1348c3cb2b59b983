//! Trunks' sub-ports.

use serde_json::{Value, json};

use super::deletion::release;
use super::known;
use crate::openstack::answer::{Answer, Question, Refusal};
use crate::openstack::state::{Kind, State};
use crate::world::json::text;

/// What a sub-port says of its device.
pub(super) const SUB_PORT: &str = "trunk:subport";

pub(super) fn sub_ports(state: &State, id: &str) -> Result<Answer, Refusal> {
    let trunk = known(state, Kind::Trunk, id)?;
    Ok(Answer::new(200, json!({ "sub_ports": trunk["sub_ports"] })))
}

pub(super) fn add(state: &mut State, id: &str, question: &Question<'_>) -> Result<Answer, Refusal> {
    let asked = question.body["sub_ports"].as_array().cloned().unwrap_or_default();
    for sub in &asked {
        let port = text(sub, "/port_id");
        known(state, Kind::Port, port)?;
        if state.all(Kind::Trunk).any(|trunk| holds(trunk, port)) {
            return Err(Refusal::new(409, "TrunkPortInUse", format!("Port {port} is in use by another trunk.")));
        }
    }
    for sub in &asked {
        if let Some(port) = state.get_mut(Kind::Port, text(sub, "/port_id")) {
            port["device_owner"] = json!(SUB_PORT);
        }
    }
    if let Some(all) = state.get_mut(Kind::Trunk, id).and_then(|trunk| trunk["sub_ports"].as_array_mut()) {
        all.extend(asked);
    }
    state.touch(Kind::Trunk, id, question.now);
    Ok(Answer::new(200, known(state, Kind::Trunk, id)?.clone()))
}

/// Takes all of the named sub-ports off, or none.
pub(super) fn remove(state: &mut State, id: &str, question: &Question<'_>) -> Result<Answer, Refusal> {
    let asked: Vec<&str> = question.body["sub_ports"].as_array().into_iter().flatten().map(|sub| text(sub, "/port_id")).collect();
    let trunk = known(state, Kind::Trunk, id)?;
    for port in &asked {
        if !holds(trunk, port) {
            let message = format!("SubPort {port} on trunk {id} could not be found.");
            return Err(Refusal::new(404, "SubPortNotFound", message));
        }
    }
    for port in &asked {
        release(state, port);
    }
    if let Some(all) = state.get_mut(Kind::Trunk, id).and_then(|trunk| trunk["sub_ports"].as_array_mut()) {
        all.retain(|sub| !asked.contains(&text(sub, "/port_id")));
    }
    state.touch(Kind::Trunk, id, question.now);
    Ok(Answer::new(200, known(state, Kind::Trunk, id)?.clone()))
}

fn holds(trunk: &Value, port: &str) -> bool {
    trunk["sub_ports"].as_array().into_iter().flatten().any(|sub| sub["port_id"] == port)
}
