//! `windlass start`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use windlass_activities::Cluster;
use windlass_activities::lease::Taking;
use windlass_engine::control::{Request, What, record_offline};
use windlass_engine::journal::{DiskJournal, JournalError, refuse_newer};
use windlass_engine::remote::Remote;
use windlass_engine::{Clock, Json, Registry, RunId};
use windlass_workflows::Plan;

use crate::app::App;
use crate::clock;
use crate::drive::{Drive, follow};
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::mirror::{self, MirrorArgs};
use crate::ownership;
use crate::plan_file::{self, SigningKey};
use crate::procedure::{self, Begun, Input, PLAN_SIGNAL, Prepared, Procedure};
use crate::render;
use crate::tell;

/// Plan, confirm, create the run and drive it here. Ctrl-C leaves it resumable.
#[derive(clap::Args)]
#[command(subcommand_value_name = "WORKFLOW", subcommand_help_heading = "Workflows", disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    workflow: Option<Procedure>,
    /// Carry out exactly the plan in this file (`windlass plan … --out FILE`), instead of naming a workflow
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Take a plan that this key signed, besides your own; may be repeated
    #[arg(long, value_name = "KEY", requires = "plan")]
    signer: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

/// What a person agrees to before the start, and where the records go.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Consent {
    /// Approve the plan with this digest and no other
    #[arg(long, value_name = "DIGEST", global = true)]
    digest: Option<String>,
    /// Approve in advance every gate that the plan names, and do not ask before the start
    #[arg(long, global = true)]
    yes: bool,
    /// Approve one gate in advance; may be repeated
    #[arg(long, value_name = "GATE", global = true)]
    approve: Vec<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", global = true)]
    reason: Option<String>,
    #[command(flatten)]
    mirror: MirrorArgs,
}

impl Args {
    /// As if this workflow had been named that goes on with what was begun by hand.
    pub(crate) fn adopting(workflow: &Begun, consent: &Consent) -> Self {
        Self { workflow: Some(workflow.procedure()), plan: None, signer: Vec::new(), consent: consent.clone() }
    }
}

pub(crate) async fn run(app: &App, args: &Args) -> Outcome {
    let dir = app.journal()?;
    refuse_newer(&dir)?;
    let settings = clock::settings(app);
    let clock = settings.clock.clone();
    let cluster = procedure::connect(app, settings).await?;
    ownership::refuse_driven(app, &cluster, &dir).await?;
    let Agreed { prepared, drift } = agree(args, &dir, &cluster, &clock).await?;
    let shown = render::plan::text(&prepared.plan);
    app.ui.talk(&shown);
    prepared.refuse_blocked()?;
    let approvals = prepared.approvals(args.consent.yes, &args.consent.approve)?;
    refuse_other_digest(args, &prepared.plan)?;
    if !drift.is_empty() {
        app.ui.talk(&format!("since the plan was made:\n  {}", drift.join("\n  ")));
    }
    let must_ask = !args.consent.yes || !drift.is_empty();
    if must_ask && args.consent.digest.is_none() {
        if !app.ui.asks && !drift.is_empty() {
            return Err(drifted(args, &drift, &prepared.plan));
        }
        if app.ui.asks && !app.ui.agrees("Start this run? [y/N]").await {
            app.ui.talk("nothing was changed");
            return Ok(Exit::NeedsPerson);
        }
    }
    let run = RunId::generate(clock.now());
    let told = told_plan(&prepared.plan, &shown, args.consent.reason.clone())?;
    let requests = requests(run, args, &cluster, &prepared, (approvals, told));
    if Remote::connect(&dir).await.is_ok() {
        refuse_mirror(args)?;
        return hand_over(app, &dir, run, requests).await;
    }
    let mut journal = match tell::open(&dir, &clock) {
        // A worker that took the lock in this very moment will listen soon.
        Err(JournalError::Locked { .. }) => return hand_over(app, &dir, run, requests).await,
        other => other?,
    };
    // Before there is a run: a refusal leaves nothing behind.
    let ownership = ownership::hold(app, &cluster, &journal, &Taking::Free, &[]).await?;
    let held = (&cluster, ownership, &clock);
    let (ownership, mirror) = mirror::attach_held(app, &dir, &mut journal, &args.consent.mirror, held).await?;
    let journal = create(journal, requests, &clock)?;
    app.ui.talk(&format!("run {run}"));
    let registry = windlass_workflows::register(Registry::new(), &cluster);
    let (only, leave, cluster) = (Some(run), BTreeSet::new(), cluster.id().to_string());
    let (jumping, stand_in, ownership) = (false, false, Some(ownership));
    let driven =
        Drive { app, dir, journal, registry, clock, cluster, only, leave, ownership, jumping, stand_in, mirror }.run().await?;
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
    (approvals, told): (Vec<String>, What),
) -> Vec<Request> {
    let start = What::Start {
        workflow: prepared.plan.workflow.clone(),
        revision: prepared.revision,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        input: prepared.input.clone(),
        cluster: Some(cluster.id().to_string()),
        approvals,
        plan: Some(prepared.plan.digest.clone()),
    };
    vec![tell::request(run, args.consent.reason.clone(), start), tell::request(run, None, told)]
}

