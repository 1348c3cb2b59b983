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
                Next::Gone => self.drop_load_balancer(&id),
            }
        }
    }

    /// Takes a load balancer away, and the port of its address with it.
    pub(super) fn drop_load_balancer(&mut self, id: &str) {
        let gone = self.remove(Kind::LoadBalancer, id);
        let port = gone.map(|balancer| text(&balancer, "/vip_port_id").to_owned()).unwrap_or_default();
        self.remove(Kind::Port, &port);
    }
}

fn set_status(state: &mut State, id: &str, status: &str) {
    if let Some(balancer) = state.get_mut(Kind::LoadBalancer, id) {
        balancer["provisioning_status"] = json!(status);
    }
}

pub(super) fn answer(state: &mut State, question: &Question<'_>) -> Result<Answer, Refusal> {
    let ["v2" | "v2.0", "lbaas", kind, path @ ..] = question.path else { return Err(Refusal::no_such_path()) };
    match (*kind, path, question.method) {
        ("listeners", [], &Method::POST) => return add_listener(state, question),
        ("loadbalancers", ..) => {}
        _ => return Err(Refusal::no_such_path()),
    }
    match (path, question.method) {
        ([], &Method::GET) => list(state, question),
        ([], &Method::POST) => create(state, question),
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

/// What a list can be asked for by equality.
const ATTRIBUTES: [&str; 8] =
    ["id", "name", "project_id", "vip_network_id", "vip_subnet_id", "vip_port_id", "provisioning_status", "operating_status"];
/// What else it understands.
const WORDS: [&str; 8] = ["tags", "tags-any", "not-tags", "not-tags-any", "limit", "marker", "sort", "fields"];

fn list(state: &State, question: &Question<'_>) -> Result<Answer, Refusal> {
    if question.query.iter().any(|(key, _)| !ATTRIBUTES.contains(&key.as_str()) && !WORDS.contains(&key.as_str())) {
        return Err(Refusal::new(400, "Client", "One or more arguments are either duplicate or invalid"));
    }
    let tags = |key: &'static str| question.values(key).flat_map(|tags| tags.split(',')).collect::<Vec<_>>();
    let (all, any, not) = (tags("tags"), tags("tags-any"), tags("not-tags-any"));
    let fits = |balancer: &&Value| {
        let has = |tag: &&str| balancer["tags"].as_array().is_some_and(|known| known.iter().any(|known| known == *tag));
        all.iter().all(has)
            && (any.is_empty() || any.iter().any(has))
            && !not.iter().any(has)
            && ATTRIBUTES.iter().all(|key| question.value(key).is_none_or(|value| balancer[*key] == value))
    };
    let mut found: Vec<&Value> = state.all(Kind::LoadBalancer).filter(fits).collect();
    if let Some(marker) = question.value("marker") {
        found.retain(|balancer| text(balancer, "/id") > marker);
    }
    let limit = question.value("limit").and_then(|limit| limit.parse::<usize>().ok()).filter(|limit| *limit > 0);
    found.truncate(limit.unwrap_or(usize::MAX));
    let next = limit.filter(|limit| found.len() >= *limit).zip(found.last()).map(|(limit, last)| {
        let href = format!("{}{}?limit={limit}&marker={}", question.base, question.whole_path, text(last, "/id"));
        json!({ "rel": "next", "href": href })
    });
    let links: Vec<Value> = next.into_iter().collect();
    Ok(Answer::new(200, json!({ "loadbalancers": found, "loadbalancers_links": links })))
}

/// How long a load balancer takes to be made, or changed.
const CHANGE: TimeDelta = TimeDelta::seconds(8);

fn create(state: &mut State, question: &Question<'_>) -> Result<Answer, Refusal> {
    let asked = &question.body["loadbalancer"];
    let subnet = text(asked, "/vip_subnet_id");
    if subnet.is_empty() {
        let message = "Validation failure: VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.";
        return Err(Refusal::new(400, "Client", message));
    }
    let (id, port, project) = (state.id(), state.id(), state.project().to_owned());
    let network = state.get(Kind::Subnet, subnet).map_or("", |subnet| text(subnet, "/network_id")).to_owned();
    let tags: Vec<&str> = asked["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let vip = [network.as_str(), subnet, port.as_str(), ""];
    let mut made = balancer((&id, text(asked, "/name"), &project), vip, &tags, question.now);
    for (key, value) in [("listeners", json!([])), ("pools", json!([])), ("provisioning_status", json!("PENDING_CREATE"))] {
        made[key] = value;
    }
    state.put(Kind::LoadBalancer, None, made.clone());
    state.transitions.insert(id, Transition::active(question.now + CHANGE));
    Ok(Answer::new(201, json!({ "loadbalancer": made })))
}

fn add_listener(state: &mut State, question: &Question<'_>) -> Result<Answer, Refusal> {
    let balancer = text(&question.body["listener"], "/loadbalancer_id").to_owned();
    let status = text(known(state, &balancer)?, "/provisioning_status");
    if status != "ACTIVE" {
        let message = format!("Load Balancer {balancer} is immutable and cannot be updated.");
        return Err(Refusal::new(409, "Client", message));
    }
    let id = state.id();
    if let Some(listeners) = state.get_mut(Kind::LoadBalancer, &balancer).and_then(|one| one["listeners"].as_array_mut()) {
        listeners.push(json!({ "id": id }));
    }
    set_status(state, &balancer, "PENDING_UPDATE");
    state.transitions.insert(balancer.clone(), Transition::active(question.now + CHANGE));
    let mut listener = question.body["listener"].clone();
    listener["id"] = json!(id);
    listener["loadbalancers"] = json!([{ "id": balancer }]);
    listener["provisioning_status"] = json!("PENDING_CREATE");
    Ok(Answer::new(201, json!({ "listener": listener })))
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
