//! A damaged journal, word for word: what is good is printed, the damage is named with what to type, and a repair asks first.

mod support;

use support::{Place, Said, crafted, id, open};

/// A journal whose record 34, the cancellation of run 6, has a flipped bit; run 7 stands behind it.
fn damaged() -> Place {
    let place = Place::new();
    crafted(&place.journal());
    let segment = place.journal().join("log/00000001.seg");
    let mut bytes = std::fs::read(&segment).expect("the segment is there");
    let text = b"window over";
    let at = bytes.windows(text.len()).position(|window| window == text).expect("run 6 was cancelled for that");
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).expect("the segment can be written");
    place
}

fn short(number: u8) -> String {
    let id = id(number).to_string();
    id[id.len() - 8..].to_owned()
}

/// Each journal has a key of its own.
fn without_key(text: &str) -> String {
    match text.split_once("--signer ").and_then(|(before, rest)| Some((before, rest.split_once('`')?.1))) {
        Some((before, after)) => format!("{before}--signer KEY`{after}"),
        None => text.to_owned(),
    }
}

fn transcript(place: &Place, calls: &[&[&str]]) -> String {
    let typed = |args: &[&str]| args.join(" ").replace(&place.path("").display().to_string(), "PLACE/");
    let call = |args: &&[&str]| format!("$ windlass {}\n{}\n", typed(args), without_key(&place.windlass(args).whole()));
    calls.iter().map(call).collect()
}

#[test]
fn every_reader_prints_what_is_good_and_then_the_damage() {
    let place = damaged();
    let file = place.path("run.jsonl").display().to_string();
    let text = transcript(
        &place,
        &[
            &["list"],
            &["list", "-o", "json"],
            &["status", &short(2)],
            &["explain", &short(3)],
            &["history", &short(6)],
            &["history", &short(1), "-o", "json"],
            &["export", &id(6).to_string(), &file],
            &["export", &id(7).to_string()],
            &["status", &short(7)],
            &["verify"],
            &["verify", "-o", "json"],
            &["resume"],
            &["approve", &short(2), "release-pool-worker"],
        ],
    );
    insta::assert_snapshot!("damaged_readers", text);
    let written = std::fs::read_to_string(&file).expect("the export was written");
    assert_eq!(written.lines().count(), 3, "the header, the event before the damage, and the trailer");
}

#[test]
fn a_repair_shows_the_loss_asks_and_says_what_it_did() {
    let place = damaged();
    let before = std::fs::read(place.journal().join("log/00000001.seg")).expect("the segment is there");
    let text = transcript(
        &place,
        &[&["repair"], &["repair", "-o", "json"], &["repair", "--yes"], &["repair", "--yes"], &["repair", "-o", "json"]],
    );
    insta::assert_snapshot!("repair", text);
    let kept = std::fs::read(place.journal().join("log.damaged-1/00000001.seg")).expect("the damaged segment was kept");
    assert!(kept == before, "what is moved aside is as it was");
    let Said { out, code, .. } = place.windlass(&["verify"]);
    assert_eq!((code, out.lines().next()), (0, Some("34 records of 6 runs in 1 segment, all good")));
    let explained = place.windlass(&["explain", &short(6)]).out;
    let on = format!("windlass unpause {}", id(6));
    assert!(explained.contains("windlass repair") && explained.contains(&on), "{explained}");
    let resumed = place.windlass(&["resume", &short(6)]);
    assert!(resumed.code == 3 && resumed.err.contains("is paused by windlass repair"), "{}", resumed.whole());
    // The records that can be read account for all that is lost, so no other open run is held up.
    assert!(!place.windlass(&["explain", &short(2)]).out.contains("windlass repair"));
    assert_eq!(place.windlass(&["status", &short(7)]).code, 4, "run 7 is lost whole");
}

#[test]
fn a_repair_leaves_a_held_journal_alone() {
    let place = damaged();
    // Whoever holds the lock is taken for a worker, whatever the log says.
    let lock = std::fs::OpenOptions::new().write(true).open(place.journal().join("worker.lock")).expect("there was a worker");
    lock.try_lock().expect("nobody holds it");
    let before = std::fs::read(place.journal().join("log/00000001.seg")).expect("the segment is there");
    let said = place.windlass(&["repair", "--yes"]);
    assert_eq!(said.code, 5, "{}", said.whole());
    assert!(before == std::fs::read(place.journal().join("log/00000001.seg")).expect("the segment is there"));
    drop(lock);
    assert_eq!(place.windlass(&["repair", "--yes"]).code, 0);
    drop(open(&place.journal()));
}