/// A plan that a run is told, with the approval of whoever agreed to it.
#[derive(Serialize)]
struct ToldPlan<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    approved: PlanApproval,
}

/// Who agreed to a plan, why, and what they saw.
#[derive(Serialize)]
struct PlanApproval {
    by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The plan's digest.
    digest: String,
    /// The digest of the text that was shown.
    seen: String,
}

/// Tells a run the plan that was agreed to, so that it stands in the history.
pub(crate) fn told_plan(plan: &Plan, shown: &str, reason: Option<String>) -> Result<What, Failure> {
    let seen = blake3::hash(shown.as_bytes()).to_hex()[..16].to_owned();
    let approved = PlanApproval { by: tell::who(), reason, digest: plan.digest.clone(), seen };
    let payload = Json::of(&ToldPlan { plan, approved })
        .map_err(|e| Failure::new(Kind::Failed, format!("the plan can't be written down: {e}"), "plan again"))?;
    Ok(What::Signal { signal: PLAN_SIGNAL.to_owned(), payload })
}

/// What is to be carried out, and what is otherwise than when its plan was made.
struct Agreed {
    prepared: Prepared,
    drift: Vec<String>,
}

/// From a plan file or from a workflow and its arguments; in both cases the cluster is read now.
async fn agree(args: &Args, dir: &Path, cluster: &Arc<Cluster>, clock: &Arc<dyn Clock>) -> Result<Agreed, Failure> {
    match (&args.plan, &args.workflow) {
        (None, Some(workflow)) => Ok(Agreed { prepared: workflow.prepare(cluster, clock).await?, drift: Vec::new() }),
        (Some(path), None) => {
            let trusted = [args.signer.as_slice(), &[SigningKey::of(dir)?.public()]].concat();
            let file = plan_file::read(path, clock.now(), &trusted)?;
            let input = Input::read(&file.plan.workflow, &plan_file::input(&file)?)?;
            let prepared = procedure::prepare(input, cluster, clock).await?;
            let drift = file.plan.drift(&prepared.plan);
            Ok(Agreed { prepared, drift })
        }
        (Some(_), Some(workflow)) => {
            let message = format!("a plan file says everything; {} can't be given beside it", workflow.name());
            Err(Failure::usage(message, "leave the workflow out, or --plan"))
        }
        (None, None) => Err(Failure::usage("start needs a workflow or a plan", "windlass start --help")),
    }
}

/// An approval is for one digest.
fn refuse_other_digest(args: &Args, plan: &Plan) -> Result<(), Failure> {
    match &args.consent.digest {
        Some(digest) if *digest != plan.digest => {
            let message = format!("you approve plan {digest}, but the plan for this cluster is now {}", plan.digest);
            Err(Failure::usage(message, format!("read it above; if it is what you want: --digest {}", plan.digest)))
        }
        Some(_) | None => Ok(()),
    }
}

/// A cluster that is no longer as planned needs a person.
fn drifted(args: &Args, drift: &[String], plan: &Plan) -> Failure {
    let file = args.plan.as_deref().unwrap_or(Path::new("the plan")).display();
    let changes = if drift.len() == 1 { "1 thing".to_owned() } else { format!("{} things", drift.len()) };
    let message = format!("{changes} changed since {file} was made; they are listed above");
    Failure::new(Kind::NeedsPerson, message, format!("approve the new plan with --digest {}, or plan again", plan.digest))
}

/// A mirror is the worker's; a run that is handed over gets the one that there is.
fn refuse_mirror(args: &Args) -> Result<(), Failure> {
    if args.consent.mirror.any() {
        let message = "another worker holds the journal, and a mirror is named when a worker starts";
        return Err(Failure::new(
            Kind::Busy,
            message,
            "leave --mirror out; or stop that worker, then `windlass resume --mirror …`",
        ));
    }
    Ok(())
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
