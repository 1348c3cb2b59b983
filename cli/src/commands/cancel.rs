//! `windlass cancel`

use windlass_engine::control::What;

use crate::app::App;
use crate::books::Books;
use crate::clock;
use crate::failure::{Exit, Outcome};
use crate::tell;

/// Cancel a run: what waits is broken off, what it holds is given back, then it ends.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, or a unique beginning or end of it
    run: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) async fn run(app: &App, args: Args) -> Outcome {
    let dir = app.journal()?;
    let run = Books::open(&dir)?.resolve(&args.run)?;
    let told = tell::tell(&dir, &clock::settings(app).clock, tell::request(run, args.reason, What::Cancel)).await?;
    app.ui.talk(&format!("run {run} is asked to cancel; {}", told.in_words(run)));
    Ok(Exit::Done)
}
