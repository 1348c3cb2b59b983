//! One release on its way through the run levels.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::controllers::{Cx, earlier, minutes};
use crate::rng::Rng;
use crate::store::resources::{CLUSTEROPERATORS, CONFIGMAPS, MACHINECONFIGPOOLS};
use crate::world::config::{ADMIN_GATES, MCO_IMAGES, gates};
use crate::world::graph::Release;
use crate::world::json::{Said, condition_is, set_condition, text};
use crate::world::operators::{LEVELS, MACHINE_CONFIG, OPERATORS, Operator};

/// Manifests of a payload.
const MANIFESTS: usize = 901;
/// How long an operator may take before its release says that it is slow.
const SLOW_AFTER: TimeDelta = TimeDelta::minutes(30);
/// The same for machine-config, which waits for nodes.
const SLOW_NODES_AFTER: TimeDelta = TimeDelta::minutes(90);
/// How long a degraded operator is waited for before the update counts as failing.
const FAILING_AFTER: TimeDelta = TimeDelta::minutes(40);
/// The level at which a payload's gates are applied.
const GATES_LEVEL: u8 = 50;

/// A release that is being applied.
pub(super) struct Rollout {
    pub(super) release: Release,
    tasks: Vec<Task>,
    minutes: f64,
    /// When the next level may start.
    next_level_at: DateTime<Utc>,
    revision: u64,
}

struct Task {
    operator: &'static Operator,
    state: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Waiting,
    /// Running since then, and done at the earliest then; machine-config has no such time.
    Running {
        since: DateTime<Utc>,
        due: Option<DateTime<Utc>>,
    },
    Done,
}

/// What the rollout waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) done: usize,
    pub(super) on: Vec<&'static str>,
    pub(super) slow: Vec<&'static str>,
    pub(super) failing: Vec<&'static str>,
}

impl Rollout {
    pub(super) fn new(cx: &Cx<'_>, release: Release, revision: u64, rng: &mut Rng) -> Self {
        let timing = &cx.shared.shape.timing;
        let mut total = rng.lognormal(timing.operators_minutes, timing.sigma);
        if rng.chance(timing.heavy_tail) {
            total *= 10.0;
        }
        let tasks = OPERATORS.iter().map(|operator| Task { operator, state: Progress::Waiting }).collect();
        Self { release, tasks, minutes: total, next_level_at: cx.in_seconds(rng.range(10..40)), revision }
    }

    /// Ends what is done, starts what may start; returns when to look again.
    pub(super) fn step(&mut self, cx: &mut Cx<'_>, rng: &mut Rng) -> Option<DateTime<Utc>> {
        for index in 0..self.tasks.len() {
            self.try_finish(cx, index);
        }
        let open = self.tasks.iter().filter(|t| t.state != Progress::Done).map(|t| t.operator.level).min()?;
        let waiting = self.tasks.iter().any(|t| t.operator.level == open && t.state == Progress::Waiting);
        if waiting && self.next_level_at > cx.now {
            return Some(self.next_level_at);
        }
        if waiting {
            self.start_level(cx, open, rng);
        }
        self.due(cx.now)
    }

    /// Whether every operator runs the release.
    pub(super) fn is_done(&self) -> bool {
        self.tasks.iter().all(|t| t.state == Progress::Done)
    }

    fn due(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.tasks.iter().fold(None, |next, task| {
            let Progress::Running { since, due } = task.state else { return next };
            let slow = since + patience(task.operator);
            let failing = since + FAILING_AFTER;
            [due, Some(slow), Some(failing)].into_iter().flatten().filter(|at| *at > now).fold(next, |n, at| earlier(n, Some(at)))
        })
    }

    fn start_level(&mut self, cx: &mut Cx<'_>, level: u8, rng: &mut Rng) {
        if level == GATES_LEVEL {
            let data = gates(&cx.shared.shape, self.release.semver().minor);
            cx.modify(&CONFIGMAPS, Some(ADMIN_GATES.0), ADMIN_GATES.1, |m| m["data"] = data);
        }
        let share = LEVELS.iter().find(|(l, _)| *l == level).map_or(0.0, |(_, share)| *share);
        for task in self.tasks.iter_mut().filter(|t| t.operator.level == level && t.state == Progress::Waiting) {
            let (factor, extra) = cx.shared.board.slowness(task.operator.name);
            let jitter = 1.0 - 0.15 * rng.uniform();
            let takes = minutes(self.minutes * share * task.operator.pace * jitter * factor) + extra;
            let due = (task.operator.name != MACHINE_CONFIG).then(|| cx.now + takes);
            task.state = Progress::Running { since: cx.now, due };
            start(cx, task.operator, &self.release, self.revision);
        }
    }

    fn try_finish(&mut self, cx: &mut Cx<'_>, index: usize) {
        let task = &mut self.tasks[index];
        let Progress::Running { due, .. } = task.state else { return };
        let operator = task.operator;
        let held = cx.shared.board.degraded(operator.name);
        let finished = match due {
            Some(at) => at <= cx.now && !held,
            None => runs(cx, operator, &self.release.version),
        };
        if !finished {
            return;
        }
        task.state = Progress::Done;
        if due.is_some() {
            finish(cx, operator, &self.release, self.revision + 1);
        }
        // The next manifests take a moment to apply.
        self.next_level_at = cx.in_seconds(5);
    }

