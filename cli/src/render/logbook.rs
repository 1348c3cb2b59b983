//! A history as a logbook: one line a fact, in plain words.

use std::collections::BTreeMap;
use std::time::Duration;

use console::Style;
use windlass_engine::{CommandId, Event, OpenRun, ParkReason, ProbeVerdict, Record, Timestamp};

use crate::procedure;
use crate::ui::Ui;
use crate::words::{self, Lines as _};

/// Turns records into lines, in order. Remembers only what is open.
pub(crate) struct Logbook {
    styles: Styles,
    began: Option<Timestamp>,
    day: Option<String>,
    open: BTreeMap<u32, Open>,
    /// Whether a worker's first look at a new run is still to come.
    fresh: bool,
}

struct Styles {
    dim: Style,
    good: Style,
    bad: Style,
    person: Style,
}

struct Open {
    summary: String,
    since: Timestamp,
}

/// How a line is coloured.
#[derive(Clone, Copy)]
enum Tone {
    Plain,
    Dim,
    Good,
    Bad,
    Person,
}

/// Where the words of a line begin: time, elapsed time and their gaps.
const INDENT: usize = 22;

impl Logbook {
    /// An empty logbook without colours.
    pub(crate) fn plain() -> Self {
        Self::with(|style| style.force_styling(false))
    }

    /// An empty logbook in the colours of stdout.
    pub(crate) fn new(ui: &Ui) -> Self {
        Self::with(|style| ui.on_out(style))
    }

    fn with(on: impl Fn(Style) -> Style) -> Self {
        let styles = Styles {
            dim: on(Style::new().dim()),
            good: on(Style::new().green()),
            bad: on(Style::new().red()),
            person: on(Style::new().cyan()),
        };
        Self { styles, began: None, day: None, open: BTreeMap::new(), fresh: true }
    }

    /// The lines of a record, each ended; a new day gets a line of its own.
    pub(crate) fn lines(&mut self, record: &Record) -> String {
        let began = *self.began.get_or_insert(record.at);
        let mut text = String::new();
        let today = words::day(record.at);
        if self.day.as_ref() != Some(&today) {
            text.line(format!("{}", self.styles.dim.apply_to(format!("── {today} ──"))));
            self.day = Some(today);
        }
        let (tone, said) = self.say(record);
        let style = match tone {
            Tone::Plain => &Style::new(),
            Tone::Dim => &self.styles.dim,
            Tone::Good => &self.styles.good,
            Tone::Bad => &self.styles.bad,
            Tone::Person => &self.styles.person,
        };
        let mut said = said.lines();
        let first = said.next().unwrap_or_default();
        let elapsed = words::elapsed(record.at.since(began));
        let margin = self.styles.dim.apply_to(format!("{}  {elapsed:>10}", words::clock(record.at)));
        text.line(format!("{margin}  {}", style.apply_to(first)));
        for more in said {
            text.line(format!("{:INDENT$}  {}", "", more.trim_end()));
        }
        text
    }

