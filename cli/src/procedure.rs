//! The workflows as the command line knows them: their arguments, and the way from arguments to a plan and an input.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use windlass_activities::admin_ack::ReadGates;
use windlass_activities::machine_health::ListHealthChecks;
use windlass_activities::pool::ListPools;
use windlass_activities::preflight::Preflight;
use windlass_activities::release::{Minor, ResolvePath};
use windlass_activities::{Channel, Cluster, ConnectError, Connection, Settings};
use windlass_engine::{
    Activity, ActivityContext, ActivityError, Attempt, Clock, CommandId, Event, FailureKind, Json, Registry, RunId,
};
use windlass_workflows::eus_plan::{EusSurvey, plan};
use windlass_workflows::eus_update::EusUpdate;
use windlass_workflows::{EUS_UPDATE, Plan};

use crate::app::App;
use crate::failure::{Failure, Kind};

/// The workflows.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Procedure {
    /// From one EUS release to the next, with one reboot of each worker
    EusUpdate(EusUpdateArgs),
}

/// What an EUS-to-EUS update is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct EusUpdateArgs {
    /// The minor release to arrive at, two after the present one: 4.18
    #[arg(long, value_name = "MINOR")]
    to: Option<String>,
    /// The update channel [default: eus-MINOR]
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// How many days the pools may stay paused; certificates must outlast them
    #[arg(long, value_name = "DAYS", default_value_t = 60)]
    pause_days: u32,
}

/// A plan, and the input of the run that carries it out.
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) input: Json,
    pub(crate) revision: u32,
}

/// The signal under which a run is told the plan that a person agreed to.
pub(crate) const PLAN_SIGNAL: &str = "plan";

impl Procedure {
    /// The registered name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::EusUpdate(_) => EUS_UPDATE,
        }
    }

    /// Fills in what a rehearsal need not be told.
    pub(crate) fn for_cluster_at(&mut self, version: &str) {
        let Self::EusUpdate(args) = self;
        if let (None, Ok(here)) = (&args.to, version.rsplit_once('.').map_or(version, |(minor, _)| minor).parse::<Minor>()) {
            args.to = Some(here.plus(2).to_string());
        }
    }

    /// Reads the cluster and resolves every fact; changes nothing.
    pub(crate) async fn prepare(&self, cluster: &Arc<Cluster>, clock: &Arc<dyn Clock>) -> Result<Prepared, Failure> {
        let Self::EusUpdate(args) = self;
        let asked = args.to.as_ref().ok_or_else(|| {
            Failure::usage("eus-update needs the minor release to arrive at", "add --to, for instance: --to 4.18")
        })?;
        let target: Minor =
            asked.parse().map_err(|_| Failure::usage(format!("{asked:?} is no minor release"), "write it as in: --to 4.18"))?;
        let channel = args.channel.clone().map_or_else(|| Channel::new(format!("eus-{target}")), Channel::new);
        let look = Survey { cluster, clock };
        let path = look.at(ResolvePath { channel: channel.clone(), target, accept_risks: Vec::new() }).await?;
        let pause_days = args.pause_days;
        let survey = EusSurvey {
            cluster: cluster.id().to_string(),
            preflight: look.at(Preflight::new(target, pause_days)).await?,
            pools: look.at(ListPools {}).await?,
            health_checks: look.at(ListHealthChecks {}).await?,
            gates: look.at(ReadGates {}).await?,
            path: path.clone(),
        };
        let input = Json::of(&EusUpdate { channel, target, pause_days, planned: Some(path) });
        let input =
            input.map_err(|e| Failure::new(Kind::Failed, format!("the input can't be written down: {e}"), "plan again"))?;
        let registry = windlass_workflows::register(Registry::new(), cluster);
        Ok(Prepared { plan: plan(&survey), input, revision: registry.revision(EUS_UPDATE).unwrap_or(1) })
    }
}

impl Prepared {
    /// Stops when something on the cluster blocks the run.
    pub(crate) fn refuse_blocked(&self) -> Result<(), Failure> {
        match self.plan.blockers.as_slice() {
            [] => Ok(()),
            blockers => Err(Failure::with_advice(
                Kind::Failed,
                &format!("{} can't begin on this cluster: {}", self.plan.workflow, blockers.join(" | ")),
                "mend what blocks, then plan again",
            )),
        }
    }

