//! What is known of one run while it is watched.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_engine::view::{RunView, StepState, StepView};
use windlass_engine::{CommandId, Progress, Record, Timestamp};
use windlass_workflows::PlannedStep;
use windlass_workflows::foresight::LATER;

/// One run, its last words, and what its plan expects.
pub(crate) struct Board {
    pub(crate) view: RunView,
    /// What the workflow says it is doing.
    pub(crate) status: Option<String>,
    /// What the attempts in flight last said, and since when.
    said: BTreeMap<CommandId, (String, Timestamp)>,
    planned: Vec<PlannedStep>,
}

impl Board {
    /// A run as far as it has come.
    pub(crate) fn new(view: RunView) -> Self {
        Self { view, status: None, said: BTreeMap::new(), planned: Vec::new() }
    }

    /// Takes in the next record; one that is known already changes nothing.
    pub(crate) fn apply(&mut self, record: &Record) -> bool {
        if record.seq < self.view.state.next_seq {
            return false;
        }
        self.view.apply(record);
        if let Some(plan) = crate::procedure::plan_in(&record.event) {
            self.planned = plan.steps;
        }
        let live = |command: &CommandId| self.view.step(*command).is_some_and(|step| !step.state.is_over());
        self.said.retain(|command, _| live(command));
        true
    }

    /// Takes in what an attempt says.
    pub(crate) fn hear(&mut self, progress: &Progress) {
        self.said.insert(progress.command, (progress.text.clone(), progress.at));
    }

    /// Why a step is not done yet, and since when it says so.
    pub(crate) fn why(&self, step: &StepView) -> Option<(&str, Timestamp)> {
        let running = matches!(step.state, StepState::Running | StepState::InDoubt);
        self.said.get(&step.command).filter(|_| running).map(|(text, at)| (text.as_str(), *at))
    }

    /// What the plan expects of a step.
    pub(crate) fn expectation(&self, step: &StepView) -> Option<&PlannedStep> {
        self.planned.iter().find(|planned| foresees(planned, &step.summary))
    }

    /// The planned steps behind the last one that has begun.
    pub(crate) fn ahead(&self) -> &[PlannedStep] {
        let mut rest = self.planned.as_slice();
        for step in &self.view.steps {
            if let Some(at) = rest.iter().position(|planned| foresees(planned, &step.summary)) {
                rest = &rest[at + 1..];
            }
        }
        rest
    }

    /// How long the rest takes in one of two cases, if the plan says.
    pub(crate) fn rest(&self, now: Timestamp) -> Option<Duration> {
        if self.planned.is_empty() {
            return None;
        }
        let of_step = |step: &StepView| {
            let expected = Duration::from_secs(self.expectation(step).map_or(0, |planned| planned.p50_seconds));
            expected.saturating_sub(now.since(step.started_at))
        };
        let under_way: Duration = self.view.current().map(of_step).sum();
        let ahead: Duration = self.ahead().iter().map(|planned| Duration::from_secs(planned.p50_seconds)).sum();
        Some(under_way + ahead)
    }
}

/// What a person acknowledges before a later hop is known only once the hop before is done.
const ACKNOWLEDGE: &str = "acknowledge ";

/// Whether a planned step is the step of a run: a plan is made by the workflow itself, so the words are the same.
pub(crate) fn foresees(planned: &PlannedStep, begun: &str) -> bool {
    let unknown_then = planned.summary.ends_with(LATER) && begun.starts_with(ACKNOWLEDGE);
    planned.summary == begun || unknown_then
}
