//! What a run would do: the workflow itself, led along answers that an oracle foresees, with a clock that only it moves.
//!
//! A plan made so can't differ from the run it is for: it comes out of the same code.

use std::future::Future;
use std::time::Duration;

use crate::activity::{ActivityError, Effect};
use crate::event::{Event, Record};
use crate::ids::{CommandId, RunId};
use crate::json::Json;
use crate::replay::{Mismatch, replay};
use crate::state::{OpenCommand, OpenRun};
use crate::time::Timestamp;
use crate::workflow::{Registry, WorkflowResult};

/// Says how an activity would end, and how long it would take.
pub trait Oracle: Send {
    /// Why it can't say.
    type Error;

    /// The foreseen end of an activity that begins at `now`.
    fn answer(&mut self, asked: &Asked, now: Timestamp) -> impl Future<Output = Result<Answer, Self::Error>> + Send;
}

/// An activity that the workflow would ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Its registered name.
    pub activity: String,
    /// Its class.
    pub class: Effect,
    /// Its input.
    pub input: Json,
    /// What it does.
    pub summary: String,
    /// The gate whose approval permits it.
    pub approval: Option<String>,
}

/// How an activity would end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Its result.
    pub result: Result<Json, ActivityError>,
    /// How long it would take.
    pub takes: Duration,
}

/// Something that a run would do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Foreseen {
    /// What.
    pub what: Deed,
    /// When it would begin.
    pub begins: Timestamp,
    /// When it would end.
    pub ends: Timestamp,
}

/// The kinds of what a run does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deed {
    /// An activity and its foreseen result.
    Activity {
        /// What is asked for.
        asked: Asked,
        /// Its foreseen end.
        result: Result<Json, ActivityError>,
    },
    /// A gate, which a person is taken to approve.
    Gate {
        /// Its name.
        gate: String,
        /// What the person is asked.
        text: String,
    },
    /// A sleep.
    Sleep,
    /// A temporary change that goes on record.
    Hold {
        /// What names it.
        key: String,
        /// What is changed, and how to undo it by hand.
        text: String,
    },
    /// A temporary change that is given back.
    GiveBack {
        /// What names it.
        key: String,
    },
}

/// A run as it would go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Foresight {
    /// What it would do, in order.
    pub deeds: Vec<Foreseen>,
    /// How it would end.
    pub end: WorkflowResult<Json>,
}

/// Why nothing can be foreseen.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unforeseeable<E> {
    /// The oracle could not say.
    #[error("{0}")]
    Oracle(E),
    /// The workflow broke a rule.
    #[error("{0}")]
    Broken(Mismatch),
    /// The workflow waits for something that only the outside can tell.
    #[error("the workflow would wait for {0}, which nobody can foresee")]
    Signal(String),
    /// The workflow does not come to an end.
    #[error("the workflow would take more than {0} steps")]
    Endless(usize),
}

/// A workflow that does more than this is taken to go in circles.
const MOST_DEEDS: usize = 2_000;

/// Leads a workflow from its start to its end. Gates are approved, sleeps last as long as they should.
///
/// # Errors
/// When the oracle can't say, or the workflow breaks a rule.
pub async fn foresee<O: Oracle>(
    registry: &Registry,
    workflow: &str,
    input: &Json,
    begins: Timestamp,
    oracle: &mut O,
) -> Result<Foresight, Unforeseeable<O::Error>> {
    let started = Event::RunStarted {
        workflow: workflow.to_owned(),
        revision: registry.revision(workflow).unwrap_or_default(),
        build: String::new(),
        input: input.clone(),
        cluster: None,
        by: String::new(),
    };
    let mut walk = Walk { now: begins, history: Vec::new(), deeds: Vec::new() };
    walk.record(started);
    loop {
        let step = replay(walk.history.clone(), registry).map_err(Unforeseeable::Broken)?;
        let asked_nothing = step.asked.is_empty();
        for event in step.asked {
            walk.record(event);
        }
        if let Some(end) = step.ended {
            return Ok(Foresight { deeds: walk.deeds, end });
        }
        if walk.deeds.len() > MOST_DEEDS {
            return Err(Unforeseeable::Endless(MOST_DEEDS));
        }
        if asked_nothing {
            walk.answer_next(&step.state, oracle).await?;
        }
    }
}

