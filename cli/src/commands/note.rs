//! `windlass note`

use windlass_engine::control::What;

use crate::app::App;
use crate::failure::Outcome;
use crate::tell;

/// Write something into the logbook of a run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, or a unique beginning or end of it
    run: String,
    /// What to remember
    #[arg(value_name = "TEXT")]
    text: String,
}

pub(crate) async fn run(app: &App, args: Args) -> Outcome {
    tell::carry_out(app, &args.run, None, What::Note { text: args.text }, "noted").await
}
