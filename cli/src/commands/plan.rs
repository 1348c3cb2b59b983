//! `windlass plan`

use std::path::PathBuf;

use windlass_engine::journal::refuse_newer;
use windlass_workflows::PlanFile;

use crate::app::App;
use crate::clock;
use crate::failure::{Exit, Failure, Outcome};
use crate::plan_file::{self, SigningKey};
use crate::procedure::{self, Procedure};
use crate::ui::Format;
use crate::{render, tell, words};

/// Resolve every fact, check the cluster, estimate the time; change nothing.
#[derive(clap::Args)]
#[command(subcommand_value_name = "WORKFLOW", subcommand_help_heading = "Workflows", disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    workflow: Procedure,
    /// Sign the plan and write it to this file, for `windlass start --plan FILE`
    #[arg(long, value_name = "FILE", global = true)]
    out: Option<PathBuf>,
    /// How long the file may be carried out
    #[arg(long, value_name = "DURATION", default_value = "7d", global = true)]
    valid: String,
    /// Print the exact requests of each step, too
    #[arg(long, global = true)]
    requests: bool,
}

pub(crate) async fn run(app: &App, args: &Args) -> Outcome {
    let valid = words::parse_duration(&args.valid).map_err(|e| Failure::usage(e, "write it as in: --valid 7d"))?;
    if args.out.is_some() {
        // The key that signs the file lies beside the journal.
        refuse_newer(&app.journal()?)?;
    }
    let settings = clock::settings(app);
    let clock = settings.clock.clone();
    let cluster = procedure::connect(app, settings).await?;
    let prepared = args.workflow.prepare(&cluster, &clock).await?;
    match app.ui.format {
        Format::Table if args.requests => app.ui.data(&render::plan::text_with_requests(&prepared.plan))?,
        Format::Table => app.ui.data(&render::plan::text(&prepared.plan))?,
        Format::Json | Format::Yaml => app.ui.value(&prepared.plan)?,
    }
    prepared.refuse_blocked()?;
    if let Some(path) = &args.out {
        let dir = app.journal()?;
        let key = SigningKey::of(&dir)?;
        let file = PlanFile::new(prepared.plan.clone(), &prepared.input, tell::who(), clock.now(), valid);
        plan_file::write(file, path, &key)?;
        let path = path.display();
        app.ui.talk(&format!("plan {} is in {path}, signed with your key {}", prepared.plan.digest, key.public()));
        app.ui.talk(&format!("windlass start --plan {path}"));
    }
    Ok(Exit::Done)
}
