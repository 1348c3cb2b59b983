//! `windlass skip`

use windlass_engine::control::What;

use crate::app::App;
use crate::failure::Outcome;
use crate::tell;

/// Let a step count as done although it was not; the run goes on without it.
///
/// Refused while an attempt that changes the world is under way, and where the workflow needs a result that only the world can tell.
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
    let what = What::Skip { step: args.step.clone() };
    tell::carry_out(app, &args.run, Some(args.reason), what, &format!("step {} is skipped", args.step)).await
}
