//! Octavia v2: load balancers, which take their time.

use chrono::{DateTime, TimeDelta, Utc};
use http::Method;
use serde_json::{Value, json};

use super::answer::{Answer, Question, Refusal};
use super::state::{Kind, State};
use crate::world::json::text;

/// How long a load balancer takes to go.
const DELETION: TimeDelta = TimeDelta::seconds(12);

/// What becomes of a load balancer, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transition {
    at: DateTime<Utc>,
    to: Next,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Active,
    Error,
    Gone,
}

impl Transition {
    /// It is well again at this time.
    pub(super) fn active(at: DateTime<Utc>) -> Self {
        Self { at, to: Next::Active }
    }
}

impl State {
    /// Lets happen what is due.
    pub(super) fn settle(&mut self, now: DateTime<Utc>) {
        let due: Vec<(String, Next)> =
            self.transitions.iter().filter(|(_, next)| next.at <= now).map(|(id, next)| (id.clone(), next.to)).collect();
        for (id, next) in due {
            self.transitions.remove(&id);
            match next {
                Next::Active => set_status(self, &id, "ACTIVE"),
                Next::Error => set_status(self, &id, "ERROR"),
                Next::Gone => {
                    let gone = self.remove(Kind::LoadBalancer, &id);
                    let port = gone.map(|balancer| text(&balancer, "/vip_port_id").to_owned()).unwrap_or_default();
                    self.remove(Kind::Port, &port);
                }
            }
        }
    }
}

fn set_status(state: &mut State, id: &str, status: &str) {
    if let Some(balancer) = state.get_mut(Kind::LoadBalancer, id) {
        balancer["provisioning_status"] = json!(status);
    }
}

pub(super) fn answer(state: &mut State, question: &Question<'_>) -> Result<Answer, Refusal> {
    let ["v2" | "v2.0", "lbaas", "loadbalancers", path @ ..] = question.path else { return Err(Refusal::no_such_path()) };
    match (path, question.method) {
        ([], &Method::GET) => Ok(list(state, question)),
        ([id], &Method::GET) => Ok(Answer::new(200, json!({ "loadbalancer": known(state, id)? }))),
        ([id], &Method::DELETE) => delete(state, id, question),
        ([] | [_], _) => Err(Refusal::no_such_method()),
        _ => Err(Refusal::no_such_path()),
    }
}

fn known<'s>(state: &'s State, id: &str) -> Result<&'s Value, Refusal> {
    let missing = || Refusal::new(404, "Client", format!("Load Balancer {id} not found."));
    state.get(Kind::LoadBalancer, id).ok_or_else(missing)
}

fn list(state: &State, question: &Question<'_>) -> Answer {
    let tags = |key: &'static str| question.values(key).flat_map(|tags| tags.split(',')).collect::<Vec<_>>();
    let (all, any) = (tags("tags"), tags("tags-any"));
    let fits = |balancer: &&Value| {
        let has = |tag: &&str| balancer["tags"].as_array().is_some_and(|known| known.iter().any(|known| known == *tag));
        let equal = ["id", "name", "project_id", "vip_network_id", "vip_subnet_id", "vip_port_id", "provisioning_status"];
        all.iter().all(has)
            && (any.is_empty() || any.iter().any(has))
            && equal.iter().all(|key| question.value(key).is_none_or(|value| balancer[*key] == value))
    };
    let found: Vec<&Value> = state.all(Kind::LoadBalancer).filter(fits).collect();
    Answer::new(200, json!({ "loadbalancers": found, "loadbalancers_links": [] }))
}

fn delete(state: &mut State, id: &str, question: &Question<'_>) -> Result<Answer, Refusal> {
    let balancer = known(state, id)?;
    let cascade = question.value("cascade").is_some_and(|value| matches!(value.to_lowercase().as_str(), "true" | "1" | "yes"));
    let has = |key: &str| balancer[key].as_array().is_some_and(|all| !all.is_empty());
    if !cascade && (has("listeners") || has("pools")) {
        let message = format!("Validation failure: Cannot delete Load Balancer {id} - it has children");
        return Err(Refusal::new(400, "Client", message));
    }
    let status = text(balancer, "/provisioning_status");
    if !matches!(status, "ACTIVE" | "ERROR") {
        return Err(Refusal::new(409, "Client", format!("Invalid state {status} of loadbalancer resource {id}")));
    }
    set_status(state, id, "PENDING_DELETE");
    let to = if state.stubborn.remove(id) { Next::Error } else { Next::Gone };
    state.transitions.insert(id.to_owned(), Transition { at: question.now + DELETION, to });
    Ok(Answer::empty(204))
}

/// A load balancer as Octavia shows it; `vip` names its network, subnet, port and address.
pub(crate) fn balancer((id, name, project): (&str, &str, &str), vip: [&str; 4], tags: &[&str], at: DateTime<Utc>) -> Value {
    let [network, subnet, port, address] = vip;
    let child = |what: &str| {
        let hash = blake3::hash(format!("{id}/{what}").as_bytes());
        let bytes: [u8; 16] = std::array::from_fn(|i| hash.as_bytes()[i]);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    };
    let since = at.format("%Y-%m-%dT%H:%M:%S").to_string();
    json!({
        "id": id, "name": name, "description": "", "project_id": project, "admin_state_up": true,
        "provisioning_status": "ACTIVE", "operating_status": "ONLINE", "created_at": since, "updated_at": since,
        "vip_address": address, "vip_port_id": port, "vip_subnet_id": subnet, "vip_network_id": network, "additional_vips": [],
        "vip_qos_policy_id": null, "listeners": [{ "id": child("listener") }], "pools": [{ "id": child("pool") }],
        "provider": "ovn", "flavor_id": null, "availability_zone": null, "tags": tags,
    })
}
