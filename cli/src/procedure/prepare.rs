//! From an input to a plan: the cluster is read, every fact resolved, nothing changed.

use std::sync::Arc;
use std::time::Duration;

use windlass_activities::estimate::{Estimates, ReadEstimates};
use windlass_activities::inventory::{Inventory, ReadInventory};
use windlass_activities::network::check::MigrationReport;
use windlass_activities::ovn::check::CentralReport;
use windlass_activities::preflight::{Check, CheckVerdict, PreflightReport};
use windlass_activities::{Cluster, ConnectError, Connection, Settings};
use windlass_engine::foresee::Unforeseeable;
use windlass_engine::{Activity, ActivityContext, ActivityError, Attempt, Clock, CommandId, FailureKind, Json, Registry, RunId};
use windlass_workflows::Plan;
use windlass_workflows::foresight::draft;
use windlass_workflows::planning::{Findings, plan};

use crate::app::App;
use crate::failure::{Failure, Kind};
use crate::ownership;
use crate::procedure::{Input, Procedure};

/// A plan, and the input of the run that carries it out.
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) input: Json,
    pub(crate) revision: u32,
}

impl Procedure {
    /// Reads the cluster and resolves every fact; changes nothing.
    pub(crate) async fn prepare(&self, cluster: &Arc<Cluster>, clock: &Arc<dyn Clock>) -> Result<Prepared, Failure> {
        let mut input = self.input()?;
        if input.terms().is_some() {
            cluster.check_openshift()?;
        }
        if let Some(calendar) = input.calendar() {
            // Said at once instead of once for each step that would never begin.
            calendar
                .first_from(clock.now())
                .map_err(|e| Failure::with_advice(Kind::Usage, &e.to_string(), "correct the windows"))?;
        }
        if input.terms().is_none() {
            return prepare(input, cluster, clock).await;
        }
        let look = Survey { cluster, clock };
        let estimates = look.at(ReadEstimates {}).await?;
        let inventory = look.at(ReadInventory {}).await?;
        let layered = (!self.names_layered()).then(|| inventory.layered.clone());
        input.settle(clock.now(), estimates, layered);
        plan_for(input, &inventory, cluster, clock).await
    }

    /// Judges whether the cluster is fit for it; changes nothing.
    pub(crate) async fn preflight(&self, cluster: &Arc<Cluster>, clock: &Arc<dyn Clock>) -> Result<PreflightReport, Failure> {
        let mut input = self.input()?;
        if input.terms().is_none() {
            let no_estimates = Estimates::default();
            let draft = draft(cluster, clock, input.workflow(), &input.json()?, &no_estimates).await.map_err(no_draft)?;
            let mut checks = draft.central.as_ref().map(central_checks).unwrap_or_default();
            checks.extend(draft.migration.iter().flat_map(migration_checks));
            return Ok(PreflightReport { checks, drains: Vec::new() });
        }
        cluster.check_openshift()?;
        let look = Survey { cluster, clock };
        let estimates = look.at(ReadEstimates {}).await?;
        input.settle(clock.now(), estimates.clone(), None);
        match &input {
            // Judged before the way is looked up: what keeps the update service away is a finding, too.
            Input::Eus(eus) => look.at(eus.terms.preflight(eus.target, eus.pause_days, clock.now())).await,
            Input::Cluster(_)
            | Input::Remove(_)
            | Input::Add(_)
            | Input::Replace(_)
            | Input::ToOvn(_)
            | Input::ToSdn(_)
            | Input::FromKuryr(_) => {
                let draft = draft(cluster, clock, input.workflow(), &input.json()?, &estimates).await.map_err(no_draft)?;
                draft
                    .preflight
                    .ok_or_else(|| Failure::new(Kind::Failed, "the workflow looks at nothing first", "plan it instead"))
            }
        }
    }
}

/// Makes the plan of an input whose terms are settled.
pub(crate) async fn prepare(input: Input, cluster: &Arc<Cluster>, clock: &Arc<dyn Clock>) -> Result<Prepared, Failure> {
    let inventory = match input.terms() {
        Some(_) => Survey { cluster, clock }.at(ReadInventory {}).await?,
        None => Inventory::default(),
    };
    plan_for(input, &inventory, cluster, clock).await
}

