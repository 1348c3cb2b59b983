//! Nova v2.1: servers, and telling them to reboot.

use chrono::{DateTime, TimeDelta, Utc};
use http::Method;
use serde_json::{Value, json};

use super::answer::{Answer, Question, Refusal};
use super::state::{Kind, Owner, State, seconds};
use crate::machine_daemon::PowerCycle;
use crate::world::json::text;

/// How long a server says that it reboots: until its guest has gone down and was started again.
const SOFT: TimeDelta = TimeDelta::seconds(25);
/// The same where nobody asks the guest.
const HARD: TimeDelta = TimeDelta::seconds(10);

/// What was done to a server, newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Actions(Vec<Value>);

/// A reboot that Nova has not finished.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rebooting {
    until: DateTime<Utc>,
}

pub(super) fn answer(state: &mut State, question: &Question<'_>) -> Result<Answer, Refusal> {
    let ["v2.1", "servers", path @ ..] = question.path else { return Err(no_such_path()) };
    match (path, question.method) {
        ([], &Method::GET) => list(state, question, brief),
        (["detail"], &Method::GET) => list(state, question, whole),
        ([id], &Method::GET) => Ok(Answer::new(200, json!({ "server": whole(known(state, id)?, question) }))),
        ([id, "action"], &Method::POST) => act(state, id, question),
        ([id, "os-instance-actions"], &Method::GET) => {
            known(state, id)?;
            let actions = state.actions.get(*id).cloned().unwrap_or_default();
            Ok(Answer::new(200, json!({ "instanceActions": actions.0 })))
        }
        ([id, "os-instance-actions", request], &Method::GET) => {
            known(state, id)?;
            let found = state.actions.get(*id).and_then(|all| all.0.iter().find(|action| action["request_id"] == *request));
            let missing =
                || Refusal::new(404, "itemNotFound", format!("Action for request_id {request} on instance {id} not found"));
            Ok(Answer::new(200, json!({ "instanceAction": found.ok_or_else(missing)? })))
        }
        _ => Err(no_such_path()),
    }
}

fn no_such_path() -> Refusal {
    Refusal::new(404, "itemNotFound", "The resource could not be found.")
}

fn known<'s>(state: &'s State, id: &str) -> Result<&'s Value, Refusal> {
    let missing = || Refusal::new(404, "itemNotFound", format!("Instance {id} could not be found."));
    state.get(Kind::Server, id).ok_or_else(missing)
}

fn list(state: &State, question: &Question<'_>, show: impl Fn(&Value, &Question<'_>) -> Value) -> Result<Answer, Refusal> {
    let name = question.value("name").unwrap_or_default();
    let status = question.value("status").unwrap_or_default().to_uppercase();
    let fits = |server: &&Value| matches(name, text(server, "/name")) && (status.is_empty() || text(server, "/status") == status);
    let mut found: Vec<&Value> = state.all(Kind::Server).filter(fits).collect();
    if let Some(marker) = question.value("marker") {
        let missing = || Refusal::new(400, "badRequest", format!("marker [{marker}] not found"));
        let at = found.iter().position(|server| server["id"] == marker).ok_or_else(missing)?;
        found.drain(..=at);
    }
    let limit = question.value("limit").and_then(|limit| limit.parse::<usize>().ok());
    let more = limit.is_some_and(|limit| found.len() > limit);
    found.truncate(limit.unwrap_or(usize::MAX));
    let mut body = json!({ "servers": found.iter().map(|server| show(server, question)).collect::<Vec<_>>() });
    if let (true, Some(limit), Some(last)) = (more, limit, found.last()) {
        let href = format!("{}{}?limit={limit}&marker={}", question.base, question.whole_path, text(last, "/id"));
        body["servers_links"] = json!([{ "rel": "next", "href": href }]);
    }
    Ok(Answer::new(200, body))
}

/// Whether a name fits what is asked for: a regular expression, of which `^`, `$`, `.*` and letters are understood.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, from_start) = pattern.strip_prefix('^').map_or((pattern, false), |rest| (rest, true));
    let (pattern, to_end) = pattern.strip_suffix('$').map_or((pattern, false), |rest| (rest, true));
    let pattern = pattern.replace('\\', "");
    let mut rest = name;
    for (nth, part) in pattern.split(".*").enumerate() {
        let found = if nth == 0 && from_start { rest.starts_with(part).then_some(0) } else { rest.find(part) };
        let Some(at) = found else { return false };
        rest = &rest[at + part.len()..];
    }
    !to_end || rest.is_empty() || pattern.ends_with(".*")
}

