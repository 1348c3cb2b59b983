//! `windlass plan`


use crate::app::App;
use crate::clock;
use crate::failure::{Exit, Outcome};
use crate::procedure::{self, Procedure};
use crate::render;
use crate::ui::Format;

/// Resolve every fact, check the cluster, estimate the time; change nothing.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    workflow: Procedure,
}

pub(crate) async fn run(app: &App, args: &Args) -> Outcome {
    let clock = clock::of(app);
    let cluster = procedure::connect(app, procedure::settings(&clock)).await?;
    let prepared = args.workflow.prepare(&cluster, &clock).await?;
    match app.ui.format {
        Format::Table => app.ui.data(&render::plan::text(&prepared.plan))?,
        Format::Json | Format::Yaml => app.ui.value(&prepared.plan)?,
    }
    prepared.refuse_blocked().map(|()| Exit::Done)
}
