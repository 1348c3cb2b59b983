//! `windlass resume`

use std::path::Path;
use std::sync::Arc;

use windlass_activities::Cluster;
use windlass_activities::lease::Taking;
use windlass_activities::windows::FindWindow;
use windlass_engine::control::{What, record_offline};
use windlass_engine::journal::{DiskJournal, Journal as _, JournalError};
use windlass_engine::view::{RunView, StepKind};
use windlass_engine::{Activity as _, Clock, Json, OpenCommand, OpenRun, Registry, RunId};
use windlass_workflows::Plan;
use windlass_workflows::{Override, WINDOW_SIGNAL};

use crate::app::App;
use crate::books::{Books, worker_of};
use crate::clock;
use crate::drive::{Drive, conclude};
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::intake;
use crate::mirror::{self, Mirror, MirrorArgs};
use crate::ownership::{self, Ownership};
use crate::procedure::{self, plan_in};
use crate::tell;

/// Drive open runs from where they are: one, or all of this cluster.
///
/// A parked run goes on only when it is named; one that a person paused only after `windlass unpause`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, or a unique beginning or end of it; all open runs if absent
    run: Option<String>,
    /// Approve in advance every gate that the plan names
    #[arg(long)]
    yes: bool,
    /// Let the step that waits for its maintenance window begin now; needs --reason
    #[arg(long, requires = "reason", requires = "run")]
    now: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    mirror: MirrorArgs,
}

pub(crate) async fn run(app: &App, args: &Args) -> Outcome {
    let dir = app.journal()?;
    let books = Books::open(&dir)?;
    let only = args.run.as_ref().map(|run| books.resolve(run)).transpose()?;
    intake::refuse_unfinished(&dir, only)?;
    let open = open_runs(&books, only)?;
    if open.is_empty() {
        app.ui.talk("there is no open run; `windlass list` shows the runs");
        return Ok(Exit::Done);
    }
    if let (Some(_), [run]) = (only, open.as_slice())
        && let Some(failure) = paused(run)
    {
        return Err(failure);
    }
    let mut overruled = match only.filter(|_| args.now) {
        Some(run) => Some(tell::request(run, args.reason.clone(), overrule(&books, run, args)?)),
        None => None,
    };
    if let Some(owner) = worker_of(&dir).await {
        if let Some(request) = overruled.take() {
            let run = request.run;
            let told = tell::tell(&dir, &clock::settings(app).clock, request).await?;
            app.ui.talk(&format!("run {run} does not wait for its window; {}", told.in_words(run)));
            return Ok(Exit::Done);
        }
        return Err(JournalError::Locked { owner }.into());
    }
    let settings = clock::settings(app);
    let clock = settings.clock.clone();
    let cluster = procedure::connect(app, settings).await?;
    let ours = refuse_foreign(app, open, only, &cluster)?;
    let mut journal = tell::open(&dir, &clock)?;
    let willing: Vec<&OpenRun> = ours.iter().filter(|run| is_willing(app, run, only)).collect();
    if willing.is_empty() {
        settle(app, &dir, journal, args, (&cluster, &clock)).await?;
        return Ok(conclude(app, &ours, crate::live::Ending::Settled));
    }
    let ownership = ownership::hold(app, &cluster, &journal, &Taking::Free, &[]).await?;
    let held = (&cluster, ownership, &clock);
    let (ownership, mirror) = mirror::attach_held(app, &dir, &mut journal, &args.mirror, held).await?;
    let leave = ownership.elsewhere();
    let willing: Vec<&OpenRun> = willing.into_iter().filter(|run| !leave.contains(&run.run)).collect();
    let named = only.and_then(|run| ownership.left_alone(run));
    if named.is_none() {
        for failure in ours.iter().filter_map(|run| ownership.left_alone(run.run)) {
            app.ui.talk(&format!("{}: {}", failure.message, failure.next));
        }
    }
    if willing.is_empty() {
        put_down(app, journal, mirror, Some(ownership)).await?;
        return named.map_or(Ok(Exit::Done), Err);
    }
    for run in willing {
        if let Some(request) = overruled.take() {
            record_offline(&mut journal, &request, clock.now())??;
        }
        prepare(&mut journal, &books, run, args, &clock)?;
    }
    let registry = windlass_workflows::register(Registry::new(), &cluster);
    let (cluster, ownership) = (cluster.id().to_string(), Some(ownership));
    let (jumping, stand_in) = (false, false);
    let driven =
        Drive { app, dir, journal, registry, clock, cluster, only, leave, ownership, jumping, stand_in, mirror }.run().await?;
    Ok(conclude(app, &driven.report.runs, driven.ending))
}

