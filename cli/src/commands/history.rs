//! `windlass history`

use std::path::Path;
use std::time::Duration;

use windlass_engine::Record;
use windlass_engine::remote::{Remote, Watch};

use crate::app::App;
use crate::archive_file;
use crate::books::{Books, LATEST, no_such_run};
use crate::failure::{Exit, Failure, Outcome};
use crate::render::history::Flattener;
use crate::render::logbook::Logbook;
use crate::ui::{Format, Ui};

/// Print what happened to a run: one line a fact for people, one object a line with `-o json`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, a unique beginning or end of it, or `latest`; or a file that `windlass export` has written
    #[arg(default_value = LATEST)]
    run: String,
    /// Go on printing until the run ends
    #[arg(long, short)]
    follow: bool,
}

/// How soon a record of a worker that does not answer is seen.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

pub(crate) async fn run(app: &App, args: &Args) -> Outcome {
    let file = Path::new(&args.run);
    if file.is_file() {
        return print_file(app, file);
    }
    let books = Books::open(&app.journal()?)?;
    let run = books.resolve(&args.run)?;
    let mut printer = Printer::new(&app.ui);
    let mut records = books.records_of(run);
    let mut known = false;
    let mut news = News::default();
    loop {
        for record in records.by_ref() {
            let record = record?;
            known = true;
            printer.print(&app.ui, &record)?;
            if record.event.ends_run() {
                return Ok(Exit::Done);
            }
        }
        if !known {
            return Err(no_such_run(&args.run));
        }
        if !args.follow {
            return Ok(Exit::Done);
        }
        tokio::select! {
            () = news.wait(&books) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
        }
    }
}

/// An exported history has no more to it than what stands there.
fn print_file(app: &App, file: &Path) -> Outcome {
    let (_, records) = archive_file::read_all(file)?;
    let mut printer = Printer::new(&app.ui);
    for record in &records {
        printer.print(&app.ui, record)?;
    }
    Ok(Exit::Done)
}

/// Wakes when a worker has done something; looks again after a moment when there is none.
#[derive(Default)]
struct News {
    watch: Option<Watch>,
}

impl News {
    async fn wait(&mut self, books: &Books) {
        if let Some(watch) = &mut self.watch {
            match tokio::time::timeout(LOOK_AGAIN, watch.next()).await {
                Ok(Ok(Some(_))) | Err(_) => {}
                Ok(Ok(None) | Err(_)) => self.watch = None,
            }
            return;
        }
        if let Ok(remote) = Remote::connect(&books.dir).await {
            self.watch = remote.watch().await.ok();
        }
        if self.watch.is_none() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// Prints one record after the other.
enum Printer {
    Logbook(Box<Logbook>),
    Json(Flattener),
    Yaml(Flattener),
}

impl Printer {
    fn new(ui: &Ui) -> Self {
        match ui.format {
            Format::Table => Self::Logbook(Box::new(Logbook::new(ui))),
            Format::Json => Self::Json(Flattener::default()),
            Format::Yaml => Self::Yaml(Flattener::default()),
        }
    }

    fn print(&mut self, ui: &Ui, record: &Record) -> Result<(), Failure> {
        let text = match self {
            Self::Logbook(logbook) => logbook.lines(record),
            Self::Json(flattener) => format!("{}\n", flattener.object(record)),
            Self::Yaml(flattener) => {
                ui.data("---\n")?;
                return ui.yaml(&flattener.object(record));
            }
        };
        ui.data(&text)
    }
}
