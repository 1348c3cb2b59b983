//! Where one run stands: what it does, what it waits for and why, what a person can do.

use console::Style;
use serde::Serialize;
use serde_json::{Value, json};
use windlass_engine::journal::LockOwner;
use windlass_engine::view::{Decision, GateView, RunStatus, RunView, StepKind, StepState, StepView};
use windlass_engine::{Progress, Registry, RunEnd, Timestamp};
use windlass_workflows::WINDOW_SIGNAL;

use crate::render::list::{Row, ago};
use crate::render::mirror::MirrorStanding;
use crate::render::schedule::Schedule;
use crate::render::{logbook, options, parked};
use crate::ui::Ui;
use crate::words::{self, Lines as _};

/// Everything that a status is drawn from.
pub(crate) struct Standing<'a> {
    pub(crate) view: &'a RunView,
    pub(crate) worker: Option<&'a LockOwner>,
    /// What the attempts in flight last said.
    pub(crate) progress: &'a [Progress],
    /// What this binary knows of activities.
    pub(crate) registry: &'a Registry,
    /// The second place for the records, if there is one.
    pub(crate) mirror: Option<&'a MirrorStanding>,
    pub(crate) now: Timestamp,
}

/// A run for programs; a public contract.
#[derive(Serialize)]
pub(crate) struct Object {
    #[serde(flatten)]
    row: Row,
    ended_at: Option<String>,
    steps_done: usize,
    worker: Option<LockOwnerObject>,
    waiting_on: Vec<Value>,
    gates: Vec<Value>,
    windows: Vec<Value>,
    deadlines: Vec<Value>,
    held: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mirror: Option<Value>,
    parked: Option<String>,
    error: Option<String>,
    output: Option<Value>,
}

#[derive(Serialize)]
struct LockOwnerObject {
    pid: u32,
    host: String,
    since: String,
}

