//! Driving runs in this process: the worker, its socket, and the view of both.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use windlass_engine::control::{Request, What, text_digest};
use windlass_engine::journal::{DiskJournal, Journal, RecoveryNote};
use windlass_engine::remote::{Listener, Remote};
use windlass_engine::view::RunStatus;
use windlass_engine::{
    Clock, Event, OpenRun, Registry, RunId, Scrutiny, Until, Update, Worker, WorkerHandle, WorkerOptions, WorkerReport,
};

use crate::app::App;
use crate::clock;
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::live::{Ending, Feed, Stage, Teller};
use crate::mirror::Mirror;
use crate::ownership::{self, Ownership};
use crate::render::logbook;
use crate::tell;
use crate::ui::Ui;
use crate::words;

/// What is driven, and with what.
pub(crate) struct Drive<'a> {
    pub(crate) app: &'a App,
    pub(crate) dir: PathBuf,
    pub(crate) journal: DiskJournal,
    pub(crate) registry: Registry,
    pub(crate) clock: Arc<dyn Clock>,
    /// The cluster that the worker works on.
    pub(crate) cluster: String,
    /// Only this run; all open runs of the cluster if absent.
    pub(crate) only: Option<RunId>,
    /// Not these: another journal goes on with them.
    pub(crate) leave: BTreeSet<RunId>,
    /// The hold on that cluster; a simulated one needs none.
    pub(crate) ownership: Option<Ownership>,
    /// Whether time jumps from event to event.
    pub(crate) jumping: bool,
    /// Whether every gate is approved after a while, as if a patient person sat there.
    pub(crate) stand_in: bool,
    /// The second place for the records.
    pub(crate) mirror: Option<Mirror>,
}

/// What became of it.
pub(crate) struct Driven {
    pub(crate) ending: Ending,
    pub(crate) report: WorkerReport,
}

impl Driven {
    /// Says how one run stands; those that others handed over are theirs to ask about.
    pub(crate) fn conclude_one(&self, app: &App, run: RunId) -> Exit {
        let ours: Vec<OpenRun> = self.report.runs.iter().filter(|one| one.run == run).cloned().collect();
        conclude(app, &ours, self.ending)
    }
}

impl Drive<'_> {
    /// Drives until every run has ended, is parked, or waits for a person who is not here.
    pub(crate) async fn run(self) -> Result<Driven, Failure> {
        say_recovery(&self.app.ui, &self.journal);
        let listener = Listener::bind(&self.dir).map_err(|e| Failure::io("opening the socket in", &self.dir, &e))?;
        let until = if self.app.ui.asks || self.stand_in { Until::Ended } else { Until::Settled };
        let options = WorkerOptions {
            build: env!("CARGO_PKG_VERSION").to_owned(),
            host: tell::host(),
            until,
            cluster: Some(self.cluster.clone()),
            only: self.only,
            leave: self.leave,
            epoch: self.ownership.as_ref().map(Ownership::epoch),
            scrutiny: Scrutiny::default(),
            barrier: self.mirror.as_ref().and_then(Mirror::barrier),
            hook: None,
        };
        let mut stage = Stage::new(&self.app.ui, &self.dir, self.clock.clone(), self.only);
        if self.jumping {
            stage = stage.jumping();
        }
        let worker = Worker::new(Box::new(self.journal), self.registry, self.clock.clone(), options);
        let handle = worker.handle();
        if self.stand_in {
            tokio::spawn(approve_all(handle.clone(), self.clock));
        }
        let stopping = self.ownership.as_ref().map(|held| tokio::spawn(held.stop_when_lost(handle.clone())));
        let feed = Feed::Local(handle.watch());
        let serving = tokio::spawn(listener.serve(handle.clone(), Some(self.cluster)));
        let mut working = tokio::spawn(worker.run());
        let watched = stage.watch(feed, &Teller::Local(handle), Some(&mut working)).await;
        serving.abort();
        let (ending, report) = match watched? {
            (ending, Some(report)) => (ending, report),
            (ending, None) => (ending, working.await.map_err(|e| broke_down(&e))?),
        };
        if let Some(mirror) = self.mirror {
            mirror.finish(self.app).await;
        }
        if let Some(stopping) = stopping {
            stopping.abort();
        }
        let lost = match self.ownership {
            Some(held) => held.release(&self.app.ui).await,
            None => None,
        };
        let report = report.map_err(|windlass_engine::WorkerError::Journal(error)| error)?;
        match lost {
            // Whoever came after the last step of all took nothing away.
            Some(lost) if report.runs.iter().any(|run| run.ended.is_none()) => Err(ownership::ousted(&lost)),
            Some(_) | None => Ok(Driven { ending, report }),
        }
    }
}

/// How long the person of a rehearsal takes to mend what a gate asks for.
const MENDING: Duration = Duration::from_secs(15 * 60);

/// Approves every gate that opens, after a while.
async fn approve_all(handle: WorkerHandle, clock: Arc<dyn Clock>) {
    let mut updates = handle.watch();
    while let Ok(update) = updates.recv().await {
        let Update::Recorded(record) = update else { continue };
        let (run, by) = (record.run, "rehearsal".to_owned());
        if let Event::GateOpened { gate, text, .. } = &record.event {
            clock.sleep_until(record.at.plus(MENDING)).await;
            let what = What::Approve { gate: gate.clone(), in_advance: false, seen: Some(text_digest(text)), plan: None };
            // One that was approved in advance is open no longer.
            let _ =
                handle.tell(Request { run, by, reason: Some("mended, as far as a rehearsal can tell".to_owned()), what }).await;
        }
    }
}

