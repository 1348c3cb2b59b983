//! Commands in the container of a pod: the real programs, with the pod's paths led to the real ones.

use std::time::Duration;

use super::{Place, tools};
use crate::containers::Output;

/// What can be run.
const PROGRAMS: [&str; 6] = ["ovn-appctl", "ovs-appctl", "ovsdb-client", "ovsdb-tool", "ovn-nbctl", "ovn-sbctl"];

/// As a kubelet says it of a command that was killed.
const KILLED: i32 = 137;

/// Runs a command to its end, or kills it when the limit is reached; `None` if it is none of [`PROGRAMS`].
pub(super) fn run(place: &Place, words: &[String], limit: Duration) -> Option<Output> {
    let (program, arguments) = words.split_first()?;
    if !PROGRAMS.contains(&program.as_str()) {
        return None;
    }
    let run = || {
        let mut command = tools::tethered(program)?;
        command.args(arguments.iter().map(|word| place.real(word)));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for (name, value) in [("OVN_RUNDIR", &place.run), ("OVS_RUNDIR", &place.run), ("OVN_DBDIR", &place.data)] {
            command.env(name, value);
        }
        tools::run(command, limit)
    };
    Some(match run() {
        Ok(output) => Output { stderr: place.as_seen(&output.stderr), ..output },
        Err(error) => Output::failed(KILLED, format!("{program}: {error}\n")),
    })
}

impl Place {
    /// The pod's paths with what they stand for on this machine.
    fn names(&self) -> [(&'static str, String); 2] {
        [("/var/run/ovn/", &self.run), ("/etc/ovn/", &self.data)].map(|(seen, real)| (seen, format!("{}/", real.display())))
    }

    fn real(&self, word: &str) -> String {
        // A path that is led elsewhere is not looked at again: the real one may have the other's name in it.
        self.names()
            .into_iter()
            .find(|(seen, _)| word.contains(seen))
            .map_or_else(|| word.to_owned(), |(seen, real)| word.replace(seen, &real))
    }

    fn as_seen(&self, said: &[u8]) -> Vec<u8> {
        let said = String::from_utf8_lossy(said).into_owned();
        self.names().into_iter().fold(said, |said, (seen, real)| said.replace(&real, seen)).into_bytes()
    }
}