impl Standing<'_> {
    /// The run for programs.
    pub(crate) fn object(&self) -> Object {
        let view = self.view;
        let (output, error) = match &view.state.ended {
            Some(RunEnd::Completed(output)) => (Some(output.to_value()), None),
            Some(RunEnd::Failed(error) | RunEnd::Cancelled(error)) => (None, Some(error.clone())),
            None => (None, None),
        };
        let schedule = Schedule::of(view);
        let held = |(key, change): (&String, &windlass_engine::HeldChange)| json!({"key": key, "text": change.text, "prior": change.prior.to_value(), "since": words::rfc3339(change.since)});
        Object {
            row: Row::of(&view.state),
            ended_at: view.ended_at.map(words::rfc3339),
            steps_done: view.steps_done(),
            worker: self.worker.filter(|_| !view.status().is_end()).map(|owner| LockOwnerObject {
                pid: owner.pid,
                host: owner.host.clone(),
                since: words::rfc3339(owner.since),
            }),
            waiting_on: view.current().map(|step| self.wait_object(step)).collect(),
            gates: view.gates.iter().map(gate_object).collect(),
            windows: schedule.window_objects(self.now),
            deadlines: schedule.deadline_objects(self.now),
            held: view.state.held.iter().map(held).collect(),
            mirror: self.mirror.map(MirrorStanding::object),
            parked: logbook::standstill(&view.state),
            error,
            output,
        }
    }

    fn wait_object(&self, step: &StepView) -> Value {
        let (what, name) = match &step.kind {
            StepKind::Activity { name, .. } => ("activity", name.clone()),
            StepKind::Timer { due_at } => ("timer", words::rfc3339(*due_at)),
            StepKind::Signal { name } => ("signal", name.clone()),
            StepKind::Gate { name } => ("gate", name.clone()),
        };
        let mut object = json!({"what": what, "name": name, "number": step.command.0, "step": step.summary, "since": words::rfc3339(step.started_at)});
        if let Some(progress) = self.said_of(step) {
            object["why"] = json!(progress.text);
            object["why_since"] = json!(words::rfc3339(progress.at));
        }
        if step.attempts > 0 {
            object["attempt"] = json!(step.attempts);
        }
        if let Some(limit) = step.timeout {
            object["timeout_seconds"] = json!(limit.as_secs());
        }
        if let StepState::RetryDue { due_at } = step.state {
            object["retry_at"] = json!(words::rfc3339(due_at));
        }
        if let Some(error) = &step.error {
            object["error"] = json!(error.message);
        }
        object
    }

    fn said_of(&self, step: &StepView) -> Option<&Progress> {
        self.progress.iter().find(|progress| progress.command == step.command)
    }

    /// The run for people.
    pub(crate) fn text(&self, ui: &Ui) -> String {
        let bold = ui.on_out(Style::new().bold());
        let mut text = self.head();
        let mut section = |title: &str, lines: Vec<String>| {
            if lines.is_empty() {
                return;
            }
            text.line(format!("\n{}", bold.apply_to(title)));
            for line in lines {
                text.line(format!("  {line}"));
            }
        };
        section(
            "now",
            self.view
                .current()
                .filter(|s| is_shown(s) && !matches!(s.kind, StepKind::Gate { .. }))
                .flat_map(|s| self.step(s))
                .collect(),
        );
        section("gates", self.gates());
        let schedule = Schedule::of(self.view);
        section("windows", schedule.windows(self.now));
        section("deadlines", schedule.deadlines(self.now));
        section("held, to be given back", self.held());
        if self.view.state.stands_still() {
            section(if self.view.state.parked.is_some() { "parked" } else { "paused" }, parked::explain(&self.view.state));
            section("next", options::of_run(self));
        }
        text
    }

    fn head(&self) -> String {
        let state = &self.view.state;
        let status = self.view.status();
        let mut rows = vec![
            ("run", state.run.to_string()),
            ("workflow", format!("{} (revision {}, windlass {})", state.workflow, state.revision, self.view.build)),
            ("cluster", state.cluster.clone().unwrap_or_else(|| "none".to_owned())),
            ("state", self.state_in_words(status)),
            ("started", format!("{} by {}", words::moment(state.started_at), self.view.by)),
        ];
        if let Some(ended) = self.view.ended_at {
            rows.push(("ended", format!("{}, after {}", words::moment(ended), words::duration(ended.since(state.started_at)))));
        } else {
            rows.push(("running for", words::duration(self.now.since(state.started_at))));
            rows.push(("driven by", self.driver()));
        }
        if let Some(mirror) = self.mirror {
            rows.push(("mirror", mirror.text(self.now)));
        }
        let done = self.view.steps_done();
        let open = self.view.steps.len() - done;
        rows.push(("steps", format!("{done} done, {open} under way")));
        if let Some(end) = &state.ended {
            match end {
                RunEnd::Completed(output) => rows.push(("result", words::one_line(output.as_str(), 200))),
                RunEnd::Failed(error) | RunEnd::Cancelled(error) => rows.push(("error", error.clone())),
            }
        }
        let mut text = String::new();
        for (name, value) in rows {
            text.line(format!("{name:<12} {value}"));
        }
        text
    }

    fn state_in_words(&self, status: RunStatus) -> String {
        let paused = self.view.state.paused.as_ref().map(|pause| format!(", paused by {}: {}", pause.by, pause.reason));
        let status_text = format!("{status}{}", paused.unwrap_or_default());
        match &self.view.cancel {
            Some(cancel) if !status.is_end() => {
                let why = cancel.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                format!("{status_text}, being cancelled by {}{why}", cancel.by)
            }
            Some(_) | None => status_text,
        }
    }

    fn driver(&self) -> String {
        match self.worker {
            Some(owner) => format!("pid {} on {}", owner.pid, owner.host),
            None if self.view.state.paused.is_some() => "nobody".to_owned(),
            None => format!("nobody; `windlass resume {}` goes on from here", self.view.state.run),
        }
    }

    /// A step that is not over: what it is, since when, and why not yet.
    pub(crate) fn step(&self, step: &StepView) -> Vec<String> {
        let attempt = if step.attempts > 1 { format!(", attempt {}", step.attempts) } else { String::new() };
        let mut lines = vec![match &step.kind {
            StepKind::Timer { due_at } => format!(
                "{} {}, until {}, {}",
                step.command,
                step.summary,
                words::moment(*due_at),
                if *due_at > self.now { format!("in {}", words::duration(due_at.since(self.now))) } else { "due".to_owned() }
            ),
            StepKind::Activity { .. } | StepKind::Signal { .. } | StepKind::Gate { .. } => {
                format!(
                    "{} {}, since {} ({}{attempt})",
                    step.command,
                    step.summary,
                    words::moment(step.started_at),
                    words::duration(self.now.since(step.started_at))
                )
            }
        }];
        match step.state {
            StepState::RetryDue { due_at } if !self.view.state.stands_still() => {
                lines.push(format!("  next attempt at {}", words::moment(due_at)));
            }
            StepState::InDoubt => lines.push("  in doubt: an attempt began and its end is unknown".to_owned()),
            StepState::RetryDue { .. }
            | StepState::Running
            | StepState::Waiting
            | StepState::Done
            | StepState::Skipped
            | StepState::Failed
            | StepState::GivenUp => {}
        }
        if let Some(limit) = step.timeout {
            lines.push(format!("  each attempt may take {}", words::duration(limit)));
        }
        if let Some(error) = &step.error {
            lines.push(format!("  last error: {error}"));
        }
        if let Some(progress) = self.said_of(step) {
            let since = if self.worker.is_some() { "since" } else { "last seen" };
            lines.extend(progress.text.lines().map(|line| format!("  {line}")));
            lines.push(format!("  ({since} {})", ago(progress.at, self.now)));
        }
        lines
    }

    fn gates(&self) -> Vec<String> {
        let run = self.view.state.run;
        let mut lines = Vec::new();
        for gate in &self.view.gates {
            match (&gate.decision, gate.opened_at) {
                (None, Some(opened)) => {
                    lines.push(format!("{}: open since {} ({})", gate.name, words::moment(opened), ago(opened, self.now)));
                    lines.extend(gate.text.lines().map(|line| format!("  {line}")));
                    lines.push(format!("  windlass approve {run} {} --digest {} --reason '…'", gate.name, gate.digest()));
                }
                (Some(decision), _) => lines.push(decided(gate, decision)),
                (None, None) => {}
            }
        }
        lines
    }

    fn held(&self) -> Vec<String> {
        let line = |(key, change): (&String, &windlass_engine::HeldChange)| {
            format!("{key}{}, since {}: {}", words::was(&change.prior), words::moment(change.since), change.text)
        };
        self.view.state.held.iter().map(line).collect()
    }
}

