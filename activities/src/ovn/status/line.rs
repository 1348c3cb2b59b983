//! One line of a status, and the values that stand in it.

use std::time::Duration;

use uuid::Uuid;

use super::{Change, Connection, Election, Membership, Phase, Role, Server, StatusError, Who};

/// A line with its number.
pub(super) struct Line<'a> {
    pub(super) number: usize,
    pub(super) said: &'a str,
}

type Parsed<T> = Result<T, StatusError>;

impl Line<'_> {
    pub(super) fn unknown(&self) -> StatusError {
        StatusError::UnknownLine { line: self.number, text: short(self.said) }
    }

    fn bad(&self, what: &str, wanted: &'static str) -> StatusError {
        StatusError::BadValue { line: self.number, what: short(what), wanted }
    }

    pub(super) fn word<'v>(&self, value: &'v str) -> Parsed<&'v str> {
        let one = !value.is_empty() && !value.contains(char::is_whitespace);
        one.then_some(value).ok_or_else(|| self.bad(value, "one word"))
    }

    pub(super) fn number(&self, value: &str) -> Parsed<u64> {
        value.parse().map_err(|_| self.bad(value, "a number"))
    }

    /// `32ca (32ca07fb-739b-4257-b510-12fa18e7cce8)`; the two must agree.
    pub(super) fn full_id(&self, value: &str) -> Parsed<Uuid> {
        let inner = value.split_once(" (").and_then(|(short, rest)| Some((short, rest.strip_suffix(')')?)));
        let id = inner.and_then(|(short, full)| Some((short, full, Uuid::try_parse(full).ok()?)));
        match id {
            Some((short, full, id)) if full.starts_with(self.short_id(short)?) => Ok(id),
            Some(_) | None => Err(self.bad(value, "an id, in short and in full")),
        }
    }

    /// The first digits of an id.
    fn short_id<'v>(&self, value: &'v str) -> Parsed<&'v str> {
        let hex = value.len() >= 4 && value.len() <= 36 && value.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        hex.then_some(value).ok_or_else(|| self.bad(value, "the first digits of an id"))
    }

    pub(super) fn membership(&self, value: &str) -> Parsed<Membership> {
        Ok(match value {
            "cluster member" => Membership::Member,
            "joining cluster" => Membership::Joining { remotes: Vec::new() },
            "leaving cluster" => Membership::Leaving,
            "left cluster" => Membership::Left,
            "failed" => Membership::Failed,
            "disconnected from the cluster (election timeout)" => Membership::Disconnected,
            other => return Err(self.bad(other, "a state of membership")),
        })
    }

    pub(super) fn role(&self, value: &str) -> Parsed<Role> {
        Ok(match value {
            "leader" => Role::Leader,
            "follower" => Role::Follower,
            "candidate" => Role::Candidate,
            other => return Err(self.bad(other, "a role")),
        })
    }

    pub(super) fn who(&self, value: &str) -> Parsed<Who> {
        Ok(match value {
            "self" => Who::Oneself,
            "unknown" => Who::Unknown,
            other => Who::Other(self.short_id(other)?.to_owned()),
        })
    }

    fn milliseconds(&self, value: &str) -> Parsed<Duration> {
        self.number(value).map(Duration::from_millis)
    }

    /// `84 ms ago`
    pub(super) fn ago(&self, value: &str) -> Parsed<Duration> {
        let count = value.strip_suffix(" ms ago").ok_or_else(|| self.bad(value, "a time ago"))?;
        self.milliseconds(count)
    }

    /// `2135194 ms ago, reason: timeout`
    pub(super) fn election(&self, value: &str) -> Parsed<Election> {
        let (ago, reason) = value.split_once(", reason: ").ok_or_else(|| self.bad(value, "a time ago with its reason"))?;
        Ok(Election { started_ago: self.ago(ago)?, reason: self.word(reason)?.to_owned(), won_ago: None })
    }

    /// `5000`, or `5000 (changing to 10000)`
    pub(super) fn timer(&self, value: &str) -> Parsed<(Duration, Option<Duration>)> {
        let Some((now, next)) = value.split_once(" (changing to ") else { return Ok((self.milliseconds(value)?, None)) };
        let next = next.strip_suffix(')').ok_or_else(|| self.bad(value, "an election timer"))?;
        Ok((self.milliseconds(now)?, Some(self.milliseconds(next)?)))
    }

    /// `[135, 137]`
    pub(super) fn log(&self, value: &str) -> Parsed<(u64, u64)> {
        let inner = value.strip_prefix('[').and_then(|v| v.strip_suffix(']')).and_then(|v| v.split_once(", "));
        let (first, next) = inner.ok_or_else(|| self.bad(value, "a range of entries"))?;
        let range = (self.number(first)?, self.number(next)?);
        if range.0 <= range.1 { Ok(range) } else { Err(self.bad(value, "a range of entries")) }
    }

    /// `->d64b`, `<-4984`, `(->0000)`
    pub(super) fn connection(&self, value: &str) -> Parsed<Connection> {
        let inner = value.strip_prefix('(').and_then(|v| v.strip_suffix(')'));
        let (arrow, up) = (inner.unwrap_or(value), inner.is_none());
        for (sign, outgoing) in [("->", true), ("<-", false)] {
            if let Some(server) = arrow.strip_prefix(sign) {
                return Ok(Connection { server: self.short_id(server)?.to_owned(), outgoing, up });
            }
        }
        Err(self.bad(value, "a connection"))
    }

    /// `d64b (d64b at tcp:[172.18.0.5]:6643) REST`: id, address, rest.
    fn named<'v>(&self, value: &'v str) -> Parsed<(&'v str, &'v str, &'v str)> {
        let wanted = "a server: id (id at address)";
        let inner = value.split_once(" (").and_then(|(nickname, rest)| Some((nickname, rest.split_once(')')?)));
        let (nickname, (place, rest)) = inner.ok_or_else(|| self.bad(value, wanted))?;
        let (id, address) = place.split_once(" at ").ok_or_else(|| self.bad(value, wanted))?;
        self.word(nickname)?;
        Ok((self.short_id(id)?, self.word(address)?, rest.trim()))
    }

    pub(super) fn change(&self, value: &str, adding: bool) -> Parsed<Change> {
        let (server, address, rest) = self.named(value)?;
        let inner = rest.strip_prefix('(').and_then(|v| v.strip_suffix(')')).and_then(phase);
        match inner {
            Some(phase) if (phase == Phase::Removing) != adding => {
                Ok(Change { server: server.to_owned(), address: address.to_owned(), phase })
            }
            Some(_) | None => Err(self.bad(rest, "a phase")),
        }
    }

    pub(super) fn server(&self) -> Parsed<Server> {
        let (id, address, mut rest) = self.named(self.said)?;
        let mut server = Server {
            id: id.to_owned(),
            address: address.to_owned(),
            oneself: false,
            phase: None,
            voted_for: None,
            indexes: None,
            heard_ago: None,
        };
        while let Some((note, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
            rest = after.trim_start();
            match (note, note.strip_prefix("voted for "), phase(note)) {
                ("self", ..) if !server.oneself => server.oneself = true,
                (_, Some(whom), _) if server.voted_for.is_none() => server.voted_for = Some(self.short_id(whom)?.to_owned()),
                (_, _, Some(phase)) if server.phase.is_none() => server.phase = Some(phase),
                _ => return Err(self.bad(note, "a remark on a server")),
            }
        }
        if let Some(after) = rest.strip_prefix("next_index=") {
            let (next, after) = after.split_once(" match_index=").ok_or_else(|| self.bad(after, "two indexes"))?;
            let (matched, after) = after.split_once(' ').unwrap_or((after, ""));
            server.indexes = Some((self.number(next)?, self.number(matched)?));
            rest = after.trim_start();
        }
        if let Some(ago) = rest.strip_prefix("last msg ") {
            server.heard_ago = Some(self.ago(ago)?);
            rest = "";
        }
        if rest.is_empty() { Ok(server) } else { Err(self.bad(rest, "what is said of a server")) }
    }
}

fn phase(text: &str) -> Option<Phase> {
    Some(match text {
        "adding: catchup" => Phase::CatchUp,
        "adding: caught up" => Phase::CaughtUp,
        "adding: committing" => Phase::Committing,
        "removing" => Phase::Removing,
        _ => return None,
    })
}

/// Enough to recognise it, by the length at which it is shown: what can't be printed takes several characters.
fn short(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown = 0;
    let beyond = text.char_indices().find(|(_, char)| {
        shown += char.escape_debug().count();
        shown > MOST
    });
    match beyond {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