/// Brings the mirror up to date, or another one into its place, though nothing is driven.
async fn settle(
    app: &App,
    dir: &Path,
    mut journal: DiskJournal,
    args: &Args,
    (cluster, clock): (&Arc<Cluster>, &Arc<dyn Clock>),
) -> Result<(), Failure> {
    if !mirror::concerns_cluster(dir, &args.mirror)? {
        let mirror = mirror::attach(app, dir, &mut journal, &args.mirror, (cluster, clock)).await?;
        return put_down(app, journal, mirror, None).await;
    }
    if !args.mirror.any() {
        // Without its lease nothing is written to a cluster; the next worker brings its mirror up to date.
        return put_down(app, journal, None, None).await;
    }
    let ownership = ownership::hold(app, cluster, &journal, &Taking::Free, &[]).await?;
    let held = (cluster, ownership, clock);
    let (ownership, mirror) = mirror::attach_held(app, dir, &mut journal, &args.mirror, held).await?;
    put_down(app, journal, mirror, Some(ownership)).await
}

/// Closes a journal in which nothing is driven after all: the mirror has it whole before the cluster is given back.
async fn put_down(app: &App, journal: DiskJournal, mirror: Option<Mirror>, ownership: Option<Ownership>) -> Result<(), Failure> {
    Box::new(journal).close()?;
    if let Some(mirror) = mirror {
        mirror.finish(app).await;
    }
    if let Some(ownership) = ownership {
        ownership.release(&app.ui).await;
    }
    Ok(())
}

/// Whether a run goes on now; says why not.
fn is_willing(app: &App, run: &OpenRun, only: Option<RunId>) -> bool {
    if let Some(failure) = paused(run) {
        app.ui.talk(&format!("{}: {}", failure.message, failure.next));
        return false;
    }
    if run.parked.is_some() && only.is_none() {
        app.ui.talk(&format!("run {} stays parked; `windlass resume {}` lets it go on", run.run, run.run));
        return false;
    }
    true
}

/// A person's word for the step that waits for its window at this moment, and for no other.
fn overrule(books: &Books, run: RunId, args: &Args) -> Result<What, Failure> {
    let view = books.run(run)?.view;
    let waits = view.state.open.values().any(|open| matches!(open, OpenCommand::Signal { signal } if signal == WINDOW_SIGNAL));
    let searched = view.steps.iter().rev().find_map(|step| match &step.kind {
        StepKind::Activity { name, input, .. } if name == FindWindow::NAME.as_str() => input.to::<FindWindow>().ok(),
        StepKind::Activity { .. } | StepKind::Timer { .. } | StepKind::Signal { .. } | StepKind::Gate { .. } => None,
    });
    let (true, Some(searched)) = (waits, searched) else {
        let message = format!("run {run} does not wait for a maintenance window now");
        return Err(Failure::usage(message, format!("windlass explain {run}")));
    };
    let word = Override { step: searched.step, reason: args.reason.clone().unwrap_or_default() };
    let payload =
        Json::of(&word).map_err(|e| Failure::new(Kind::Failed, format!("the override can't be written down: {e}"), "retry"))?;
    Ok(What::Signal { signal: WINDOW_SIGNAL.to_owned(), payload })
}

