//! A simulated cluster, a journal in memory and a paused clock, on which one run is driven through any number of crashes.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeZone, Utc};
use serde_json::Value;
use tempfile::TempDir;
use windlass_activities::estimate::Estimates;
use windlass_activities::inventory::Inventory;
use windlass_activities::openstack::{CloudAccess, Secret};
use windlass_activities::{Cluster, Settings};
use windlass_engine::control::{Refusal, Request, What, record_offline, record_offline_with};
use windlass_engine::journal::{Journal, MemoryJournal};
use windlass_engine::{
    AttemptHook, Clock, Event, Json, OpenRun, Progress, Record, Registry, RunId, Timestamp, Until, Update, Worker, WorkerError,
    WorkerHandle, WorkerOptions,
};
use windlass_sim::check::CloudBaseline;
use windlass_sim::kube_ovn::Backend;
use windlass_sim::{ClusterShape, Scenario, Sim, SimClock};
use windlass_workflows::foresight::draft;
use windlass_workflows::planning::{Findings, plan};

/// The cluster's time as the worker's: when it jumps, the worker's machine slept.
pub(crate) struct SimulatedTime(pub(crate) SimClock);

impl Clock for SimulatedTime {
    fn now(&self) -> Timestamp {
        self.0.now().into()
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.sleep_until(at.to_datetime()))
    }

    fn speed(&self) -> f64 {
        self.0.speed()
    }
}

/// A run's surroundings. Must be made on a paused current-thread runtime, unless the databases are real: those take real time.
pub struct Stage {
    /// The cluster; it lives through every crash of the worker.
    pub sim: Sim,
    /// The cloud under it as it was in the beginning, where there is one.
    pub cloud: Option<CloudBaseline>,
    /// The journal; it lives through every crash too.
    pub journal: MemoryJournal,
    clock: Arc<dyn Clock>,
    workflow: &'static str,
    run: RunId,
    files: TempDir,
    /// The worker that was started last.
    worker: Mutex<Option<WorkerHandle>>,
    said: Mutex<Vec<String>>,
}

/// Where a run stands after it was driven as far as it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The workflow returned.
    Completed,
    /// It gave up or was cancelled, and said this.
    Failed(String),
    /// It is parked, for this reason.
    Parked(String),
    /// It waits at these gates.
    AtGates(Vec<String>),
    /// It stopped otherwise; a bug.
    Stuck(String),
}

/// The login at the cloud under a simulated cluster, where there is one.
pub fn cloud_access(sim: &Sim) -> Option<CloudAccess> {
    let account = sim.openstack()?.account();
    let url = format!("http://openstack.sim{}", account.auth_path);
    let secret = Secret::new(account.application_credential_secret);
    Some(CloudAccess::application(&url, &account.application_credential_id, secret))
}

impl Stage {
    /// Sets the stage.
    pub fn new(workflow: &'static str, shape: ClusterShape, scenario: Scenario) -> Self {
        Self::beginning_at(epoch(), workflow, shape, scenario)
    }

    /// As [`Stage::new`], at another time.
    pub fn beginning_at(epoch: DateTime<Utc>, workflow: &'static str, shape: ClusterShape, scenario: Scenario) -> Self {
        let sim = Sim::start(shape, scenario, SimClock::new(epoch, 1.0)).expect("the shape can be built");
        Self::around(sim, workflow)
    }

    /// As [`Stage::new`], with OVN's databases run by this backend, on a clock that runs at this speed.
    pub fn on_backend(workflow: &'static str, shape: ClusterShape, speed: f64, backend: Arc<dyn Backend>) -> Self {
        let clock = SimClock::new(epoch(), speed);
        let sim = Sim::start_with(shape, Scenario::default(), clock, backend).expect("the shape can be built");
        Self::around(sim, workflow)
    }

    fn around(sim: Sim, workflow: &'static str) -> Self {
        let epoch = sim.clock().epoch();
        let clock: Arc<dyn Clock> = Arc::new(SimulatedTime(sim.clock().clone()));
        let run = RunId::new(Timestamp::from(epoch), [7; 10]);
        let files = tempfile::tempdir().expect("a folder can be made");
        let cloud = sim.openstack().map(CloudBaseline::of);
        Self {
            sim,
            cloud,
            journal: MemoryJournal::new(),
            clock,
            workflow,
            run,
            files,
            worker: Mutex::default(),
            said: Mutex::default(),
        }
    }

    /// The clock of the worker; it shows what the cluster's shows.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The run's id.
    pub fn run_id(&self) -> RunId {
        self.run
    }

    fn settings(&self) -> Settings {
        Settings::simulated(self.clock.clone()).with_cloud(cloud_access(&self.sim))
    }

