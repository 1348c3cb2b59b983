//! Asking a person at a gate, without holding up the run.

use tokio::task::JoinHandle;
use windlass_engine::RunId;

/// Reads answers from the terminal beside the event loop. While somebody thinks, a paused clock stands still.
#[derive(Default)]
pub(crate) struct Asker {
    /// A read that is under way; it cannot be broken off, so the next question takes it over.
    reading: Option<JoinHandle<Option<String>>>,
    question: Option<(RunId, String)>,
}

/// What a person said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// The gate is approved, for a reason.
    Approve(Option<String>),
    /// The gate is rejected, for a reason.
    Reject(Option<String>),
    /// Nothing is decided now.
    Later,
    /// It was not understood.
    Unclear,
}

impl Asker {
    /// The gate that a person is being asked about.
    pub(crate) fn question(&self) -> Option<&(RunId, String)> {
        self.question.as_ref()
    }

    /// Begins to wait for an answer.
    pub(crate) fn ask(&mut self, run: RunId, gate: &str) {
        self.question = Some((run, gate.to_owned()));
        self.reading.get_or_insert_with(|| tokio::task::spawn_blocking(read_line));
    }

    /// The question is moot, or answered.
    pub(crate) fn withdraw(&mut self) {
        self.question = None;
    }

    /// The next answer; waits for ever while nobody is asked.
    pub(crate) async fn answer(&mut self) -> Said {
        let (Some(reading), true) = (&mut self.reading, self.question.is_some()) else { return std::future::pending().await };
        let line = reading.await.ok().flatten();
        self.reading = None;
        // A terminal that has gone decides nothing.
        line.map_or(Said::Later, |line| understand(&line))
    }
}

fn read_line() -> Option<String> {
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line),
    }
}

/// `y`, `n` or `l`, and perhaps a reason after it.
fn understand(line: &str) -> Said {
    let (word, reason) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    let reason = Some(reason.trim()).filter(|reason| !reason.is_empty()).map(str::to_owned);
    match word.to_ascii_lowercase().as_str() {
        "y" | "yes" => Said::Approve(reason),
        "n" | "no" => Said::Reject(reason),
        "l" | "later" | "q" => Said::Later,
        _ => Said::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_letter_and_perhaps_a_reason() {
        let check = |line: &str, expect: Said| assert_eq!(understand(line), expect, "{line:?}");
        check("y\n", Said::Approve(None));
        check("Yes  checked the graphs \n", Said::Approve(Some("checked the graphs".to_owned())));
        check("n too late tonight", Said::Reject(Some("too late tonight".to_owned())));
        check("l", Said::Later);
        check("\n", Said::Unclear);
        check("maybe", Said::Unclear);
    }
}