    /// What it waits for, and how far it is.
    pub(super) fn waiting(&self, cx: &Cx<'_>) -> Waiting {
        let mut waiting = Waiting::default();
        let share = MANIFESTS / self.tasks.len();
        for task in &self.tasks {
            match task.state {
                Progress::Waiting => {}
                Progress::Done => waiting.done += share,
                Progress::Running { since, .. } => {
                    let name = task.operator.name;
                    waiting.on.push(name);
                    let long = |limit| cx.now - since >= limit;
                    let degraded =
                        cx.store.get(&CLUSTEROPERATORS, None, name).is_some_and(|o| condition_is(&o, "Degraded", "True"));
                    if degraded && long(FAILING_AFTER) {
                        waiting.failing.push(name);
                    } else if long(patience(task.operator)) {
                        waiting.slow.push(name);
                    }
                }
            }
        }
        waiting
    }
}

impl Waiting {
    /// The message of Progressing.
    pub(super) fn message(&self, version: &str) -> String {
        if !self.failing.is_empty() {
            return format!(
                "Unable to apply {version}: wait has exceeded 40 minutes for these operators: {}",
                self.failing.join(", ")
            );
        }
        let percent = self.done * 100 / MANIFESTS;
        let mut message = format!("Working towards {version}: {} of {MANIFESTS} done ({percent}% complete)", self.done);
        if !self.on.is_empty() {
            message.push_str(", waiting on ");
            message.push_str(&self.on.join(", "));
        }
        if !self.slow.is_empty() {
            let over = format!(" over {} minutes which is longer than expected", self.limit());
            message.push_str(&over);
        }
        message
    }

    fn limit(&self) -> i64 {
        let nodes = self.slow.iter().all(|o| *o == MACHINE_CONFIG);
        if nodes { SLOW_NODES_AFTER.num_minutes() } else { SLOW_AFTER.num_minutes() }
    }

    /// The reason of Progressing.
    pub(super) fn reason(&self) -> &'static str {
        match (self.failing.len(), self.on.len()) {
            (0, 0) => "",
            (0, 1) => "ClusterOperatorUpdating",
            (0, _) => "ClusterOperatorsUpdating",
            (1, _) => "ClusterOperatorDegraded",
            _ => "ClusterOperatorsDegraded",
        }
    }

    /// What Failing says.
    pub(super) fn failing(&self) -> Said {
        match (self.failing.as_slice(), self.slow.as_slice()) {
            ([], []) => Said::no(),
            ([], slow) => {
                let message =
                    format!("waiting on {} over {} minutes which is longer than expected", slow.join(", "), self.limit());
                Said::new("Unknown", "SlowClusterOperator", message)
            }
            ([one], _) => Said::new("True", "ClusterOperatorDegraded", format!("Cluster operator {one} is degraded")),
            (many, _) => {
                Said::new("True", "ClusterOperatorsDegraded", format!("Cluster operators {} are degraded", many.join(", ")))
            }
        }
    }
}

fn patience(operator: &Operator) -> TimeDelta {
    if operator.name == MACHINE_CONFIG { SLOW_NODES_AFTER } else { SLOW_AFTER }
}

fn control_plane_size(cx: &Cx<'_>) -> usize {
    let master = cx.store.get(&MACHINECONFIGPOOLS, None, "master");
    let count = master.and_then(|p| p["status"]["machineCount"].as_u64()).and_then(|n| usize::try_from(n).ok());
    count.unwrap_or(cx.shared.shape.control_plane)
}

fn runs(cx: &Cx<'_>, operator: &Operator, version: &str) -> bool {
    cx.store.get(&CLUSTEROPERATORS, None, operator.name).is_some_and(|o| {
        o["status"]["versions"]
            .as_array()
            .is_some_and(|all| all.iter().any(|v| text(v, "/name") == "operator" && text(v, "/version") == version))
    })
}

fn start(cx: &mut Cx<'_>, operator: &Operator, release: &Release, revision: u64) {
    if operator.name == MACHINE_CONFIG {
        cx.modify(&CONFIGMAPS, Some(MCO_IMAGES.0), MCO_IMAGES.1, |m| m["data"]["releaseVersion"] = json!(release.version));
    }
    let (reason, message) = operator.rolling(&release.version, control_plane_size(cx), revision);
    let progressing = Said::new("True", reason, message);
    cx.modify(&CLUSTEROPERATORS, None, operator.name, |o| set_condition(o, "Progressing", &progressing, cx.now));
}

fn finish(cx: &mut Cx<'_>, operator: &Operator, release: &Release, revision: u64) {
    let [available, progressing, degraded] = operator.healthy(&release.version, control_plane_size(cx), revision);
    let scripted = cx.shared.board.degraded(operator.name);
    if operator.name == "kube-apiserver" {
        cx.shared.api.set_version(&release.kubelet());
    }
    cx.modify(&CLUSTEROPERATORS, None, operator.name, |o| {
        o["status"]["versions"] = operator.versions(&release.version, &release.kubelet());
        set_condition(o, "Available", &Said::new("True", "AsExpected", available), cx.now);
        set_condition(o, "Progressing", &Said::new("False", "AsExpected", progressing), cx.now);
        if !scripted {
            set_condition(o, "Degraded", &Said::new("False", "AsExpected", degraded), cx.now);
        }
    });
}