/// What a person decided at a gate, who it was, and what the decision holds for.
pub(crate) fn decided(gate: &GateView, decision: &Decision) -> String {
    let verb = if decision.approved { "approved" } else { "rejected" };
    let why = decision.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let bound = logbook::bound_to(decision.seen.as_deref(), decision.plan.as_deref());
    format!("{}: {verb} by {} at {}{bound}{why}", gate.name, decision.by, words::moment(decision.at))
}

/// Whether a person needs to see what is waited for: a word that overrules a window is only listened for.
pub(crate) fn is_shown(step: &StepView) -> bool {
    !matches!(&step.kind, StepKind::Signal { name } if name == WINDOW_SIGNAL)
}

fn gate_object(gate: &GateView) -> Value {
    let state = match (&gate.decision, gate.opened_at) {
        (Some(decision), _) if decision.approved => "approved",
        (Some(_), _) => "rejected",
        (None, Some(_)) => "open",
        (None, None) => "closed",
    };
    let mut object =
        json!({"gate": gate.name, "state": state, "text": gate.text, "opened_at": gate.opened_at.map(words::rfc3339)});
    if gate.is_open() {
        object["digest"] = json!(gate.digest());
    }
    if let Some(decision) = &gate.decision {
        object["seen"] = json!(decision.seen);
        object["plan"] = json!(decision.plan);
        object["by"] = json!(decision.by);
        object["at"] = json!(words::rfc3339(decision.at));
        object["reason"] = json!(decision.reason);
    }
    object
}
