//! A small program on the real engine and the real journal, to be killed: many runs at once, each of which adds lines to a file.
//!
//! `storm JOURNAL WORLD RUNS STEPS` starts the runs that the journal lacks and drives all to their end. Each step adds its line to
//! `WORLD/effects` and must do so once; each event is printed once it is acknowledged.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_engine::control::{Request, What, record_offline};
use windlass_engine::journal::{DiskJournal, Journal as _, JournalOptions};
use windlass_engine::{
    Activity, ActivityContext, ActivityError, ActivityName, Clock, Effect, Json, Probe, Registry, RunId, SystemClock, Timestamp,
    Until, Update, Worker, WorkerOptions, WorkflowContext, WorkflowResult,
};

/// The file that stands for the world.
struct World(PathBuf);

/// Adds one line to the world; twice would be seen.
#[derive(Clone, Serialize, Deserialize)]
struct AddLine {
    line: String,
}

impl Activity for AddLine {
    const NAME: ActivityName = ActivityName::new("add-line");
    const EFFECT: Effect = Effect::Once;
    type World = World;
    type Output = ();

    fn summary(&self) -> String {
        format!("add {}", self.line)
    }

    async fn run(self, cx: ActivityContext<World>) -> Result<(), ActivityError> {
        let file = OpenOptions::new().append(true).create(true).open(&cx.world().0);
        let added = file.and_then(|mut file| file.write_all(format!("{}\n", self.line).as_bytes()));
        added.map_err(|error| ActivityError::unknown("file", error.to_string()))
    }

    async fn probe(&self, cx: ActivityContext<World>) -> Result<Probe<()>, ActivityError> {
        let text = fs::read_to_string(&cx.world().0).unwrap_or_default();
        Ok(if text.lines().any(|line| line == self.line) {
            Probe::Happened { output: (), evidence: "the line is there".to_owned() }
        } else {
            Probe::DidNotHappen("the line is not there".to_owned())
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Input {
    run: u64,
    steps: u64,
}

async fn lines(ctx: WorkflowContext, input: Input) -> WorkflowResult<u64> {
    for step in 0..input.steps {
        ctx.run(AddLine { line: format!("{} {step}", input.run) }).await?;
    }
    Ok(input.steps)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let [_, journal, world, runs, steps] = &args[..] else {
        eprintln!("usage: storm JOURNAL WORLD RUNS STEPS");
        return ExitCode::from(2);
    };
    let (Ok(runs), Ok(steps)) = (runs.parse(), steps.parse()) else {
        eprintln!("RUNS and STEPS are numbers");
        return ExitCode::from(2);
    };
    match drive(Path::new(journal), Path::new(world), runs, steps).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn drive(journal: &Path, world: &Path, runs: u64, steps: u64) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut journal = DiskJournal::open(journal, &clock, JournalOptions::default())?;
    let known: BTreeSet<RunId> = journal.runs()?.into_iter().map(|head| head.run).collect();
    for run in 0..runs {
        let id = RunId::new(Timestamp::default(), [u8::try_from(run)?; 10]);
        if !known.contains(&id) {
            let what = start(&Input { run, steps })?;
            record_offline(&mut journal, &Request { run: id, by: "storm".to_owned(), reason: None, what }, clock.now())??;
            println!("{id} 1");
        }
    }
    let world = Arc::new(World(world.join("effects")));
    let registry = Registry::new().workflow("lines", 1, lines).activity::<AddLine>(&world);
    let worker =
        Worker::new(Box::new(journal), registry, clock, WorkerOptions { until: Until::Ended, ..WorkerOptions::default() });
    let saying = tokio::spawn(say_what_is_acknowledged(worker.handle().watch()));
    worker.run().await?;
    saying.abort();
    Ok(())
}

fn start(input: &Input) -> anyhow::Result<What> {
    Ok(What::Start {
        workflow: "lines".to_owned(),
        revision: 1,
        build: "storm".to_owned(),
        input: Json::of(input)?,
        cluster: None,
        approvals: Vec::new(),
        plan: None,
    })
}

async fn say_what_is_acknowledged(mut updates: tokio::sync::broadcast::Receiver<Update>) {
    while let Ok(update) = updates.recv().await {
        if let Update::Recorded(record) = update {
            println!("{} {}", record.run, record.seq);
        }
    }
}