    fn say(&mut self, record: &Record) -> (Tone, String) {
        match &record.event {
            Event::RunStarted { .. }
            | Event::RunResumed { .. }
            | Event::RunAdopted { .. }
            | Event::RunParked { .. }
            | Event::RunUnparked { .. }
            | Event::RunPaused { .. }
            | Event::RunUnpaused { .. }
            | Event::RunCompleted { .. }
            | Event::RunFailed { .. }
            | Event::RunCancelled { .. } => self.of_run(&record.event),
            Event::ActivityScheduled { .. }
            | Event::ActivityStarted { .. }
            | Event::ActivityCompleted { .. }
            | Event::ActivityRetryScheduled { .. }
            | Event::ActivityFailed { .. }
            | Event::ActivityInDoubt { .. }
            | Event::ActivityProbed { .. } => self.of_attempt(record),
            Event::RetryRequested { .. }
            | Event::StepSkipped { .. }
            | Event::StepMarkedDone { .. }
            | Event::TimeoutChanged { .. }
            | Event::NoteAdded { .. } => self.of_override(record),
            Event::TimerStarted { .. }
            | Event::TimerFired { .. }
            | Event::CommandCancelled { .. }
            | Event::PatchMarked { .. }
            | Event::ChangeHeld { .. }
            | Event::ChangeGivenBack { .. } => self.of_workflow(record),
            Event::SignalAwaited { .. }
            | Event::SignalReceived { .. }
            | Event::GateOpened { .. }
            | Event::GateApproved { .. }
            | Event::GateRejected { .. }
            | Event::CancelRequested { .. } => self.of_person(record),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`say` has sorted the events")]
    fn of_run(&mut self, event: &Event) -> (Tone, String) {
        match event {
            Event::RunStarted { workflow, revision, build, cluster, by, .. } => {
                let cluster = cluster.as_ref().map(|id| format!(" on cluster {id}")).unwrap_or_default();
                (Tone::Person, format!("{by} started {workflow}{cluster} (revision {revision}, windlass {build})"))
            }
            Event::RunResumed { incarnation, build, host, pid, epoch } => {
                let what = if std::mem::take(&mut self.fresh) { "driven by" } else { "resumed by" };
                let epoch = epoch.map(|epoch| format!(", lease epoch {epoch}")).unwrap_or_default();
                (Tone::Dim, format!("{what} worker {incarnation}: pid {pid} on {host}, windlass {build}{epoch}"))
            }
            Event::RunAdopted { from, host, by, reason } => {
                (Tone::Person, format!("{by} adopted the run on {host}, from {from}{}", because(reason.as_ref())))
            }
            Event::RunParked { why } => (Tone::Bad, format!("parked: {}", park_reason(why))),
            Event::RunPaused { by, reason } => (Tone::Person, format!("{by} paused the run: {reason}")),
            Event::RunUnpaused { by, reason } => (Tone::Person, format!("{by} unpaused the run{}", because(reason.as_ref()))),
            Event::RunUnparked { by, reason } => (Tone::Person, format!("{by} let the run go on{}", because(reason.as_ref()))),
            Event::RunCompleted { output } => {
                let output = if output.as_str() == "null" {
                    String::new()
                } else {
                    format!(": {}", words::one_line(output.as_str(), 200))
                };
                (Tone::Good, format!("completed{output}"))
            }
            Event::RunFailed { error } => (Tone::Bad, format!("failed: {error}")),
            Event::RunCancelled { error } if error == "cancelled" => (Tone::Bad, "cancelled".to_owned()),
            Event::RunCancelled { error } => (Tone::Bad, format!("cancelled: {error}")),
            _ => (Tone::Plain, String::new()),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`say` has sorted the events")]
    fn of_attempt(&mut self, record: &Record) -> (Tone, String) {
        match &record.event {
            Event::ActivityScheduled { command, class, summary, approval, .. } => {
                self.fresh = false;
                let summary = self.opened(*command, summary, record.at);
                let approval = approval.as_ref().map(|gate| format!(", approved at gate {gate}")).unwrap_or_default();
                (Tone::Plain, format!("begin: {summary} [{class}{approval}]"))
            }
            Event::ActivityStarted { command, attempt } => {
                (Tone::Plain, format!("attempt {attempt}: {}", self.summary(command.0)))
            }
            Event::ActivityCompleted { command, attempt, evidence, .. } => {
                let (summary, took) = self.close(command.0, record.at);
                let attempts = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
                let found = evidence.as_ref().map(|seen| format!("\nit had taken effect; seen: {seen}")).unwrap_or_default();
                (Tone::Good, format!("done: {summary} ({took}{attempts}){found}"))
            }
            Event::ActivityRetryScheduled { command, attempt, error, due_at } => {
                let wait = words::duration(due_at.since(record.at));
                let due = words::moment_near(*due_at, record.at);
                let summary = self.summary(command.0);
                (Tone::Bad, format!("attempt {attempt} failed: {summary}: {error}\nnext attempt at {due}, in {wait}"))
            }
            Event::ActivityFailed { command, attempt, error } => {
                let (summary, took) = self.close(command.0, record.at);
                (Tone::Bad, format!("failed for good: {summary} ({took}, attempt {attempt}): {error}"))
            }
            Event::ActivityInDoubt { command, attempt, reason } => {
                (Tone::Bad, format!("in doubt: attempt {attempt} of {}: {reason}", self.summary(command.0)))
            }
            Event::ActivityProbed { command, verdict, evidence, .. } => {
                let verdict = match verdict {
                    ProbeVerdict::DidNotHappen => "it did not happen",
                    ProbeVerdict::CannotTell => "it cannot be told",
                };
                (Tone::Plain, format!("probed {}: {verdict}; seen: {evidence}", self.summary(command.0)))
            }
            _ => (Tone::Plain, String::new()),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`say` has sorted the events")]
    fn of_override(&mut self, record: &Record) -> (Tone, String) {
        let said = match &record.event {
            Event::RetryRequested { command, by, reason } => {
                format!("{by} wants another attempt at once: {}: {reason}", self.summary(command.0))
            }
            Event::StepSkipped { command, by, reason, .. } => {
                let (summary, took) = self.close(command.0, record.at);
                format!("{by} skipped: {summary} ({took}): {reason}\nit counts as done without being done")
            }
            Event::StepMarkedDone { command, by, reason, evidence, .. } => {
                let (summary, took) = self.close(command.0, record.at);
                format!("{by} marked as done: {summary} ({took}): {reason}\nevidence: {evidence}")
            }
            Event::TimeoutChanged { command, seconds, by, reason } => {
                let limit = words::duration(Duration::from_secs(*seconds));
                format!("{by} gives each attempt {limit}: {}: {reason}", self.summary(command.0))
            }
            Event::NoteAdded { by, text } => format!("{by} noted: {text}"),
            _ => String::new(),
        };
        (Tone::Person, said)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`say` has sorted the events")]
    fn of_workflow(&mut self, record: &Record) -> (Tone, String) {
        match &record.event {
            Event::TimerStarted { command, due_at, why, .. } => {
                let what = why.as_ref().map(|why| format!(" for {why},")).unwrap_or_default();
                let until = format!("wait{what} until {}", words::moment_near(*due_at, record.at));
                let summary = self.opened(*command, &until, record.at);
                (Tone::Plain, format!("{summary}, for {}", words::duration(due_at.since(record.at))))
            }
            Event::TimerFired { command } => {
                let (summary, took) = self.close(command.0, record.at);
                (Tone::Plain, format!("done: {summary} ({took})"))
            }
            Event::CommandCancelled { target, .. } => {
                let (summary, took) = self.close(target.0, record.at);
                (Tone::Dim, format!("given up: {summary} ({took})"))
            }
            Event::PatchMarked { patch, .. } => (Tone::Dim, format!("runs with change {patch}")),
            Event::ChangeHeld { key, text, prior, .. } => {
                (Tone::Plain, format!("temporary change {key}{}: {text}", words::was(prior)))
            }
            Event::ChangeGivenBack { key, .. } => (Tone::Good, format!("given back: {key}")),
            _ => (Tone::Plain, String::new()),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`say` has sorted the events")]
    fn of_person(&mut self, record: &Record) -> (Tone, String) {
        match &record.event {
            Event::SignalAwaited { command, signal, .. } => {
                (Tone::Plain, self.opened(*command, &format!("wait for signal {signal}"), record.at))
            }
            Event::SignalReceived { signal, payload, by } => match procedure::plan_in(&record.event) {
                Some(plan) => {
                    (Tone::Person, format!("{by} agreed to plan {}: {}", plan.digest, words::count(plan.steps.len(), "step")))
                }
                None => (Tone::Person, format!("{by} sent signal {signal}: {payload}")),
            },
            Event::GateOpened { gate, text, .. } => (Tone::Person, format!("gate {gate}: {text}")),
            Event::GateApproved { gate, by, reason, in_advance, seen, plan } => {
                let early = if *in_advance { " in advance" } else { "" };
                let bound = bound_to(seen.as_deref(), plan.as_deref());
                (Tone::Person, format!("{by} approved gate {gate}{early}{bound}{}", because(reason.as_ref())))
            }
            Event::GateRejected { gate, by, reason } => {
                (Tone::Person, format!("{by} rejected gate {gate}{}", because(reason.as_ref())))
            }
            Event::CancelRequested { by, reason } => {
                (Tone::Person, format!("{by} asked to cancel the run{}", because(reason.as_ref())))
            }
            _ => (Tone::Plain, String::new()),
        }
    }

    /// Remembers a step that begins; it is called by its number and its summary from then on.
    fn opened(&mut self, command: CommandId, summary: &str, since: Timestamp) -> String {
        let summary = format!("{command} {summary}");
        self.open.insert(command.0, Open { summary: summary.clone(), since });
        summary
    }

    fn summary(&self, command: u32) -> &str {
        self.open.get(&command).map_or("(a step that has ended)", |open| &open.summary)
    }

    fn close(&mut self, command: u32, at: Timestamp) -> (String, String) {
        match self.open.remove(&command) {
            Some(open) => (open.summary, words::duration(at.since(open.since))),
            None => ("(a step that has ended)".to_owned(), words::duration(std::time::Duration::ZERO)),
        }
    }
}

fn because(reason: Option<&String>) -> String {
    reason.map(|why| format!(": {why}")).unwrap_or_default()
}

/// What an approval holds for: ` (text 0123456789abcdef, plan …)`.
pub(crate) fn bound_to(seen: Option<&str>, plan: Option<&str>) -> String {
    let bound = [("text", seen), ("plan", plan)];
    let bound: Vec<String> = bound.iter().filter_map(|(what, digest)| digest.map(|digest| format!("{what} {digest}"))).collect();
    if bound.is_empty() { String::new() } else { format!(" ({})", bound.join(", ")) }
}

/// Why nothing new begins in a run, in one line, if so.
pub(crate) fn standstill(run: &OpenRun) -> Option<String> {
    let paused = run.paused.as_ref().map(|pause| format!("paused by {}: {}", pause.by, pause.reason));
    let reasons: Vec<String> = paused.into_iter().chain(run.parked.as_ref().map(park_reason)).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Why a run is parked, in one line.
pub(crate) fn park_reason(why: &ParkReason) -> String {
    match why {
        ParkReason::RetriesExhausted { summary, attempts, error, .. } => {
            format!("{summary} failed {}: {error}", if *attempts == 1 { "once".to_owned() } else { format!("{attempts} times") })
        }
        ParkReason::InDoubt { summary, evidence, .. } => {
            format!("nobody can tell whether this took effect: {summary}; seen: {evidence}")
        }
        ParkReason::Nondeterminism { message } | ParkReason::Unsupported { message } => message.clone(),
    }
}
