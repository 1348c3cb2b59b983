//! Asking a person what to do when a step failed for good, instead of leaving a cluster half way.

use std::future::Future;

use windlass_engine::{Gate, WorkflowContext, WorkflowError, WorkflowResult};

/// How often a person is asked about the same step before the run gives up.
const MOST_QUESTIONS: u32 = 20;

/// Does a step, which is told how often it was tried before; if it fails for good, opens the gate `retry-NAME` with the reason:
/// approved, it is done again, rejected, the failure stands.
pub(crate) async fn insist<T, F>(ctx: &WorkflowContext, name: &str, step: impl Fn(u32) -> F) -> WorkflowResult<T>
where
    F: Future<Output = WorkflowResult<T>>,
{
    let mut asked = 0;
    loop {
        let outcome = step(asked).await;
        let error = match &outcome {
            Err(WorkflowError::Activity { summary, error: why }) if asked < MOST_QUESTIONS => format!("{summary}: {why}"),
            Ok(_) | Err(_) => return outcome,
        };
        asked += 1;
        let question = format!("This step failed: {error}\nMend the cause, then approve to try it again; reject to stop here.");
        match ctx.gate(Gate::new(format!("retry-{name}"), question)).await {
            Ok(_) => {}
            Err(WorkflowError::Rejected { .. }) => return Err(WorkflowError::Failed(error)),
            Err(cancelled) => return Err(cancelled),
        }
    }
}
