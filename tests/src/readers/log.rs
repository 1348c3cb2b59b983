//! The journal's log.

use std::fs;
use std::path::Path;

use windlass_engine::journal::{JournalReader, verify};

use super::{bounded, corpus};

/// The lengths of a segment's header and of a record's.
const HEADER: usize = 76;
const FRAME: usize = 96;

thread_local! {
    static DIR: tempfile::TempDir = {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("log")).unwrap();
        dir
    };
}

/// A segment, two of its beginnings, and one in which a run begins with the last event that there can be.
pub fn seeds() -> Vec<Vec<u8>> {
    const SEQ_OF_THE_FIRST: usize = HEADER + 32;
    let whole = fs::read(corpus("cluster-update-r1-calm").join("log/00000001.seg")).unwrap();
    let beginning = |length: usize| whole[..whole.len().min(length)].to_vec();
    let mut last = beginning(6_000);
    last[SEQ_OF_THE_FIRST..SEQ_OF_THE_FIRST + 8].fill(0xff);
    reseal(&mut last);
    vec![beginning(6_000), beginning(2_000), last, whole]
}

/// The bytes as a segment, as they are and with their checksums mended.
pub fn judge(bytes: &[u8]) -> Result<(), String> {
    judge_as_it_is(bytes)?;
    let mut bytes = bytes.to_vec();
    reseal(&mut bytes);
    judge_as_it_is(&bytes)
}

/// The bytes as the only segment of a log, read in every way that a command does.
pub fn judge_as_it_is(bytes: &[u8]) -> Result<(), String> {
    DIR.with(|dir| read(dir.path(), bytes))
}

/// Mends the checksums of a damaged segment, so that what is behind them is reached.
pub fn reseal(bytes: &mut [u8]) {
    if bytes.len() < HEADER {
        return;
    }
    let prelude = crc32c::crc32c(&bytes[..12]).to_le_bytes();
    bytes[12..16].copy_from_slice(&prelude);
    let header = crc32c::crc32c(&bytes[..72]).to_le_bytes();
    bytes[72..76].copy_from_slice(&header);
    let mut at = HEADER;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = usize::try_from(u32::from_le_bytes([length[0], length[1], length[2], length[3]])).unwrap();
        let Some(frame) = bytes.get_mut(at..at.saturating_add(FRAME).saturating_add(length)) else { return };
        let crc = crc32c::crc32c_append(crc32c::crc32c(&frame[..4]), &frame[8..]);
        frame[4..8].copy_from_slice(&crc.to_le_bytes());
        at += frame.len();
    }
}

fn read(dir: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(dir.join("log/00000001.seg"), bytes).unwrap();
    // The buffer of a scan, the largest record twice, and what a report says.
    bounded(bytes.len(), (4 << 20) * 2 + (1 << 20), 8, || {
        let report = verify(dir);
        let Ok(reader) = JournalReader::open(dir) else { return Ok(()) };
        let read = reader.records().map_while(Result::ok).count() as u64;
        let heads = reader.runs();
        match report {
            Ok(report) if report.damage.is_none() && (report.records != read || heads.damage.is_some()) => {
                Err(format!("verify finds {} records and no damage; {read} can be read", report.records))
            }
            // The chain shows to `verify` alone.
            Ok(report) if report.records > read => Err(format!("{} records are good, {read} can be read", report.records)),
            Ok(_) | Err(_) => Ok(()),
        }
    })?
}
