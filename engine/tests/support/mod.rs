//! A bench for worker tests: a journal in memory, a world that records what is done to it, and a paused clock.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::control::{Refusal, Request, What, record_offline_with};
use windlass_engine::journal::{Journal, MemoryJournal};
use windlass_engine::{
    Activity, ActivityContext, ActivityError, ActivityName, Clock, Effect, Event, Json, OpenRun, ParkReason, Probe, Record,
    Registry, RunEnd, RunId, Timestamp, TokioClock, Until, Worker, WorkerHandle, WorkerOptions, WorkflowContext, WorkflowResult,
};

/// How a touch behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    Plain,
    Refused,
    /// Takes effect after two seconds.
    Slow,
    /// Takes effect and then never answers.
    HangAfter,
    /// Never answers and takes no effect.
    HangBefore,
    /// As `HangAfter`, and the probe sees nothing.
    HangBlind,
    /// Takes effect, and the reply is lost.
    LoseReply,
    /// The request is lost.
    LoseRequest,
}

/// What the activities of these tests work on.
#[derive(Default)]
pub struct World {
    touched: Mutex<Vec<String>>,
    once: Mutex<Option<Mode>>,
    blind: AtomicBool,
    quick: AtomicBool,
    silent: AtomicBool,
    attempts: AtomicU32,
}

impl World {
    pub fn set_once(&self, mode: Mode) {
        self.blind.store(mode == Mode::HangBlind, Ordering::Relaxed);
        *self.once.lock().unwrap() = Some(mode);
    }

    pub fn make_quick(&self) {
        self.quick.store(true, Ordering::Relaxed);
    }

    pub fn darken(&self, dark: bool) {
        self.blind.store(dark, Ordering::Relaxed);
    }

    pub fn fall_silent(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    fn touch(&self, name: &str) {
        self.touched.lock().unwrap().push(name.to_owned());
    }
}

/// Touches the world once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Touch {
    pub name: String,
    pub mode: Mode,
}

pub fn touch(name: &str) -> Touch {
    Touch { name: name.to_owned(), mode: Mode::Plain }
}

/// One type for each class, because the class belongs to the type.
macro_rules! touching {
    ($type:ident, $name:literal, $effect:ident) => {
        #[derive(Clone, Serialize, Deserialize)]
        pub struct $type(pub Touch);

        impl Activity for $type {
            const NAME: ActivityName = ActivityName::new($name);
            const EFFECT: Effect = Effect::$effect;
            type World = World;
            type Output = u32;

            fn summary(&self) -> String {
                self.0.name.clone()
            }

            async fn run(self, cx: ActivityContext<World>) -> Result<u32, ActivityError> {
                act(&self.0, &cx).await
            }

            async fn probe(&self, cx: ActivityContext<World>) -> Result<Probe<u32>, ActivityError> {
                Ok(look(&self.0, &cx))
            }

            fn assumed(&self) -> Option<u32> {
                Some(0)
            }
        }
    };
}

touching!(DeclareTouch, "declare-touch", Declare);
touching!(OnceTouch, "once-touch", Once);
touching!(IrreversibleTouch, "irreversible-touch", Irreversible);

async fn act(touch: &Touch, cx: &ActivityContext<World>) -> Result<u32, ActivityError> {
    let world = cx.world();
    let mode = world.once.lock().unwrap().take().unwrap_or(touch.mode);
    match mode {
        Mode::Refused => return Err(ActivityError::permanent("refused", "the world said no")),
        Mode::HangBefore => std::future::pending().await,
        Mode::Slow => cx.sleep(Duration::from_secs(2)).await,
        Mode::LoseRequest => return Err(ActivityError::unknown("reset", "connection reset")),
        Mode::Plain | Mode::HangAfter | Mode::HangBlind | Mode::LoseReply => {}
    }
    world.touch(&touch.name);
    match mode {
        Mode::HangAfter | Mode::HangBlind => std::future::pending().await,
        Mode::LoseReply => Err(ActivityError::unknown("reset", "connection reset")),
        _ => Ok(cx.attempt().number),
    }
}

fn look(touch: &Touch, cx: &ActivityContext<World>) -> Probe<u32> {
    let world = cx.world();
    if world.blind.load(Ordering::Relaxed) {
        return Probe::CannotTell("the world is dark".to_owned());
    }
    let there = world.touched.lock().unwrap().contains(&touch.name);
    if there {
        Probe::Happened { output: cx.attempt().number, evidence: "its mark is there".to_owned() }
    } else {
        Probe::DidNotHappen("no mark".to_owned())
    }
}

/// Waits on the clock and says so once a minute.
#[derive(Clone, Serialize, Deserialize)]
pub struct Wait {
    pub seconds: u64,
}

impl Activity for Wait {
    const NAME: ActivityName = ActivityName::new("wait");
    const EFFECT: Effect = Effect::Observe;
    type World = World;
    type Output = u32;

    fn summary(&self) -> String {
        format!("wait {} s", self.seconds)
    }

