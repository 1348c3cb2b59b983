//! `windlass preflight`

use windlass_activities::preflight::PreflightReport;

use crate::app::App;
use crate::clock;
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::procedure::{self, Procedure};
use crate::render;
use crate::ui::Format;

/// Check everything that can stop the workflow, and predict every drain. Asks nobody, changes nothing. Exit code 1 if something blocks.
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
    let report = args.workflow.preflight(&cluster, &clock).await?;
    match app.ui.format {
        Format::Table => app.ui.data(&render::preflight::text(&report, app.ui.out_width()))?,
        Format::Json | Format::Yaml => app.ui.value(&report)?,
    }
    blocked(&report).map_or(Ok(Exit::Done), Err)
}

fn blocked(report: &PreflightReport) -> Option<Failure> {
    let ids: Vec<&str> = report.blockers().map(|check| check.id.as_str()).collect();
    let message = format!("the cluster is not fit for it: {}", ids.join(", "));
    (!ids.is_empty()).then(|| Failure::new(Kind::Failed, message, "do what each check that blocks says, then look again"))
}
