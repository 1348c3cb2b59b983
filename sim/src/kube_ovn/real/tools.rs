//! The programs of Open vSwitch and OVN on this machine.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::super::backend::Database;
use crate::containers::Output;

/// Everything that is run here, with `setpriv`, which sees to it that no process outlives the thread that started it.
const NEEDED: [&str; 8] =
    ["ovsdb-server", "ovsdb-tool", "ovsdb-client", "ovn-appctl", "ovs-appctl", "ovn-nbctl", "ovn-sbctl", "setpriv"];

/// Where programs are looked for after the `PATH`: servers are no commands of ordinary users.
const MORE_PLACES: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// How often it is looked whether a program has ended.
const GLANCE: Duration = Duration::from_millis(2);

/// What a real raft lacks on this machine, in words for people; none if it can be run.
pub fn missing() -> Option<String> {
    let program = NEEDED.iter().find(|name| find(name).is_none()).map(|name| format!("the program {name}"));
    let schema = || {
        let schema = Database::BOTH.map(schema).into_iter().find(|path| !path.is_file())?;
        Some(format!("the file {}", schema.display()))
    };
    let what = program.or_else(schema)?;
    Some(format!("{what} is not here: it comes with Debian's packages ovn-central and util-linux (apt-get install ovn-central)"))
}

pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(MORE_PLACES.iter().map(PathBuf::from));
    places.map(|place| place.join(name)).find(|file| file.is_file())
}

/// The schema of a database, as OVN's package has it.
pub(super) fn schema(database: Database) -> PathBuf {
    Path::new("/usr/share/ovn").join(match database {
        Database::Northbound => "ovn-nb.ovsschema",
        Database::Southbound => "ovn-sb.ovsschema",
    })
}

/// A program that is killed when the thread that starts it ends, whatever becomes of this process.
pub(super) fn tethered(program: &str) -> io::Result<Command> {
    let find = |name: &str| find(name).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{name} is not here")));
    let mut command = Command::new(find("setpriv")?);
    command.args(["--pdeathsig", "KILL", "--"]).arg(find(program)?).stdin(Stdio::null());
    Ok(command)
}

/// Runs a program to its end, or kills it when the limit is reached.
///
/// # Errors
/// If it can't be started, or if it was killed.
pub(super) fn run(mut command: Command, limit: Duration) -> io::Result<Output> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let status = wait(&mut child, limit);
    if !matches!(status, Ok(Some(_))) {
        let _ = child.kill();
        child.wait()?;
    }
    let whole = |reader: thread::JoinHandle<Vec<u8>>| reader.join().unwrap_or_default();
    let (stdout, stderr) = (whole(stdout), whole(stderr));
    match status? {
        // Ended by a signal: as a shell would say it.
        Some(status) => Ok(Output { stdout, stderr, code: status.code().unwrap_or(128 + status.signal().unwrap_or(0)) }),
        None => Err(io::Error::new(io::ErrorKind::TimedOut, format!("it did not end within {} s", limit.as_secs()))),
    }
}

/// Waits for a child's end; none when the limit is reached.
pub(super) fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<std::process::ExitStatus>> {
    let until = Instant::now() + limit;
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(Some(status)),
            None if Instant::now() >= until => return Ok(None),
            None => thread::sleep(GLANCE),
        }
    }
}

fn reader(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// Runs `ovsdb-tool`, which works on files and needs no server.
///
/// # Errors
/// With what it said.
pub(super) fn ovsdb_tool(words: &[&OsStr]) -> io::Result<String> {
    const LIMIT: Duration = Duration::from_secs(20);
    let mut command = tethered("ovsdb-tool")?;
    command.args(["-vconsole:off", "-vsyslog:off"]).args(words);
    let output = run(command, LIMIT)?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.code == 0 { Ok(said(&output.stdout)) } else { Err(io::Error::other(said(&output.stderr))) }
}
