//! `windlass explain`

use serde_json::json;

use crate::app::App;
use crate::books::LATEST;
use crate::commands::status::Found;
use crate::failure::Outcome;
use crate::render::explain::explain;
use crate::ui::Format;

/// Say why a run does not move, with the evidence, and what can be typed.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, a unique beginning or end of it, or `latest`
    #[arg(default_value = LATEST)]
    run: String,
}

pub(crate) async fn run(app: &App, args: &Args) -> Outcome {
    let found = Found::look(app, &args.run).await?;
    let answer = explain(&found.standing());
    match app.ui.format {
        Format::Table => app.ui.data(&answer.text())?,
        Format::Json | Format::Yaml => {
            app.ui.value(&json!({"why": answer.headline, "evidence": answer.evidence, "options": answer.options}))?;
        }
    }
    found.done()
}