async fn plan_for(
    input: Input,
    inventory: &Inventory,
    cluster: &Arc<Cluster>,
    clock: &Arc<dyn Clock>,
) -> Result<Prepared, Failure> {
    let asked = input.unpinned();
    let workflow = asked.workflow();
    let estimates = asked.terms().and_then(|terms| terms.estimates.clone()).unwrap_or_default();
    let draft = draft(cluster, clock, workflow, &asked.json()?, &estimates).await.map_err(no_draft)?;
    let input = asked.clone().pinned(&draft.foresight).json()?;
    let registry = windlass_workflows::register(Registry::new(), cluster);
    let cluster = cluster.id().to_string();
    let plan = plan(&Findings {
        workflow,
        cluster: &cluster,
        input: &input,
        draft: &draft,
        inventory,
        estimates: &estimates,
        calendar: asked.calendar(),
        notes: Vec::new(),
        registry: &registry,
    });
    Ok(Prepared { plan, input, revision: registry.revision(workflow).unwrap_or(1) })
}

/// What the look at ovn-central says, as checks.
fn central_checks(report: &CentralReport) -> Vec<Check> {
    let members = report.central.node_ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let passed = format!("both databases are whole, with the members {members}");
    checks("ovn-central", "ovn-central and both of its databases", (&report.blockers, &report.warnings), passed)
}

/// What the look at the network says, as checks.
fn migration_checks(report: &MigrationReport) -> Vec<Check> {
    let nodes: u32 = report.pools.iter().map(|pool| pool.nodes).sum();
    let passed = format!("the network can be migrated on {nodes} nodes in {} pools", report.pools.len());
    checks("network", "the network, the pools and the nodes", (&report.blockers, &report.warnings), passed)
}

fn checks(id: &str, title: &str, (blockers, warnings): (&[String], &[String]), passed: String) -> Vec<Check> {
    let check = |verdict, evidence: String| Check {
        number: String::new(),
        id: id.to_owned(),
        title: title.to_owned(),
        verdict,
        evidence: vec![evidence],
        remedy: None,
    };
    let blocking = blockers.iter().map(|line| check(CheckVerdict::Block, line.clone()));
    let warning = warnings.iter().map(|line| check(CheckVerdict::Warn, line.clone()));
    let well = blockers.is_empty().then(|| check(CheckVerdict::Pass, passed));
    well.into_iter().chain(blocking).chain(warning).collect()
}

fn no_draft(error: Unforeseeable<ActivityError>) -> Failure {
    match error {
        Unforeseeable::Oracle(error) => survey_failure(&error),
        other @ (Unforeseeable::Broken(_) | Unforeseeable::Signal(_) | Unforeseeable::Endless(_)) => {
            Failure::new(Kind::Failed, format!("there can be no plan: {other}"), "this is a bug in windlass: please report it")
        }
    }
}

/// What blocks, in one line as long as it needs no more.
fn in_one(blockers: &[String]) -> String {
    let between = if blockers.iter().any(|blocker| blocker.contains('\n')) { "\n" } else { " | " };
    blockers.join(between)
}

impl Prepared {
    /// Stops when something on the cluster blocks the run.
    pub(crate) fn refuse_blocked(&self) -> Result<(), Failure> {
        match self.plan.blockers.as_slice() {
            [] => Ok(()),
            blockers => Err(Failure::new(
                Kind::Failed,
                format!("{} can't begin on this cluster: {}", self.plan.workflow, in_one(blockers)),
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

/// The folder beside the journal with what runs copied from their clusters.
pub(crate) const COPIES: &str = "copies";

/// Connects to the cluster that the command line names.
pub(crate) async fn connect(app: &App, settings: Settings) -> Result<Arc<Cluster>, Failure> {
    let connection = Connection { kubeconfig: app.global.kubeconfig.clone(), context: app.global.context.clone() };
    let cluster = Cluster::connect_with(&connection, settings).await?;
    // Without a place for a journal there is nothing of ours on any cluster.
    if let Ok(dir) = app.journal()
        && let Some(us) = ownership::known(&dir)?
    {
        cluster.introduce(us);
    }
    if let Ok(dir) = app.journal() {
        cluster.keep_files_in(dir.join(COPIES));
    }
    Ok(Arc::new(cluster))
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let kind = match &error {
            ConnectError::NoKubeconfig { .. }
            | ConnectError::BadKubeconfig { .. }
            | ConnectError::NoContext { .. }
            | ConnectError::UnknownContext { .. }
            | ConnectError::Nameless { .. }
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
        "forbidden" => "`windlass rbac WORKFLOW` prints the permissions to ask for",
        _ => "mend the cause, then retry; nothing was changed",
    };
    Failure::with_advice(kind, &error.message, otherwise)
}
