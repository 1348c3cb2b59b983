//! `windlass list`

use windlass_engine::journal::JournalReader;

use crate::app::App;
use crate::books::Books;
use crate::failure::{Exit, Outcome};
use crate::render::list::{Row, table};
use crate::ui::Format;

/// List the runs of the journal, oldest first.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only runs that have not ended
    #[arg(long)]
    open: bool,
}

pub(crate) async fn run(app: &App, args: &Args) -> Outcome {
    let dir = app.journal()?;
    if matches!(JournalReader::open(&dir), Err(windlass_engine::journal::JournalError::Missing { .. })) {
        if app.ui.format != Format::Table {
            app.ui.value(&Vec::<Row>::new())?;
        }
        app.ui.talk(&format!("there is no journal at {} yet; `windlass start` makes one", dir.display()));
        return Ok(Exit::Done);
    }
    let books = Books::open(&dir)?;
    let mut read = books.runs();
    read.runs.retain(|run| !args.open || run.ended.is_none());
    match app.ui.format {
        Format::Table => {
            let worker = books.worker().await;
            app.ui.data(&table(&read.runs, worker.as_ref(), app.ui.out_width()))?;
            if worker.is_none() && read.runs.iter().any(|run| run.ended.is_none()) {
                app.ui.talk("no worker drives this journal; `windlass resume` goes on with its open runs");
            }
        }
        Format::Json | Format::Yaml => app.ui.value(&read.runs.iter().map(Row::of).collect::<Vec<_>>())?,
    }
    match read.damage {
        Some(damage) => Err(damage.into()),
        None => Ok(Exit::Done),
    }
}
