//! The control sockets of modelled servers: `ovn-appctl` and what it may ask.

use chrono::TimeDelta;

use super::World;
use super::data::{Client, Pending};
use super::raft::{begin_removal, leave, mark};
use super::server::{Data, Server};
use super::status::{short, status};
use crate::containers::Output;
use crate::kube_ovn::Database;

/// How a command goes on.
pub(super) enum Reply {
    /// It has ended.
    Now(Output),
    /// Nobody answers it.
    Hangs,
    /// It waits for the servers to agree.
    Later(Pending),
}

/// What a server answers: a text, or an error's.
type Answer = Result<String, String>;

impl World {
    /// Runs a command in a pod, or goes on with one; `None` if there is no such command, or no such pod.
    pub(super) fn command(&mut self, pod: &str, words: &[String], since: Option<Pending>) -> Option<Reply> {
        self.pods.get(pod)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.split_first()? {
            (tool @ &("ovn-appctl" | "ovs-appctl"), rest) => Some(self.control(pod, tool, rest)),
            (tool @ &("ovn-nbctl" | "ovn-sbctl"), rest) => Some(self.transact(&Client { pod, tool }, rest, since)),
            (&"ovsdb-client", rest) => Some(self.back_up(pod, rest)),
            _ => None,
        }
    }

    /// Whether a server's sockets are not read.
    pub(super) fn hangs(&self, pod: &str, database: Database) -> bool {
        self.suspended.contains(pod) || self.hung.contains(&(pod.to_owned(), database))
    }

    fn control(&mut self, pod: &str, tool: &str, words: &[&str]) -> Reply {
        let (target, words) = match words {
            ["-t" | "--target", target, rest @ ..] => (*target, rest),
            [first, rest @ ..] => (first.strip_prefix("--target=").unwrap_or_default(), rest),
            [] => ("", words),
        };
        let nobody = format!("{tool}: cannot connect to \"{target}\" (No such file or directory)\n");
        let database = Database::BOTH.into_iter().find(|database| database.control() == target);
        let Some(database) = database.filter(|database| self.servers_of(*database).contains_key(pod)) else {
            return Reply::Now(Output::failed(1, nobody));
        };
        if self.hangs(pod, database) {
            return Reply::Hangs;
        }
        Reply::Now(match self.ask(pod, database, words) {
            Ok(text) => Output::said(text),
            Err(text) => Output::failed(2, format!("{text}\n{tool}: {target}: server returned an error\n")),
        })
    }

    fn ask(&mut self, pod: &str, database: Database, words: &[&str]) -> Answer {
        let now = self.now;
        let invalid = || "command has wrong number of arguments".to_owned();
        let (command, arguments) = words.split_first().ok_or_else(invalid)?;
        let (schema, arguments) = arguments.split_first().ok_or_else(invalid)?;
        let server = self.servers_of(database).get_mut(pod).filter(|s| !s.disk.left && *schema == database.schema());
        let unknown = || Err("unknown cluster".to_owned());
        match (*command, server, arguments) {
            ("ovsdb-server/get-db-storage-status", Some(_), []) => Ok("status: ok\n".to_owned()),
            ("ovsdb-server/get-db-storage-status", None, []) => Err("Failed to find the database.".to_owned()),
            ("cluster/status", Some(server), []) => Ok(status(server, database, now)),
            ("cluster/sid", Some(server), []) => Ok(format!("{}\n", server.id())),
            ("cluster/cid", Some(server), []) => match server.disk.cluster {
                Some(cluster) => Ok(format!("{cluster}\n")),
                None => Err("unknown cluster".to_owned()),
            },
            ("cluster/kick", Some(_), [name]) => self.kick(pod, database, name),
            ("cluster/leave", Some(_), []) => self.leave(pod, database),
            ("cluster/change-election-timer", Some(server), [millis]) => change_timer(server, millis),
            ("cluster/status" | "cluster/sid" | "cluster/cid" | "cluster/kick" | "cluster/leave", None, _) => unknown(),
            (other, ..) => {
                Err(format!("\"{other}\" is not a valid command (use \"list-commands\" to see a list of valid commands)"))
            }
        }
    }