struct Walk {
    now: Timestamp,
    history: Vec<Record>,
    deeds: Vec<Foreseen>,
}

impl Walk {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only temporary changes are worth a note of their own")]
    fn record(&mut self, event: Event) {
        let seq = self.history.len() as u64 + 1;
        match &event {
            Event::ChangeHeld { key, text, .. } => self.note(Deed::Hold { key: key.clone(), text: text.clone() }, self.now),
            Event::ChangeGivenBack { key, .. } => self.note(Deed::GiveBack { key: key.clone() }, self.now),
            _ => {}
        }
        self.history.push(Record { global: seq, run: RunId::from_bytes([0; 16]), seq, at: self.now, event });
    }

    fn note(&mut self, what: Deed, begins: Timestamp) {
        self.deeds.push(Foreseen { what, begins, ends: self.now });
    }

    /// What would end next: work first, then what a person decides, then the earliest sleep.
    async fn answer_next<O: Oracle>(&mut self, state: &OpenRun, oracle: &mut O) -> Result<(), Unforeseeable<O::Error>> {
        let rank = |open: &OpenCommand| match open {
            OpenCommand::Activity(_) => (0, Timestamp::default()),
            OpenCommand::Gate { .. } => (1, Timestamp::default()),
            OpenCommand::Timer { due_at } => (2, *due_at),
            OpenCommand::Signal { .. } => (3, Timestamp::default()),
        };
        let Some((command, open)) = state.open.iter().min_by_key(|(_, open)| rank(open)) else {
            return Err(Unforeseeable::Signal("nothing".to_owned()));
        };
        let begins = self.now;
        match open {
            OpenCommand::Activity(activity) => {
                let asked = Asked {
                    activity: activity.name.clone(),
                    class: activity.class,
                    input: activity.input.clone(),
                    summary: activity.summary.clone(),
                    approval: activity.approval.clone(),
                };
                let answer = oracle.answer(&asked, begins).await.map_err(Unforeseeable::Oracle)?;
                self.now = begins.plus(answer.takes);
                self.record(ended(*command, &answer.result));
                self.note(Deed::Activity { asked, result: answer.result }, begins);
            }
            OpenCommand::Gate { gate, text, .. } => {
                self.note(Deed::Gate { gate: gate.clone(), text: text.clone() }, begins);
                let (gate, by) = (gate.clone(), String::new());
                self.record(approved(gate, by));
            }
            OpenCommand::Timer { due_at } => {
                self.now = begins.max(*due_at);
                self.record(Event::TimerFired { command: *command });
                self.note(Deed::Sleep, begins);
            }
            OpenCommand::Signal { signal } => return Err(Unforeseeable::Signal(format!("signal {signal}"))),
        }
        Ok(())
    }
}

fn ended(command: CommandId, result: &Result<Json, ActivityError>) -> Event {
    match result {
        Ok(output) => Event::ActivityCompleted { command, attempt: 1, output: output.clone(), evidence: None },
        Err(error) => Event::ActivityFailed { command, attempt: 1, error: error.clone() },
    }
}

