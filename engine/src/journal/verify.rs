//! Reads the whole log and checks everything that can be checked.

use std::path::Path;

use super::heads::Heads;
use super::scan::Scanner;
use super::segment::{self, Position};
use super::{JournalError, JournalReader};

/// What a journal's log holds, and whether it is sound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyReport {
    /// How many records are good, from the first on.
    pub records: u64,
    /// How many runs they belong to.
    pub runs: usize,
    /// How many segment files there are.
    pub segments: usize,
    /// The hash of the last good record, in hex; it stands for everything before it.
    pub head: String,
    /// The first record that is not good, if there is one.
    pub damage: Option<Damage>,
}

/// The first record that is not good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Its number, from 1.
    pub record: u64,
    /// The segment file's name.
    pub segment: String,
    /// Where in the file it begins.
    pub offset: u64,
    /// What is wrong.
    pub detail: String,
    /// Whether it belongs to the last commit, so that it may be the trace of a crash, which opening for writing cuts off.
    pub at_tail: bool,
}

/// Checks each record's checksum, place and event, and the chain of hashes.
///
/// Damage is part of the report; an error means that the log could not be read, or that a newer windlass wrote it.
pub fn verify(dir: &Path) -> Result<VerifyReport, JournalError> {
    verified_heads(dir).map(|(report, _)| report)
}

/// As [`verify`], with where each run stands at the last good record.
pub(crate) fn verified_heads(dir: &Path) -> Result<(VerifyReport, Heads), JournalError> {
    JournalReader::open(dir)?;
    let log_dir = dir.join("log");
    let segments = segment::list(&log_dir)?.len();
    let mut scan = Scanner::new(log_dir, Position::START).checking_chain();
    let mut heads = Heads::default();
    let mut records = 0;
    let mut grown = 0;
    let damage = loop {
        match check_next(&mut scan, &mut heads) {
            Ok(true) => records += 1,
            Ok(false) => match tail_damage(&scan, records) {
                // A worker may be writing these bytes just now; then they are more, or whole, at a second look.
                Some(damage) if grown == scan.torn().map_or(0, |torn| torn.bytes) => break Some(damage),
                Some(_) => grown = scan.torn().map_or(0, |torn| torn.bytes),
                None => break None,
            },
            Err(JournalError::Corrupt { record, segment, offset, detail }) => {
                break Some(Damage { record, segment, offset, detail, at_tail: false });
            }
            Err(error) => return Err(error),
        }
    };
    let head = scan.chain_head().map_or_else(String::new, |hash| blake3::Hash::from_bytes(hash).to_hex().to_string());
    Ok((VerifyReport { records, runs: heads.len(), segments, head, damage }, heads))
}

fn check_next(scan: &mut Scanner, heads: &mut Heads) -> Result<bool, JournalError> {
    if !scan.advance()? {
        return Ok(false);
    }
    if let Some(header) = scan.header() {
        let ends = scan.record()?.is_some_and(|record| record.event.ends_run());
        if ends != header.ends_run {
            return Err(scan.damage_here("its header and its event do not agree on whether the run ended".to_owned()));
        }
        if header.seq != 1 && heads.get(header.run).is_none() {
            return Err(scan.damage_here(format!("run {} begins with event {}", header.run, header.seq)));
        }
        // Last: a repair goes on from these heads, so they know of no record that is not good.
        heads.absorb(header, scan.begins()).map_err(|detail| scan.damage_here(detail))?;
    }
    Ok(true)
}

fn tail_damage(scan: &Scanner, records: u64) -> Option<Damage> {
    let torn = scan.torn()?;
    Some(Damage {
        record: records + 1,
        segment: segment::name(torn.at.segment),
        offset: torn.at.offset,
        detail: torn.detail.clone(),
        at_tail: true,
    })
}
