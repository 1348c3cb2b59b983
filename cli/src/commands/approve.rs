//! `windlass approve`

use windlass_engine::control::What;

use crate::app::App;
use crate::books::Books;
use crate::clock;
use crate::failure::{Exit, Outcome};
use crate::tell;

/// Approve an open gate; the run goes on at once if a worker drives it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, or a unique beginning or end of it
    run: String,
    /// The gate's name, as `windlass status` shows it
    gate: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) async fn run(app: &App, args: Args) -> Outcome {
    let dir = app.journal()?;
    let run = Books::open(&dir)?.resolve(&args.run)?;
    let what = What::Approve { gate: args.gate.clone(), in_advance: false, seen: None, plan: None };
    let told = tell::tell(&dir, &clock::settings(app).clock, tell::request(run, args.reason, what)).await?;
    app.ui.talk(&format!("gate {} of run {run} is approved; {}", args.gate, told.in_words(run)));
    Ok(Exit::Done)
}
