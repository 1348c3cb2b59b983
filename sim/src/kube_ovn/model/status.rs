//! The text of `cluster/status`, as a server of Open vSwitch writes it.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::server::{Part, Server};
use crate::kube_ovn::Database;

/// The first digits of an id.
pub(super) fn short(id: Uuid) -> String {
    id.simple().to_string()[..4].to_owned()
}

/// What a server says of itself and of the others.
pub(super) fn status(server: &Server, database: Database, now: DateTime<Utc>) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    let _ = write(&mut text, server, database, now);
    text
}

fn write(out: &mut String, server: &Server, database: Database, now: DateTime<Utc>) -> std::fmt::Result {
    let disk = &server.disk;
    let own = short(disk.id);
    writeln!(out, "{own}\nName: {}", database.schema())?;
    match disk.cluster {
        Some(cluster) => writeln!(out, "Cluster ID: {} ({cluster})", short(cluster))?,
        None => writeln!(out, "Cluster ID: not yet known")?,
    }
    writeln!(out, "Server ID: {own} ({})\nAddress: {}\nStatus: {}", disk.id, disk.address, membership(server))?;
    if server.is_joining() {
        writeln!(out, "Remotes for joining: {}", disk.remotes.join(" "))?;
    }
    changes(out, server)?;
    let role = match server.part {
        Part::Leader(_) => "leader",
        Part::Candidate => "candidate",
        Part::Follower => "follower",
    };
    writeln!(
        out,
        "Role: {role}\nTerm: {}\nLeader: {}\nVote: {}\n",
        disk.term,
        who(server, server.leader),
        who(server, disk.vote)
    )?;
    if let Some(election) = &server.election {
        writeln!(out, "Last Election started {} ms ago, reason: {}", millis(now - election.started), election.reason)?;
        if let Some(won) = election.won {
            writeln!(out, "Last Election won: {} ms ago", millis(now - won))?;
        }
    }
    let end = disk.log.len() + 1;
    writeln!(out, "Election timer: {}\nLog: [{}, {end}]", millis(disk.timer()), end.min(2))?;
    let open = disk.log.len() - server.commit;
    writeln!(out, "Entries not yet committed: {open}\nEntries not yet applied: {open}")?;
    writeln!(out, "Connections:{}\nDisconnections: {}\nServers:", connections(server), server.lost_connections)?;
    members(out, server, now)
}

/// As `Status:` calls it.
pub(super) fn membership(server: &Server) -> &'static str {
    if server.is_joining() {
        "joining cluster"
    } else if server.leaving {
        "leaving cluster"
    } else if server.retrying {
        "disconnected from the cluster (election timeout)"
    } else {
        "cluster member"
    }
}

fn who(server: &Server, id: Option<Uuid>) -> String {
    match id {
        None => "unknown".to_owned(),
        Some(id) if id == server.id() => "self".to_owned(),
        Some(id) => short(id),
    }
}

fn millis(span: TimeDelta) -> i64 {
    span.num_milliseconds().max(0)
}

fn changes(out: &mut String, server: &Server) -> std::fmt::Result {
    let Some(leading) = server.leading() else { return Ok(()) };
    for (id, adding) in &leading.adding {
        let phase = if adding.caught_up { "caught up" } else { "catchup" };
        writeln!(out, "Adding server {0} ({0} at {1}) (adding: {phase})", short(*id), adding.address)?;
    }
    if let Some((id, address)) = &leading.removing {
        writeln!(out, "Removing server {0} ({0} at {address}) (removing)", short(*id))?;
    }
    Ok(())
}

fn connections(server: &Server) -> String {
    let mut text = String::new();
    for id in &server.connected {
        let id = short(*id);
        text.extend([" <-", &id, " ->", &id]);
    }
    let lost = server.disk.config().into_keys().filter(|id| *id != server.id() && !server.connected.contains(id));
    for id in lost {
        text.extend([" (->", &short(id), ")"]);
    }
    text
}

fn members(out: &mut String, server: &Server, now: DateTime<Utc>) -> std::fmt::Result {
    let leading = server.leading();
    let end = server.disk.log.len() + 1;
    for (id, address) in server.disk.config() {
        let own = id == server.id();
        write!(out, "    {0} ({0} at {address})", short(id))?;
        if own {
            out.push_str(" (self)");
        }
        if leading.is_some_and(|leading| leading.marked.contains(&id)) {
            out.push_str(" (removing)");
        } else if leading.is_some_and(|leading| leading.committing.contains(&id)) {
            out.push_str(" (adding: committing)");
        }
        if own && server.part == Part::Candidate {
            write!(out, " (voted for {})", short(id))?;
        }
        if let Some(leading) = leading {
            let (next, matched) = if own {
                (2, end - 1)
            } else {
                let matched = leading.matched.get(&id).copied().unwrap_or(0);
                (end, matched)
            };
            write!(out, " next_index={next} match_index={matched}")?;
        }
        if let Some(heard) = server.heard.get(&id).filter(|_| !own) {
            write!(out, " last msg {} ms ago", millis(now - *heard))?;
        }
        out.push('\n');
    }
    Ok(())
}
