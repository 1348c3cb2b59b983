//! The temporary changes that are out, run by run.

use serde::Serialize;
use windlass_engine::OpenRun;
use windlass_engine::view::RunStatus;

use crate::words::{self, Lines as _};

/// A temporary change that is out, for programs; a public contract.
#[derive(Serialize)]
pub(crate) struct Leftover {
    run: String,
    workflow: String,
    state: RunStatus,
    cluster: Option<String>,
    key: String,
    text: String,
    prior: serde_json::Value,
    since: String,
    #[serde(skip)]
    since_in_words: String,
    #[serde(skip)]
    was: String,
}

impl Leftover {
    /// What a run has out.
    pub(crate) fn of_run(run: &OpenRun) -> Vec<Self> {
        let of = |(key, change): (&String, &windlass_engine::HeldChange)| Self {
            run: run.run.to_string(),
            workflow: run.workflow.clone(),
            state: RunStatus::of(run),
            cluster: run.cluster.clone(),
            key: key.clone(),
            text: change.text.clone(),
            prior: change.prior.to_value(),
            since: words::rfc3339(change.since),
            since_in_words: words::moment(change.since),
            was: words::was(&change.prior),
        };
        run.held.iter().map(of).collect()
    }

    /// Who gives it back.
    fn whose(&self) -> String {
        if self.state.is_end() {
            "the run has ended: by hand".to_owned()
        } else {
            format!("given back by the run; `windlass cancel {}` ends it", self.run)
        }
    }
}

/// Each run with what it has out, and who gives it back.
pub(crate) fn text(leftovers: &[Leftover]) -> String {
    let mut text = String::new();
    let mut last = "";
    for leftover in leftovers {
        if leftover.run != last {
            let cluster = leftover.cluster.as_ref().map(|id| format!(" on cluster {id}")).unwrap_or_default();
            let gap = if last.is_empty() { "" } else { "\n" };
            text.line(format!("{gap}{} {}, {}{cluster}", leftover.run, leftover.workflow, leftover.state));
            text.line(format!("  {}", leftover.whose()));
            last = &leftover.run;
        }
        text.line(format!("  {}{}, since {}: {}", leftover.key, leftover.was, leftover.since_in_words, leftover.text));
    }
    text
}
