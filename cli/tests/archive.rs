//! Exported histories: proven, replayed and imported on another machine; refused in words when they are not what they should be.

mod support;

use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Place, Said, append, crafted, id, open, resumed, scheduled, started};
use windlass_engine::archive::import_run;
use windlass_engine::journal::{Journal, JournalReader};
use windlass_engine::{Effect, Event, Json, NewEvent, Record, RunId};

/// A place with a journal of crafted runs and an export of one of them.
struct Exported {
    place: Place,
    file: PathBuf,
    key: String,
}

impl Exported {
    fn of(place: Place, run: RunId, flags: &[&str]) -> Self {
        let file = place.path("run.jsonl");
        let said = place.windlass(&[&["export", &run.to_string(), &file.display().to_string()], flags].concat());
        assert_eq!(said.code, 0, "{}", said.whole());
        let key =
            said.err.split("--signer ").nth(1).and_then(|rest| rest.split('`').next()).expect("the key is named").to_owned();
        Self { place, file, key }
    }

    fn crafted(number: u8) -> Self {
        let place = Place::new();
        crafted(&place.journal());
        Self::of(place, id(number), &[])
    }

    /// What a command says of the file, at another place.
    fn tell(&self, at: &Place, command: &str, flags: &[&str]) -> Said {
        let mut said = at.windlass(&[&[command, &self.file.display().to_string()], flags].concat());
        for text in [&mut said.out, &mut said.err] {
            *text = text.replace(&self.key, "KEY").replace(&self.place.path("").display().to_string(), "PLACE/");
            *text = without_line_numbers(text);
        }
        said
    }

    /// The same with the file changed.
    fn changed(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(&self.file).expect("it is there");
        std::fs::write(&self.file, change(text)).expect("it can be written");
    }
}

/// Replaces the number in `workflows/src/eus_update.rs:67`, which moves with every change above it.
fn without_line_numbers(text: &str) -> String {
    let mut parts = text.split(".rs:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + ".rs:N" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// A recorded history that this binary replays.
fn recorded() -> Vec<Record> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/histories/eus-update-r1-calm");
    let reader = JournalReader::open(&dir).expect("the corpus is there");
    reader.records().map(|record| record.expect("it decodes")).collect()
}

/// A place whose journal has so many events of the recorded history.
fn holding(records: &[Record]) -> Place {
    let place = Place::new();
    let mut journal = open(&place.journal());
    import_run(&mut journal, records.to_vec()).expect("it is a history");
    Box::new(journal).close().expect("the journal closes");
    place
}

#[test]
fn an_export_is_proven_where_it_was_made_and_elsewhere_by_its_key() {
    let exported = Exported::crafted(1);
    let mode = std::fs::metadata(&exported.file).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let elsewhere = Place::new();
    let text = [
        exported.tell(&exported.place, "verify", &[]).whole(),
        exported.tell(&elsewhere, "verify", &[]).whole(),
        exported.tell(&elsewhere, "verify", &["--signer", &exported.key]).whole(),
        exported.tell(&elsewhere, "verify", &["--signer", &exported.key, "-o", "json"]).whole(),
        exported.tell(&elsewhere, "verify", &["--signer", "another"]).whole(),
    ];
    insta::assert_snapshot!("verify_file", text.concat());
    let said = exported.tell(&exported.place, "history", &[]);
    assert_eq!((said.code, said.out), (0, exported.place.windlass(&["history", &id(1).to_string()]).out));
}

#[test]
fn what_was_changed_is_named_and_not_relied_on() {
    let broken = |change: fn(String) -> String| {
        let exported = Exported::crafted(1);
        exported.changed(change);
        let all = ["verify", "replay", "import"].map(|command| exported.tell(&exported.place, command, &[]));
        assert!(all.iter().all(|said| said.err == all[0].err && said.out.is_empty()), "{}", all[1].whole());
        all[0].whole()
    };
    let text = [
        broken(|text| text.replace("graphs are quiet", "graphs are fine")),
        broken(|text| text.lines().filter(|line| !line.contains("\"seq\":7,")).map(|line| line.to_owned() + "\n").collect()),
        broken(|text| text[..text.len() - 100].to_owned()),
        broken(|text| text.replacen("\"build\":\"0.1.0\"", "\"build\":\"0.2.0\"", 1)),
        broken(|_| {
            "{\"windlass\":\"history\",\"format\":9,\"build\":\"9\",\"run\":\"019a48ba-e800-7000-8000-000011111111\"}\n"
                .to_owned()
        }),
        broken(|_| "no history\n".to_owned()),
        Place::new().windlass(&["verify", "no-such-file"]).whole(),
    ];
    insta::assert_snapshot!("file_refused", text.concat());
}

/// An export as it was written before lines were linked.
fn old(text: &str) -> String {
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("it is JSON"));
    let run = lines.next().expect("there is a header")["run"].clone();
    let events = lines.filter(|line| line.get("seq").is_some());
    let events = events.map(|line| serde_json::json!({"seq": line["seq"], "at": line["at"], "event": line["event"]}));
    let header = serde_json::json!({"windlass": "history", "format": 1, "build": "0.1.0", "run": run});
    std::iter::once(header).chain(events).map(|line| line.to_string() + "\n").collect()
}

