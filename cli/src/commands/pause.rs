//! `windlass pause`

use windlass_engine::control::What;

use crate::app::App;
use crate::failure::Outcome;
use crate::tell;

/// Let nothing new begin in a run, not even another attempt; what is in flight finishes and is recorded.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, or a unique beginning or end of it
    run: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(crate) async fn run(app: &App, args: Args) -> Outcome {
    tell::carry_out(app, &args.run, Some(args.reason), What::Pause, "the run is paused").await
}
