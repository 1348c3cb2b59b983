//! `windlass mark-done`

use windlass_engine::Json;
use windlass_engine::control::What;

use crate::app::App;
use crate::failure::{Failure, Outcome};
use crate::tell;

/// Attest that a step is done, with the evidence; the run goes on as if it had done it itself.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, or a unique beginning or end of it
    run: String,
    /// The step: its number as `windlass status` shows it, or its activity if only one such step is open
    step: String,
    /// What shows that it is done
    #[arg(long, value_name = "TEXT")]
    evidence: String,
    /// The step's result as JSON, where it can't be assumed
    #[arg(long, value_name = "JSON")]
    result: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(crate) async fn run(app: &App, args: Args) -> Outcome {
    let output = args.result.as_deref().map(json).transpose()?;
    let what = What::MarkDone { step: args.step.clone(), evidence: args.evidence, output };
    tell::carry_out(app, &args.run, Some(args.reason), what, &format!("step {} counts as done", args.step)).await
}

fn json(text: &str) -> Result<Json, Failure> {
    serde_json::from_str(text)
        .map_err(|e| Failure::usage(format!("--result is no JSON: {e}"), "quote it as one word, as in: --result '{}'"))
}