fn brief(server: &Value, question: &Question<'_>) -> Value {
    json!({ "id": server["id"], "name": server["name"], "links": links(server, question) })
}

fn whole(server: &Value, question: &Question<'_>) -> Value {
    let mut shown = server.clone();
    shown["links"] = links(server, question);
    shown
}

fn links(server: &Value, question: &Question<'_>) -> Value {
    let at = |path: &str| format!("{}/compute/{path}/{}", question.base, text(server, "/id"));
    json!([{ "rel": "self", "href": at("v2.1/servers") }, { "rel": "bookmark", "href": at("servers") }])
}

fn act(state: &mut State, id: &str, question: &Question<'_>) -> Result<Answer, Refusal> {
    let server = known(state, id)?;
    let kind = text(question.body, "/reboot/type").to_uppercase();
    let is_soft = match kind.as_str() {
        "SOFT" => true,
        "HARD" => false,
        _ => return Err(Refusal::new(400, "badRequest", "Invalid input for field/attribute type.")),
    };
    let doing = text(server, "/OS-EXT-STS:task_state");
    if is_soft && !doing.is_empty() {
        let message = format!("Cannot 'reboot' instance {id} while it is in task_state {doing}");
        return Err(Refusal::new(409, "conflictingRequest", message));
    }
    let node = text(server, "/name").to_owned();
    let (task, status, takes) = if is_soft { ("rebooting", "REBOOT", SOFT) } else { ("rebooting_hard", "HARD_REBOOT", HARD) };
    if let Some(server) = state.get_mut(Kind::Server, id) {
        server["OS-EXT-STS:task_state"] = json!(task);
        server["status"] = json!(status);
        server["updated"] = json!(seconds(question.now));
    }
    state.rebooting.insert(id.to_owned(), Rebooting { until: question.now + takes });
    let action = json!({ "action": "reboot", "instance_uuid": id, "request_id": question.request_id, "message": null,
        "user_id": state.account.user_id, "project_id": state.account.project_id,
        "start_time": question.now.format("%Y-%m-%dT%H:%M:%S%.6f").to_string() });
    state.actions.entry(id.to_owned()).or_default().0.insert(0, action);
    if state.owner(id) == Some(&Owner::Cluster) {
        state.power_cycles.push(PowerCycle { node, hard: !is_soft });
    }
    Ok(Answer::empty(202))
}

impl State {
    /// Ends the reboots whose time is over.
    pub(super) fn settle_servers(&mut self, now: DateTime<Utc>) {
        let over: Vec<String> = self.rebooting.iter().filter(|(_, one)| one.until <= now).map(|(id, _)| id.clone()).collect();
        for id in over {
            let until = self.rebooting.remove(&id).map_or(now, |one| one.until);
            if let Some(server) = self.get_mut(Kind::Server, &id) {
                server["OS-EXT-STS:task_state"] = Value::Null;
                server["status"] = json!("ACTIVE");
                server["updated"] = json!(seconds(until));
            }
        }
    }
}

/// A running server as Nova shows it.
pub(crate) fn server((id, name, cluster): (&str, &str, &str), project: &str, address: &str, at: DateTime<Utc>) -> Value {
    let since = seconds(at);
    let metadata = if cluster.is_empty() { json!({}) } else { json!({ "Name": name, "openshiftClusterID": cluster }) };
    json!({
        "id": id, "name": name, "status": "ACTIVE", "tenant_id": project, "created": since, "updated": since,
        "metadata": metadata, "hostId": blake3::hash(id.as_bytes()).to_hex()[..56], "key_name": null, "progress": 0,
        "addresses": { "nodes": [{ "version": 4, "addr": address, "OS-EXT-IPS:type": "fixed" }] },
        "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:task_state": null, "OS-EXT-STS:power_state": 1,
        "OS-EXT-AZ:availability_zone": "nova", "OS-DCF:diskConfig": "MANUAL", "OS-SRV-USG:launched_at": since,
        "OS-SRV-USG:terminated_at": null, "accessIPv4": "", "accessIPv6": "", "config_drive": "",
    })
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn names_are_matched_as_expressions() {
        for (pattern, name, expected) in [
            ("", "worker-0", true),
            ("worker", "worker-0", true),
            ("^worker-1$", "worker-1", true),
            ("^worker-1$", "worker-10", false),
            ("^1", "worker-1", false),
            ("^w.*0$", "worker-0", true),
            ("r.*9", "worker-0", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
