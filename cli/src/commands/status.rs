//! `windlass status`

use std::path::Path;

use windlass_engine::journal::LockOwner;
use windlass_engine::remote::Remote;
use windlass_engine::{Progress, Registry, RunId, Timestamp};

use crate::app::App;
use crate::books::{Books, LATEST, ReadRun};
use crate::clock;
use crate::failure::{Exit, Failure, Outcome};
use crate::procedure;
use crate::render::mirror::MirrorStanding;
use crate::render::status::Standing;
use crate::ui::Format;

/// Show where a run stands, what it waits for and why, its gates, and what it holds.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, a unique beginning or end of it, or `latest`
    #[arg(default_value = LATEST)]
    run: String,
}

pub(crate) async fn run(app: &App, args: &Args) -> Outcome {
    print(app, &args.run).await
}

/// Prints where a run stands.
pub(crate) async fn print(app: &App, run: &str) -> Outcome {
    let found = Found::look(app, run).await?;
    let standing = found.standing();
    match app.ui.format {
        Format::Table => app.ui.data(&standing.text(&app.ui))?,
        Format::Json | Format::Yaml => app.ui.value(&standing.object())?,
    }
    found.done()
}

/// A run and everything that can be known of it without a lock.
pub(crate) struct Found {
    read: ReadRun,
    worker: Option<LockOwner>,
    progress: Vec<Progress>,
    registry: Registry,
    mirror: Option<MirrorStanding>,
    now: Timestamp,
}

impl Found {
    /// Reads the run, and asks its worker if there is one.
    pub(crate) async fn look(app: &App, run: &str) -> Result<Self, Failure> {
        let books = Books::open(&app.journal()?)?;
        let run = books.resolve(run)?;
        let read = books.run(run)?;
        let worker = books.worker().await;
        let progress = if worker.is_some() { progress_of(&books.dir, run).await } else { Vec::new() };
        let (registry, mirror) = (procedure::catalogue(), MirrorStanding::look(&books, read.view.state.cluster.as_deref())?);
        Ok(Self { read, worker, progress, registry, mirror, now: clock::settings(app).clock.now() })
    }

    /// What is drawn.
    pub(crate) fn standing(&self) -> Standing<'_> {
        Standing {
            view: &self.read.view,
            worker: self.worker.as_ref(),
            progress: &self.progress,
            registry: &self.registry,
            mirror: self.mirror.as_ref(),
            now: self.now,
        }
    }

    /// Done, unless the journal is damaged behind what was shown.
    pub(crate) fn done(self) -> Outcome {
        match self.read.damage {
            Some(damage) => Err(damage.into()),
            None => Ok(Exit::Done),
        }
    }
}

/// A worker that goes in this very moment has nothing more to say.
async fn progress_of(dir: &Path, run: RunId) -> Vec<Progress> {
    let Ok(mut remote) = Remote::connect(dir).await else { return Vec::new() };
    let mut progress = remote.progress().await.unwrap_or_default();
    progress.retain(|progress| progress.run == run);
    progress
}
