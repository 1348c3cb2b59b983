//! Damage that no bit rot makes: files and records that are whole, and not where they belong.

use std::fs;
use std::path::{Path, PathBuf};

use windlass_engine::journal::{Damage, Journal, JournalReader, RecoveryNote, verify};

use crate::support::{HEADER, copy, event, fill, open, open_on_store, run, segments, small_segments, try_open};

fn path(dir: &Path, segment: usize) -> PathBuf {
    dir.join(format!("log/{segment:08}.seg"))
}

fn copy_file(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}

/// How many records a reader gives before it stops.
fn readable(dir: &Path) -> usize {
    JournalReader::open(dir).unwrap().records().take_while(Result::is_ok).count()
}

/// `record 5 at 00000002.seg:76: detail`.
fn place(damage: Option<&Damage>) -> String {
    damage.map_or_else(
        || "sound".to_owned(),
        |Damage { record, segment, offset, detail, at_tail }| {
            let tail = if *at_tail { " (tail)" } else { "" };
            format!("record {record} at {segment}:{offset}{tail}: {detail}")
        },
    )
}

/// Seen to fail with only the very next segment looked for at a segment's end: what stood behind a missing one was passed over
/// in silence; and with the number in a segment's header not compared.
#[test]
fn segments_that_are_missing_doubled_or_swapped_are_found() {
    let (origin, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(&mut try_open(origin.path(), small_segments()).unwrap(), 12);
    let layout = segments(origin.path());
    let last = layout.len();
    assert!(last >= 4, "{last}");
    let first_of = |segment: usize| layout[segment - 1].1[0].1;
    let check = |what: &str, first_bad: u64, expect: &str, spoil: &dyn Fn(&Path)| {
        copy(origin.path(), dir.path());
        spoil(dir.path());
        let report = verify(dir.path()).unwrap();
        assert_eq!(place(report.damage.as_ref()), expect, "{what}");
        assert_eq!((report.records, readable(dir.path()) as u64), (first_bad - 1, first_bad - 1), "{what}");
    };
    for missing in 1..last {
        let first = first_of(missing);
        let expect = format!("record {first} at {missing:08}.seg:0: the segment is missing");
        check("missing", first, &expect, &|dir| fs::remove_file(path(dir, missing)).unwrap());
    }
    // Whole commits taken from the end leave a sound log; what tells is the store, and a head that was written down.
    check("the last one missing", first_of(last), "sound", &|dir| fs::remove_file(path(dir, last)).unwrap());
    for doubled in 1..last {
        let next = doubled + 1;
        let expect = format!("record {} at {next:08}.seg:0: the file holds segment {doubled}", first_of(next));
        check("doubled", first_of(next), &expect, &|dir| copy_file(&path(dir, doubled), &path(dir, next)));
    }
    let end = layout[last - 1].1.last().unwrap().1 + 1;
    let expect = format!("record {end} at {:08}.seg:0: the file holds segment 2", last + 1);
    check("a second copy at the end", end, &expect, &|dir| copy_file(&path(dir, 2), &path(dir, last + 1)));
    let expect = format!("record {} at 00000002.seg:0: the file holds segment 3", first_of(2));
    check("swapped", first_of(2), &expect, &|dir| {
        let (two, three) = (fs::read(path(dir, 2)).unwrap(), fs::read(path(dir, 3)).unwrap());
        fs::write(path(dir, 2), three).unwrap();
        fs::write(path(dir, 3), two).unwrap();
    });
    let detail =
        format!("the segment does not follow on the one before: record {} where {} must stand", first_of(2), first_of(3));
    let expect = format!("record {} at 00000003.seg:0: {detail}", first_of(3));
    check("doubled, its number mended", first_of(3), &expect, &|dir| {
        let mut bytes = fs::read(path(dir, 2)).unwrap();
        bytes[16] = 3;
        let crc = crc32c::crc32c(&bytes[..72]);
        bytes[72..76].copy_from_slice(&crc.to_le_bytes());
        fs::write(path(dir, 3), bytes).unwrap();
    });
}

/// A header that is whole and names a format from before the first. Seen to fail with only newer formats refused.
#[test]
fn a_format_that_never_was_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open(dir.path()), 2);
    let mut bytes = fs::read(path(dir.path(), 1)).unwrap();
    bytes[8..12].fill(0);
    for (end, field) in [(12, 12), (72, 72)] {
        let crc = crc32c::crc32c(&bytes[..end]);
        bytes[field..field + 4].copy_from_slice(&crc.to_le_bytes());
    }
    fs::write(path(dir.path(), 1), bytes).unwrap();
    let report = verify(dir.path()).unwrap();
    let detail = "the segment's header has a format that there never was";
    assert_eq!(place(report.damage.as_ref()), format!("record 1 at 00000001.seg:0: {detail}"));
    assert_eq!(readable(dir.path()), 0);
}

/// The records of a segment, one by one.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut at, mut frames) = (HEADER, Vec::new());
    while at < bytes.len() {
        let end = at + 96 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        frames.push(bytes[at..end].to_vec());
        at = end;
    }
    frames
}