    async fn run(self, cx: ActivityContext<World>) -> Result<u32, ActivityError> {
        cx.world().attempts.fetch_add(1, Ordering::Relaxed);
        for minute in 0..self.seconds / 60 {
            if cx.world().quick.load(Ordering::Relaxed) {
                break;
            }
            cx.sleep(Duration::from_secs(60)).await;
            if !cx.world().silent.load(Ordering::Relaxed) {
                cx.progress(format!("minute {minute}"));
            }
        }
        Ok(cx.world().attempts.load(Ordering::Relaxed))
    }
}

/// A request of somebody who says why.
pub fn signed(run: RunId, what: What) -> Request {
    Request { run, by: "tester".to_owned(), reason: Some("because".to_owned()), what }
}

/// Everything that a test of the worker needs.
pub struct Bench {
    pub journal: MemoryJournal,
    pub world: Arc<World>,
    clock: Arc<dyn Clock>,
    begun: Timestamp,
    registry: Registry,
    crash_at: Option<u64>,
}

impl Bench {
    pub fn new(workflows: impl FnOnce(Registry) -> Registry) -> Self {
        let world = Arc::new(World::default());
        let registry = workflows(Registry::new())
            .activity::<DeclareTouch>(&world)
            .activity::<OnceTouch>(&world)
            .activity::<IrreversibleTouch>(&world)
            .activity::<Wait>(&world);
        let begun = Timestamp::from_micros(1_800_000_000_000_000);
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(begun));
        Self { journal: MemoryJournal::new(), world, clock, begun, registry, crash_at: None }
    }

    /// The same journal and world under a build in which one workflow is another function.
    pub fn with_workflow<O, F, Fut>(&self, name: &'static str, function: F) -> Self
    where
        O: Serialize,
        F: Fn(WorkflowContext, ()) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = WorkflowResult<O>> + Send + 'static,
    {
        Self {
            journal: self.journal.clone(),
            world: self.world.clone(),
            clock: self.clock.clone(),
            begun: self.begun,
            registry: self.registry.clone().workflow(name, 2, function),
            crash_at: None,
        }
    }

    /// Lets the worker crash instead of making its append of that number, from 1.
    pub fn crash_at_append(mut self, append: u64) -> Self {
        self.crash_at = Some(append);
        self
    }

    fn worker(&self, until: Until) -> Worker {
        let options = WorkerOptions { until, ..WorkerOptions::default() };
        let journal = self.journal.reopen();
        if let Some(append) = self.crash_at {
            journal.fail_after(append - 1);
        }
        Worker::new(Box::new(journal), self.registry.clone(), self.clock.clone(), options)
    }

    /// A worker on another journal, set up otherwise.
    pub fn worker_on(&self, journal: Box<dyn Journal>, options: WorkerOptions) -> Worker {
        Worker::new(journal, self.registry.clone(), self.clock.clone(), options)
    }

    pub fn start_request(&self, workflow: &str, number: u8) -> Request {
        let what = What::Start {
            workflow: workflow.to_owned(),
            revision: 1,
            build: "test".to_owned(),
            input: Json::null(),
            cluster: None,
            approvals: Vec::new(),
            plan: None,
        };
        Request { run: RunId::new(self.clock.now(), [number; 10]), by: "tester".to_owned(), reason: None, what }
    }

    /// Starts a run and drives it until it ends, parks, or waits for a person. A crash of the journal ends it too.
    pub async fn start(&self, workflow: &str) -> RunId {
        let request = self.start_request(workflow, u8::try_from(self.journal.appends() % 200).unwrap());
        let (run, worker) = (request.run, self.worker(Until::Settled));
        let handle = worker.handle();
        let _ = futures::future::join(handle.tell(request), worker.run()).await;
        run
    }

    /// Starts a run and tells it more in the same turn of the worker.
    pub async fn start_and_tell(&self, workflow: &str, more: Vec<What>) -> RunId {
        let request = self.start_request(workflow, 6);
        let (run, worker) = (request.run, self.worker(Until::Settled));
        let handle = worker.handle();
        let requests = std::iter::once(request).chain(more.into_iter().map(|what| signed(run, what)));
        let tells = futures::future::join_all(requests.map(|request| handle.tell(request)));
        futures::future::join(tells, worker.run()).await.1.unwrap();
        run
    }

    pub async fn start_many(&self, workflow: &str, count: u8) {
        let worker = self.worker(Until::Settled);
        let handle = worker.handle();
        let starts = futures::future::join_all((0..count).map(|n| handle.tell(self.start_request(workflow, n))));
        futures::future::join(starts, worker.run()).await.1.unwrap();
    }

    /// Starts a run and tells the worker to stop a second later, as Ctrl-C does.
    pub async fn start_and_stop(&self, workflow: &str) -> RunId {
        let request = self.start_request(workflow, 8);
        let (run, worker) = (request.run, self.worker(Until::Stopped));
        let handle = worker.handle();
        let stopped = async {
            handle.tell(request).await.unwrap().unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            handle.stop();
        };
        futures::future::join(stopped, worker.run()).await.1.unwrap();
        run
    }

    /// Starts a run and drops the worker ten seconds later, as a crash does.
    pub async fn start_and_kill(&self, workflow: &str) -> RunId {
        let request = self.start_request(workflow, 7);
        let (run, worker) = (request.run, self.worker(Until::Stopped));
        let handle = worker.handle();
        let driving = tokio::spawn(worker.run());
        handle.tell(request).await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        driving.abort();
        let _ = driving.await;
        run
    }

    pub async fn resume(&self) {
        self.worker(Until::Settled).run().await.unwrap();
    }

    /// Tells something to a run that no worker drives, then drives it on.
    pub async fn tell(&self, run: RunId, what: What) {
        self.try_tell(run, what).unwrap();
        self.resume().await;
    }

    pub fn try_tell(&self, run: RunId, what: What) -> Result<(), Refusal> {
        self.record(&Request { run, by: "tester".to_owned(), reason: None, what })
    }

    /// Overrides something in a run that no worker drives.
    pub fn override_as(&self, run: RunId, what: What) -> Result<(), Refusal> {
        self.record(&signed(run, what))
    }

    fn record(&self, request: &Request) -> Result<(), Refusal> {
        record_offline_with(&mut self.journal.reopen(), &self.registry, request, self.clock.now()).unwrap()
    }

    /// Starts a run under a worker that stays, and does something with both.
    pub async fn with_worker<T, Fut: Future<Output = T>>(
        &self,
        workflow: &str,
        act: impl FnOnce(WorkerHandle, RunId) -> Fut,
    ) -> T {
        let request = self.start_request(workflow, 9);
        let (run, worker) = (request.run, self.worker(Until::Stopped));
        let handle = worker.handle();
        let acting = async {
            handle.tell(request).await.unwrap().unwrap();
            let result = act(handle.clone(), run).await;
            handle.stop();
            result
        };
        let (result, report) = futures::future::join(acting, worker.run()).await;
        report.unwrap();
        result
    }

    /// Drives on with a worker whose append of that number fails, from 1; `false` if it came to its end before.
    pub async fn resume_and_crash(&self, append: u64) -> bool {
        let options = WorkerOptions { until: Until::Settled, ..WorkerOptions::default() };
        let journal = self.journal.reopen();
        journal.fail_after(append - 1);
        Worker::new(Box::new(journal), self.registry.clone(), self.clock.clone(), options).run().await.is_err()
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    pub fn records(&self, run: RunId) -> Vec<Record> {
        let mut records = Vec::new();
        self.journal
            .reopen()
            .replay(run, &mut |record| {
                records.push(record);
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        records
    }

    /// The names of a run's events with their commands, without the resumes.
    pub fn history(&self, run: RunId) -> String {
        let lines = self.records(run).into_iter().filter_map(|record| {
            let json = serde_json::to_value(&record.event).unwrap();
            let (name, fields) = json.as_object().and_then(|o| o.iter().next()).unwrap();
            let command = fields.get("command").map(|c| format!(" #{c}")).unwrap_or_default();
            (!matches!(record.event, Event::RunResumed { .. })).then(|| format!("{name}{command}"))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Where a run stands, in one line.
    pub fn state(&self, run: RunId) -> String {
        let records = self.records(run);
        let Some(state) = OpenRun::fold(&records) else { return "unknown".to_owned() };
        if let Some(pause) = &state.paused {
            let parked = if state.parked.is_some() { ", and parked" } else { "" };
            return format!("paused by {}: {}{parked}", pause.by, pause.reason);
        }
        match (&state.ended, &state.parked) {
            (Some(RunEnd::Completed(output)), _) => format!("completed {output}"),
            (Some(RunEnd::Failed(error)), _) => format!("failed: {error}"),
            (Some(RunEnd::Cancelled(error)), _) => format!("cancelled: {error}"),
            (None, Some(ParkReason::RetriesExhausted { summary, attempts, error, .. })) => {
                format!("parked: {summary}: {error} ({attempts} attempts)")
            }
            (None, Some(ParkReason::InDoubt { summary, evidence, .. })) => format!("parked: {summary}: in doubt: {evidence}"),
            (None, Some(ParkReason::Nondeterminism { message } | ParkReason::Unsupported { message })) => {
                format!("parked: {message}")
            }
            (None, None) => match state.open_gates().next() {
                Some(gate) => format!("waits at {gate}"),
                None => "running".to_owned(),
            },
        }
    }

    pub fn held(&self, run: RunId) -> Vec<String> {
        OpenRun::fold(&self.records(run)).unwrap().held.into_keys().collect()
    }

    pub fn touched(&self) -> Vec<String> {
        self.world.touched.lock().unwrap().clone()
    }

    pub fn commits(&self) -> u64 {
        self.journal.appends()
    }

    pub fn elapsed(&self) -> Duration {
        self.clock.now().since(self.begun)
    }

    pub fn elapsed_days(&self) -> u64 {
        self.elapsed().as_secs() / 86_400
    }
}
