//! `windlass replay`

use std::path::PathBuf;

use serde_json::{Value, json};
use windlass_engine::archive::Archive;
use windlass_engine::view::{RunView, StepView};
use windlass_engine::{Event, Mismatch, Step, replay};

use crate::app::App;
use crate::archive_file;
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::procedure;
use crate::ui::Format;
use crate::words::{self, Lines as _};

/// Replay an exported history against this binary: does its code still ask for what was recorded, and where does that lead?
///
/// Needs neither a journal nor a cluster, and changes nothing.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A file that `windlass export` has written
    file: PathBuf,
}

pub(crate) fn run(app: &App, args: &Args) -> Outcome {
    let (archive, records) = archive_file::read_all(&args.file)?;
    let Some(view) = RunView::fold(&records) else {
        let message = format!("{}: event 1 does not start a run", args.file.display());
        return Err(Failure::new(Kind::Damaged, message, "have it exported again where its journal is"));
    };
    let outcome = replay(records, &procedure::catalogue());
    let report = Report { archive: &archive, view: &view, outcome: &outcome };
    match app.ui.format {
        Format::Table => app.ui.data(&report.text())?,
        Format::Json | Format::Yaml => app.ui.value(&report.object())?,
    }
    match &outcome {
        Ok(_) => Ok(Exit::Done),
        Err(_) => Err(deviates(&args.file.display().to_string(), &archive)),
    }
}

/// The mismatch itself is data; this says what it means for whoever asked.
fn deviates(name: &str, archive: &Archive) -> Failure {
    let perhaps = match archive.redacted.len() {
        0 => String::new(),
        some => format!("; {} redacted, which may be why", words::count(some, "event")),
    };
    let next = format!("drive such runs with the build that recorded them (windlass {}), or mend the workflow", archive.build);
    Failure::new(Kind::NeedsPerson, format!("{name} does not replay with this windlass{perhaps}"), next)
}

/// What came of it.
struct Report<'a> {
    archive: &'a Archive,
    view: &'a RunView,
    outcome: &'a Result<Step, Mismatch>,
}

impl Report<'_> {
    fn text(&self) -> String {
        let state = &self.view.state;
        let events = usize::try_from(self.archive.events).unwrap_or(usize::MAX);
        let (mut text, count) = (String::new(), words::count(events, "event"));
        text.line(format!("run {} ({}, revision {}), {count}", state.run, state.workflow, state.revision));
        let step = match self.outcome {
            Ok(step) => step,
            Err(mismatch) => {
                text.line("deviates:");
                text.line(&mismatch.message);
                return text;
            }
        };
        text.line(format!("replays; it is then {}", self.view.status()));
        for open in self.view.current() {
            text.line(format!("  open   {}", in_words(open)));
        }
        for event in &step.asked {
            text.line(format!("  next   {}", asked(event)));
        }
        if let Some(end) = self.end(step) {
            text.line(format!("  next   {end}"));
        }
        text
    }

    fn object(&self) -> Value {
        let state = &self.view.state;
        let (verdict, message) = match self.outcome {
            Ok(_) => ("replays", None),
            Err(mismatch) => ("deviates", Some(&mismatch.message)),
        };
        let step = self.outcome.as_ref().ok();
        let asked: Vec<&Event> = step.map(|step| step.asked.iter().collect()).unwrap_or_default();
        json!({
            "run": state.run.to_string(),
            "workflow": state.workflow,
            "revision": state.revision,
            "build": self.archive.build,
            "events": self.archive.events,
            "redacted": self.archive.redacted,
            "verdict": verdict,
            "message": message,
            "state": self.view.status().to_string(),
            "open": self.view.current().map(|open| json!({"number": open.command.0, "step": open.summary})).collect::<Vec<_>>(),
            "next": asked,
            "ends": step.and_then(|step| self.end(step)),
        })
    }

    /// How the run would end now, if the history does not have its end yet.
    fn end(&self, step: &Step) -> Option<String> {
        let end = step.ended.as_ref().filter(|_| !self.archive.ended)?;
        Some(match end {
            Ok(_) => "the run completes".to_owned(),
            Err(error) => format!("the run ends: {error}"),
        })
    }
}

fn in_words(step: &StepView) -> String {
    format!("{} {}", step.command, step.summary)
}

/// What the code would ask for, in one line.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others need no more than their names")]
fn asked(event: &Event) -> String {
    match event {
        Event::ActivityScheduled { activity, summary, site, .. } => format!("activity {activity} ({summary}) at {site}"),
        Event::TimerStarted { due_at, site, .. } => format!("timer until {} at {site}", words::rfc3339(*due_at)),
        Event::SignalAwaited { signal, site, .. } => format!("signal {signal} at {site}"),
        Event::GateOpened { gate, site, .. } => format!("gate {gate} at {site}"),
        Event::ChangeHeld { key, .. } => format!("hold {key}"),
        Event::ChangeGivenBack { key, .. } => format!("give back {key}"),
        Event::PatchMarked { patch, .. } => format!("patch marker {patch}"),
        Event::CommandCancelled { target, .. } => format!("give up {target}"),
        other => format!("{other:?}"),
    }
}
