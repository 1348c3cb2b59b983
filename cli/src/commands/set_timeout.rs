//! `windlass set-timeout`

use std::time::Duration;

use windlass_engine::control::What;

use crate::app::App;
use crate::failure::Outcome;
use crate::tell;
use crate::words;

/// Set how long an attempt of a step may take; holds for the attempt that is under way too, counted from its begin.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, or a unique beginning or end of it
    run: String,
    /// The step: its number as `windlass status` shows it, or its activity if only one such step is open
    step: String,
    /// The limit: 90m, 2h, 1d12h
    #[arg(value_parser = words::parse_duration)]
    duration: Duration,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(crate) async fn run(app: &App, args: Args) -> Outcome {
    let what = What::SetTimeout { step: args.step.clone(), seconds: args.duration.as_secs() };
    let said = format!("an attempt of step {} may take {}", args.step, words::duration(args.duration));
    tell::carry_out(app, &args.run, Some(args.reason), what, &said).await
}
