//! Whether this build replays a run, and what it would say if not.

use serde::Serialize;
use windlass_engine::{Event, OpenCommand, OpenRun, Record, Registry, Scrutiny, replay_with};

use crate::render::columns::columns;

/// What this build would do with a run; a public contract.
#[derive(Serialize)]
pub(crate) struct Verdict {
    pub(crate) run: String,
    workflow: String,
    /// The workflow's revision when the run was created.
    revision: u32,
    /// The workflow's revision in this build, if it has the workflow.
    revision_here: Option<u32>,
    /// The build that drove the run last.
    build: String,
    events: usize,
    verdict: Judgement,
    /// What the run needs and this build does not have.
    lacks: Vec<String>,
    /// What the run would be parked with.
    message: Option<String>,
}

/// Whether the run would go on.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Judgement {
    Replays,
    WouldPark,
}

impl Verdict {
    /// Replays a history, as closely as it can be done; `None` if it is none.
    pub(crate) fn of(history: Vec<Record>, registry: &Registry) -> Option<Self> {
        let state = OpenRun::fold(&history)?;
        let build = history.iter().rev().find_map(built_by)?.to_owned();
        let (events, lacks) = (history.len(), lacks(&state, registry));
        let message = match replay_with(history, registry, Scrutiny::Twice) {
            Err(mismatch) => Some(mismatch.message),
            Ok(_) if lacks.is_empty() => None,
            Ok(_) => Some(format!(
                "run {run}: this build has no {}, which the run is at\n  next:     `windlass resume {run}` with build {build}, or \
                 a newer one that has it",
                lacks.join(", "),
                run = state.run
            )),
        };
        Some(Self {
            run: state.run.to_string(),
            revision: state.revision,
            revision_here: registry.revision(&state.workflow),
            workflow: state.workflow,
            build,
            events,
            verdict: if message.is_some() { Judgement::WouldPark } else { Judgement::Replays },
            lacks,
            message,
        })
    }

    /// Whether the run would go on.
    pub(crate) fn is_good(&self) -> bool {
        self.verdict == Judgement::Replays
    }
}

fn built_by(record: &Record) -> Option<&str> {
    if let Event::RunStarted { build, .. } | Event::RunResumed { build, .. } = &record.event { Some(build) } else { None }
}

/// What a run needs next: its workflow, and the activities that are open.
fn lacks(state: &OpenRun, registry: &Registry) -> Vec<String> {
    let workflow = registry.revision(&state.workflow).is_none().then(|| format!("workflow {}", state.workflow));
    let activities = state.open.values().filter_map(|open| match open {
        OpenCommand::Activity(activity) => Some(activity.name.as_str()),
        OpenCommand::Timer { .. } | OpenCommand::Signal { .. } | OpenCommand::Gate { .. } => None,
    });
    let mut missing: Vec<&str> = activities.filter(|name| !registry.has_activity(name)).collect();
    missing.sort_unstable();
    missing.dedup();
    workflow.into_iter().chain(missing.into_iter().map(|name| format!("activity {name}"))).collect()
}

/// One line a run, and below it what it would be parked with.
pub(crate) fn table(verdicts: &[Verdict], width: Option<usize>) -> String {
    let header = ["RUN", "WORKFLOW", "REVISION", "HERE", "BUILD", "EVENTS", "VERDICT"].map(str::to_owned);
    let rows: Vec<[String; 7]> = std::iter::once(header).chain(verdicts.iter().map(cells)).collect();
    let messages = verdicts.iter().filter_map(|verdict| verdict.message.as_ref()).map(|message| format!("\n{message}\n"));
    columns(&rows, width) + &messages.collect::<String>()
}

fn cells(verdict: &Verdict) -> [String; 7] {
    let judgement = match verdict.verdict {
        Judgement::Replays => "replays",
        Judgement::WouldPark => "would park",
    };
    [
        verdict.run.clone(),
        verdict.workflow.clone(),
        verdict.revision.to_string(),
        verdict.revision_here.map_or_else(|| "-".to_owned(), |revision| revision.to_string()),
        verdict.build.clone(),
        verdict.events.to_string(),
        judgement.to_owned(),
    ]
}
