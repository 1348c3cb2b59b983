//! Overrides across crashes, and as they are stored.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_append_after_an_override_leads_to_the_same_end() {
    let overrides: [fn() -> What; 5] =
        [|| retry("0"), || skip("0"), || mark_done("0", Some("7")), || timeout(7200), || What::Note { text: "hm".to_owned() }];
    for what in overrides {
        let expect = ended(&what(), None).await;
        for crash_at in 1.. {
            let end = ended(&what(), Some(crash_at)).await;
            if end.is_none() {
                assert!(crash_at > 2, "{:?} was never cut off", what());
                break;
            }
            assert_eq!(end, expect, "{:?}, crash at append {crash_at}", what());
        }
    }
}

/// How a parked run ends after an override, and how often what must not happen twice took place; `None` if the crash point was never reached.
async fn ended(what: &What, crash_at: Option<u64>) -> Option<(String, usize)> {
    let (bench, run) = in_doubt(Mode::HangBefore).await;
    bench.override_as(run, what.clone()).unwrap();
    // Not every override lets a parked run go on.
    let _ = bench.override_as(run, What::Unpark);
    if let Some(append) = crash_at
        && !bench.resume_and_crash(append).await
    {
        return None;
    }
    bench.resume().await;
    // Every beginning of the history leads somewhere, and to the same open ends as the worker saw.
    let records = bench.records(run);
    for end in 1..=records.len() {
        let step = replay(records[..end].to_vec(), bench.registry()).unwrap();
        let folded = OpenRun::fold(&records[..end]).unwrap();
        assert_eq!(step.state.open.keys().collect::<Vec<_>>(), folded.open.keys().collect::<Vec<_>>());
        assert_eq!(step.state.stands_still(), folded.stands_still());
    }
    Some((bench.state(run), bench.touched().iter().filter(|name| *name == "kick").count()))
}

#[test]
fn overrides_are_stored_as_they_were_first_stored() {
    let check = |event: Event, stored: &str| {
        assert_eq!(serde_json::to_string(&event).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Event>(stored).unwrap(), event);
    };
    let (command, by, reason) = (CommandId(7), || "ann".to_owned(), || "why".to_owned());
    let output = || Json::of(&7).unwrap();
    check(Event::RunPaused { by: by(), reason: reason() }, r#"{"RunPaused":{"by":"ann","reason":"why"}}"#);
    check(Event::RunUnpaused { by: by(), reason: None }, r#"{"RunUnpaused":{"by":"ann"}}"#);
    check(
        Event::RetryRequested { command, by: by(), reason: reason() },
        r#"{"RetryRequested":{"command":7,"by":"ann","reason":"why"}}"#,
    );
    check(
        Event::StepSkipped { command, output: output(), by: by(), reason: reason() },
        r#"{"StepSkipped":{"command":7,"output":7,"by":"ann","reason":"why"}}"#,
    );
    check(
        Event::StepMarkedDone { command, output: output(), evidence: "seen".to_owned(), by: by(), reason: reason() },
        r#"{"StepMarkedDone":{"command":7,"output":7,"evidence":"seen","by":"ann","reason":"why"}}"#,
    );
    check(
        Event::TimeoutChanged { command, seconds: 60, by: by(), reason: reason() },
        r#"{"TimeoutChanged":{"command":7,"seconds":60,"by":"ann","reason":"why"}}"#,
    );
    check(Event::NoteAdded { by: by(), text: "hm".to_owned() }, r#"{"NoteAdded":{"by":"ann","text":"hm"}}"#);
    let resumed = |epoch| Event::RunResumed { incarnation: 2, build: "0.1.0".to_owned(), host: "b".to_owned(), pid: 4, epoch };
    check(resumed(None), r#"{"RunResumed":{"incarnation":2,"build":"0.1.0","host":"b","pid":4}}"#);
    check(resumed(Some(3)), r#"{"RunResumed":{"incarnation":2,"build":"0.1.0","host":"b","pid":4,"epoch":3}}"#);
    check(
        Event::RunAdopted { from: "/mnt/m".to_owned(), host: "b".to_owned(), by: by(), reason: None },
        r#"{"RunAdopted":{"from":"/mnt/m","host":"b","by":"ann"}}"#,
    );
    let approved =
        |seen, plan| Event::GateApproved { gate: "go".to_owned(), by: by(), reason: None, in_advance: false, seen, plan };
    check(approved(None, None), r#"{"GateApproved":{"gate":"go","by":"ann"}}"#);
    check(
        approved(Some("d1".to_owned()), Some("d2".to_owned())),
        r#"{"GateApproved":{"gate":"go","by":"ann","seen":"d1","plan":"d2"}}"#,
    );
}
