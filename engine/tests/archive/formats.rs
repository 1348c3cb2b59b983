//! Exports that earlier builds wrote, to the byte: they are read for ever.

use windlass_engine::Event;

use crate::support::{done, ended, read_back, run, scheduled, started};

const FORMAT_1: &str = r#"{"windlass":"history","format":1,"build":"0.1.0","run":"01010101-0101-0101-0101-010101010101"}
{"seq":1,"at":1700000000000001,"event":{"RunStarted":{"workflow":"call","revision":1,"build":"test","input":{"pool":"worker"},"by":"ada"}}}
{"seq":2,"at":1700000000000002,"event":{"ActivityScheduled":{"command":0,"activity":"call","class":"declare","input":7,"summary":"call it","site":"workflow.rs:7"}}}
{"seq":3,"at":1700000000000003,"event":{"ActivityCompleted":{"command":0,"attempt":1,"output":[1.5,null]}}}
{"seq":4,"at":1700000000000004,"event":{"RunCompleted":{"output":null}}}
"#;

/// Seen to fail with the format refused, and with its times left out.
#[test]
fn an_export_of_format_1_is_read_and_proves_nothing() {
    let (archive, records) = read_back(FORMAT_1.as_bytes()).unwrap();
    assert_eq!((archive.format, archive.build.as_str(), archive.run), (1, "0.1.0", run(1)));
    assert_eq!((archive.events, archive.ended, archive.signer, archive.journal), (4, true, None, None));
    let (input, seven) = (serde_json::json!({"pool": "worker"}), serde_json::json!(7));
    let expect = [started(&input), scheduled(0, &seven, "call it"), done(0, &serde_json::json!([1.5, null])), ended()];
    let places: Vec<(u64, i64)> = records.iter().map(|record| (record.seq, record.at.as_micros())).collect();
    assert_eq!(places, [1, 2, 3, 4].map(|seq| (seq, 1_700_000_000_000_000 + i64::try_from(seq).unwrap())));
    let events: Vec<Event> = records.into_iter().map(|record| record.event).collect();
    assert_eq!(events, expect);
}