fn approved(gate: String, by: String) -> Event {
    Event::GateApproved { gate, by, reason: None, in_advance: false, seen: None, plan: None }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::activity::{Activity, ActivityContext};
    use crate::context::{Gate, WorkflowContext};
    use crate::ids::ActivityName;
    use crate::{Either, WorkflowError};

    #[derive(Clone, Serialize, Deserialize)]
    struct Turn {
        screw: u32,
    }

    impl Activity for Turn {
        const NAME: ActivityName = ActivityName::new("turn");
        const EFFECT: Effect = Effect::Declare;
        type World = ();
        type Output = u32;

        fn summary(&self) -> String {
            format!("turn screw {}", self.screw)
        }

        fn requests(&self) -> Vec<String> {
            vec![format!("TURN /screws/{}", self.screw)]
        }

        async fn run(self, _: ActivityContext<()>) -> Result<u32, ActivityError> {
            Ok(self.screw)
        }
    }

    async fn tighten(ctx: WorkflowContext, screws: u32) -> WorkflowResult<u32> {
        ctx.hold("engine/stopped", "start it by hand", &false)?;
        let mut turned = 0;
        for screw in 0..screws {
            turned += ctx.run(Turn { screw }).await?;
        }
        ctx.gate(Gate::new("start", "Start it?")).await?;
        match ctx.race(ctx.sleep(Duration::from_secs(60)), ctx.signal::<bool>("now")).await {
            Either::First(slept) => slept?,
            Either::Second(told) => drop(told?),
        }
        ctx.give_back("engine/stopped");
        if turned > 2 { Err(WorkflowError::Failed("too tight".to_owned())) } else { Ok(turned) }
    }

    struct TenSecondsEach;

    impl Oracle for TenSecondsEach {
        type Error = String;

        async fn answer(&mut self, asked: &Asked, _: Timestamp) -> Result<Answer, String> {
            let screw = asked.input.to_value()["screw"].clone();
            if screw == 7 {
                return Err("screw 7 can't be seen".to_owned());
            }
            let output = Json::of(&screw).map_err(|e| e.to_string())?;
            Ok(Answer { result: Ok(output), takes: Duration::from_secs(10) })
        }
    }

    fn foreseen(screws: u32) -> Result<Foresight, Unforeseeable<String>> {
        let registry = Registry::new().workflow("tighten", 1, tighten).activity::<Turn>(&Arc::new(()));
        let begins = Timestamp::from_micros(1_000_000_000_000_000);
        let input = Json::of(&screws).unwrap();
        futures::executor::block_on(foresee(&registry, "tighten", &input, begins, &mut TenSecondsEach))
    }

    #[test]
    fn a_run_is_foreseen_step_by_step_with_its_times() {
        let foresight = foreseen(2).unwrap();
        let begins = foresight.deeds[0].begins;
        let told: Vec<String> = foresight
            .deeds
            .iter()
            .map(|deed| {
                let what = match &deed.what {
                    Deed::Activity { asked, .. } => asked.summary.clone(),
                    Deed::Gate { gate, .. } => format!("gate {gate}"),
                    Deed::Sleep => "sleep".to_owned(),
                    Deed::Hold { key, .. } => format!("hold {key}"),
                    Deed::GiveBack { key } => format!("give back {key}"),
                };
                format!("{}-{} {what}", deed.begins.since(begins).as_secs(), deed.ends.since(begins).as_secs())
            })
            .collect();
        let expect = [
            "0-0 hold engine/stopped",
            "0-10 turn screw 0",
            "10-20 turn screw 1",
            "20-20 gate start",
            "20-80 sleep",
            "80-80 give back engine/stopped",
        ];
        assert_eq!(told, expect);
        assert_eq!(foresight.end.unwrap().to::<u32>().unwrap(), 1);
    }

    #[test]
    fn an_end_that_is_a_failure_is_foreseen_too() {
        assert_eq!(foreseen(3).unwrap().end, Err(WorkflowError::Failed("too tight".to_owned())));
        assert_eq!(foreseen(8), Err(Unforeseeable::Oracle("screw 7 can't be seen".to_owned())));
    }

    #[test]
    fn requests_and_looks_need_no_run() {
        let registry = Registry::new().activity::<Turn>(&Arc::new(()));
        let input = Json::of(&Turn { screw: 4 }).unwrap();
        assert_eq!(registry.requests("turn", &input), ["TURN /screws/4"]);
        let look = |name: &str| futures::executor::block_on(registry.look(name, &input, Arc::new(crate::SystemClock)));
        assert_eq!(look("turn").unwrap().to::<u32>().unwrap(), 4);
        assert_eq!(look("push").unwrap_err().message, "this build has no activity push");
    }
}
