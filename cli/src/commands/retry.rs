//! `windlass retry`

use windlass_engine::control::What;

use crate::app::App;
use crate::failure::Outcome;
use crate::tell;

/// Try a step again at once: one that waits for its next attempt, that used up its attempts, or that is in doubt.
///
/// A wait that is under way begins anew. What is in doubt is looked at again, never simply repeated.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, or a unique beginning or end of it
    run: String,
    /// The step: its number as `windlass status` shows it, or its activity if only one such step is open
    step: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(crate) async fn run(app: &App, args: Args) -> Outcome {
    let what = What::Retry { step: args.step.clone() };
    tell::carry_out(app, &args.run, Some(args.reason), what, &format!("step {} is retried", args.step)).await
}
