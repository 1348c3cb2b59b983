//! `windlass export`

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use windlass_engine::journal::{JournalError, JournalFormat};
use windlass_engine::{Event, Record, RunId};

use crate::app::App;
use crate::books::{Books, no_such_run};
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::words;

/// Write the history of a run as JSON lines: a header, then one event a line, as the journal has them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, or a unique beginning or end of it
    run: String,
    /// The file to write; stdout if absent
    file: Option<PathBuf>,
}

/// The first line of an export.
#[derive(Serialize)]
struct Header {
    windlass: &'static str,
    format: u32,
    build: &'static str,
    run: RunId,
}

/// Every other line.
#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    at: windlass_engine::Timestamp,
    event: &'a Event,
}

pub(crate) fn run(app: &App, args: &Args) -> Outcome {
    let books = Books::open(&app.journal()?)?;
    let run = books.resolve(&args.run)?;
    let mut records = books.records_of(run).peekable();
    match records.next_if(Result::is_err) {
        Some(nothing_readable) => return Err(nothing_readable.map_or_else(Failure::from, |_| no_such_run(&args.run))),
        None if records.peek().is_none() => return Err(no_such_run(&args.run)),
        None => {}
    }
    let header = Header { windlass: "history", format: JournalFormat::CURRENT.0, build: env!("CARGO_PKG_VERSION"), run };
    match &args.file {
        None => write_all(&header, records, |line| app.ui.data(line))?.done(),
        Some(path) => {
            let mut file = create(path)?;
            let put = |line: &str| file.write_all(line.as_bytes()).map_err(|e| Failure::io("writing", path, &e));
            let written = write_all(&header, records, put)?;
            file.sync_all().map_err(|e| Failure::io("writing", path, &e))?;
            app.ui.talk(&format!("{} written to {}", words::count(written.events, "event"), path.display()));
            written.done()
        }
    }
}

fn create(path: &Path) -> Result<std::fs::File, Failure> {
    let fresh = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    fresh.map_err(|e| {
        if e.kind() == std::io::ErrorKind::AlreadyExists {
            return Failure::usage(format!("{} exists already", path.display()), "name another file, or remove this one first");
        }
        Failure::io("creating", path, &e)
    })
}

/// How much of a run was written, and what stopped it.
struct Written {
    events: usize,
    damage: Option<JournalError>,
}

impl Written {
    /// Done, unless the journal is damaged behind what was written.
    fn done(self) -> Outcome {
        self.damage.map_or(Ok(Exit::Done), |damage| Err(damage.into()))
    }
}

fn write_all(
    header: &Header,
    records: impl Iterator<Item = Result<Record, JournalError>>,
    mut put: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<Written, Failure> {
    put(&line_of(header)?)?;
    let mut written = Written { events: 0, damage: None };
    for record in records {
        match record {
            Ok(Record { seq, at, event, .. }) => put(&line_of(&Line { seq, at, event: &event })?)?,
            Err(damage) => {
                written.damage = Some(damage);
                break;
            }
        }
        written.events += 1;
    }
    Ok(written)
}

fn line_of<T: Serialize>(value: &T) -> Result<String, Failure> {
    let text = serde_json::to_string(value);
    text.map(|text| text + "\n").map_err(|e| Failure::new(Kind::Failed, e.to_string(), "run `windlass verify`"))
}
