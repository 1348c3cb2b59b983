//! A journal of a format 0 that never was: in it `TimerFired` called its command a `timer`, one event `GateDecided` stood for what
//! are two today, and the `seconds` of `TimeoutChanged` were minutes.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::event::{Event, NewEvent, Record};
use crate::ids::{CommandId, RunId};
use crate::journal::frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::journal::segment::{self, SegmentHeader};
use crate::journal::{
    Damage, DiskJournal, Examined, Journal, JournalError, JournalOptions, JournalReader, ReplaySource, examine, refuse_newer,
    verify,
};
use crate::mirror::{Directory, MirrorTarget, read_directory};
use crate::time::{Clock, SystemClock, Timestamp};

fn run() -> RunId {
    RunId::from_bytes([7; 16])
}

pub(super) fn from_format_0(event: &mut Value) -> Result<(), String> {
    let Some((kind, mut fields)) = event.as_object().and_then(|event| event.iter().next()).map(|(k, v)| (k.clone(), v.clone()))
    else {
        return Err("it has no kind".to_owned());
    };
    let mut take =
        |name: &str| fields.as_object_mut().and_then(|fields| fields.remove(name)).ok_or(format!("it has no `{name}`"));
    match kind.as_str() {
        "TimeoutChanged" => {
            let minutes = event["TimeoutChanged"]["seconds"].as_u64().ok_or("its time is no number")?;
            event["TimeoutChanged"]["seconds"] = json!(minutes * 60);
        }
        "TimerFired" => *event = json!({"TimerFired": {"command": take("timer")?}}),
        "GateDecided" => {
            let (kind, gate, by) =
                (if take("yes")? == true { "GateApproved" } else { "GateRejected" }, take("gate")?, take("by")?);
            *event = json!({kind: {"gate": gate, "by": by}});
        }
        _ => {}
    }
    Ok(())
}

