//! Running other programs: found on the PATH, without a shell, bounded in time and output.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use windlass_engine::ActivityError;

use crate::error::Failure;
use crate::exec::Ended;

/// A release image is some hundred megabytes away at worst, a cloud's answers are seconds away.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// How much of the output is looked at.
const OUTPUT: u64 = 64 * 1024;
/// How much of it is repeated when the command fails.
const TAIL: usize = 600;

/// Where a program is, by the PATH of this process.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    find_in(program, &std::env::var_os("PATH")?)
}

fn find_in(program: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Runs a program to its end. A failure is said to be unknown: it may have done part of its work.
pub(crate) async fn run(program: &Path, arguments: &[String]) -> Result<(), ActivityError> {
    let name = program.file_name().and_then(OsStr::to_str).unwrap_or("the command");
    let message = match output(program, arguments, LIMIT).await {
        Ok(ended) if ended.code == 0 => return Ok(()),
        Ok(ended) => {
            format!("{name} failed (exit status: {}): {}", ended.code, tail(&String::from_utf8_lossy(&ended.stderr)))
        }
        Err(Failure::NotSent(cause)) => {
            return Err(ActivityError::permanent("command-failed", format!("{name} could not be started: {cause}")));
        }
        Err(Failure::TimedOut(limit)) => {
            let message = format!("{name} did not end within {} min and was stopped", limit.as_secs() / 60);
            return Err(ActivityError::unknown("timeout", message));
        }
        Err(otherwise) => format!("how {name} ended is not known: {otherwise:?}"),
    };
    Err(ActivityError::unknown("command-failed", message))
}

/// Runs a program to its end, and stops it when its time is over; of what it says the first part is kept.
pub(crate) async fn output(program: &Path, arguments: &[String], limit: Duration) -> Result<Ended, Failure> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| Failure::NotSent(error.to_string()))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let finished = tokio::time::timeout(limit, async { tokio::join!(read(stdout), read(stderr), child.wait()) });
    let (stdout, stderr, status) = finished.await.map_err(|_| Failure::TimedOut(limit))?;
    let status = status.map_err(|error| Failure::Lost(error.to_string()))?;
    let code = status.code().ok_or_else(|| Failure::Lost(status.to_string()))?;
    Ok(Ended { stdout, stderr, code })
}

/// Reads to the end and keeps the first part, so that a talkative program does not block.
async fn read(stream: Option<impl tokio::io::AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut stream) = stream {
        // What can't be read is only missing from a message.
        let _ = (&mut stream).take(OUTPUT).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    kept
}

pub(crate) fn tail(text: &str) -> &str {
    let text = text.trim();
    let begin = text.len().saturating_sub(TAIL);
    let begin = (begin..text.len()).find(|index| text.is_char_boundary(*index)).unwrap_or(begin);
    if text.is_empty() { "it said nothing" } else { &text[begin..] }
}

/// Makes a directory that only its owner may look into.
pub(crate) async fn make_private(directory: &Path) -> Result<(), ActivityError> {
    let mut builder = tokio::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(directory).await.map_err(|error| {
        ActivityError::permanent("unwritable-directory", format!("directory {} can't be made: {error}", directory.display()))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Puts a script on a PATH of its own. Another process writes it: a child that another test forks at this moment would
    /// inherit a handle that is open for writing, and what is open for writing can't be run.
    pub(crate) fn script(folder: &Path, name: &str, body: &str) -> PathBuf {
        let file = folder.join(name);
        let written = std::process::Command::new("sh")
            .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 700 \"$0\""])
            .arg(&file)
            .arg(body)
            .status();
        assert!(written.unwrap().success());
        file
    }

    #[test]
    fn a_program_is_found_on_the_path_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = script(folder.path(), "oc", "exit 0");
        assert_eq!(find_in("oc", folder.path().as_os_str()), Some(file));
        assert_eq!(find_in("ccoctl", folder.path().as_os_str()), None);
        assert_eq!(find_in("oc", OsStr::new("relative:")), None);
    }

    #[tokio::test]
    async fn a_failure_repeats_the_end_of_what_was_said() {
        let folder = tempfile::tempdir().unwrap();
        let check = async |body: &str, expect: Result<(), &str>| {
            let outcome = run(&script(folder.path(), "tool", body), &["a b".to_owned()]).await;
            assert_eq!(outcome.map_err(|error| error.message), expect.map_err(str::to_owned));
        };
        check("test \"$1\" = 'a b'", Ok(())).await;
        check("echo no such image >&2; exit 3", Err("tool failed (exit status: 3): no such image")).await;
        check("exit 1", Err("tool failed (exit status: 1): it said nothing")).await;
        check("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2", Ok(())).await;
    }
}
