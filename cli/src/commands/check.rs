//! `windlass check`

use windlass_engine::{OpenRun, Record};

use crate::app::App;
use crate::books::Books;
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::procedure;
use crate::render::check::{Verdict, table};
use crate::ui::Format;
use crate::words;

/// Replay every open run against this binary, to see which would go on and which would park. Changes nothing, takes no lock.
///
/// Meant for the evening before an upgrade, with the new binary. Ends with code 3 if a run would park.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, or a unique beginning or end of it; all open runs if absent
    run: Option<String>,
}

pub(crate) fn run(app: &App, args: &Args) -> Outcome {
    let books = Books::open(&app.journal()?)?;
    let only = args.run.as_ref().map(|run| books.resolve(run)).transpose()?;
    let registry = procedure::catalogue();
    let read = books.runs();
    let wanted = |run: &OpenRun| only.map_or(run.ended.is_none(), |only| only == run.run);
    let mut verdicts = Vec::new();
    for run in read.runs.iter().filter(|run| wanted(run)) {
        // What stands behind damage can't be judged; that there is some is said at the end.
        let history: Vec<Record> = books.records_of(run.run).map_while(Result::ok).collect();
        verdicts.extend(Verdict::of(history, &registry));
    }
    match app.ui.format {
        Format::Table if verdicts.is_empty() => {}
        Format::Table => app.ui.data(&table(&verdicts, app.ui.out_width()))?,
        Format::Json | Format::Yaml => app.ui.value(&verdicts)?,
    }
    match read.damage {
        Some(damage) => Err(damage.into()),
        None => conclude(app, &verdicts),
    }
}

fn conclude(app: &App, verdicts: &[Verdict]) -> Outcome {
    if verdicts.is_empty() {
        app.ui.talk("there is no open run; nothing stands against another windlass");
        return Ok(Exit::Done);
    }
    let runs = words::count(verdicts.len(), "run");
    let bad: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.is_good()).collect();
    let build = env!("CARGO_PKG_VERSION");
    let Some(first) = bad.first() else {
        app.ui.talk(&format!("{runs} checked; this windlass ({build}) can go on with each: `windlass resume`"));
        return Ok(Exit::Done);
    };
    let failure = Failure::new(
        Kind::NeedsPerson,
        format!("{} of {runs} would park under this windlass ({build}); nothing was changed", bad.len()),
        format!("`windlass resume {}` with the windlass that recorded it, and this one once it has ended", first.run),
    );
    Err(failure)
}
