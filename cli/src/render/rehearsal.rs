//! What a rehearsal showed: steps and how long they took, reboots, writes, and whether everything was kept.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use windlass_engine::RunEnd;
use windlass_engine::view::{RunStatus, RunView, StepKind, StepState};
use windlass_sim::Sim;
use windlass_sim::check::{Baseline, CloudBaseline, Violation, requested_targets};
use windlass_sim::openstack::OpenStack;
use windlass_sim::shape::NetworkPlugin;
use windlass_workflows::{KURYR_TO_OVN, OVN_TO_SDN, Plan, SDN_TO_OVN};

use crate::render::comparison::Comparison;
use crate::words::{self, Lines as _};

/// A report, for programs as it stands and for people as text.
#[derive(Serialize)]
pub(crate) struct Rehearsal {
    run: String,
    workflow: String,
    state: RunStatus,
    simulated_seconds: u64,
    steps: Vec<Step>,
    planned: Comparison,
    reboots: BTreeMap<String, usize>,
    writes: BTreeMap<String, usize>,
    updates_asked_for: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cloud_writes: BTreeMap<String, usize>,
    violations: Vec<String>,
    #[serde(skip)]
    is_update: bool,
    #[serde(skip)]
    reboots_all: bool,
    still_held: Vec<String>,
    events: u64,
    journal: PathBuf,
}

#[derive(Serialize)]
struct Step {
    summary: String,
    seconds: u64,
    attempts: u32,
    done: bool,
}

/// The simulated world as it was before the run.
pub(crate) struct Before {
    cluster: Baseline,
    cloud: Option<CloudBaseline>,
}

impl Before {
    /// Remembers it as it is now.
    pub(crate) fn of(sim: &Sim) -> Self {
        Self { cluster: Baseline::of(sim), cloud: sim.openstack().map(CloudBaseline::of) }
    }

    /// What was touched in the cloud although it is somebody else's, and what of Kuryr's is left.
    fn of_cloud(&self, sim: &Sim) -> Vec<String> {
        let (Some(cloud), Some(then)) = (sim.openstack(), &self.cloud) else { return Vec::new() };
        let left = CloudBaseline::left_of_kuryr(cloud).into_iter().map(|object| format!("{object} is left in the cloud"));
        in_words(&then.check_others(cloud)).into_iter().chain(left).collect()
    }
}

/// More objects of one kind than this are told as one line.
const MOST_OF_A_KIND: usize = 10;

/// Writes of one sort to many objects of one kind, put together.
fn together(writes: BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    let mut kinds: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
    for (write, times) in writes {
        kinds.entry(kind_of(&write)).or_default().push((write, times));
    }
    let lines = kinds.into_iter().flat_map(|(kind, writes)| {
        if writes.len() <= MOST_OF_A_KIND {
            return writes;
        }
        let objects = words::count(writes.len(), "object");
        vec![(format!("{kind}, {objects}"), writes.iter().map(|(_, times)| times).sum())]
    });
    lines.collect()
}

/// `patch /api/v1/namespaces/shop/pods/web-1` without whose it is: `patch /api/v1/pods`.
fn kind_of(write: &str) -> String {
    let parts: Vec<&str> = write.split('/').collect();
    match parts.iter().position(|part| *part == "namespaces") {
        Some(at) if parts.len() > at + 3 => [&parts[..at], &parts[at + 2..at + 3]].concat().join("/"),
        _ => write.to_owned(),
    }
}

impl Rehearsal {
    /// Puts a report together from the history and from what the cluster really went through.
    pub(crate) async fn of(view: &RunView, plan: &Plan, sim: &Sim, before: &Before, journal: PathBuf) -> Self {
        let baseline = &before.cluster;
        let end = view.ended_at.unwrap_or(view.state.last_at);
        let audit = sim.audit().records();
        let updates_asked_for = requested_targets(&audit);
        let mut writes: BTreeMap<String, usize> = BTreeMap::new();
        for record in &audit {
            let path = record.path.split('?').next().unwrap_or_default();
            *writes.entry(format!("{} {path}", record.verb)).or_default() += 1;
        }
        let of_cloud = sim.openstack().map(OpenStack::audit).unwrap_or_default();
        let mut cloud_writes: BTreeMap<String, usize> = BTreeMap::new();
        for record in of_cloud {
            let collection = record.path.rsplit_once('/').map_or(record.path.as_str(), |(collection, _)| collection);
            *cloud_writes.entry(format!("{} {collection}/…: {}", record.method, record.status)).or_default() += 1;
        }
        let state = view.status();
        let violations = match sim.kube_ovn() {
            Some(kube_ovn) if state == RunStatus::Completed => kube_ovn.violations().await,
            Some(_) => Vec::new(),
            None => match destination(&view.state.workflow) {
                Some(to) if state == RunStatus::Completed => {
                    let mut found = in_words(&baseline.check_migration(sim, to));
                    found.extend(before.of_cloud(sim));
                    found
                }
                Some(_) => Vec::new(),
                None => of_update(view, state, sim, baseline),
            },
        };
        Self {
            run: view.state.run.to_string(),
            workflow: view.state.workflow.clone(),
            state,
            simulated_seconds: end.since(view.state.started_at).as_secs(),
            steps: steps(view),
            planned: Comparison::of(plan, view),
            reboots: sim.reboot_counts(),
            writes: together(writes),
            cloud_writes,
            updates_asked_for,
            violations,
            is_update: sim.kube_ovn().is_none() && destination(&view.state.workflow).is_none(),
            reboots_all: destination(&view.state.workflow).is_some(),
            still_held: view.state.held.iter().map(|(key, change)| format!("{key}: {}", change.text)).collect(),
            events: view.state.next_seq - 1,
            journal,
        }
    }

