//! A history for programs: one flat JSON object a record.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use windlass_engine::{Event, Record, Timestamp};

use crate::words;

/// Turns records into objects, in order; knows which activity an attempt belongs to.
#[derive(Default)]
pub(crate) struct Flattener {
    open: BTreeMap<u32, (String, &'static str)>,
}

impl Flattener {
    /// `{seq, at, type, …}` with the event's own fields beside them.
    pub(crate) fn object(&mut self, record: &Record) -> Value {
        let mut object = Map::new();
        object.insert("seq".to_owned(), json!(record.seq));
        object.insert("at".to_owned(), json!(words::rfc3339(record.at)));
        let (name, fields) = name_and_fields(&record.event);
        object.insert("type".to_owned(), json!(name));
        self.add_activity(&record.event, &mut object);
        for (key, value) in fields {
            let value = if key == "due_at" { readable_time(value) } else { value };
            object.insert(key, value);
        }
        if matches!(record.event, Event::ActivityScheduled { .. }) {
            // The first attempt is implied by the asking.
            object.insert("attempt".to_owned(), json!(1));
        }
        Value::Object(object)
    }

    fn add_activity(&mut self, event: &Event, object: &mut Map<String, Value>) {
        let (command, ended) = match event {
            Event::ActivityScheduled { command, activity, class, .. } => {
                self.open.insert(command.0, (activity.clone(), class.as_str()));
                return;
            }
            Event::ActivityStarted { command, .. }
            | Event::ActivityRetryScheduled { command, .. }
            | Event::ActivityInDoubt { command, .. }
            | Event::ActivityProbed { command, .. }
            | Event::RetryRequested { command, .. }
            | Event::TimeoutChanged { command, .. } => (command, false),
            Event::ActivityCompleted { command, .. }
            | Event::ActivityFailed { command, .. }
            | Event::StepSkipped { command, .. }
            | Event::StepMarkedDone { command, .. } => (command, true),
            Event::RunStarted { .. }
            | Event::RunResumed { .. }
            | Event::RunAdopted { .. }
            | Event::TimerStarted { .. }
            | Event::TimerFired { .. }
            | Event::SignalAwaited { .. }
            | Event::SignalReceived { .. }
            | Event::GateOpened { .. }
            | Event::GateApproved { .. }
            | Event::GateRejected { .. }
            | Event::CommandCancelled { .. }
            | Event::PatchMarked { .. }
            | Event::ChangeHeld { .. }
            | Event::ChangeGivenBack { .. }
            | Event::CancelRequested { .. }
            | Event::RunParked { .. }
            | Event::RunUnparked { .. }
            | Event::RunPaused { .. }
            | Event::RunUnpaused { .. }
            | Event::NoteAdded { .. }
            | Event::RunCompleted { .. }
            | Event::RunFailed { .. }
            | Event::RunCancelled { .. } => return,
        };
        if let Some((activity, class)) = self.open.get(&command.0) {
            object.insert("activity".to_owned(), json!(activity));
            object.insert("class".to_owned(), json!(class));
        }
        if ended {
            self.open.remove(&command.0);
        }
    }
}

/// An event is stored as `{"Name": {fields}}`.
fn name_and_fields(event: &Event) -> (String, Map<String, Value>) {
    match serde_json::to_value(event) {
        Ok(Value::Object(tagged)) => match tagged.into_iter().next() {
            Some((name, Value::Object(fields))) => (name, fields),
            Some((name, _)) => (name, Map::new()),
            None => (String::new(), Map::new()),
        },
        Ok(_) | Err(_) => (String::new(), Map::new()),
    }
}

fn readable_time(value: Value) -> Value {
    value.as_i64().map_or(value, |micros| json!(words::rfc3339(Timestamp::from_micros(micros))))
}
