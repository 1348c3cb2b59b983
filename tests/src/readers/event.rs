//! An event, as it stands in a record.

use windlass_engine::Event;

use super::{bounded, recorded};

/// Up to three of each kind that was recorded, and fields that the recorded histories happen not to have.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for record in recorded("eus-update-r2-windows-canary-harsh").into_iter().chain(recorded("eus-update-r1-harsh")) {
        let text = serde_json::to_vec(&record.event).unwrap();
        let kind = |text: &[u8]| text.iter().take_while(|byte| **byte != b':').copied().collect::<Vec<_>>();
        if seeds.iter().filter(|seed| kind(seed) == kind(&text)).count() < 3 && text.len() < 4_000 {
            seeds.push(text);
        }
    }
    for text in [
        r#"{"GateApproved":{"gate":"g","by":"a","reason":"r","in_advance":true,"seen":"d1","plan":"d2"}}"#,
        r#"{"ActivityCompleted":{"command":1,"attempt":2,"output":{"a":[1.5,null,"\u00e9"]},"evidence":"seen"}}"#,
        r#"{"RunAdopted":{"from":"/mnt/m","host":"b","by":"a","reason":"r"}}"#,
        r#"{"StepMarkedDone":{"command":7,"output":7,"evidence":"e","by":"a","reason":"r"}}"#,
        r#"{"RunParked":{"why":{"InDoubt":{"command":3,"summary":"s","evidence":"e"}}}}"#,
    ] {
        seeds.push(text.as_bytes().to_vec());
    }
    seeds
}

/// What decodes is written down again as an equal of itself.
pub fn judge(bytes: &[u8]) -> Result<(), String> {
    let Ok(event) = bounded(bytes.len(), 64 << 10, 64, || serde_json::from_slice::<Event>(bytes))? else { return Ok(()) };
    let text = serde_json::to_string(&event).map_err(|e| e.to_string())?;
    let again: Event = serde_json::from_str(&text).map_err(|e| format!("{text} does not decode again: {e}"))?;
    if again == event { Ok(()) } else { Err(format!("{text} decodes as another event")) }
}
