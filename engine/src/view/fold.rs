//! The fold over a history that makes a [`RunView`]. It does constant work per record.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::{Event, ParkReason, ProbeVerdict, Record};
use crate::ids::CommandId;
use crate::state::OpenRun;
use crate::time::Timestamp;
use crate::view::{Decision, GateView, ResumeView, RunView, StepKind, StepState, StepView};

impl RunView {
    /// Begins with a history's first record; `None` if that is no `RunStarted`.
    pub fn begin(record: &Record) -> Option<Self> {
        let Event::RunStarted { build, by, .. } = &record.event else {
            return None;
        };
        Some(Self {
            state: OpenRun::begin(record)?,
            build: build.clone(),
            by: by.clone(),
            steps: Vec::new(),
            gates: Vec::new(),
            parked_at: None,
            cancel: None,
            ended_at: None,
            resumes: Vec::new(),
            live: BTreeMap::new(),
        })
    }

    /// Folds a whole history; `None` if it does not begin with `RunStarted`.
    pub fn fold<'a>(history: impl IntoIterator<Item = &'a Record>) -> Option<Self> {
        let mut records = history.into_iter();
        let mut view = Self::begin(records.next()?)?;
        records.for_each(|record| view.apply(record));
        Some(view)
    }

    /// Takes in the next record.
    pub fn apply(&mut self, record: &Record) {
        self.state.apply(record);
        match &record.event {
            Event::ActivityScheduled { .. }
            | Event::TimerStarted { .. }
            | Event::SignalAwaited { .. }
            | Event::GateOpened { .. } => self.asked(record),
            Event::ActivityStarted { .. }
            | Event::ActivityCompleted { .. }
            | Event::ActivityRetryScheduled { .. }
            | Event::ActivityFailed { .. }
            | Event::ActivityInDoubt { .. }
            | Event::ActivityProbed { .. } => self.attempted(record),
            Event::TimerFired { command } => self.close(*command, StepState::Done, record.at),
            Event::CommandCancelled { target, .. } => self.close(*target, StepState::GivenUp, record.at),
            Event::SignalReceived { .. } => self.close_answered(StepState::Done, record.at),
            Event::GateApproved { gate, by, reason, seen, plan, .. } => {
                let decision = decision(true, by, reason.as_ref(), record.at);
                self.decided(gate, Decision { seen: seen.clone(), plan: plan.clone(), ..decision });
            }
            Event::GateRejected { gate, by, reason } => self.decided(gate, decision(false, by, reason.as_ref(), record.at)),
            Event::RetryRequested { .. }
            | Event::StepSkipped { .. }
            | Event::StepMarkedDone { .. }
            | Event::TimeoutChanged { .. } => self.overridden(record),
            Event::CancelRequested { by, reason } => {
                self.cancel = Some(decision(false, by, reason.as_ref(), record.at));
                self.parked_at = None;
                self.close_answered(StepState::GivenUp, record.at);
            }
            Event::RunParked { why } => self.parked(why, record.at),
            Event::RunUnparked { .. } => self.parked_at = None,
            Event::RunResumed { incarnation, build, host, pid, .. } => {
                let (incarnation, pid, at) = (*incarnation, *pid, record.at);
                self.resumes.push(ResumeView { incarnation, build: build.clone(), host: host.clone(), pid, at });
            }
            Event::RunCompleted { .. } | Event::RunFailed { .. } | Event::RunCancelled { .. } => {
                self.ended_at = Some(record.at);
                self.parked_at = None;
                self.close_answered(StepState::GivenUp, record.at);
            }
            Event::RunStarted { .. }
            | Event::RunAdopted { .. }
            | Event::PatchMarked { .. }
            | Event::ChangeHeld { .. }
            | Event::ChangeGivenBack { .. }
            | Event::RunPaused { .. }
            | Event::RunUnpaused { .. }
            | Event::NoteAdded { .. } => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`apply` hands over what the workflow asked for, nothing else")]
    fn asked(&mut self, record: &Record) {
        let (command, kind, summary) = match &record.event {
            Event::ActivityScheduled { command, activity, class, input, summary, .. } => {
                let kind = StepKind::Activity { name: activity.clone(), class: *class, input: input.clone() };
                (*command, kind, summary.clone())
            }
            Event::TimerStarted { command, due_at, why, .. } => {
                let what = why.as_deref().unwrap_or("the time to come");
                (*command, StepKind::Timer { due_at: *due_at }, format!("wait for {what}"))
            }
            Event::SignalAwaited { command, signal, .. } => {
                (*command, StepKind::Signal { name: signal.clone() }, format!("wait for signal {signal}"))
            }
            Event::GateOpened { command, gate, text, .. } => {
                let view = self.gate(gate);
                view.text.clone_from(text);
                view.opened_at = Some(record.at);
                (*command, StepKind::Gate { name: gate.clone() }, format!("gate {gate}"))
            }
            _ => return,
        };
        // What was told early answers at once; the shared fold knows.
        let open = self.state.open.contains_key(&command);
        let running = matches!(kind, StepKind::Activity { .. });
        if open {
            self.live.insert(command, self.steps.len());
            if let StepKind::Gate { name } = &kind {
                self.gate(name).decision = None;
            }
        }
        self.steps.push(StepView {
            command,
            attempts: u32::from(running),
            kind,
            summary,
            state: match (open, running) {
                (true, true) => StepState::Running,
                (true, false) => StepState::Waiting,
                (false, _) => StepState::Done,
            },
            started_at: record.at,
            ended_at: (!open).then_some(record.at),
            error: None,
            evidence: None,
            decided: None,
            timeout: None,
            output: None,
        });
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`apply` hands over what became of attempts, nothing else")]
    fn attempted(&mut self, record: &Record) {
        match &record.event {
            Event::ActivityStarted { command, attempt } => self.change(*command, |step| {
                step.attempts = *attempt;
                step.state = StepState::Running;
            }),
            Event::ActivityRetryScheduled { command, error, due_at, .. } => self.change(*command, |step| {
                step.error = Some(error.clone());
                step.state = StepState::RetryDue { due_at: *due_at };
            }),
            Event::ActivityInDoubt { command, .. } => self.change(*command, |step| step.state = StepState::InDoubt),
            Event::ActivityProbed { command, verdict, evidence, .. } => self.change(*command, |step| {
                step.evidence = Some(evidence.clone());
                if *verdict == ProbeVerdict::DidNotHappen {
                    step.state = StepState::Running;
                }
            }),
            Event::ActivityCompleted { command, output, evidence, .. } => {
                self.change(*command, |step| {
                    step.output = Some(output.clone());
                    step.evidence = evidence.clone().or_else(|| step.evidence.take());
                });
                self.close(*command, StepState::Done, record.at);
            }
            Event::ActivityFailed { command, error, .. } => {
                self.change(*command, |step| step.error = Some(error.clone()));
                self.close(*command, StepState::Failed, record.at);
            }
            _ => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`apply` hands over the overrides of steps, nothing else")]
    fn overridden(&mut self, record: &Record) {
        let at = record.at;
        let over = |by: &str, reason: &String| Some(decision(true, by, Some(reason), at));
        match &record.event {
            Event::RetryRequested { command, .. } => {
                self.change(*command, |step| {
                    if matches!(step.state, StepState::RetryDue { .. }) {
                        step.state = StepState::RetryDue { due_at: at };
                    }
                });
                self.unparked();
            }
            Event::StepSkipped { command, output, by, reason } => {
                self.change(*command, |step| {
                    step.output = Some(output.clone());
                    step.decided = over(by, reason);
                });
                self.close(*command, StepState::Skipped, at);
                self.unparked();
            }
            Event::StepMarkedDone { command, output, evidence, by, reason } => {
                self.change(*command, |step| {
                    step.output = Some(output.clone());
                    step.evidence = Some(evidence.clone());
                    step.decided = over(by, reason);
                });
                self.close(*command, StepState::Done, at);
                self.unparked();
            }
            Event::TimeoutChanged { command, seconds, .. } => {
                self.change(*command, |step| step.timeout = Some(Duration::from_secs(*seconds)));
            }
            _ => {}
        }
    }

    /// Dealing with the step that a run was parked for lets the run go on; the shared fold knows.
    fn unparked(&mut self) {
        if self.state.parked.is_none() {
            self.parked_at = None;
        }
    }

    fn decided(&mut self, gate: &str, decision: Decision) {
        let (approved, at) = (decision.approved, decision.at);
        self.gate(gate).decision = Some(decision);
        self.close_answered(if approved { StepState::Done } else { StepState::Failed }, at);
    }

    fn parked(&mut self, why: &ParkReason, at: Timestamp) {
        self.parked_at = Some(at);
        match why {
            ParkReason::RetriesExhausted { command, error, .. } => self.change(*command, |step| {
                step.error = Some(error.clone());
                step.state = StepState::RetryDue { due_at: at };
            }),
            ParkReason::InDoubt { command, .. } => self.change(*command, |step| step.state = StepState::InDoubt),
            ParkReason::Nondeterminism { .. } | ParkReason::Unsupported { .. } => {}
        }
    }

    fn gate(&mut self, name: &str) -> &mut GateView {
        let at = self.gates.iter().position(|gate| gate.name == name).unwrap_or_else(|| {
            self.gates.push(GateView { name: name.to_owned(), text: String::new(), opened_at: None, decision: None });
            self.gates.len() - 1
        });
        &mut self.gates[at]
    }

    fn change(&mut self, command: CommandId, change: impl FnOnce(&mut StepView)) {
        if let Some(step) = self.live.get(&command).and_then(|at| self.steps.get_mut(*at)) {
            change(step);
        }
    }

    fn close(&mut self, command: CommandId, state: StepState, at: Timestamp) {
        self.change(command, |step| {
            step.state = state;
            step.ended_at = Some(at);
        });
        self.live.remove(&command);
    }

    /// Closes what the shared fold has closed because of something that was told to the run.
    fn close_answered(&mut self, state: StepState, at: Timestamp) {
        let open = &self.state.open;
        let answered: Vec<CommandId> = self.live.keys().filter(|command| !open.contains_key(command)).copied().collect();
        for command in answered {
            self.close(command, state, at);
        }
    }
}

fn decision(approved: bool, by: &str, reason: Option<&String>, at: Timestamp) -> Decision {
    Decision { approved, by: by.to_owned(), reason: reason.cloned(), at, seen: None, plan: None }
}
