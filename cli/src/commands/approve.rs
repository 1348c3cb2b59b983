//! `windlass approve`

use windlass_engine::RunId;
use windlass_engine::control::{What, text_digest};

use crate::app::App;
use crate::books::Books;
use crate::clock;
use crate::commands::resume::plan_of;
use crate::failure::{Exit, Failure, Outcome};
use crate::tell;

/// Approve an open gate as it stands; the run goes on at once if a worker drives it.
///
/// The approval is recorded with the digest of the text that was shown, and holds for no other text.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, or a unique beginning or end of it
    run: String,
    /// The gate's name, as `windlass status` shows it
    gate: String,
    /// The digest of the text that you approve; refused if the gate asks something else by now
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// The digest of the plan that you approve it under; refused if the run follows another plan
    #[arg(long, value_name = "DIGEST")]
    plan: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) async fn run(app: &App, args: Args) -> Outcome {
    let dir = app.journal()?;
    let books = Books::open(&dir)?;
    let run = books.resolve(&args.run)?;
    if let Some(named) = &args.plan {
        same_plan(&books, run, named)?;
    }
    let read = books.run(run)?;
    // The engine refuses a gate that is not open, and says which are.
    let text = read.view.open_gates().find(|gate| gate.name == args.gate).map(|gate| gate.text.clone());
    let shown = text.as_deref().map(text_digest);
    if let (Some(text), Some(digest)) = (&text, &shown) {
        app.ui.talk(&format!("{text}\ndigest {digest}"));
    }
    let seen = args.digest.map(|digest| digest.trim().to_ascii_lowercase()).or(shown);
    let what = What::Approve { gate: args.gate.clone(), in_advance: false, seen, plan: args.plan };
    let told = tell::tell(&dir, &clock::settings(app).clock, tell::request(run, args.reason, what)).await?;
    app.ui.talk(&format!("gate {} of run {run} is approved; {}", args.gate, told.in_words(run)));
    Ok(Exit::Done)
}

fn same_plan(books: &Books, run: RunId, named: &str) -> Result<(), Failure> {
    match plan_of(books, run) {
        Some(plan) if plan.digest == named => Ok(()),
        Some(plan) => Err(Failure::usage(
            format!("run {run} does not follow plan {named} but plan {}", plan.digest),
            format!("read it with `windlass history {run}`, then approve with --plan {}", plan.digest),
        )),
        None => Err(Failure::usage(format!("no plan is on record for run {run}"), "leave --plan out")),
    }
}
