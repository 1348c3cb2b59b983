//! Workflows and how they end, and the registry in which a binary lists what it can run.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::activity::{Activity, ActivityContext, ActivityError, Effect, Probe};
use crate::context::WorkflowContext;
use crate::json::Json;

/// What a workflow returns.
pub type WorkflowResult<T> = Result<T, WorkflowError>;

/// Why a workflow, or a step of it, did not come to its good end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkflowError {
    /// An activity failed for good.
    #[error("{summary}: {error}")]
    Activity {
        /// What it was to do.
        summary: String,
        /// Why it failed.
        error: ActivityError,
    },
    /// A person asked to cancel the run.
    #[error("cancelled")]
    Cancelled,
    /// A person rejected a gate.
    #[error("{by} rejected gate {gate}{}", .reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    Rejected {
        /// The gate.
        gate: String,
        /// Who.
        by: String,
        /// Why.
        reason: Option<String>,
    },
    /// The procedure itself found that it can't go on.
    #[error("{0}")]
    Failed(String),
}

pub(crate) type WorkflowFuture = Pin<Box<dyn Future<Output = WorkflowResult<Json>> + Send>>;
type WorkflowFn = Arc<dyn Fn(WorkflowContext, &Json) -> Result<WorkflowFuture, serde_json::Error> + Send + Sync>;

/// A workflow as a binary knows it.
#[derive(Clone)]
pub(crate) struct WorkflowEntry {
    pub(crate) revision: u32,
    pub(crate) make: WorkflowFn,
}

/// A pinned attempt's future with its recorded result.
pub(crate) type AttemptFuture = Pin<Box<dyn Future<Output = Result<Json, ActivityError>> + Send>>;
pub(crate) type ProbeFuture = Pin<Box<dyn Future<Output = Result<Probe<Json>, ActivityError>> + Send>>;

/// What the worker hands to an attempt besides its world.
#[derive(Clone)]
pub(crate) struct AttemptSetting {
    pub(crate) attempt: crate::activity::Attempt,
    pub(crate) clock: Arc<dyn crate::time::Clock>,
    pub(crate) progress: Arc<dyn Fn(String) + Send + Sync>,
}

type RunFn = Arc<dyn Fn(&Json, AttemptSetting) -> Result<AttemptFuture, serde_json::Error> + Send + Sync>;
type RequestsFn = Arc<dyn Fn(&Json) -> Vec<String> + Send + Sync>;
type ProbeFn = Arc<dyn Fn(&Json, AttemptSetting) -> Result<ProbeFuture, serde_json::Error> + Send + Sync>;

/// An activity as a binary knows it.
#[derive(Clone)]
pub(crate) struct ActivityEntry {
    pub(crate) run: RunFn,
    pub(crate) probe: ProbeFn,
    requests: RequestsFn,
    assumed: fn(&Json) -> Result<Option<Json>, serde_json::Error>,
    check_output: fn(&Json) -> Result<Json, serde_json::Error>,
}

/// The workflows and activities that a binary can run.
#[derive(Clone, Default)]
pub struct Registry {
    workflows: BTreeMap<&'static str, WorkflowEntry>,
    activities: BTreeMap<&'static str, ActivityEntry>,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a workflow: a plain async function of a context and an input. `revision` grows with each change to its commands.
    #[must_use]
    pub fn workflow<I, O, F, Fut>(mut self, name: &'static str, revision: u32, function: F) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(WorkflowContext, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = WorkflowResult<O>> + Send + 'static,
    {
        let make: WorkflowFn = Arc::new(move |ctx, input| {
            let run = function(ctx, input.to()?);
            Ok(async move { record_output(&run.await?) }.boxed())
        });
        self.workflows.insert(name, WorkflowEntry { revision, make });
        self
    }

    /// Adds an activity, which works on `world`.
    #[must_use]
    pub fn activity<A: Activity>(mut self, world: &Arc<A::World>) -> Self {
        let (running, probing) = (world.clone(), world.clone());
        let run: RunFn = Arc::new(move |input, setting| {
            let activity: A = input.to()?;
            let cx = context(&running, setting);
            Ok(async move { record_result(&activity.run(cx).await?) }.boxed())
        });
        let probe: ProbeFn = Arc::new(move |input, setting| {
            let activity: A = input.to()?;
            let cx = context(&probing, setting);
            Ok(async move { record_probe(activity.probe(cx).await?) }.boxed())
        });
        let requests: RequestsFn = Arc::new(|input| input.to::<A>().map(|activity| activity.requests()).unwrap_or_default());
        self.activities.insert(
            A::NAME.as_str(),
            ActivityEntry { run, probe, requests, assumed: assumed::<A>, check_output: check_output::<A> },
        );
        self
    }

    /// The exact requests that an activity makes to the outside.
    pub fn requests(&self, activity: &str, input: &Json) -> Vec<String> {
        self.activities.get(activity).map(|entry| (entry.requests)(input)).unwrap_or_default()
    }

    /// What the result of an activity is taken to be when nobody looks: for a plan.
    pub fn foresee(&self, activity: &str, input: &Json) -> Option<Json> {
        self.assumed(activity, input)?.ok()?
    }

    /// Makes one attempt of an activity outside of any run: a look, for a plan. Its clock is the one given.
    ///
    /// # Errors
    /// The activity's own, or that this build does not have it.
    pub async fn look(&self, activity: &str, input: &Json, clock: Arc<dyn crate::time::Clock>) -> Result<Json, ActivityError> {
        let unknown = || ActivityError::permanent("unknown-activity", format!("this build has no activity {activity}"));
        let entry = self.activities.get(activity).ok_or_else(unknown)?;
        let attempt = crate::activity::Attempt {
            run: crate::ids::RunId::from_bytes([0; 16]),
            command: crate::ids::CommandId(0),
            number: 1,
        };
        let setting = AttemptSetting { attempt, clock, progress: Arc::new(|_| {}) };
        let unreadable = |e| ActivityError::permanent("unreadable-input", format!("the input of {activity} can't be read: {e}"));
        (entry.run)(input, setting).map_err(unreadable)?.await
    }

    /// The registered workflow names, sorted.
    pub fn workflow_names(&self) -> impl Iterator<Item = &'static str> {
        self.workflows.keys().copied()
    }

