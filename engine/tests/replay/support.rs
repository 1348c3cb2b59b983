//! An activity that says a word, and histories made by hand.

use serde::{Deserialize, Serialize};
use windlass_engine::{
    Activity, ActivityContext, ActivityError, ActivityName, CommandId, Effect, Event, Json, Record, RunId, Timestamp,
};

#[derive(Clone, Serialize, Deserialize)]
pub struct Say {
    pub word: String,
}

impl Activity for Say {
    const NAME: ActivityName = ActivityName::new("say");
    const EFFECT: Effect = Effect::Observe;
    type World = ();
    type Output = String;

    fn summary(&self) -> String {
        format!("say {}", self.word)
    }

    async fn run(self, _: ActivityContext<()>) -> Result<String, ActivityError> {
        Ok(self.word)
    }
}

pub fn say(word: &str) -> Say {
    Say { word: word.to_owned() }
}

/// Builds a history by hand, one event a second.
pub struct History(pub Vec<Record>);

impl History {
    pub fn of(workflow: &str) -> Self {
        let input = Json::null();
        let (workflow, build, by) = (workflow.to_owned(), "test".to_owned(), "tester".to_owned());
        Self(Vec::new()).then(Event::RunStarted { workflow, revision: 1, build, input, cluster: None, by })
    }

    pub fn then(mut self, event: Event) -> Self {
        let seq = self.0.len() as u64 + 1;
        let at = Timestamp::from_micros(1_000_000 * i64::try_from(seq).unwrap());
        self.0.push(Record { global: seq, run: RunId::from_bytes([1; 16]), seq, at, event });
        self
    }

    /// The history says that the word was asked for, at `old.rs:7`.
    pub fn asked(self, command: u32, word: &str) -> Self {
        self.then(Event::ActivityScheduled {
            command: CommandId(command),
            activity: "say".to_owned(),
            class: Effect::Observe,
            input: Json::of(&say(word)).unwrap(),
            summary: format!("say {word}"),
            site: "old.rs:7".to_owned(),
            approval: None,
        })
    }

    pub fn answered(self, command: u32, word: &str) -> Self {
        let output = Json::of(word).unwrap();
        self.then(Event::ActivityCompleted { command: CommandId(command), attempt: 1, output, evidence: None })
    }
}

/// The places in the source move with every edit of these files.
pub fn without_lines(message: &str) -> String {
    let mut parts = message.split(".rs:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let old = out.ends_with("old");
        out.push_str(".rs:");
        out.push_str(if old { part } else { part.trim_start_matches(|c: char| c.is_ascii_digit()) });
    }
    out
}