    /// The gates that are approved in advance.
    pub(crate) fn approvals(&self, yes: bool, named: &[String]) -> Result<Vec<String>, Failure> {
        let gates = self.plan.gates();
        if let Some(unknown) = named.iter().find(|name| !gates.contains(name)) {
            let next =
                if gates.is_empty() { "leave --approve out".to_owned() } else { format!("its gates are: {}", gates.join(", ")) };
            return Err(Failure::usage(format!("the plan has no gate {unknown}"), next));
        }
        Ok(if yes { gates } else { named.to_vec() })
    }
}

/// What this binary knows of workflows and activities, without a cluster to drive them on.
pub(crate) fn catalogue() -> Registry {
    windlass_workflows::register(Registry::new(), &Arc::new(Cluster::absent()))
}

/// The plan that an event tells a run, if it does.
pub(crate) fn plan_in(event: &Event) -> Option<Plan> {
    let Event::SignalReceived { signal, payload, .. } = event else { return None };
    if signal == PLAN_SIGNAL { payload.to().ok() } else { None }
}

/// Connects to the cluster that the command line names.
pub(crate) async fn connect(app: &App, settings: Settings) -> Result<Arc<Cluster>, Failure> {
    let connection = Connection { kubeconfig: app.global.kubeconfig.clone(), context: app.global.context.clone() };
    Cluster::connect_with(&connection, settings).await.map(Arc::new).map_err(Failure::from)
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let kind = match &error {
            ConnectError::NoKubeconfig { .. }
            | ConnectError::BadKubeconfig { .. }
            | ConnectError::NoContext { .. }
            | ConnectError::UnknownContext { .. }
            | ConnectError::NotOpenShift { .. }
            | ConnectError::OtherCluster { .. } => Kind::Usage,
            ConnectError::Unreachable { .. }
            | ConnectError::Tls { .. }
            | ConnectError::LoginEnded { .. }
            | ConnectError::Forbidden { .. }
            | ConnectError::Server { .. } => Kind::Failed,
        };
        Self::with_advice(kind, &error.to_string(), "mend the cause, then retry")
    }
}

/// How often a read is tried before the plan is given up: an API server that restarts is back within half a minute.
const LOOKS: u32 = 7;

/// A server may ask for a delay, but nobody waits for a plan for long.
const LONGEST_WISH: Duration = Duration::from_secs(10);

/// Reads the cluster with the activities that the run itself will use, outside of any run.
struct Survey<'a> {
    cluster: &'a Arc<Cluster>,
    clock: &'a Arc<dyn Clock>,
}

impl Survey<'_> {
    async fn at<A: Activity<World = Cluster>>(&self, activity: A) -> Result<A::Output, Failure> {
        let attempt = Attempt { run: RunId::from_bytes([0; 16]), command: CommandId(0), number: 1 };
        let quiet = Arc::new(|_: String| {});
        let cx = ActivityContext::new(self.cluster.clone(), attempt, self.clock.clone(), quiet);
        for attempt in 1..LOOKS {
            match activity.clone().run(cx.clone()).await {
                Err(error) if error.kind == FailureKind::Transient && error.code != "unauthorized" => {
                    let wished = Duration::from_secs(error.retry_after_seconds.unwrap_or(0));
                    cx.sleep(wished.clamp(Duration::from_secs(1), LONGEST_WISH) * attempt).await;
                }
                outcome => return outcome.map_err(|error| survey_failure(&error)),
            }
        }
        activity.run(cx).await.map_err(|error| survey_failure(&error))
    }
}

fn survey_failure(error: &ActivityError) -> Failure {
    let other = ["forbidden", "unreadable", "not-found", "refused"];
    let kind = match error.kind {
        // What was asked for can't be had on this cluster.
        FailureKind::Permanent if !other.contains(&error.code.as_str()) => Kind::Usage,
        FailureKind::Permanent | FailureKind::Transient | FailureKind::Unknown => Kind::Failed,
    };
    let otherwise = match error.code.as_str() {
        "forbidden" => "`windlass rbac eus-update` prints the permissions to ask for",
        _ => "mend the cause, then retry; nothing was changed",
    };
    Failure::with_advice(kind, &error.message, otherwise)
}
