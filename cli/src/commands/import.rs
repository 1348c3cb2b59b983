//! `windlass import`

use std::path::{Path, PathBuf};

use windlass_engine::archive::{Archive, ImportError, import_run};
use windlass_engine::journal::Journal;

use crate::app::App;
use crate::archive_file::{self, Trust};
use crate::clock;
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::intake::Intake;
use crate::tell;
use crate::words;

/// Add the history of a finished run to this journal: signed by a known key, nothing in it redacted, all of it or nothing.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A file that `windlass export` has written
    file: PathBuf,
    /// The key of whoever exported it, as they tell it; as often as needed
    #[arg(long, value_name = "KEY")]
    signer: Vec<String>,
}

pub(crate) fn run(app: &App, args: &Args) -> Outcome {
    let dir = app.journal()?;
    let (archive, records) = archive_file::read_all(&args.file)?;
    refuse(app, args, &archive)?;
    let run = archive.run;
    let mut journal = tell::open(&dir, &clock::settings(app).clock)?;
    let file = std::path::absolute(&args.file).unwrap_or_else(|_| args.file.clone());
    let intake = Intake::begin(&dir, run, format!("windlass import {}", file.display()))?;
    let taken = match import_run(&mut journal, records) {
        Ok(new) => {
            intake.end()?;
            new
        }
        // Nobody knows how much of it the journal has now: the mark stays.
        Err(ImportError::Journal(error)) => return Err(error.into()),
        Err(error) => {
            intake.give_up()?;
            return Err(refused(&args.file, &archive, &error));
        }
    };
    Box::new(journal).close()?;
    match taken {
        0 => app.ui.talk(&format!("run {run} is in this journal already, all of it")),
        new => app.ui.talk(&format!("run {run}: {} taken in; `windlass history {run}` prints them", words::count(new, "event"))),
    }
    Ok(Exit::Done)
}

/// Only what is proven, whole and over may become part of a journal.
fn refuse(app: &App, args: &Args, archive: &Archive) -> Result<(), Failure> {
    let name = args.file.display();
    Trust::of(app, archive, &args.signer)?.demand(&args.file, archive, "import")?;
    if let Some(damage) = &archive.damage {
        let message = format!("{name} ends where its journal could not be read any more: {damage}");
        return Err(Failure::usage(message, "import it from a copy of that journal that is whole"));
    }
    if let Some(first) = archive.redacted.first() {
        let message = format!("{name} is redacted, first in event {first}; a journal has what happened");
        return Err(Failure::usage(message, "have it exported with `windlass export RUN FILE --no-redact`"));
    }
    if let Some(event) = archive.beyond {
        let message = format!("event {event} of {name} says more than this windlass would keep; a newer one wrote it");
        return Err(Failure::usage(message, format!("import it with windlass {} or newer", archive.build)));
    }
    if !archive.ended {
        let message = format!("run {} in {name} has not ended; two journals must not drive one run", archive.run);
        return Err(Failure::usage(message, "`windlass adopt --from MIRROR` takes an open run over"));
    }
    Ok(())
}

fn refused(file: &Path, archive: &Archive, error: &ImportError) -> Failure {
    let message = format!("{}: {error}", file.display());
    match error {
        ImportError::Differs { .. } => Failure::usage(message, format!("compare it with `windlass history {}`", archive.run)),
        ImportError::Empty | ImportError::NoHistory { .. } | ImportError::Journal(_) => {
            Failure::new(Kind::Damaged, message, "have it exported again where its journal is")
        }
    }
}