    /// A new worker process: its own connection, its own watches, nothing remembered. It drives the run as far as it goes, or until
    /// its journal refuses an append; `first` creates the run.
    pub async fn drive(
        &self,
        journal: Box<dyn Journal>,
        first: Option<Request>,
        hook: Option<Arc<dyn AttemptHook>>,
    ) -> anyhow::Result<()> {
        let client = kube::Client::new(self.sim.service(), "default");
        let cluster = Arc::new(Cluster::from_client(client, self.settings()).await?);
        cluster.keep_files_in(self.files.path().to_owned());
        let options = WorkerOptions { until: Until::Settled, hook, ..WorkerOptions::default() };
        let registry = windlass_workflows::register(Registry::new(), &cluster);
        let worker = Worker::new(journal, registry, self.clock.clone(), options);
        let handle = worker.handle();
        *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle.clone());
        let told = async {
            if let Some(request) = first {
                // A crash at the very first append leaves nobody to answer.
                let _ = handle.tell(request).await;
            }
        };
        let mut updates = worker.handle().watch();
        let ((), driven) = futures::future::join(told, async {
            let driven = worker.run();
            tokio::pin!(driven);
            loop {
                tokio::select! {
                    biased;
                    update = updates.recv() => self.hear(update.ok()),
                    driven = &mut driven => break driven,
                }
            }
        })
        .await;
        while let Ok(update) = updates.try_recv() {
            self.hear(Some(update));
        }
        crashed_or_done(driven)
    }

    fn hear(&self, update: Option<Update>) {
        if let Some(Update::Progress(Progress { text, .. })) = update {
            self.said.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
    }

    /// What the attempts of all workers said of their progress so far: the words that `status` shows.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What creates the run, with its gates approved in advance.
    pub fn creation(&self, input: &Value, approvals: &[String]) -> anyhow::Result<Request> {
        Ok(self.request(What::Start {
            workflow: self.workflow.to_owned(),
            revision: windlass_workflows::CATALOGUE.iter().find(|known| known.0 == self.workflow).map_or(1, |known| known.1),
            build: "test".to_owned(),
            input: Json::of(input)?,
            cluster: None,
            approvals: approvals.to_vec(),
            plan: None,
        }))
    }

    /// Starts the run on the journal in memory, which takes so many appends before the worker crashes.
    pub async fn start(
        &self,
        input: &Value,
        approvals: &[String],
        crash_after: Option<u64>,
        hook: Option<Arc<dyn AttemptHook>>,
    ) -> anyhow::Result<()> {
        let journal = self.journal.reopen();
        if let Some(appends) = crash_after {
            journal.fail_after(appends);
        }
        self.drive(Box::new(journal), Some(self.creation(input, approvals)?), hook).await
    }

    /// A new worker takes up what the last one left, and drives it as far as it goes.
    pub async fn resume(&self, hook: Option<Arc<dyn AttemptHook>>) -> anyhow::Result<()> {
        self.drive(Box::new(self.journal.reopen()), None, hook).await
    }

    /// Tells the run something while no worker drives it.
    pub fn tell(&self, what: What) -> anyhow::Result<Result<(), Refusal>> {
        Ok(record_offline(&mut self.journal.reopen(), &self.request(what), self.clock.now())?)
    }

    /// As [`Stage::tell`], with a reason, and to the worker if one drives the run.
    pub async fn tell_why(&self, what: What, reason: &str) -> anyhow::Result<Result<(), Refusal>> {
        let request = Request { reason: Some(reason.to_owned()), ..self.request(what) };
        let worker = self.worker();
        if let Some(worker) = worker
            && let Ok(answer) = worker.tell(request.clone()).await
        {
            return Ok(answer);
        }
        let registry = windlass_workflows::register(Registry::new(), &Arc::new(Cluster::absent()));
        Ok(record_offline_with(&mut self.journal.reopen(), &registry, &request, self.clock.now())?)
    }

    /// What the attempts in flight last said, as `windlass status` shows it; nothing if no worker drives the run.
    pub async fn progress(&self) -> Vec<String> {
        let Some(worker) = self.worker() else { return Vec::new() };
        worker.progress().await.unwrap_or_default().into_iter().map(|said| said.text).collect()
    }

    fn worker(&self) -> Option<WorkerHandle> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn request(&self, what: What) -> Request {
        Request { run: self.run, by: "tester".to_owned(), reason: None, what }
    }

    /// The run's history.
    pub fn history(&self) -> Vec<Record> {
        self.journal.records().into_iter().filter(|record| record.run == self.run).collect()
    }

    /// What is open in the run; `None` before its first event is on record.
    pub fn state(&self) -> Option<OpenRun> {
        OpenRun::fold(&self.history())
    }

    /// What was asked last at a gate; empty if it was never opened.
    pub fn question(&self, wanted: &str) -> String {
        let asked = self.history().into_iter().rev().find_map(|record| {
            let Event::GateOpened { gate, text, .. } = record.event else { return None };
            (gate == wanted).then_some(text)
        });
        asked.unwrap_or_default()
    }

    /// Approves an open gate, and drives the run on.
    pub async fn approve(&self, gate: &str) -> anyhow::Result<()> {
        self.tell(What::Approve { gate: gate.to_owned(), in_advance: false, seen: None, plan: None })??;
        self.resume(None).await
    }

    /// Where the run stands.
    pub fn ending(&self) -> Ending {
        let Some(state) = self.state() else { return Ending::Stuck("the run is not on record".to_owned()) };
        let gates: Vec<String> = state.open_gates().map(str::to_owned).collect();
        match (&state.ended, &state.parked) {
            (Some(windlass_engine::RunEnd::Completed(_)), _) => Ending::Completed,
            (Some(windlass_engine::RunEnd::Failed(error) | windlass_engine::RunEnd::Cancelled(error)), _) => {
                Ending::Failed(error.clone())
            }
            (None, Some(why)) => Ending::Parked(Json::of(why).map(|json| json.to_string()).unwrap_or_default()),
            (None, None) if !gates.is_empty() => Ending::AtGates(gates),
            (None, None) => Ending::Stuck(format!("open: {:?}", state.open)),
        }
    }

    /// What failed last, for whoever wonders about an ending.
    pub fn last_failure(&self) -> String {
        let failed = |record: &Record| {
            let event = &record.event;
            if let Event::ActivityFailed { error, .. } | Event::ActivityRetryScheduled { error, .. } = event {
                return Some(error.to_string());
            }
            None
        };
        self.history().iter().rev().find_map(failed).unwrap_or_else(|| "nothing failed".to_owned())
    }

    /// Every write that changed the cluster, in order: who repeats an effect repeats a line.
    pub fn effects(&self) -> Vec<String> {
        let records = self.sim.audit().records();
        let applied = records.into_iter().filter(|record| record.code < 300 && !record.path.contains("selfsubjectaccessreview"));
        applied.map(|record| format!("{} {} {}", record.verb, record.path, lasting(record.body, self.run))).collect()
    }

    /// The same without the pods that reach disks for a moment, and what is done in them.
    pub fn changes(&self) -> Vec<String> {
        let of_disks = |effect: &String| effect.contains("windlass-host-") || effect.contains("windlass.dev/step");
        self.effects().into_iter().filter(|effect| !of_disks(effect)).collect()
    }

    /// What a plan of a change of ovn-central says against it.
    pub async fn blockers(&self, input: &Value) -> anyhow::Result<Vec<String>> {
        let client = kube::Client::new(self.sim.service(), "default");
        let cluster = Arc::new(Cluster::from_client(client, self.settings()).await?);
        let (input, estimates) = (Json::of(input)?, Estimates::default());
        let draft = draft(&cluster, &self.clock, self.workflow, &input, &estimates).await;
        let draft = draft.map_err(|error| anyhow::anyhow!("there can be no plan: {error}"))?;
        let findings = Findings {
            workflow: self.workflow,
            cluster: "test",
            input: &input,
            draft: &draft,
            inventory: &Inventory::default(),
            estimates: &estimates,
            calendar: None,
            notes: Vec::new(),
            registry: &windlass_workflows::register(Registry::new(), &cluster),
        };
        Ok(plan(&findings).blockers)
    }

    /// How many attempts the history shows for each activity that was tried more than once.
    pub fn retries(&self) -> usize {
        self.history().iter().filter(|record| matches!(record.event, Event::ActivityRetryScheduled { .. })).count()
    }
}

/// A Monday morning; nothing depends on it but the text of timestamps.
fn epoch() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 2, 6, 0, 0).single().unwrap_or_default()
}

/// A journal that refuses to go on is the crash that was asked for.
fn crashed_or_done(result: Result<windlass_engine::WorkerReport, WorkerError>) -> anyhow::Result<()> {
    match result {
        Ok(_) | Err(WorkerError::Journal(windlass_engine::journal::JournalError::SyncFailed { .. })) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

/// A request's body without what differs from one telling to the next: preconditions and the run's own id.
fn lasting(mut body: Value, run: RunId) -> String {
    if let Value::Array(operations) = &mut body {
        operations.retain(|operation| operation["op"] != "test");
    }
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
    body.to_string().replace(&run.to_string(), "RUN")
}
