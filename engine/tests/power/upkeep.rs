//! A workflow with one activity of each kind, and a world that remembers what was done to it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::control::{Request, What};
use windlass_engine::journal::{DiskJournal, Journal, JournalReader};
use windlass_engine::{
    Activity, ActivityContext, ActivityError, ActivityName, AttemptHook, AttemptInfo, Before, Effect, Event, Json, Probe, Record,
    Registry, RetryPolicy, RunId, WorkflowContext, WorkflowResult,
};

use crate::disk::Disk;
use crate::story::scratch;

/// What was done to the world, in order.
#[derive(Default)]
pub(crate) struct World(Mutex<Vec<String>>);

impl World {
    pub(crate) fn done(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn times(&self, name: &str) -> usize {
        self.done().iter().filter(|done| *done == name).count()
    }
}

/// One type for each class, because the class belongs to the type.
macro_rules! doing {
    ($type:ident, $name:literal, $effect:ident) => {
        #[derive(Clone, Serialize, Deserialize)]
        pub(crate) struct $type(pub(crate) String);

        impl Activity for $type {
            const NAME: ActivityName = ActivityName::new($name);
            const EFFECT: Effect = Effect::$effect;
            type World = World;
            type Output = u32;

            fn summary(&self) -> String {
                self.0.clone()
            }

            /// Takes a quarter of a minute; the first attempt at what is called flaky fails.
            async fn run(self, cx: ActivityContext<World>) -> Result<u32, ActivityError> {
                cx.sleep(Duration::from_secs(15)).await;
                if self.0 == "flaky" && cx.attempt().number == 1 {
                    return Err(ActivityError::transient("busy", "try again"));
                }
                cx.world().0.lock().unwrap().push(self.0);
                Ok(cx.attempt().number)
            }

            async fn probe(&self, cx: ActivityContext<World>) -> Result<Probe<u32>, ActivityError> {
                Ok(match cx.world().times(&self.0) {
                    0 => Probe::DidNotHappen("no mark".to_owned()),
                    _ => Probe::Happened { output: cx.attempt().number, evidence: "its mark".to_owned() },
                })
            }
        }
    };
}

doing!(Look, "look", Observe);
doing!(Set, "set", Declare);
doing!(Kick, "kick", Once);

async fn upkeep(ctx: WorkflowContext, (): ()) -> WorkflowResult<u32> {
    ctx.run(Set("set".to_owned())).timeout(Duration::from_secs(30)).await?;
    ctx.run(Kick("first".to_owned())).timeout(Duration::from_secs(30)).await?;
    ctx.sleep(Duration::from_secs(3600)).await?;
    let later = RetryPolicy { initial: Duration::from_secs(1_200), ..RetryPolicy::default() };
    ctx.run(Look("flaky".to_owned())).timeout(Duration::from_secs(30)).retry(later).await?;
    ctx.run(Kick("second".to_owned())).timeout(Duration::from_secs(30)).await
}

pub(crate) fn registry(world: &Arc<World>) -> Registry {
    let registry = Registry::new().workflow("upkeep", 1, upkeep);
    registry.activity::<Look>(world).activity::<Set>(world).activity::<Kick>(world)
}

pub(crate) fn the_run() -> RunId {
    RunId::from_bytes([7; 16])
}

pub(crate) fn start() -> Request {
    let what = What::Start {
        workflow: "upkeep".to_owned(),
        revision: 1,
        build: "test".to_owned(),
        input: Json::null(),
        cluster: None,
        approvals: Vec::new(),
        plan: None,
    };
    Request { run: the_run(), by: "tester".to_owned(), reason: None, what }
}

pub(crate) fn history(journal: &mut DiskJournal) -> Vec<Record> {
    let mut records = Vec::new();
    let each = &mut |record| {
        records.push(record);
        ControlFlow::Continue(())
    };
    journal.replay(the_run(), each).unwrap();
    records
}

/// Looks, before each attempt, whether a power cut at this moment would leave its begin on record.
pub(crate) struct Foresight {
    disk: Disk,
    dir: PathBuf,
    premature: Mutex<Vec<String>>,
}

impl Foresight {
    pub(crate) fn new(disk: &Disk, dir: &Path) -> Arc<Self> {
        Arc::new(Self { disk: disk.clone(), dir: dir.to_owned(), premature: Mutex::default() })
    }

    /// The attempts that began too early.
    pub(crate) fn premature(&self) -> Vec<String> {
        self.premature.lock().unwrap().clone()
    }

    fn is_on_disk(&self, info: &AttemptInfo) -> bool {
        let left = scratch();
        restore(&self.disk.stable_files(), &self.dir, left.path());
        let Ok(reader) = JournalReader::open(left.path()) else { return false };
        let attempt = info.attempt;
        #[expect(clippy::wildcard_enum_match_arm, reason = "no other event begins an attempt")]
        reader.records_of(attempt.run).map_while(Result::ok).any(|record| match record.event {
            Event::ActivityScheduled { command, .. } => (command, 1) == (attempt.command, attempt.number),
            Event::ActivityStarted { command, attempt: number } => (command, number) == (attempt.command, attempt.number),
            _ => false,
        })
    }
}

/// Writes the log of a journal into another directory.
fn restore(files: &BTreeMap<PathBuf, Vec<u8>>, from: &Path, to: &Path) {
    std::fs::create_dir(to.join("log")).unwrap();
    for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with(from.join("log"))) {
        std::fs::write(to.join(path.strip_prefix(from).unwrap()), bytes).unwrap();
    }
}

impl AttemptHook for Foresight {
    fn before(&self, info: &AttemptInfo) -> Before {
        if !self.is_on_disk(info) {
            self.premature.lock().unwrap().push(format!("{info:?}"));
        }
        Before::Proceed
    }
}
