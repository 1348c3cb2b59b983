//! `windlass adopt`

use std::path::PathBuf;
use std::sync::Arc;

use windlass_activities::Cluster;
use windlass_activities::lease::Taking;
use windlass_engine::archive::{ImportError, import_run};
use windlass_engine::journal::{DiskJournal, Journal as _};
use windlass_engine::mirror::Adoptable;
use windlass_engine::{Clock, Event, NewEvent, OpenRun, Record, Registry, RunId};

use crate::app::App;
use crate::books::fits;
use crate::clock;
use crate::drive::{Drive, conclude};
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::intake::Intake;
use crate::mirror::{self, CLUSTER, MirrorArgs, Source};
use crate::ownership::{self, Ownership};
use crate::procedure;
use crate::render::list::{ago, step};
use crate::tell;
use crate::words;

/// Take over the open runs of a machine that is lost, from the mirror of its journal, and drive them on.
///
/// A mirror that was required has every intent, so the runs go on at once. Any other may lack the last steps, and these may have
/// changed the cluster: its runs are taken over paused, for a person to look first.
///
/// For what was begun by hand, without a run, there is `windlass adopt-procedure`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The mirror: the directory that --mirror named, or `cluster`
    #[arg(long, value_name = "PLACE")]
    from: String,
    /// The run: its id, or a unique beginning or end of it; all open runs if absent
    run: Option<String>,
    /// Take the cluster even from a worker that lives; needs --reason
    #[arg(long, requires = "reason")]
    force: bool,
    /// Only take the runs over; `windlass resume` drives them
    #[arg(long)]
    no_drive: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    mirror: MirrorArgs,
}

pub(crate) async fn run(app: &App, args: &Args) -> Outcome {
    let settings = clock::settings(app);
    let clock = settings.clock.clone();
    let (from, connected) = if args.from == CLUSTER {
        let cluster = procedure::connect(app, settings.clone()).await?;
        (Source::Cluster(cluster.clone()), Some(cluster))
    } else {
        (Source::Directory(PathBuf::from(&args.from)), None)
    };
    let found = wanted(args, &from, from.look().await?)?;
    say_found(app, args, &found, &clock);
    let cluster = match connected {
        Some(cluster) => cluster,
        None => procedure::connect(app, settings).await?,
    };
    let runs = of_cluster(app, args, &found, &cluster)?;
    let dir = app.journal()?;
    let mut journal = tell::open(&dir, &clock)?;
    // First the cluster, so that the old worker records nothing more of consequence, and nothing of its can still take effect.
    let reason = args.reason.clone().unwrap_or_else(|| format!("adopted from mirror {}", args.from));
    let taking = Taking::Over { reason, force: args.force };
    let ownership = ownership::hold(app, &cluster, &journal, &taking, &runs).await?;
    let mut paused = 0;
    // What reached the mirror until now counts, not what it had when it was first looked at.
    let found = from.look().await?;
    for found in found.into_iter().filter(|found| runs.contains(&found.run)) {
        let went_on = went_on_elsewhere(app, &ownership, &found);
        paused += usize::from(take_over(app, args, (&from, went_on), &mut journal, found, &clock)? == Taken::Paused);
    }
    // Behind the runs: a mirror of this very journal that was ahead of it no longer is.
    let held = (&cluster, ownership, &clock);
    let (ownership, second) = mirror::attach_held(app, &dir, &mut journal, &args.mirror, held).await?;
    if args.no_drive || paused == runs.len() {
        journal_closed(journal)?;
        if let Some(second) = second {
            second.finish(app).await;
        }
        ownership.release(&app.ui).await;
        return Ok(after(app, &runs, paused));
    }
    let registry = windlass_workflows::register(Registry::new(), &cluster);
    let (cluster, only) = (cluster.id().to_string(), if let [run] = runs.as_slice() { Some(*run) } else { None });
    let (leave, ownership) = (ownership.elsewhere(), Some(ownership));
    let (jumping, stand_in) = (false, false);
    let drive = Drive { app, dir, journal, registry, clock, cluster, only, leave, ownership, jumping, stand_in, mirror: second };
    let driven = drive.run().await?;
    Ok(conclude(app, &driven.report.runs, driven.ending))
}

fn journal_closed(journal: DiskJournal) -> Result<(), Failure> {
    Ok(Box::new(journal).close()?)
}

/// What was taken over and not driven, and what to type next.
fn after(app: &App, runs: &[RunId], paused: usize) -> Exit {
    for run in runs {
        let unpause = if paused > 0 { format!("`windlass unpause {run} --reason '…'`, then ") } else { String::new() };
        app.ui.talk(&format!("next: {unpause}`windlass resume {run}`"));
    }
    if paused > 0 { Exit::NeedsPerson } else { Exit::Done }
}

/// The runs that were asked for.
fn wanted(args: &Args, from: &Source, mut found: Vec<Adoptable>) -> Result<Vec<Adoptable>, Failure> {
    if found.is_empty() {
        return Err(from.is_empty());
    }
    let from = &args.from;
    let Some(text) = &args.run else { return Ok(found) };
    let there: Vec<String> = found.iter().map(|found| found.run.to_string()).collect();
    found.retain(|found| fits(found.run, text));
    match found.len() {
        1 => Ok(found),
        0 => {
            let message = format!("mirror {from} has no open run {text}; it has {}", there.join(", "));
            Err(Failure::not_found(message, format!("windlass adopt --from {from}")))
        }
        _ => Err(Failure::usage(format!("{text} may mean several runs: {}", there.join(", ")), "give the whole id")),
    }
}

