use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::ask::trimmed;
use super::probe::Finding;
use super::spec::CommandProbe;

/// What is kept of each of a command's two streams; the rest is read and forgotten, so that the command is not held up.
const KEPT: usize = 16 * 1024;

/// Runs a command and judges how it ends.
pub(super) async fn look(probe: &CommandProbe) -> Finding {
    let who = format!("command {}", probe.program);
    let mut command = Command::new(&probe.program);
    command.args(&probe.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: at the end of its time all that it started goes with it.
    command.process_group(0).kill_on_drop(true);
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Finding::bad(who, format!("cannot be started: {error}")),
    };
    let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let limit = Duration::from_secs(probe.timeout_seconds.into());
    let ended = tokio::time::timeout(limit, outcome(child)).await;
    drop(group);
    match ended {
        Err(_) => Finding::bad(who, format!("did not end within {} s and was killed", probe.timeout_seconds)),
        Ok(Err(error)) => Finding::bad(who, format!("could not be waited for: {error}")),
        Ok(Ok((status, said))) if status.success() => Finding::well(who, format!("succeeded{}", after_colon(&said))),
        Ok(Ok((status, said))) => Finding::bad(who, format!("ended with {status}{}", after_colon(&said))),
    }
}

fn after_colon(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

async fn outcome(mut child: Child) -> std::io::Result<(std::process::ExitStatus, String)> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (status, out, err) = tokio::join!(child.wait(), kept(out), kept(err));
    // What went wrong is mostly said on stderr; a command that says nothing there has its say on stdout.
    let (out, err) = (out?, err?);
    let said = trimmed(if err.trim().is_empty() { &out } else { &err });
    Ok((status?, said))
}

async fn kept(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let Some(mut stream) = stream else { return Ok(String::new()) };
    let mut kept = Vec::new();
    (&mut stream).take(KEPT as u64).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(String::from_utf8_lossy(&kept).into_owned())
}

/// A command's process group, which ends with it, also when the attempt is given up.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // None is left when all of them ended on their own.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, timeout_seconds: u32) -> String {
        let args = vec!["-c".to_owned(), script.to_owned()];
        look(&CommandProbe { program: "/bin/sh".to_owned(), args, timeout_seconds }).await.to_string()
    }

    #[tokio::test]
    async fn a_command_is_judged_by_how_it_ends() {
        let check = async |script: &str, expect: &str| assert_eq!(shell(script, 20).await, format!("command /bin/sh: {expect}"));
        check("exit 0", "succeeded").await;
        check("echo all; echo well", "succeeded: all well").await;
        check("echo fine; echo lost >&2; exit 3", "ended with exit status: 3: lost").await;
        check("kill -9 $$", "ended with signal: 9 (SIGKILL)").await;
        check("yes | head -c 300000; exit 1", &format!("ended with exit status: 1: {}…", "y ".repeat(150))).await;
    }

    #[tokio::test]
    async fn a_command_that_is_not_there_is_said() {
        let probe = CommandProbe { program: "/nowhere/check".to_owned(), args: Vec::new(), timeout_seconds: 5 };
        let text = look(&probe).await.to_string();
        assert!(text.starts_with("command /nowhere/check: cannot be started: No such file"), "{text}");
    }

    #[tokio::test]
    async fn at_the_end_of_its_time_all_that_a_command_started_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!("(sleep 2; touch {}) & sleep 30", mark.display());
        assert_eq!(shell(&script, 1).await, "command /bin/sh: did not end within 1 s and was killed");
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(!mark.exists());
    }
}
