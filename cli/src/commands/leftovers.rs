//! `windlass leftovers`

use windlass_engine::journal::{JournalError, JournalReader};

use crate::app::App;
use crate::books::Books;
use crate::failure::{Exit, Outcome};
use crate::render::leftovers::{Leftover, text};
use crate::ui::Format;

/// List the temporary changes that are out: what runs hold now, and what ended runs could not give back.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(app: &App, _: &Args) -> Outcome {
    let dir = app.journal()?;
    let (leftovers, damage) = if matches!(JournalReader::open(&dir), Err(JournalError::Missing { .. })) {
        (Vec::new(), None)
    } else {
        let read = Books::open(&dir)?.runs();
        (read.runs.iter().flat_map(Leftover::of_run).collect(), read.damage)
    };
    match app.ui.format {
        Format::Table => app.ui.data(&text(&leftovers))?,
        Format::Json | Format::Yaml => app.ui.value(&leftovers)?,
    }
    if leftovers.is_empty() && damage.is_none() {
        app.ui.talk("nothing is out: every temporary change on record was given back");
    }
    match damage {
        Some(damage) => Err(damage.into()),
        None => Ok(Exit::Done),
    }
}