#[test]
fn an_export_without_links_is_read_and_said_to_prove_nothing() {
    let exported = Exported::crafted(1);
    exported.changed(|text| old(&text));
    let text = ["verify", "import"].map(|command| exported.tell(&exported.place, command, &[]).whole());
    insta::assert_snapshot!("file_unprovable", text.concat());
    assert_eq!(exported.tell(&exported.place, "history", &[]).code, 0);
}

#[test]
fn a_history_replays_or_deviates() {
    let records = recorded();
    let elsewhere = Place::new();
    let whole = Exported::of(holding(&records), records[0].run, &[]);
    let half = Exported::of(holding(&records[..40]), records[0].run, &[]);
    let other = Exported::crafted(2);
    let text = [
        whole.tell(&elsewhere, "replay", &[]).whole(),
        half.tell(&elsewhere, "replay", &[]).whole(),
        half.tell(&elsewhere, "replay", &["-o", "json"]).whole(),
        other.tell(&elsewhere, "replay", &[]).whole(),
        other.tell(&elsewhere, "replay", &["-o", "json"]).whole(),
    ];
    insta::assert_snapshot!("replay", text.concat());
    assert!(!elsewhere.journal().exists(), "nothing may be made");
}

/// Places, times and events, without what each journal has of its own.
fn said(file: &Path) -> Vec<[Value; 3]> {
    let text = std::fs::read_to_string(file).expect("it is there");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("it is JSON"));
    lines.filter(|line| line.get("seq").is_some()).map(|line| ["seq", "at", "event"].map(|name| line[name].clone())).collect()
}

#[test]
fn a_finished_run_comes_over_whole_and_goes_on_from_there() {
    let records = recorded();
    let run = records[0].run;
    let exported = Exported::of(holding(&records), run, &[]);
    let other = Place::new();
    crafted(&other.journal());
    let import = |flags: &[&str]| exported.tell(&other, "import", flags).whole();
    let signer = ["--signer", exported.key.as_str()];
    insta::assert_snapshot!("import", [import(&[]), import(&signer), import(&signer)].concat());
    let history = |place: &Place| place.windlass(&["history", &run.to_string(), "-o", "json"]).out;
    assert_eq!(history(&other), history(&exported.place));
    assert_eq!(other.windlass(&["verify"]).code, 0);
    let again = Exported::of(other, run, &[]);
    assert_eq!(said(&again.file), said(&exported.file));
    assert_ne!(again.key, exported.key);
}

#[test]
fn what_may_not_become_part_of_a_journal_is_refused() {
    let crafted_with = |number: u8, flags: &[&str]| {
        let place = Place::new();
        crafted(&place.journal());
        Exported::of(place, id(number), flags)
    };
    let refused = |exported: &Exported, other: &Place| {
        let count = |place: &Place| place.windlass(&["verify"]).out;
        let before = count(other);
        let said = exported.tell(other, "import", &["--signer", &exported.key]);
        assert_eq!(count(other), before, "{}", said.whole());
        assert!(!other.journal().join("import.json").exists(), "{}", said.whole());
        said.whole()
    };
    let other = Place::new();
    let mut journal = open(&other.journal());
    let differs = Event::RunFailed { error: "something else".to_owned() };
    append(&mut journal, id(5), 1, vec![(23_000, started()), (23_005, differs)]);
    Box::new(journal).close().expect("the journal closes");
    let text = [
        refused(&crafted_with(1, &["--redact", "graphs are quiet"]), &other),
        refused(&crafted_with(2, &[]), &other),
        refused(&crafted_with(5, &[]), &other),
    ];
    insta::assert_snapshot!("import_refused", text.concat());
    let held = open(&other.journal());
    let exported = crafted_with(1, &[]);
    let said = exported.tell(&other, "import", &["--signer", &exported.key]);
    assert_eq!(said.code, 5, "{}", said.whole());
    drop(held);
}

#[test]
fn a_run_whose_import_was_cut_off_is_not_driven_before_it_is_whole() {
    let records = recorded();
    let run = records[0].run;
    let exported = Exported::of(holding(&records), run, &[]);
    let other = holding(&records[..20]);
    let mark = other.journal().join("import.json");
    let from = exported.file.display().to_string();
    std::fs::write(&mark, serde_json::json!({"run": run, "finish": format!("windlass import {from}")}).to_string())
        .expect("it can be written");
    for args in [vec!["resume".to_owned()], vec!["resume".to_owned(), run.to_string()]] {
        let said = other.windlass(&args.iter().map(String::as_str).collect::<Vec<_>>());
        let expect = format!("error: the import of run {run} was cut off, so only its beginning may be in the journal\n");
        assert_eq!((said.code, said.err), (3, format!("{expect}next: windlass import {from}\n")));
    }
    let another = Exported::crafted(5);
    assert_eq!(another.tell(&other, "import", &["--signer", &another.key]).code, 3, "one at a time");
    let said = exported.tell(&other, "import", &["--signer", &exported.key]);
    assert_eq!((said.code, mark.exists()), (0, false), "{}", said.whole());
    assert_eq!(other.windlass(&["resume"]).err, "there is no open run; `windlass list` shows the runs\n");
}

