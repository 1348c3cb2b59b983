//! `windlass unpause`

use windlass_engine::control::What;

use crate::app::App;
use crate::failure::Outcome;
use crate::tell;

/// Let a paused run go on; timers whose time has passed fire now.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, or a unique beginning or end of it
    run: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) async fn run(app: &App, args: Args) -> Outcome {
    tell::carry_out(app, &args.run, args.reason, What::Unpause, "the run is unpaused").await
}
