//! `windlass rehearse`

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use windlass_activities::{Cluster, Settings};
use windlass_engine::control::{Request, What};
use windlass_engine::journal::{DiskJournal, JournalOptions};
use windlass_engine::{Clock, Registry, RunId};
use windlass_sim::{Sim, SimClock};
use windlass_workflows::Plan;

use crate::app::App;
use crate::books::Books;
use crate::commands::start::{create, told_plan};
use crate::drive::{Drive, Driven};
use crate::failure::{Exit, Failure, Outcome};
use crate::procedure::{COPIES, Prepared, Procedure};
use crate::render::rehearsal::{Before, Rehearsal};
use crate::simulation::{self, ShapeArgs, SimulatedTime, cloud_access};
use crate::ui::Format;

/// Run a workflow on a simulated cluster: the real workflow, engine and journal, in seconds.
#[derive(clap::Args)]
#[command(subcommand_value_name = "WORKFLOW", subcommand_help_heading = "Workflows", disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    workflow: Procedure,
    #[command(flatten)]
    shape: ShapeArgs,
    /// Simulated seconds in a second [default: as fast as it goes]
    #[arg(long, value_name = "FACTOR", global = true)]
    speed: Option<f64>,
    /// Ask at the gates, which are approved in advance otherwise
    #[arg(long, global = true)]
    ask: bool,
}

pub(crate) async fn run(app: &App, mut args: Args) -> Outcome {
    if args.speed.is_none() {
        tokio::time::pause();
    }
    let speed = simulation::checked_speed(args.speed.unwrap_or(1.0))?;
    let planned = args.shape.plan(|shape| args.workflow.suit(shape))?;
    planned.say_notes(&app.ui);
    args.workflow.for_cluster_at(&planned.shape.version);
    let clock = SimClock::new(planned.epoch, speed);
    let sim = planned.start_settled(clock).await?;
    let clock: Arc<dyn Clock> = Arc::new(SimulatedTime(sim.clock().clone()));
    let client = kube::Client::new(sim.service(), "default");
    let cluster =
        Arc::new(Cluster::from_client(client, Settings::simulated(clock.clone()).with_cloud(cloud_access(&sim))).await?);
    let dir = journal_dir(app)?;
    cluster.keep_files_in(dir.join(COPIES));
    let baseline = Before::of(&sim);
    let prepared = args.workflow.prepare(&cluster, &clock).await?;
    prepared.refuse_blocked()?;
    let run = rehearsal_id(&clock, args.shape.seed);
    app.ui.talk(&format!("rehearsing {} on a simulated cluster, run {run}", args.workflow.name()));
    let driven = rehearse(app, &args, &prepared, &cluster, &clock, run, dir.clone()).await?;
    let exit = driven.conclude_one(app, run);
    report(app, &prepared.plan, (&sim, &baseline), run, dir, exit).await
}

async fn rehearse(
    app: &App,
    args: &Args,
    prepared: &Prepared,
    cluster: &Arc<Cluster>,
    clock: &Arc<dyn Clock>,
    run: RunId,
    dir: PathBuf,
) -> Result<Driven, Failure> {
    let start = What::Start {
        workflow: args.workflow.name().to_owned(),
        revision: prepared.revision,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        input: prepared.input.clone(),
        cluster: Some(cluster.id().to_string()),
        approvals: prepared.approvals(!args.ask, &[])?,
        plan: Some(prepared.plan.digest.clone()),
    };
    let by = "rehearsal".to_owned();
    let told = Request {
        run,
        by: by.clone(),
        reason: None,
        what: told_plan(&prepared.plan, &crate::render::plan::text(&prepared.plan), None)?,
    };
    let requests = vec![Request { run, by, reason: None, what: start }, told];
    let journal = create(DiskJournal::open(&dir, clock, JournalOptions::default())?, requests, clock)?;
    let registry = windlass_workflows::register(Registry::new(), cluster);
    let mut ui = app.ui.clone();
    // Only --ask leaves a gate open on purpose; a person at the keyboard is asked at those that nobody foresaw, too.
    ui.asks = ui.asks && args.ask;
    let app = App { ui, global: app.global.clone() };
    let (clock, cluster) = (clock.clone(), cluster.id().to_string());
    Drive {
        app: &app,
        dir,
        journal,
        registry,
        clock,
        cluster,
        only: Some(run),
        leave: BTreeSet::new(),
        ownership: None,
        jumping: args.speed.is_none(),
        stand_in: !args.ask,
        mirror: None,
    }
    .run()
    .await
}

/// The same seed is the same run, to the last bit of its id.
fn rehearsal_id(clock: &Arc<dyn Clock>, seed: u64) -> RunId {
    let mut entropy = [0; 10];
    entropy[2..].copy_from_slice(&seed.to_be_bytes());
    RunId::new(clock.now(), entropy)
}

/// A scratch folder that stays, so that the rehearsal can be looked at afterwards, unless a journal was named on the command line: the
/// one of the environment has the runs of real clusters.
fn journal_dir(app: &App) -> Result<PathBuf, Failure> {
    let named = std::env::args().any(|word| word == "--journal" || word.starts_with("--journal="));
    if let Some(dir) = app.global.journal.as_ref().filter(|_| named) {
        return Ok(dir.clone());
    }
    let scratch = tempfile::Builder::new().prefix("windlass-rehearsal-").tempdir();
    let scratch = scratch.map_err(|e| Failure::io("making a scratch folder in", &std::env::temp_dir(), &e))?;
    Ok(scratch.keep())
}

async fn report(app: &App, plan: &Plan, (sim, baseline): (&Sim, &Before), run: RunId, dir: PathBuf, exit: Exit) -> Outcome {
    let view = Books::open(&dir)?.run(run)?.view;
    let rehearsal = Rehearsal::of(&view, plan, sim, baseline, dir).await;
    match app.ui.format {
        Format::Table => app.ui.data(&rehearsal.text())?,
        Format::Json | Format::Yaml => app.ui.value(&rehearsal)?,
    }
    Ok(if exit == Exit::Done && !rehearsal.is_sound() { Exit::RunFailed } else { exit })
}