/// Gives a record the checksum that its bytes have now.
pub(crate) fn seal(frame: &mut [u8]) {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&frame[..4]), &frame[8..]);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
}

const GLOBAL: usize = 8;
const SEQ: usize = 32;
const COMMIT: usize = 48;
const PREVIOUS: std::ops::Range<usize> = 64..96;

fn lower(frame: &mut [u8], field: usize) {
    let value = u64::from_le_bytes(frame[field..field + 8].try_into().unwrap()) - 1;
    frame[field..field + 8].copy_from_slice(&value.to_le_bytes());
}

/// Seen to fail with the chain not checked, with the checksum not compared, and with the places of records not compared.
#[test]
fn records_that_are_swapped_dropped_or_replaced_are_found_however_well_they_are_forged() {
    let (origin, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut journal = open(origin.path());
    for seq in 1..=9 {
        journal.append(&[event(run(1), seq)]).unwrap();
    }
    Box::new(journal).close().unwrap();
    let chain = "the hash of the record before does not match";
    let check = |what: &str, first_bad: usize, detail: &str, read: usize, forge: &dyn Fn(&mut Vec<Vec<u8>>)| {
        copy(origin.path(), dir.path());
        let file = path(dir.path(), 1);
        let bytes = fs::read(&file).unwrap();
        let mut records = frames(&bytes);
        forge(&mut records);
        let offset = HEADER + records[..first_bad - 1].iter().map(Vec::len).sum::<usize>();
        fs::write(&file, [&bytes[..HEADER], &records.concat()].concat()).unwrap();
        let report = verify(dir.path()).unwrap();
        let expect = format!("record {first_bad} at 00000001.seg:{offset}: {detail}");
        assert_eq!(place(report.damage.as_ref()), expect, "{what}");
        assert_eq!((report.records, readable(dir.path())), (first_bad as u64 - 1, read), "{what}");
    };
    check("flipped", 5, "its checksum does not match", 4, &|records| records[4][100] ^= 8);
    check("swapped", 4, "record 5 where 4 must stand", 3, &|records| records.swap(3, 4));
    check("dropped", 4, "record 5 where 4 must stand", 3, &|records| drop(records.remove(3)));
    check("doubled", 5, "record 4 where 5 must stand", 4, &|records| records.insert(4, records[3].clone()));
    // What follows is beyond a checksum; a reader shows it, `verify` does not believe it.
    check("replaced", 5, chain, 9, &|records| {
        records[3][40] ^= 1;
        seal(&mut records[3]);
    });
    check("given to another run", 5, chain, 9, &|records| {
        records[3][16..32].fill(2);
        records[3][SEQ] = 1;
        seal(&mut records[3]);
    });
    check("swapped, all numbers mended", 4, chain, 9, &|records| {
        records.swap(3, 4);
        for field in [GLOBAL, SEQ, COMMIT] {
            lower(&mut records[3], field);
            let kept: [u8; 8] = records[3][field..field + 8].try_into().unwrap();
            let next = u64::from_le_bytes(kept) + 1;
            records[4][field..field + 8].copy_from_slice(&next.to_le_bytes());
        }
        records[3..5].iter_mut().for_each(|record| seal(record));
    });
    check("dropped, all numbers mended", 4, chain, 8, &|records| {
        records.remove(3);
        for record in &mut records[3..] {
            for field in [GLOBAL, SEQ, COMMIT] {
                lower(record, field);
            }
            seal(record);
        }
    });
    check("replaced, and the next one's hash mended", 6, chain, 9, &|records| {
        records[3][40] ^= 1;
        seal(&mut records[3]);
        let hash = blake3::hash(&records[3]);
        records[4][PREVIOUS].copy_from_slice(hash.as_bytes());
        seal(&mut records[4]);
    });
}

/// What the chain can't show, another witness does: the store, or the head that `verify` printed before.
#[test]
fn a_forged_end_is_told_by_the_store_and_by_the_head() {
    let (origin, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(&mut open(origin.path()), 5);
    drop(open(origin.path()));
    let sound = verify(origin.path()).unwrap();
    let check = |what: &str, expect: &str, forge: &dyn Fn(&mut Vec<Vec<u8>>)| {
        copy(origin.path(), dir.path());
        let file = path(dir.path(), 1);
        let bytes = fs::read(&file).unwrap();
        let mut records = frames(&bytes);
        forge(&mut records);
        fs::write(&file, [&bytes[..HEADER], &records.concat()].concat()).unwrap();
        let report = verify(dir.path()).unwrap();
        assert_eq!(report.damage, None, "{what}: nothing in the log tells");
        assert_ne!(report.head, sound.head, "{what}");
        let journal = open_on_store(dir.path());
        let told = journal
            .recovery()
            .iter()
            .any(|note| matches!(note, RecoveryNote::StoreRebuilt { reason, .. } if reason.contains(expect)));
        assert!(told, "{what}: {:?}", journal.recovery());
    };
    check("the last record taken away", "ahead of the log", &|records| drop(records.pop()));
    check("the last record replaced", "made from another log", &|records| {
        let last = records.last_mut().unwrap();
        last[40] ^= 1;
        seal(last);
    });
}
