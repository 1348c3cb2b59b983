//! What a server says when it is told to take another one out.

use crate::exec::Ended;

/// What an answer means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Reply {
    /// The removal is under way, or done.
    Under(String),
    /// Nothing was done; another attempt may do it.
    NotDone(String),
    /// Nothing was done, and never will be.
    Refused(String),
    /// Anything else: it may have been done.
    Unclear(String),
}

/// Exit codes of ovn-appctl: 1 if the server can't be reached, 2 if it answered with an error.
const UNREACHED: i32 = 1;
const ANSWERED_ERROR: i32 = 2;

pub(super) fn read(ended: &Ended) -> Reply {
    let (stdout, stderr) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    let said = ended.in_words();
    // After the server's own words comes a line of ovn-appctl.
    let (first, rest) = stderr.split_once('\n').unwrap_or((&stderr, ""));
    match ended.code {
        0 if stderr.is_empty() => match stdout.trim() {
            "started removal" | "sent removal request to leader" => Reply::Under(said),
            text if is_about_removal(text) && text.ends_with(" succeeded (already not in cluster)") => Reply::Under(said),
            _ => Reply::Unclear(said),
        },
        ANSWERED_ERROR if stdout.is_empty() && rest.trim_end().ends_with(": server returned an error") => match first {
            "unknown server" | "failed to send removal request" => Reply::NotDone(said),
            text if is_about_removal(text) && text.ends_with(" failed (committing)") => Reply::NotDone(said),
            text if is_about_removal(text) && text.ends_with(" failed (in progress)") => Reply::Under(said),
            text if is_about_removal(text) && text.ends_with(" failed (empty)") => Reply::Refused(said),
            "unknown cluster" => Reply::Refused(said),
            _ => Reply::Unclear(said),
        },
        UNREACHED if stdout.is_empty() && stderr.contains("ovn-appctl: cannot connect to ") => Reply::NotDone(said),
        _ => Reply::Unclear(said),
    }
}

fn is_about_removal(text: &str) -> bool {
    text.starts_with("request via unixctl to remove ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of real servers (3.1), and those in the source of the raft server.
    /// Seen to fail with unknown texts of exit code 0 taken for a removal, and with "in progress" taken for nothing done.
    #[test]
    fn every_answer_has_one_meaning() {
        let check = |code: i32, stdout: &str, stderr: &str, expect: &str| {
            let read = read(&Ended { stdout: stdout.into(), stderr: stderr.into(), code });
            let sort = match read {
                Reply::Under(_) => "under",
                Reply::NotDone(_) => "not done",
                Reply::Refused(_) => "refused",
                Reply::Unclear(_) => "unclear",
            };
            assert_eq!(sort, expect, "{code} {stdout:?} {stderr:?}");
        };
        let error = |text: &str| format!("{text}\novn-appctl: /var/run/ovn/ovnnb_db.ctl: server returned an error\n");
        let about = |end: &str| error(&format!("request via unixctl to remove d64b from cluster 32ca {end}"));
        check(0, "started removal\n", "", "under");
        check(0, "sent removal request to leader\n", "", "under");
        check(0, "request via unixctl to remove d64b from cluster 32ca succeeded (already not in cluster)\n", "", "under");
        check(0, "", "", "unclear");
        check(0, "removed\n", "", "unclear");
        check(0, "started removal\n", "2026-02-07T00:00:00Z|00001|raft|WARN|odd\n", "unclear");
        check(2, "", &error("unknown server"), "not done");
        check(2, "", &error("failed to send removal request"), "not done");
        check(2, "", &about("failed (committing)"), "not done");
        check(2, "", &about("failed (in progress)"), "under");
        check(2, "", &about("failed (empty)"), "refused");
        check(2, "", &about("failed (lost leadership)"), "unclear");
        check(2, "", &error("unknown cluster"), "refused");
        check(2, "", &error("can't leave while join in progress"), "unclear");
        check(2, "", "unknown server\n", "unclear");
        let refused = "2026-11-21T19:52:12Z|00001|unixctl|WARN|failed to connect to x\novn-appctl: cannot connect to \"x\" (Connection refused)\n";
        check(1, "", refused, "not done");
        check(1, "", "", "unclear");
        check(137, "", "", "unclear");
    }
}