    /// Whether every invariant held.
    pub(crate) fn is_sound(&self) -> bool {
        self.violations.is_empty()
    }

    /// The report for people.
    pub(crate) fn text(&self) -> String {
        let time = |seconds: u64| words::duration(Duration::from_secs(seconds));
        let mut text = format!(
            "\nrehearsal of {}: {} after {} of simulated time\n",
            self.workflow,
            self.state,
            time(self.simulated_seconds)
        );
        text.push_str("\nsteps\n");
        let width = self.steps.iter().map(|step| step.summary.chars().count()).max().unwrap_or(0);
        for step in &self.steps {
            let mark = if step.done { "✓" } else { "✗" };
            let attempts = if step.attempts > 1 { format!(", {} attempts", step.attempts) } else { String::new() };
            text.line(format!("  {mark} {:<width$}  {}{attempts}", step.summary, time(step.seconds)));
        }
        text.push_str(&self.planned.text());
        if self.is_update || self.reboots_all {
            text.push_str("\nreboots\n");
            for (times, nodes) in self.nodes_by_reboots() {
                text.line(format!("  {} each: {}", words::count(times, "reboot"), nodes.join(", ")));
            }
        }
        text.push_str("\nwrites to the cluster\n");
        for (write, times) in &self.writes {
            text.line(format!("  {times:>3}  {write}"));
        }
        if !self.cloud_writes.is_empty() {
            text.push_str("\nwrites to the cloud\n");
        }
        for (write, times) in &self.cloud_writes {
            text.line(format!("  {times:>3}  {write}"));
        }
        text.push('\n');
        if self.is_update {
            text.line(format!("updates asked for: {}", self.updates_asked_for.join(", then ")));
        }
        text.push_str(&self.verdict());
        let dir = self.journal.display();
        text.line(format!("journal: {} at {dir}", words::count(usize::try_from(self.events).unwrap_or(usize::MAX), "event")));
        text.line(format!("  windlass --journal {dir} history {}", self.run));
        text
    }

    fn verdict(&self) -> String {
        let mut text = String::new();
        for violation in &self.violations {
            text.line(format!("BROKEN: {violation}"));
        }
        for held in &self.still_held {
            text.line(format!("still held: {held}"));
        }
        if self.violations.is_empty() {
            text.push_str(match self.state {
                RunStatus::Completed if self.reboots_all => {
                    "kept: the network migrated, each node rebooted once to be prepared and once to take it, nothing left over, all that was paused given back\n"
                }
                RunStatus::Completed if !self.is_update => {
                    "kept: both databases whole, with the members that NODE_IPS names; no server taken out twice; every client told\n"
                }
                RunStatus::Completed => {
                    "kept: each update asked for once, no node rebooted more than needed, no budget broken, all that was paused given back\n"
                }
                RunStatus::Failed | RunStatus::Cancelled if self.still_held.is_empty() => "kept: all that was paused was given back\n",
                RunStatus::Failed | RunStatus::Cancelled => "kept: what is not given back is named above\n",
                RunStatus::Running | RunStatus::Waiting | RunStatus::Parked => "not over yet\n",
            });
        }
        text
    }

    fn nodes_by_reboots(&self) -> BTreeMap<usize, Vec<&str>> {
        let mut by: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (node, times) in &self.reboots {
            by.entry(*times).or_default().push(node);
        }
        by
    }
}

/// What an update has broken.
fn of_update(view: &RunView, state: RunStatus, sim: &Sim, baseline: &Baseline) -> Vec<String> {
    let through = gone_through(view);
    let hops: Vec<&str> = through.iter().map(String::as_str).collect();
    let violations = match state {
        RunStatus::Completed => baseline.check_update(sim, &hops),
        // What is named as owed is not given back on purpose: that would reboot nodes.
        RunStatus::Failed | RunStatus::Cancelled if view.state.held.is_empty() => baseline.check_given_back(sim),
        RunStatus::Failed | RunStatus::Cancelled | RunStatus::Running | RunStatus::Waiting | RunStatus::Parked => Vec::new(),
    };
    in_words(&violations)
}

fn in_words(violations: &[Violation]) -> Vec<String> {
    violations.iter().map(ToString::to_string).collect()
}

/// The plugin that a migration of the network leads to; none for other workflows.
fn destination(workflow: &str) -> Option<NetworkPlugin> {
    match workflow {
        KURYR_TO_OVN | SDN_TO_OVN => Some(NetworkPlugin::Ovn),
        OVN_TO_SDN => Some(NetworkPlugin::Sdn),
        _ => None,
    }
}

/// The versions that the workflow says it went through.
fn gone_through(view: &RunView) -> Vec<String> {
    let Some(RunEnd::Completed(output)) = &view.state.ended else { return Vec::new() };
    let output = output.to_value();
    let releases = output["through"].as_array().map(Vec::as_slice).unwrap_or_default();
    releases.iter().filter_map(|release| release["version"].as_str().map(str::to_owned)).collect()
}

/// A digest in full would push the times off the screen; the history has it.
const SUMMARY_WIDTH: usize = 72;

fn steps(view: &RunView) -> Vec<Step> {
    let acts = view.steps.iter().filter(|step| matches!(step.kind, StepKind::Activity { .. }));
    acts.map(|step| Step {
        summary: words::one_line(&step.summary, SUMMARY_WIDTH),
        seconds: step.ended_at.unwrap_or(view.state.last_at).since(step.started_at).as_secs(),
        attempts: step.attempts,
        done: step.state == StepState::Done,
    })
    .collect()
}