    /// Takes out the server that fits a name best, whatever it is called: with one server left, that is always itself.
    fn kick(&mut self, pod: &str, database: Database, name: &str) -> Answer {
        let Some(server) = self.servers_of(database).get(pod) else { return Err("unknown cluster".to_owned()) };
        let scores = server.disk.config().into_iter().map(|(id, address)| (score(id, &address, name), id));
        let mut scores: Vec<(usize, uuid::Uuid)> = scores.collect();
        scores.sort_unstable_by(|one, other| other.cmp(one));
        let found = match scores.as_slice() {
            [] => None,
            [(best, _), (second, _), ..] if best == second => None,
            [(_, id), ..] => Some(*id),
        };
        let Some(id) = found else { return Err("unknown server".to_owned()) };
        if id == server.id() {
            return self.leave(pod, database);
        }
        if server.leading().is_some() {
            return self.remove(pod, database, id);
        }
        let leader = server.leader;
        let told = self.on(database, |servers, net| {
            let leader = servers.iter_mut().find(|(at, s)| Some(s.id()) == leader && net.reach(pod, at))?.1;
            if leader.leading().is_some() && leader.disk.config().contains_key(&id) {
                mark(leader, id);
            }
            Some(())
        });
        told.map_or_else(
            || Err("failed to send removal request".to_owned()),
            |()| Ok("sent removal request to leader\n".to_owned()),
        )
    }

    /// As the leader that was asked directly.
    fn remove(&mut self, pod: &str, database: Database, id: uuid::Uuid) -> Answer {
        let Some(server) = self.servers_of(database).get_mut(pod) else { return Err("unknown cluster".to_owned()) };
        let cluster = server.disk.cluster.map(short).unwrap_or_default();
        let failed =
            |why: &str| Err(format!("request via unixctl to remove {} from cluster {cluster} failed ({why})", short(id)));
        let Some(leading) = server.leading_mut() else { return failed("not leader") };
        if leading.marked.contains(&id) {
            return failed("in progress");
        }
        if leading.committing.contains(&id) {
            return failed("committing");
        }
        mark(server, id);
        // It is begun at once, unless another change is not agreed on yet.
        begin_removal(server);
        Ok("started removal\n".to_owned())
    }

    fn leave(&mut self, pod: &str, database: Database) -> Answer {
        let Some(server) = self.servers_of(database).get(pod) else { return Err("unknown cluster".to_owned()) };
        if server.leaving {
            return Err("already in progress leaving cluster".to_owned());
        }
        if server.is_joining() {
            return Err("can't leave while join in progress".to_owned());
        }
        self.on(database, |servers, net| {
            let Some(mut server) = servers.remove(pod) else { return };
            leave(pod, &mut server, servers, net);
            servers.insert(pod.to_owned(), server);
        });
        Ok(String::new())
    }
}

/// How well a name fits a server: the exact address before all, else the length of an id's beginning.
fn score(id: uuid::Uuid, address: &str, name: &str) -> usize {
    if name == address {
        return usize::MAX;
    }
    if id.to_string().starts_with(name) { name.len() } else { 0 }
}

fn change_timer(server: &mut Server, millis: &str) -> Answer {
    let wanted: i64 = millis.parse().map_err(|_| "election timer must be between 100 and 600000, in msec.".to_owned())?;
    if server.leading().is_none() {
        return Err("election timer must be changed through leader.".to_owned());
    }
    if TimeDelta::milliseconds(wanted) > server.disk.timer() * 2 {
        return Err("election timer increase should not exceed the current value x 2.".to_owned());
    }
    server.append(Data::Timer(wanted));
    Ok("change of election timer initiated.\n".to_owned())
}