/// Events as format 0 had them, and as they are today.
fn known() -> [(&'static str, Event); 4] {
    let gate = || ("go".to_owned(), "ada".to_owned());
    let ((gate, by), (gate_2, by_2)) = (gate(), gate());
    [
        (
            r#"{"TimeoutChanged":{"command":3,"seconds":2,"by":"ada","reason":"a slow disk"}}"#,
            Event::TimeoutChanged { command: CommandId(3), seconds: 120, by: "ada".to_owned(), reason: "a slow disk".to_owned() },
        ),
        (r#"{"TimerFired":{"timer":3}}"#, Event::TimerFired { command: CommandId(3) }),
        (
            r#"{"GateDecided":{"gate":"go","yes":true,"by":"ada"}}"#,
            Event::GateApproved { gate, by, reason: None, in_advance: false, seen: None, plan: None },
        ),
        (r#"{"GateDecided":{"gate":"go","yes":false,"by":"ada"}}"#, Event::GateRejected { gate: gate_2, by: by_2, reason: None }),
    ]
}

fn today() -> Vec<Event> {
    known().map(|(_, event)| event).to_vec()
}

/// Lays down a log of one run as a windlass of that format would have, with segments of these payloads.
fn lay_down(dir: &Path, segments: &[(u32, &[&str])]) {
    let log = dir.join("log");
    fs::create_dir_all(&log).unwrap();
    let (mut global, mut prev) = (1, [0; 32]);
    for (segment, (format, payloads)) in (1..).zip(segments) {
        let header = SegmentHeader { format: JournalFormat(*format), segment, first_global: global, commit: global, prev };
        let mut bytes = header.encode().unwrap().to_vec();
        for payload in *payloads {
            let header = FrameHeader {
                length: u32::try_from(payload.len()).unwrap(),
                global,
                run: run(),
                seq: global,
                at: Timestamp::from_micros(1),
                commit: global,
                incarnation: 4,
                last_of_commit: true,
                ends_run: false,
                prev,
            };
            let mut frame = [&[0; FRAME_HEADER_BYTES], payload.as_bytes()].concat();
            header.seal(&mut frame).unwrap();
            prev = crate::journal::frame::hash(&frame);
            bytes.extend(frame);
            global += 1;
        }
        fs::write(segment::path(&log, segment), bytes).unwrap();
    }
}

/// A journal of two segments of format 0.
fn old_journal() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let texts = known().map(|(text, _)| text);
    lay_down(dir.path(), &[(0, &texts[..2]), (0, &texts[2..])]);
    dir
}

fn open(dir: &Path, replay_from: ReplaySource) -> DiskJournal {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    DiskJournal::open(dir, &clock, JournalOptions { replay_from, ..JournalOptions::default() }).unwrap()
}

fn replayed(journal: &mut DiskJournal) -> Vec<Event> {
    let mut events = Vec::new();
    let each = &mut |record: Record| {
        events.push(record.event);
        ControlFlow::Continue(())
    };
    journal.replay(run(), each).unwrap();
    events
}

fn read(dir: &Path) -> Vec<Event> {
    JournalReader::open(dir).unwrap().records().map(|record| record.unwrap().event).collect()
}

fn note(seq: u64) -> NewEvent {
    let event = Event::NoteAdded { by: "bo".to_owned(), text: format!("note {seq}") };
    NewEvent { run: run(), seq, at: Timestamp::from_micros(2), event }
}

fn segments(dir: &Path) -> Vec<Vec<u8>> {
    let log = dir.join("log");
    segment::list(&log).unwrap().into_iter().map(|number| fs::read(segment::path(&log, number)).unwrap()).collect()
}

/// A step that puts the event into a list with this number.
fn wrap<const NUMBER: u32>(event: &mut Value) -> Result<(), String> {
    if NUMBER == 0 {
        return Err("no".to_owned());
    }
    *event = json!([event, NUMBER]);
    Ok(())
}

/// Seen to fail with the steps applied in the wrong order, and with one too few passed over.
#[test]
fn an_event_takes_the_steps_that_are_ahead_of_it_in_order() {
    let steps: [Step; 3] = [wrap::<1>, wrap::<2>, wrap::<0>];
    assert_eq!(raised_by(&steps[..2], "0", 0), Ok(Cow::Owned("[[0,1],2]".to_owned())));
    assert_eq!(raised_by(&steps[..2], "0", 1), Ok(Cow::Owned("[0,2]".to_owned())));
    assert_eq!(raised_by(&steps[..2], " 0", 2), Ok(Cow::Borrowed(" 0")));
    assert_eq!(raised_by(&steps, "0", 0), Err("no".to_owned()));
    assert!(raised_by(&steps, "0 0", 0).is_err());
}

/// Seen to fail with every segment taken for one of today's format.
#[test]
fn an_old_journal_is_read_as_if_it_were_of_today() {
    let dir = old_journal();
    assert_eq!(read(dir.path()), today());
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.records, report.segments, report.damage), (4, 2, None));
    refuse_newer(dir.path()).unwrap();
}

/// Seen to fail with an old segment appended to.
#[test]
fn an_old_journal_goes_on_in_a_segment_of_todays_format() {
    let dir = old_journal();
    let before = segments(dir.path());
    for round in 0..2 {
        let mut journal = open(dir.path(), ReplaySource::Cheapest);
        journal.append(&[note(5 + 2 * round)]).unwrap();
        journal.append(&[note(6 + 2 * round)]).unwrap();
    }
    let after = segments(dir.path());
    assert_eq!(after[..2], before);
    assert_eq!(after.len(), 3);
    assert_eq!(after[2][8..12], JournalFormat::CURRENT.0.to_le_bytes());
    let expect: Vec<Event> = today().into_iter().chain((5..9).map(|seq| note(seq).event)).collect();
    assert_eq!(read(dir.path()), expect);
    assert_eq!(verify(dir.path()).unwrap().damage, None);
}

/// The store has records as they stand in the log and knows of no format. Seen to fail with old runs replayed from it.
#[test]
fn an_old_run_is_replayed_and_followed_as_if_it_were_of_today() {
    let dir = old_journal();
    for round in 0..2 {
        let mut journal = open(dir.path(), ReplaySource::Store);
        journal.append(&[note(5 + round)]).unwrap();
        let expect: Vec<Event> = today().into_iter().chain((5..=5 + round).map(|seq| note(seq).event)).collect();
        assert_eq!(replayed(&mut journal), expect, "round {round}");
        let followed = journal.tail().next_batch(100, 1 << 20).unwrap();
        assert_eq!(followed.into_iter().map(|record| record.event).collect::<Vec<_>>(), expect, "round {round}");
        Box::new(journal).close().unwrap();
    }
}