/// A person's pause is not lifted in passing.
fn paused(run: &OpenRun) -> Option<Failure> {
    let pause = run.paused.as_ref()?;
    let message = format!("run {} is paused by {}: {}", run.run, pause.by, pause.reason);
    Some(Failure::new(Kind::NeedsPerson, message, format!("`windlass unpause {}`, then `windlass resume {}`", run.run, run.run)))
}

/// The runs that could be driven, as the journal has them.
fn open_runs(books: &Books, only: Option<RunId>) -> Result<Vec<OpenRun>, Failure> {
    let Some(run) = only else {
        let read = books.runs();
        return match read.damage {
            Some(damage) => Err(damage.into()),
            None => Ok(read.runs.into_iter().filter(|run| run.ended.is_none()).collect()),
        };
    };
    let read = books.run(run)?;
    if let Some(damage) = read.damage {
        return Err(damage.into());
    }
    if read.view.status().is_end() {
        let next = format!("windlass history {run}");
        return Err(Failure::new(Kind::Usage, format!("run {run} has ended: {}", read.view.status()), next));
    }
    Ok(vec![read.view.state])
}

/// A run belongs to a cluster, whatever the context is called. Named, a run of another cluster is refused; else it is left alone.
fn refuse_foreign(app: &App, open: Vec<OpenRun>, only: Option<RunId>, cluster: &Cluster) -> Result<Vec<OpenRun>, Failure> {
    let mut ours = Vec::new();
    for run in open {
        match run.cluster.as_deref().map(|bound| cluster.check_identity(bound)) {
            None | Some(Ok(())) => ours.push(run),
            Some(Err(error)) if only.is_some() => return Err(error.into()),
            Some(Err(_)) => {
                let bound = run.cluster.as_deref().unwrap_or_default();
                app.ui.talk(&format!("run {} is left alone: it belongs to cluster {bound}, this is {}", run.run, cluster.id()));
            }
        }
    }
    if ours.is_empty() {
        let message = format!("no open run belongs to cluster {}", cluster.id());
        return Err(Failure::usage(message, "choose the cluster of the run with --context or --kubeconfig"));
    }
    Ok(ours)
}

/// Lets a parked run go on, and approves the gates of its plan if that was asked for.
fn prepare(journal: &mut DiskJournal, books: &Books, run: &OpenRun, args: &Args, clock: &Arc<dyn Clock>) -> Result<(), Failure> {
    let mut tell = |what: What| -> Result<(), Failure> {
        let request = tell::request(run.run, args.reason.clone(), what);
        record_offline(journal, &request, clock.now())??;
        Ok(())
    };
    if run.parked.is_some() {
        tell(What::Unpark)?;
    }
    if !args.yes {
        return Ok(());
    }
    let plan = plan_of(books, run.run).map(|plan| plan.digest);
    for gate in undecided_gates(books, run.run) {
        tell(What::Approve { gate, in_advance: true, seen: None, plan: plan.clone() })?;
    }
    Ok(())
}

/// The plan that a run was told last.
pub(crate) fn plan_of(books: &Books, run: RunId) -> Option<Plan> {
    books.records_of(run).map_while(Result::ok).filter_map(|record| plan_in(&record.event)).last()
}

/// The gates that the run's plan names and nobody has decided.
fn undecided_gates(books: &Books, run: RunId) -> Vec<String> {
    let records: Vec<_> = books.records_of(run).map_while(Result::ok).collect();
    let planned = plan_of(books, run).map(|plan| plan.gates()).unwrap_or_default();
    let view = RunView::fold(&records);
    let decided = |name: &String| view.as_ref().is_some_and(|v| v.gates.iter().any(|g| g.name == *name && g.decision.is_some()));
    planned.into_iter().filter(|gate| !decided(gate)).collect()
}