#[test]
fn redaction_is_said_and_leaves_place_and_order_proven() {
    let place = Place::new();
    let mut journal = open(&place.journal());
    let note = |text: &str| Event::NoteAdded { by: "ana".to_owned(), text: text.to_owned() };
    let events = [started(), resumed(1), note("logged in with password=hunter2-x"), note("hunter2-x for ACME"), note("hm")];
    append(&mut journal, id(1), 1, (0..).zip(events).collect());
    Box::new(journal).close().expect("the journal closes");
    let exported = Exported::of(place, id(1), &["--redact", "ACME"]);
    let text = std::fs::read_to_string(&exported.file).expect("it is there");
    assert!(!text.contains("hunter2") && !text.contains("ACME") && text.contains("logged in with password=REDACTED-2"), "{text}");
    let words = [exported.tell(&exported.place, "verify", &[]).whole(), exported.tell(&exported.place, "replay", &[]).whole()];
    insta::assert_snapshot!("file_redacted", words.concat());
    let refused = |flags: &[&str]| {
        let file = exported.place.path("other.jsonl");
        let said = exported.place.windlass(&[&["export", &id(1).to_string(), &file.display().to_string()], flags].concat());
        assert!(!file.exists(), "{}", said.whole());
        said.whole()
    };
    let text = [refused(&["--redact", "NoteAdded"]), refused(&["--redact", ""]), refused(&["--redact", "x", "--no-redact"])];
    insta::assert_snapshot!("export_refused", text.concat());
    let whole = exported.place.windlass(&["export", &id(1).to_string(), "--no-redact"]);
    assert!(whole.code == 0 && whole.out.contains("hunter2-x for ACME"));
}

#[test]
fn a_damaged_journal_is_exported_as_far_as_it_is_good() {
    let place = Place::new();
    crafted(&place.journal());
    let segment = place.journal().join("log/00000001.seg");
    let mut bytes = std::fs::read(&segment).expect("the segment is there");
    let at = bytes.windows(16).position(|window| window == b"graphs are quiet").expect("run 1 was approved for that");
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).expect("it can be written");
    let file = place.path("run.jsonl");
    let said = place.windlass(&["export", &id(1).to_string(), &file.display().to_string()]);
    assert_eq!(said.code, 6, "{}", said.whole());
    let said = place.windlass(&["verify", &file.display().to_string()]);
    assert!(said.code == 0 && said.out.starts_with("16 events of run "), "{}", said.whole());
    assert!(
        said.out.contains("it ends where its journal could not be read any more: the log is damaged at record 17"),
        "{}",
        said.out
    );
    assert_eq!(place.windlass(&["import", &file.display().to_string()]).code, 2);
}

/// So many events are exported within a limit on memory that a fraction of them would break.
const MANY: u64 = 100_000;
const LIMIT_KIB: u64 = 40 * 1024;

#[test]
fn memory_does_not_grow_with_the_history() {
    let place = Place::new();
    let mut journal = open(&place.journal());
    let note = "n".repeat(800);
    append(&mut journal, id(1), 1, vec![(0, started()), (0, scheduled(0, "await-pool", Effect::Observe, "wait"))]);
    let mut seq = 3;
    while seq <= MANY {
        let event = |seq| {
            let event = Event::NoteAdded { by: "ana".to_owned(), text: note.clone() };
            NewEvent { run: id(1), seq, at: support::at(0), event }
        };
        let next = (seq + 5_000).min(MANY + 1);
        journal.append(&(seq..next).map(event).collect::<Vec<_>>()).expect("the journal takes it");
        seq = next;
    }
    drop(journal);
    let file = place.path("run.jsonl");
    let limited = |args: &[&str]| {
        let name = env!("CARGO_BIN_EXE_windlass");
        let script = format!("ulimit -d {LIMIT_KIB} && exec {name} --journal {} {}", place.journal().display(), args.join(" "));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("it runs");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    };
    limited(&["export", &id(1).to_string(), &file.display().to_string(), "--no-redact"]);
    limited(&["verify", &file.display().to_string()]);
    let size = std::fs::metadata(&file).expect("it is there").len();
    assert!(size > 2 * 1024 * LIMIT_KIB, "the limit must be well below what is written: {size}");
}

#[test]
fn the_events_of_a_run_are_the_same_in_the_journal_and_in_the_file() {
    let exported = Exported::crafted(1);
    let mut journal = open(&exported.place.journal());
    let mut events = Vec::new();
    let keep = &mut |record: Record| {
        events.push([
            Value::from(record.seq),
            Value::from(record.at.as_micros()),
            Json::of(&record.event).expect("JSON").to_value(),
        ]);
        ControlFlow::Continue(())
    };
    journal.replay(id(1), keep).expect("it is readable");
    assert_eq!(said(&exported.file), events);
}