/// What to say when the worker's task itself ended badly.
pub(crate) fn broke_down(error: &tokio::task::JoinError) -> Failure {
    let next = "`windlass resume`; nothing acknowledged is lost. This is a bug in windlass: please report it";
    Failure::new(Kind::Failed, format!("the worker broke down: {error}"), next)
}

/// Follows a run that the worker of another process drives.
pub(crate) async fn follow(app: &App, dir: &Path, run: RunId) -> Outcome {
    let clock = clock::settings(app).clock;
    let remote = Remote::connect(dir).await.map_err(|e| tell::remote_failure(&e))?;
    let watch = remote.watch().await.map_err(|e| tell::remote_failure(&e))?;
    let mut stage = Stage::new(&app.ui, dir, clock.clone(), Some(run));
    let teller = Teller::Remote(dir.to_owned(), clock);
    let (ending, _) = stage.watch::<()>(Feed::Remote(watch), &teller, None).await?;
    let view = stage.view(run);
    Ok(view.map_or(Exit::NeedsPerson, |view| conclude(app, std::slice::from_ref(&view.state), ending)))
}

/// Says what opening the journal had to mend.
fn say_recovery(ui: &Ui, journal: &DiskJournal) {
    for note in journal.recovery() {
        match note {
            RecoveryNote::TailCut { segment, bytes, last_good } => ui.talk(&format!(
                "journal: {} ended in {bytes} bytes that were never acknowledged; cut after record {last_good}",
                segment.display()
            )),
            // A new journal has no store yet; that is no news.
            RecoveryNote::StoreRebuilt { .. } if journal.incarnation() == 1 => {}
            RecoveryNote::StoreRebuilt { reason, records, moved_to } => {
                let moved = moved_to.as_ref().map(|path| format!("; the old one is at {}", path.display())).unwrap_or_default();
                ui.talk(&format!("journal: the store was made anew from the log, {records} records: {reason}{moved}"));
            }
            RecoveryNote::StoreLost { reason } => {
                ui.talk(&format!("journal: the store can't be used, runs are read from the log: {reason}"));
            }
            RecoveryNote::StoreCaughtUp { records } => {
                tracing::debug!(records, "the store lacked the last records and was given them");
            }
        }
    }
}

/// Says how the runs stand and what to type next; the exit code is that of the worst.
pub(crate) fn conclude(app: &App, runs: &[OpenRun], ending: Ending) -> Exit {
    let mut exit = Exit::Done;
    for run in runs {
        let (line, next, one) = conclusion(run, ending);
        app.ui.talk(&line);
        for held in run.held.iter().filter(|_| run.ended.is_some()) {
            app.ui.talk(&format!("still out: {}{}: {}", held.0, words::was(&held.1.prior), held.1.text));
        }
        for command in next {
            app.ui.talk(&format!("next: {command}"));
        }
        exit = worst(exit, one);
    }
    exit
}

fn worst(one: Exit, other: Exit) -> Exit {
    match (one, other) {
        (Exit::NeedsPerson, _) | (_, Exit::NeedsPerson) => Exit::NeedsPerson,
        (Exit::RunFailed, _) | (_, Exit::RunFailed) => Exit::RunFailed,
        (Exit::Done, Exit::Done) => Exit::Done,
    }
}

fn conclusion(run: &OpenRun, ending: Ending) -> (String, Vec<String>, Exit) {
    let id = run.run;
    let took = words::duration(run.last_at.since(run.started_at));
    match RunStatus::of(run) {
        RunStatus::Completed => (format!("run {id} completed after {took}"), Vec::new(), Exit::Done),
        status @ (RunStatus::Failed | RunStatus::Cancelled) => {
            let error = match &run.ended {
                Some(windlass_engine::RunEnd::Failed(error) | windlass_engine::RunEnd::Cancelled(error)) => error.clone(),
                Some(windlass_engine::RunEnd::Completed(_)) | None => String::new(),
            };
            let error = if error == status.as_str() { String::new() } else { format!(": {error}") };
            (format!("run {id} {status} after {took}{error}"), vec![format!("windlass history {id}")], Exit::RunFailed)
        }
        RunStatus::Parked => {
            let why = logbook::standstill(run).unwrap_or_default();
            (format!("run {id} is parked: {why}"), vec![format!("windlass explain {id}")], Exit::NeedsPerson)
        }
        RunStatus::Running | RunStatus::Waiting if ending == Ending::Interrupted => {
            let step = crate::render::list::step(run).map(|step| format!(" at: {step}")).unwrap_or_default();
            (format!("run {id} is left{step}; nothing is lost"), vec![format!("windlass resume {id}")], Exit::NeedsPerson)
        }
        RunStatus::Running | RunStatus::Waiting => {
            let gates: Vec<String> = run.open_gates().map(str::to_owned).collect();
            let mut next: Vec<String> = gates.iter().map(|gate| format!("windlass approve {id} {gate} --reason '…'")).collect();
            next.push(format!("windlass resume {id}"));
            (format!("run {id} waits for a person at gate {}", gates.join(", ")), next, Exit::NeedsPerson)
        }
    }
}