    /// The revision of a registered workflow.
    pub fn revision(&self, workflow: &str) -> Option<u32> {
        self.workflows.get(workflow).map(|entry| entry.revision)
    }

    /// Whether this binary has an activity.
    pub fn has_activity(&self, name: &str) -> bool {
        self.activities.contains_key(name)
    }

    pub(crate) fn find_workflow(&self, name: &str) -> Option<&WorkflowEntry> {
        self.workflows.get(name)
    }

    /// What the result of an activity is if a person says that it is done; `None` if this binary does not have it.
    pub(crate) fn assumed(&self, activity: &str, input: &Json) -> Option<Result<Option<Json>, serde_json::Error>> {
        self.activities.get(activity).map(|entry| (entry.assumed)(input))
    }

    /// A result that a person gives, as the activity would have recorded it; `None` if this binary does not have it.
    pub(crate) fn check_output(&self, activity: &str, output: &Json) -> Option<Result<Json, serde_json::Error>> {
        self.activities.get(activity).map(|entry| (entry.check_output)(output))
    }

    pub(crate) fn find_activity(&self, name: &str) -> Option<&ActivityEntry> {
        self.activities.get(name)
    }
}

fn assumed<A: Activity>(input: &Json) -> Result<Option<Json>, serde_json::Error> {
    input.to::<A>()?.assumed().map(|output| Json::of(&output)).transpose()
}

fn check_output<A: Activity>(output: &Json) -> Result<Json, serde_json::Error> {
    Json::of(&output.to::<A::Output>()?)
}

fn context<W>(world: &Arc<W>, setting: AttemptSetting) -> ActivityContext<W> {
    ActivityContext::new(world.clone(), setting.attempt, setting.clock, setting.progress)
}

fn record_output<O: Serialize>(output: &O) -> WorkflowResult<Json> {
    Json::of(output).map_err(|e| WorkflowError::Failed(format!("the result can't be recorded: {e}")))
}

fn record_result<O: Serialize>(output: &O) -> Result<Json, ActivityError> {
    // The effect took place, so a result that can't be written down leaves it in doubt.
    Json::of(output).map_err(|e| ActivityError::unknown("unrecordable", format!("the result can't be recorded: {e}")))
}

fn record_probe<O: Serialize>(probe: Probe<O>) -> Result<Probe<Json>, ActivityError> {
    Ok(match probe {
        Probe::Happened { output, evidence } => Probe::Happened { output: record_result(&output)?, evidence },
        Probe::DidNotHappen(seen) => Probe::DidNotHappen(seen),
        Probe::CannotTell(seen) => Probe::CannotTell(seen),
    })
}

/// The facts of an activity that a workflow asks for.
pub(crate) struct AskedActivity {
    pub(crate) name: &'static str,
    pub(crate) class: Effect,
    pub(crate) input: Json,
    pub(crate) summary: String,
    pub(crate) approval: Option<String>,
    pub(crate) options: crate::context::ActivityOptions,
}
