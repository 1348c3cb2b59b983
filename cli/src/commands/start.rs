//! `windlass start`

use std::path::Path;
use std::sync::Arc;

use windlass_activities::Cluster;
use windlass_engine::control::{Request, What, record_offline};
use windlass_engine::journal::{DiskJournal, JournalError};
use windlass_engine::remote::Remote;
use windlass_engine::{Clock, Json, Registry, RunId};
use windlass_workflows::Plan;

use crate::app::App;
use crate::clock;
use crate::drive::{Drive, follow};
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::procedure::{self, PLAN_SIGNAL, Prepared, Procedure};
use crate::render;
use crate::tell;

/// Plan, confirm, create the run and drive it here. Ctrl-C leaves it resumable.
#[derive(clap::Args)]
#[command(subcommand_value_name = "WORKFLOW", subcommand_help_heading = "Workflows", disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    workflow: Procedure,
    /// Approve in advance every gate that the plan names, and do not ask before the start
    #[arg(long, global = true)]
    yes: bool,
    /// Approve one gate in advance; may be repeated
    #[arg(long, value_name = "GATE", global = true)]
    approve: Vec<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", global = true)]
    reason: Option<String>,
}

pub(crate) async fn run(app: &App, args: &Args) -> Outcome {
    let dir = app.journal()?;
    let settings = clock::settings(app);
    let clock = settings.clock.clone();
    let cluster = procedure::connect(app, settings).await?;
    let prepared = args.workflow.prepare(&cluster, &clock).await?;
    app.ui.talk(&render::plan::text(&prepared.plan));
    prepared.refuse_blocked()?;
    let approvals = prepared.approvals(args.yes, &args.approve)?;
    if app.ui.asks && !args.yes && !confirmed(app).await {
        app.ui.talk("nothing was changed");
        return Ok(Exit::NeedsPerson);
    }
    let run = RunId::generate(clock.now());
    let requests = requests(run, args, &cluster, &prepared, approvals)?;
    if Remote::connect(&dir).await.is_ok() {
        return hand_over(app, &dir, run, requests).await;
    }
    let journal = match tell::open(&dir, &clock) {
        // A worker that took the lock in this very moment will listen soon.
        Err(JournalError::Locked { .. }) => return hand_over(app, &dir, run, requests).await,
        other => other?,
    };
    let journal = create(journal, requests, &clock)?;
    app.ui.talk(&format!("run {run}"));
    let registry = windlass_workflows::register(Registry::new(), &cluster);
    let cluster = cluster.id().to_string();
    let driven =
        Drive { app, dir: dir.clone(), journal, registry, clock, cluster, only: Some(run), jumping: false, stand_in: false }
            .run()
            .await?;
    if app.ui.format != crate::ui::Format::Table {
        crate::commands::status::print(app, &run.to_string()).await?;
    }
    Ok(driven.conclude_one(app, run))
}

/// Creates a run in a journal that is held: the run, its approvals and its plan.
pub(crate) fn create(mut journal: DiskJournal, requests: Vec<Request>, clock: &Arc<dyn Clock>) -> Result<DiskJournal, Failure> {
    for request in requests {
        record_offline(&mut journal, &request, clock.now())??;
    }
    Ok(journal)
}

/// What creates the run.
fn requests(
    run: RunId,
    args: &Args,
    cluster: &Cluster,
    prepared: &Prepared,
    approvals: Vec<String>,
) -> Result<Vec<Request>, Failure> {
    let start = What::Start {
        workflow: args.workflow.name().to_owned(),
        revision: prepared.revision,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        input: prepared.input.clone(),
        cluster: Some(cluster.id().to_string()),
        approvals,
        plan: Some(prepared.plan.digest.clone()),
    };
    let told = plan_signal(&prepared.plan)?;
    Ok(vec![tell::request(run, args.reason.clone(), start), tell::request(run, None, told)])
}

/// Tells a run the plan that was agreed to, so that it stands in the history.
pub(crate) fn plan_signal(plan: &Plan) -> Result<What, Failure> {
    let payload =
        Json::of(plan).map_err(|e| Failure::new(Kind::Failed, format!("the plan can't be written down: {e}"), "plan again"))?;
    Ok(What::Signal { signal: PLAN_SIGNAL.to_owned(), payload })
}

/// Another worker holds the journal: it gets the run, and is followed.
async fn hand_over(app: &App, dir: &Path, run: RunId, requests: Vec<Request>) -> Outcome {
    let clock = clock::settings(app).clock;
    let mut requests = requests.into_iter();
    for request in requests.by_ref().take(1) {
        tell::tell(dir, &clock, request).await?;
    }
    for request in requests {
        // The run may have ended already, and then needs no plan.
        if let Err(failure) = tell::tell(dir, &clock, request).await {
            tracing::debug!(message = failure.message, "the plan was not taken");
        }
    }
    app.ui.talk(&format!("run {run}"));
    if let Some(owner) = crate::books::worker_of(dir).await {
        app.ui.talk(&format!("handed to the worker that holds the journal: {owner}"));
    }
    follow(app, dir, run).await
}

/// Asks before anything is changed. Reads beside the event loop, so that Ctrl-C works.
async fn confirmed(app: &App) -> bool {
    app.ui.talk("Start this run? [y/N]");
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
    });
    read.await.unwrap_or(false)
}
