//! The rows of modelled databases: logical switches and chassis, as clients write and read them.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::World;
use super::control::Reply;
use super::server::{Data, Server};
use crate::containers::Output;
use crate::kube_ovn::Database;
use crate::kube_ovn::log_file::record;

/// A write that is not agreed on yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pending {
    index: usize,
    term: u64,
    since: DateTime<Utc>,
}

/// Who runs a client, and which.
pub(super) struct Client<'a> {
    pub(super) pod: &'a str,
    pub(super) tool: &'a str,
}

/// What a client asks for.
enum Wish {
    Add(String, bool),
    Remove(String, bool),
    List,
}

/// As long a client waits for a leader that may have lost its followers.
const WAITS: TimeDelta = TimeDelta::seconds(30);

impl World {
    /// Runs `ovn-nbctl` or `ovn-sbctl`: reads at once, writes when most of the servers have it.
    pub(super) fn transact(&mut self, client: &Client<'_>, words: &[&str], since: Option<Pending>) -> Reply {
        let database = if client.tool == "ovn-nbctl" { Database::Northbound } else { Database::Southbound };
        if self.hangs(client.pod, database) {
            return Reply::Hangs;
        }
        let any_server = words.contains(&"--no-leader-only");
        let failed = |text: &str| Reply::Now(Output::failed(1, format!("{}: {text}\n", client.tool)));
        let lost = || failed(&format!("unix:{}: database connection failed ()", database.socket()));
        let Some(wish) = wish(database, words) else { return failed("unknown command; use --help for help") };
        let now = self.now;
        let outcome = self.on(database, |servers, net| {
            let server = servers.get(client.pod)?;
            if server.disk.left || (!any_server && server.leading().is_none()) {
                return None;
            }
            let rows = server.disk.rows(server.commit);
            if let Some(pending) = since {
                return Some(follow(server, pending, now));
            }
            let data = match judge(wish, &rows) {
                Ok(data) => data,
                Err(output) => return Some(Reply::Now(output)),
            };
            let leader = if server.leading().is_some() { Some(server.id()) } else { server.leader };
            let at = servers.iter().find(|(at, s)| Some(s.id()) == leader && (*at == client.pod || net.reach(client.pod, at)));
            let Some(at) = at.filter(|(_, s)| s.leading().is_some()).map(|(at, _)| at.clone()) else { return Some(Reply::Hangs) };
            let leader = servers.get_mut(&at)?;
            leader.append(data);
            Some(Reply::Later(Pending { index: leader.disk.log.len(), term: leader.disk.term, since: now }))
        });
        match outcome {
            None => lost(),
            Some(Reply::Now(output)) if output.code != 0 => failed(&String::from_utf8_lossy(&output.stderr)),
            Some(reply) => reply,
        }
    }

    /// Runs `ovsdb-client backup`.
    pub(super) fn back_up(&mut self, pod: &str, words: &[&str]) -> Reply {
        let words: Vec<&str> = words.iter().copied().filter(|word| !word.starts_with("--")).collect();
        let unknown = || Reply::Now(Output::failed(1, "ovsdb-client: unknown command; use --help for help\n"));
        let ["backup", socket, schema] = words.as_slice() else { return unknown() };
        let database = Database::BOTH.into_iter().find(|d| socket.strip_prefix("unix:") == Some(d.socket()));
        let gone = format!("ovsdb-client: failed to connect to \"{socket}\" (No such file or directory)\n");
        let Some(database) = database else { return Reply::Now(Output::failed(1, gone)) };
        if self.hangs(pod, database) {
            return Reply::Hangs;
        }
        let Some(server) = self.servers_of(database).get(pod) else { return Reply::Now(Output::failed(1, gone)) };
        if server.disk.left || *schema != database.schema() {
            return Reply::Now(Output::failed(1, format!("ovsdb-client: server does not support database {schema}\n")));
        }
        Reply::Now(Output::said(backup(database, &server.disk.rows(server.commit))))
    }
}

/// A whole file of a database that stands alone: its schema, and its rows.
fn backup(database: Database, rows: &BTreeSet<String>) -> String {
    let table = table(database);
    let columns = json!({ "name": { "type": "string" } });
    let schema =
        json!({ "name": database.schema(), "version": "7.0.0", "tables": { table: { "columns": columns, "isRoot": true } } });
    let rows: Map<String, Value> = rows.iter().map(|row| (row_id(row).to_string(), json!({ "name": row }))).collect();
    format!(
        "{}{}",
        record("JSON", &schema),
        record("JSON", &json!({ table: rows, "_comment": "produced by \"ovsdb-client backup\"" }))
    )
}

fn table(database: Database) -> &'static str {
    match database {
        Database::Northbound => "Logical_Switch",
        Database::Southbound => "Chassis",
    }
}

fn row_id(row: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&blake3::hash(row.as_bytes()).as_bytes()[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

fn wish(database: Database, words: &[&str]) -> Option<Wish> {
    let lenient = words.iter().any(|word| matches!(*word, "--may-exist" | "--if-exists"));
    let plain: Vec<&str> = words.iter().copied().filter(|word| !word.starts_with("--")).collect();
    Some(match (database, plain.as_slice()) {
        (Database::Northbound, ["ls-add", name]) | (Database::Southbound, ["chassis-add", name, _, _]) => {
            Wish::Add((*name).to_owned(), lenient)
        }
        (Database::Northbound, ["ls-del", name]) | (Database::Southbound, ["chassis-del", name]) => {
            Wish::Remove((*name).to_owned(), lenient)
        }
        (Database::Northbound, ["ls-list"]) | (Database::Southbound, ["show"]) => Wish::List,
        _ => return None,
    })
}

/// What is to be written; else how the client ends.
fn judge(wish: Wish, rows: &BTreeSet<String>) -> Result<Data, Output> {
    let refused = |lenient: bool, text: String| if lenient { Output::default() } else { Output::failed(1, text) };
    match wish {
        Wish::Add(name, lenient) if rows.contains(&name) => {
            Err(refused(lenient, format!("{name}: a switch with this name already exists")))
        }
        Wish::Add(name, _) => Ok(Data::Add(name)),
        Wish::Remove(name, lenient) if !rows.contains(&name) => Err(refused(lenient, format!("{name}: switch name not found"))),
        Wish::Remove(name, _) => Ok(Data::Remove(name)),
        Wish::List => {
            let lines = rows.iter().flat_map(|row| [row_id(row).to_string(), " (".into(), row.clone(), ")\n".into()]);
            Err(Output::said(lines.collect::<String>()))
        }
    }
}

/// How a write stands on the server that its client is connected to.
fn follow(server: &Server, pending: Pending, now: DateTime<Utc>) -> Reply {
    let entry = server.disk.log.get(pending.index - 1);
    if server.commit >= pending.index {
        return match entry {
            Some(entry) if entry.term == pending.term => Reply::Now(Output::default()),
            _ => Reply::Now(Output::failed(1, "transaction error: not leader")),
        };
    }
    if now - pending.since > WAITS { Reply::Hangs } else { Reply::Later(pending) }
}
