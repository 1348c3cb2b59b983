//! `windlass plan`

use crate::app::App;
use crate::clock;
use crate::failure::{Exit, Outcome};
use crate::procedure::{self, Procedure};
use crate::render;
use crate::ui::Format;

/// Resolve every fact, check the cluster, estimate the time; change nothing.
#[derive(clap::Args)]
#[command(subcommand_value_name = "WORKFLOW", subcommand_help_heading = "Workflows", disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    workflow: Procedure,
}

pub(crate) async fn run(app: &App, args: &Args) -> Outcome {
    let settings = clock::settings(app);
    let clock = settings.clock.clone();
    let cluster = procedure::connect(app, settings).await?;
    let prepared = args.workflow.prepare(&cluster, &clock).await?;
    match app.ui.format {
        Format::Table => app.ui.data(&render::plan::text(&prepared.plan))?,
        Format::Json | Format::Yaml => app.ui.value(&prepared.plan)?,
    }
    prepared.refuse_blocked().map(|()| Exit::Done)
}