/// A segment that was begun and never written to, before the new build came. Seen to fail with it appended to, and with the
/// start that wrote the last record looked for no further back than one segment: then a number of a start comes twice.
#[test]
fn an_old_segment_without_records_is_left_as_it_is() {
    let texts = known().map(|(text, _)| text);
    // In the second case the new build, too, came no further than a header.
    for segments_there in [[(0, &texts[..]), (0, &[])].as_slice(), &[(0, &texts), (0, &[]), (JournalFormat::CURRENT.0, &[])]] {
        let dir = tempfile::tempdir().unwrap();
        lay_down(dir.path(), segments_there);
        let before = segments(dir.path());
        let mut journal = open(dir.path(), ReplaySource::Cheapest);
        assert_eq!(journal.incarnation(), 5);
        journal.append(&[note(5)]).unwrap();
        drop(journal);
        let after = segments(dir.path());
        assert_eq!((after.len(), &after[..2]), (3, &before[..2]));
        assert_eq!(verify(dir.path()).unwrap().damage, None);
        assert_eq!(read(dir.path()).len(), 5);
    }
}

/// Seen to fail with what a step says taken for an event that only a newer windlass knows.
#[test]
fn an_event_that_no_step_can_raise_is_damage_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let [first, ..] = known().map(|(text, _)| text);
    lay_down(dir.path(), &[(0, &[first]), (0, &[first, r#"{"TimerFired":{"command":3}}"#, first])]);
    let second = segment::SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + first.len();
    let detail = "its event does not decode: it has no `timer`";
    let damage =
        Damage { record: 3, segment: segment::name(2), offset: second as u64, detail: detail.to_owned(), at_tail: false };
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.records, report.damage), (2, Some(damage)));
    let mut records = JournalReader::open(dir.path()).unwrap().records();
    assert!(records.next().unwrap().is_ok() && records.next().unwrap().is_ok());
    let Err(JournalError::Corrupt { record: 3, .. }) = records.next().unwrap() else { panic!("it was read") };
    // A repair keeps what is good as it is, and says what it has to say in a segment of its own.
    let before = segments(dir.path());
    let Examined::Damaged(repair) = examine(dir.path(), Timestamp::from_micros(5)).unwrap() else { panic!("it is damaged") };
    let repaired = repair.carry_out("ada", Timestamp::from_micros(5)).unwrap();
    assert_eq!(repaired.paused, [run()]);
    let after = segments(dir.path());
    assert_eq!((after.len(), &after[0], &after[1][..]), (3, &before[0], &before[1][..second]));
    assert_eq!(verify(dir.path()).unwrap().damage, None);
}

/// No windlass writes an older format behind its own. Seen to fail with the formats of segments not compared.
#[test]
fn formats_do_not_go_back() {
    let dir = tempfile::tempdir().unwrap();
    let [first, ..] = known().map(|(text, _)| text);
    lay_down(dir.path(), &[(0, &[first]), (1, &[first]), (0, &[first])]);
    let damage = verify(dir.path()).unwrap().damage.unwrap();
    assert_eq!((damage.record, damage.segment.as_str()), (3, "00000003.seg"));
    assert_eq!(damage.detail, "the segment has format 0, behind one of format 1");
}

/// The mirror of an old journal, brought up to date by a new build. Seen to fail with an old segment appended to.
#[tokio::test]
async fn an_old_mirror_goes_on_in_a_segment_of_todays_format() {
    let root = tempfile::tempdir().unwrap();
    let (dir, texts) = (root.path().join("old"), known().map(|(text, _)| text));
    lay_down(&dir, &[(0, &texts)]);
    let before = segments(&dir);
    let mut mirror = Directory::new(root.path(), "old", Arc::new(SystemClock));
    let held = mirror.open(false).await.unwrap();
    assert_eq!(held.last_seq(run()), 4);
    let NewEvent { seq, at, event, .. } = note(5);
    mirror.put(vec![Record { global: 5, run: run(), seq, at, event: event.clone() }]).await.unwrap();
    drop(mirror);
    assert_eq!((segments(&dir).len(), &segments(&dir)[0]), (2, &before[0]));
    let copies = read_directory(root.path()).unwrap();
    let adopted: Vec<Event> = copies[0].open[&run()].iter().map(|record| record.event.clone()).collect();
    assert_eq!(adopted, today().into_iter().chain([event]).collect::<Vec<_>>());
}
