//! The bytes of format 1, as docs/journal.md describes them. They never change; a new format gets a test of its own.

use std::fmt::Write;
use std::fs;

use windlass_engine::journal::{Journal, JournalReader};
use windlass_engine::{CommandId, Event, Json, NewEvent, RunId, Timestamp};

use crate::support::open;

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(16) {
        for byte in line {
            write!(text, "{byte:02x}").unwrap();
        }
        text.push('\n');
    }
    text
}

fn events() -> [NewEvent; 2] {
    let run = RunId::from_bytes([0xA1; 16]);
    let at = Timestamp::from_micros(1_700_000_000_000_001);
    let output = Json::of("done").unwrap();
    [
        NewEvent { run, seq: 1, at, event: Event::TimerFired { command: CommandId(7) } },
        NewEvent { run, seq: 2, at, event: Event::RunCompleted { output } },
    ]
}

#[test]
fn the_bytes_of_a_segment_are_frozen() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.append(&events()).unwrap();
    let bytes = fs::read(dir.path().join("log/00000001.seg")).unwrap();
    assert_eq!(hex(&bytes[..76]), SEGMENT_HEADER);
    assert_eq!(hex(&bytes[76..]), RECORDS);
}

#[test]
fn frozen_bytes_are_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("log")).unwrap();
    let text: String = [SEGMENT_HEADER, RECORDS].concat().split_whitespace().collect();
    let bytes: Vec<u8> = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    fs::write(dir.path().join("log/00000001.seg"), bytes).unwrap();
    let records: Vec<_> = JournalReader::open(dir.path()).unwrap().records().map(Result::unwrap).collect();
    let read: Vec<_> = records.into_iter().map(|r| NewEvent { run: r.run, seq: r.seq, at: r.at, event: r.event }).collect();
    assert_eq!(read, events());
}

const SEGMENT_HEADER: &str = "\
77696e646c61737301000000a0c46923
01000000000000000100000000000000
01000000000000000000000000000000
00000000000000000000000000000000
0000000000000000e6d0a805
";

const RECORDS: &str = "\
1c0000002f0618c70100000000000000
a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1
010000000000000001401e18240a0600
01000000000000000100000000010000
00000000000000000000000000000000
00000000000000000000000000000000
7b2254696d65724669726564223a7b22
636f6d6d616e64223a377d7d22000000
c00a50ba0200000000000000a1a1a1a1
a1a1a1a1a1a1a1a1a1a1a1a102000000
0000000001401e18240a060001000000
000000000100000003010000f9ee10ea
5ab06428928634c1cdefd28168047979
c6984030ee5083516c4c24737b225275
6e436f6d706c65746564223a7b226f75
74707574223a22646f6e65227d7d
";
