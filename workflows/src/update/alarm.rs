//! The watch over what ends while pools are paused: certificates, and the time that the vendor allows.

use std::collections::BTreeSet;
use std::time::Duration;

use windlass_activities::deadline::{Deadline, PausedPool, ReadDeadlines};
use windlass_engine::{Gate, RetryPolicy, Timestamp, WorkflowContext, WorkflowError};

/// Deadlines are read again at least this often: certificates are renewed, and the cluster may have been replaced under us.
const LOOK_AGAIN: Duration = Duration::from_secs(7 * 24 * 3600);

/// The watching must not park the run that it watches over.
const FOR_EVER: RetryPolicy =
    RetryPolicy { initial: Duration::from_secs(60), factor: 2.0, longest: Duration::from_secs(6 * 3600), attempts: u32::MAX };

/// Reads the deadlines now and then, and asks a person before one of them bites. Ends only when the run is cancelled.
pub(super) async fn watch(ctx: &WorkflowContext, paused: &[PausedPool]) {
    let mut shown = BTreeSet::new();
    loop {
        let deadlines = match ctx.run(ReadDeadlines { paused: paused.to_vec() }).retry(FOR_EVER).await {
            Ok(deadlines) => deadlines,
            // Whatever can't be read now is looked at again with the next look.
            Err(WorkflowError::Activity { .. }) => Vec::new(),
            Err(_) => return,
        };
        let now = ctx.now();
        for deadline in deadlines.iter().filter(|deadline| deadline.escalate_at() <= now) {
            if shown.insert(deadline.what.clone()) && ask(ctx, deadline, shown.len()).await.is_err() {
                return;
            }
        }
        if ctx.sleep_until(next_look(&deadlines, ctx.now())).because("the next look at the deadlines").await.is_err() {
            return;
        }
    }
}

/// A rejection is an answer too: the person has seen it. Only a cancellation is handed on.
async fn ask(ctx: &WorkflowContext, deadline: &Deadline, number: usize) -> Result<(), WorkflowError> {
    let question = format!(
        "{} ends at {} ({}). {}\nLet the pools go before that: `windlass resume RUN --now` lets a step begin outside of its window. \
         Approve to say that you have seen this.",
        deadline.what, deadline.at, deadline.source, deadline.consequence
    );
    match ctx.gate(Gate::new(format!("deadline-{number}"), question)).await {
        Ok(_) | Err(WorkflowError::Rejected { .. }) => Ok(()),
        Err(other) => Err(other),
    }
}

fn next_look(deadlines: &[Deadline], now: Timestamp) -> Timestamp {
    let ahead = deadlines.iter().map(Deadline::escalate_at).filter(|at| *at > now);
    ahead.min().unwrap_or_else(|| now.plus(LOOK_AGAIN)).min(now.plus(LOOK_AGAIN))
}