/// Says what the mirror has, and what it can't know.
fn say_found(app: &App, args: &Args, found: &[Adoptable], clock: &Arc<dyn Clock>) {
    let now = clock.now();
    for found in found {
        let Some((state, last)) = OpenRun::fold(&found.records).zip(found.records.last()) else { continue };
        let at = step(&state).map(|step| format!(", at: {step}")).unwrap_or_default();
        app.ui.talk(&format!(
            "run {} ({}) in mirror {} of journal {}: {}, the last {}{at}",
            found.run,
            state.workflow,
            args.from,
            found.journal,
            words::count(found.records.len(), "event"),
            ago(last.at, now),
        ));
        app.ui.talk(if found.required {
            "  the mirror was required: nothing was changed on the cluster of which it does not know"
        } else {
            "  the mirror was not required: steps after its end may have changed the cluster"
        });
    }
}

/// A journal that adopted a run and kept no mirror here may have gone on with it: no mirror of before vouches for that.
fn went_on_elsewhere(app: &App, ownership: &Ownership, found: &Adoptable) -> bool {
    let Some(journal) = ownership.adopted_after(found.run).filter(|journal| *journal != found.journal) else { return false };
    app.ui.talk(&format!(
        "run {} was adopted into journal {journal} since, whose records are not in this mirror: its steps may have changed the cluster",
        found.run
    ));
    true
}

/// A run goes on where it belongs. Named, one of another cluster is refused; else it is left alone.
fn of_cluster(app: &App, args: &Args, found: &[Adoptable], cluster: &Cluster) -> Result<Vec<RunId>, Failure> {
    let mut ours = Vec::new();
    for found in found {
        let bound = OpenRun::fold(&found.records).and_then(|state| state.cluster);
        match bound.as_deref().map(|bound| cluster.check_identity(bound)) {
            None | Some(Ok(())) => ours.push(found.run),
            Some(Err(error)) if args.run.is_some() => return Err(error.into()),
            Some(Err(_)) => {
                let bound = bound.unwrap_or_default();
                app.ui.talk(&format!("run {} is left alone: it belongs to cluster {bound}, this is {}", found.run, cluster.id()));
            }
        }
    }
    if ours.is_empty() {
        let message = format!("no open run in mirror {} belongs to cluster {}", args.from, cluster.id());
        return Err(Failure::usage(message, "choose the cluster of the run with --context or --kubeconfig"));
    }
    Ok(ours)
}

/// Why a run is paused that may have gone further than its mirror knows.
const LOOK_FIRST: &str =
    "adopted from a mirror that does not vouch for what followed: steps after its end may have changed the cluster";

/// How a run came into this journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Taken {
    /// It goes on.
    Open,
    /// A person must look first.
    Paused,
}

/// Imports a run and records that it was adopted; one that may have gone further than the mirror knows is paused.
fn take_over(
    app: &App,
    args: &Args,
    (source, went_on): (&Source, bool),
    journal: &mut DiskJournal,
    found: Adoptable,
    clock: &Arc<dyn Clock>,
) -> Result<Taken, Failure> {
    let Adoptable { run, journal: origin, required, records } = found;
    let there = records.len() as u64;
    // Cut off in the middle, the run would be driven from where its copy broke off.
    let intake = Intake::begin(&app.journal()?, run, format!("windlass adopt --from {} {run}", source.name()))?;
    let new = match import_run(journal, records) {
        Ok(new) => new,
        Err(ImportError::Journal(error)) => return Err(error.into()),
        Err(error) => {
            intake.give_up()?;
            let next = format!("`windlass history {run}` shows this journal's; adopt into an empty one with --journal DIR");
            return Err(Failure::new(Kind::Failed, error.to_string(), next));
        }
    };
    let mut history: Vec<Record> = Vec::new();
    journal.replay(run, &mut |record| {
        history.push(record);
        std::ops::ControlFlow::Continue(())
    })?;
    let own = new == 0 && origin == journal.id().to_string();
    let known = own || history.iter().any(|record| record.seq > there && matches!(record.event, Event::RunAdopted { .. }));
    let paused = OpenRun::fold(&history).is_some_and(|state| state.paused.is_some());
    let pause = (went_on || !(required || known)) && !paused;
    if known {
        if pause {
            append(journal, &history, vec![look_first()], clock)?;
        }
        intake.end()?;
        app.ui.talk(&format!("run {run} was adopted into this journal before"));
        return Ok(if paused || pause { Taken::Paused } else { Taken::Open });
    }
    let from = format!("mirror {} of journal {origin}", args.from);
    let mut events = vec![Event::RunAdopted { from, host: tell::host(), by: tell::who(), reason: args.reason.clone() }];
    if pause {
        events.push(look_first());
    }
    // In one commit, so that a crash leaves no run that would be driven without a look.
    append(journal, &history, events, clock)?;
    intake.end()?;
    app.ui.talk(&format!("run {run} is adopted: {} from journal {origin}", words::count(history.len(), "event")));
    Ok(if paused || pause { Taken::Paused } else { Taken::Open })
}

fn look_first() -> Event {
    Event::RunPaused { by: tell::who(), reason: LOOK_FIRST.to_owned() }
}

/// Appends events to a run's history.
fn append(journal: &mut DiskJournal, history: &[Record], events: Vec<Event>, clock: &Arc<dyn Clock>) -> Result<(), Failure> {
    let Some(last) = history.last() else { return Ok(()) };
    let events = (last.seq + 1..).zip(events).map(|(seq, event)| NewEvent { run: last.run, seq, at: clock.now(), event });
    Ok(journal.append(&events.collect::<Vec<_>>())?)
}
