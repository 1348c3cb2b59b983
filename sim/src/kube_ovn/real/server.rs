//! One database server, as a process.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::super::backend::Database;
use super::answers::{self, Said};
use super::{Place, tools};

/// A server that is asked to end does so at once, unless it is suspended.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// A server that runs answers in a millisecond, on a busy machine in some tens.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// A running server; dropping it kills it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) database: Database,
    child: Child,
    control: PathBuf,
    said: PathBuf,
}

/// How a server is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Condition {
    /// A member that knows a leader; with how many servers it lists.
    Member(usize),
    /// It runs and is not that.
    Unwell(String),
    /// It does not answer.
    Silent(String),
    /// Its process has ended.
    Dead(String),
}

impl Server {
    /// Starts a server on its file, which must be there.
    pub(super) fn start(database: Database, address: Ipv4Addr, place: &Place) -> io::Result<Self> {
        let named = |ending: &str| place.run.join(format!("{}.{ending}", database.stem()));
        let (control, said) = (named("ctl"), named("out"));
        let mut command = tools::tethered("ovsdb-server")?;
        command.args(["-vconsole:emer", "-vsyslog:off", "-vfile:info"]);
        command.arg(option("--log-file", &named("log").display()));
        command.arg(format!("--remote=ptcp:{}:[{address}]", database.client_port()));
        command.arg(option("--remote", &format_args!("punix:{}", named("sock").display())));
        command.arg(option("--unixctl", &control.display())).arg(option("--pidfile", &named("pid").display()));
        command.arg(place.file(database));
        let out = File::create(&said)?;
        let child = command.stdout(Stdio::null()).stderr(out).spawn()?;
        Ok(Self { database, child, control, said })
    }

    /// How it is, by its own words.
    pub(super) fn condition(&mut self) -> Condition {
        match self.child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => return Condition::Dead(self.last_words(&status.to_string())),
            Err(error) => return Condition::Dead(error.to_string()),
        }
        match answers::command(&self.control, ("cluster/status", self.database.schema()), ANSWERS_WITHIN) {
            Ok(Said::Yes(status)) => judge(&status),
            Ok(Said::No(words)) => Condition::Unwell(words),
            Err(error) => Condition::Silent(error.to_string()),
        }
    }

    fn last_words(&self, status: &str) -> String {
        let said = std::fs::read_to_string(&self.said).unwrap_or_default();
        said.lines().rfind(|line| !line.is_empty()).unwrap_or(status).to_owned()
    }

    /// Sends it a signal; it has not been waited for, so its number is its own.
    pub(super) fn signal(&mut self, signal: Signal) {
        let alive = matches!(self.child.try_wait(), Ok(None));
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).filter(|_| alive);
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
    }

    /// Asks it to end, and kills it if it does not.
    pub(super) fn end(mut self) {
        self.signal(Signal::TERM);
        let _ = tools::wait(&mut self.child, ENDS_WITHIN);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A status is read for people here, not for decisions: whoever decides has a parser of its own.
fn judge(status: &str) -> Condition {
    let line = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("not told").trim();
    let servers = status.lines().skip_while(|line| *line != "Servers:").skip(1).filter(|line| !line.trim().is_empty()).count();
    match (line("Status:"), line("Leader:")) {
        ("cluster member", "unknown") => Condition::Unwell("no leader is known".to_owned()),
        ("cluster member", _) => Condition::Member(servers),
        (other, _) => Condition::Unwell(other.to_owned()),
    }
}

fn option(name: &str, value: &dyn std::fmt::Display) -> String {
    format!("{name}={value}")
}
