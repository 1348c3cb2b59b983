//! Why a run does not move, with the evidence and the ways on.

use windlass_engine::RunEnd;
use windlass_engine::view::{GateView, RunStatus, StepKind, StepState, StepView};

use crate::render::schedule::Schedule;
use crate::render::status::{Standing, decided, is_shown};
use crate::render::{options, parked};
use crate::words::{self, Lines as _};

/// The answer: what holds the run, what is known of it, and what can be typed.
pub(crate) struct Answer {
    pub(crate) headline: String,
    pub(crate) evidence: Vec<String>,
    pub(crate) options: Vec<String>,
}

impl Answer {
    /// The answer as text.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.headline);
        for line in &self.evidence {
            text.line(format!("  {line}"));
        }
        if !self.options.is_empty() {
            text.push_str("you can\n");
        }
        for line in &self.options {
            text.line(format!("  {line}"));
        }
        text
    }
}

/// Explains a run. Whatever needs a person comes first, then what needs a worker, then what needs time.
pub(crate) fn explain(standing: &Standing<'_>) -> Answer {
    let view = standing.view;
    let run = view.state.run;
    if let Some(end) = &view.state.ended {
        return ended(standing, end);
    }
    if view.state.stands_still() {
        let (how, at) = match (&view.state.paused, &view.state.parked) {
            (Some(pause), None) => ("paused", Some(pause.since)),
            (Some(_), Some(_)) => ("parked, and paused", view.parked_at),
            (None, _) => ("parked", view.parked_at),
        };
        let headline = format!("Run {run} is {how}{}.", since(standing, at));
        return Answer { headline, evidence: parked::explain(&view.state), options: options::of_run(standing) };
    }
    let gates: Vec<&StepView> = view.current().filter(|step| matches!(step.kind, StepKind::Gate { .. })).collect();
    if view.status() == RunStatus::Waiting && !gates.is_empty() {
        return at_gates(standing);
    }
    let steps = view.current().filter(|step| is_shown(step)).flat_map(|step| standing.step(step));
    let evidence: Vec<String> = steps.chain(decisions(standing)).collect();
    let options = options::of_run(standing);
    if standing.worker.is_none() {
        let last = words::moment(view.state.last_at);
        return Answer {
            headline: format!("Run {run} does not move because no worker drives it; its last event was at {last}."),
            evidence,
            options,
        };
    }
    Answer { headline: headline(standing), evidence, options }
}

fn headline(standing: &Standing<'_>) -> String {
    let view = standing.view;
    let run = view.state.run;
    if let Some(awaited) = Schedule::of(view).awaited() {
        return format!("Run {run} waits for a maintenance window {awaited}.");
    }
    let retrying = view.current().find(|step| matches!(step.state, StepState::RetryDue { .. }));
    let timer = view.current().find_map(|step| match step.kind {
        StepKind::Timer { due_at } => Some(due_at),
        StepKind::Activity { .. } | StepKind::Signal { .. } | StepKind::Gate { .. } => None,
    });
    match (retrying, view.status(), timer) {
        (Some(step), _, _) => format!("Run {run} keeps a distance before it tries again: {}.", step.summary),
        (None, RunStatus::Waiting, Some(due)) => format!("Run {run} sleeps until {}.", words::moment(due)),
        (None, RunStatus::Waiting, None) => format!("Run {run} waits to be told something from outside."),
        (None, _, _) => match view.current().next() {
            Some(step) => format!("Run {run} is at work: {}.", step.summary),
            None => format!("Run {run} is between two steps."),
        },
    }
}

fn at_gates(standing: &Standing<'_>) -> Answer {
    let run = standing.view.state.run;
    let (mut evidence, mut options, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for gate in standing.view.open_gates() {
        names.push(gate.name.clone());
        evidence.extend(gate.text.lines().map(str::to_owned));
        evidence.push(format!("gate {} opened at {}", gate.name, gate.opened_at.map(words::moment).unwrap_or_default()));
        evidence.push(format!("digest of that text: {}", gate.digest()));
        options.push(format!("windlass approve {run} {} --digest {} --reason '…'", gate.name, gate.digest()));
        options.push(format!("windlass reject {run} {} --reason '…'", gate.name));
    }
    evidence.extend(decisions(standing));
    let deadlines = standing.view.current().filter(|step| matches!(step.kind, StepKind::Timer { .. }));
    evidence.extend(deadlines.flat_map(|step| standing.step(step)));
    if standing.worker.is_none() {
        options.push(format!("windlass resume {run}    afterwards: no worker drives the run now"));
    }
    Answer { headline: format!("Run {run} waits for a person at gate {}.", names.join(", ")), evidence, options }
}

/// Who let the run come so far.
fn decisions(standing: &Standing<'_>) -> impl Iterator<Item = String> {
    let decision = |gate: &GateView| gate.decision.as_ref().map(|decision| format!("gate {}", decided(gate, decision)));
    standing.view.gates.iter().filter_map(decision)
}

fn ended(standing: &Standing<'_>, end: &RunEnd) -> Answer {
    let run = standing.view.state.run;
    let at = standing.view.ended_at.map(words::moment).unwrap_or_default();
    let (how, mut evidence) = match end {
        RunEnd::Completed(_) => ("completed", Vec::new()),
        RunEnd::Failed(error) => ("failed", vec![error.clone()]),
        RunEnd::Cancelled(error) => ("was cancelled", vec![error.clone()]),
    };
    let held = standing.view.state.held.iter();
    evidence.extend(held.map(|(key, change)| format!("still out: {key}{}: {}", words::was(&change.prior), change.text)));
    let options = vec![format!("windlass history {run}    shows every step")];
    Answer { headline: format!("Run {run} {how} at {at}; nothing more will happen to it."), evidence, options }
}

fn since(standing: &Standing<'_>, at: Option<windlass_engine::Timestamp>) -> String {
    at.map(|at| format!(" since {} ({})", words::moment(at), words::duration(standing.now.since(at)))).unwrap_or_default()
}
