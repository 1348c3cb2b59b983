//! Gives a damaged journal its good part back and keeps the rest, on demand only: docs/journal.md, "Repair".

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use self::directories::{Directories, RealDirectories};
use super::frame::{FRAME_HEADER_BYTES, FrameHeader};
use super::heads::Heads;
use super::lock::{self, WorkerLock};
use super::log::Log;
use super::salvage::{Found, Search};
use super::scan::read_at;
use super::segment::{self, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::verify::{Damage, VerifyReport, verified_heads, verify};
use super::{JournalError, JournalOptions};
use crate::event::{Event, NewEvent};
use crate::ids::RunId;
use crate::time::Timestamp;

mod directories;

/// The name that a repair's pauses are signed with.
const BY: &str = "windlass repair";

/// What a repair finds before it changes anything.
pub enum Examined {
    /// Every record is good; there is nothing to repair.
    Sound(VerifyReport),
    /// The log is damaged, and the worker's lock is taken.
    Damaged(Repair),
}

/// A damaged journal with its lock in hand. Nothing is changed until [`Repair::carry_out`].
#[must_use]
pub struct Repair {
    dir: PathBuf,
    loss: Loss,
    _lock: WorkerLock,
}

/// What a journal loses by a repair.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loss {
    /// The first record that is not good; it goes, and all behind it.
    pub damage: Damage,
    /// How many records are good and stay.
    pub kept: u64,
    /// How many of the others can still be read one by one.
    pub readable: u64,
    /// Whether it is known which runs lose events. If not, every open run may.
    pub accounted: bool,
    /// The runs that lose events, or may, oldest first.
    pub runs: Vec<RunLoss>,
    /// The latest incarnation among the records that go.
    incarnation: u32,
}

/// What one run loses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunLoss {
    /// Which.
    pub run: RunId,
    /// Its last event that stays; 0 if none does.
    pub last_good: u64,
    /// Its last event that was seen behind the damage; `last_good` if none was.
    pub last_seen: u64,
    /// Whether that event ended it.
    pub ended: bool,
}

/// A repair that was carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repaired {
    /// Where the segment files from the damaged one on lie, as they were.
    pub moved_to: PathBuf,
    /// The runs that were paused, oldest first.
    pub paused: Vec<RunId>,
}

/// Verifies a journal; if it is damaged, takes the worker's lock and finds out what a repair would cost.
pub fn examine(dir: &Path, now: Timestamp) -> Result<Examined, JournalError> {
    let report = verify(dir)?;
    if report.damage.is_none() {
        return Ok(Examined::Sound(report));
    }
    let lock = WorkerLock::take(dir, now)?;
    // Once more: until now, a worker may have been writing.
    let (report, heads) = verified_heads(dir)?;
    let Some(damage) = report.damage.clone() else { return Ok(Examined::Sound(report)) };
    let loss = survey(&dir.join("log"), damage, report.records, &heads)?;
    Ok(Examined::Damaged(Repair { dir: dir.to_owned(), loss, _lock: lock }))
}

impl Repair {
    /// What would be lost.
    pub fn loss(&self) -> &Loss {
        &self.loss
    }

    /// Keeps the good records, moves the segment files from the damaged one on aside, and pauses every run that lost events
    /// or may have, so that none goes on before a person has compared it with its cluster.
    ///
    /// `asked_by` stands in the pauses' reason. After an error or a crash the log is either as it was or repaired.
    pub fn carry_out(self, asked_by: &str, now: Timestamp) -> Result<Repaired, JournalError> {
        self.carry_out_with(&mut RealDirectories, asked_by, now)
    }

    fn carry_out_with(self, on: &mut dyn Directories, asked_by: &str, now: Timestamp) -> Result<Repaired, JournalError> {
        let (log, staged) = (self.dir.join("log"), self.dir.join("log.repaired"));
        remove_leftovers(on, &self.dir, &staged)?;
        let moved_to = self.keep_the_rest(on, &log)?;
        let paused = self.stage(on, &log, &staged, &self.pauses(&moved_to, asked_by, now))?;
        on.sync(&self.dir)?;
        // Until here the log is as it was; from here on it is repaired. There is nothing between.
        on.exchange(&staged, &log)?;
        on.sync(&self.dir)?;
        on.remove(&staged)?;
        Ok(Repaired { moved_to, paused })
    }

    /// Links the files from the damaged one on into a directory of their own, and writes down what can still be read of them.
    fn keep_the_rest(&self, on: &mut dyn Directories, log: &Path) -> Result<PathBuf, JournalError> {
        let kept = damaged_dirs(&self.dir)?;
        let number = kept.last().map_or(1, |(number, _)| number + 1);
        let aside = self.dir.join(format!("log.damaged-{number}"));
        on.make(&aside)?;
        let from = self.damaged_segment();
        for number in segment::list(log)?.into_iter().filter(|number| *number >= from) {
            on.link(&segment::path(log, number), &segment::path(&aside, number))?;
        }
        let path = aside.join("readable.jsonl");
        let mut file = BufWriter::new(on.create(&path)?);
        let refused = |e| JournalError::io("writing", &path, e);
        search_behind(log, &self.loss.damage, self.loss.kept, &mut |found| write_line(&mut file, &found).map_err(refused))?;
        file.flush().map_err(refused)?;
        on.sync(&path)?;
        on.sync(&aside)?;
        Ok(aside)
    }

    /// Makes the log as it will be: what is good, and the pauses.
    fn stage(
        &self,
        on: &mut dyn Directories,
        log: &Path,
        staged: &Path,
        pauses: &[NewEvent],
    ) -> Result<Vec<RunId>, JournalError> {
        let damaged = self.damaged_segment();
        // The last file is copied: it will be appended to, and the log must stay as it is until the exchange.
        let (last, length) = match self.loss.damage.offset {
            0 => (damaged - 1, u64::MAX),
            good => (damaged, good),
        };
        on.make(staged)?;
        for number in 1..last {
            on.link(&segment::path(log, number), &segment::path(staged, number))?;
        }
        if last > 0 {
            let copy = segment::path(staged, last);
            on.copy(&segment::path(log, last), &copy, length)?;
            on.sync(&copy)?;
        }
        let JournalOptions { media, segment_bytes, .. } = JournalOptions::default();
        let mut opened = Log::open(staged.to_owned(), Arc::clone(&media), segment_bytes)?;
        let recorded = opened.incarnation.max(self.loss.incarnation);
        opened.log.set_incarnation(lock::next_incarnation(&self.dir, recorded, media.as_ref())?);
        if !pauses.is_empty() {
            opened.log.append(pauses).map(Iterator::count)?;
        }
        on.sync(staged)?;
        Ok(pauses.iter().map(|pause| pause.run).collect())
    }

    fn pauses(&self, moved_to: &Path, asked_by: &str, now: Timestamp) -> Vec<NewEvent> {
        let Damage { record, segment, .. } = &self.loss.damage;
        let place = moved_to.file_name().unwrap_or_default().display();
        let open = self.loss.runs.iter().filter(|lost| lost.last_good > 0);
        let pause = |lost: &RunLoss| {
            let RunLoss { run, last_good, .. } = *lost;
            let what = if self.loss.accounted { "were" } else { "may have been" };
            let reason = format!(
                "events after {last_good} {what} lost: the journal was damaged at record {record} ({segment}); the rest lies in \
                 {place}; what they did to the cluster is not remembered, so compare it before going on (repaired by {asked_by})"
            );
            NewEvent { run, seq: last_good + 1, at: now, event: Event::RunPaused { by: BY.to_owned(), reason } }
        };
        open.map(pause).collect()
    }

    fn damaged_segment(&self) -> u64 {
        segment::number(&self.loss.damage.segment).unwrap_or(1)
    }
}

/// Reads what stands behind the damage, to tell which runs lose events.
fn survey(log: &Path, damage: Damage, kept: u64, heads: &Heads) -> Result<Loss, JournalError> {
    let mut seen: BTreeMap<RunId, RunLoss> = BTreeMap::new();
    let (mut readable, mut last_record, mut incarnation) = (0, kept, 0);
    let clean_end = search_behind(log, &damage, kept, &mut |found| {
        let FrameHeader { run, seq, ends_run, global, .. } = found.header;
        let last_good = heads.get(run).map_or(0, |head| head.last_seq);
        let lost = seen.entry(run).or_insert(RunLoss { run, last_good, last_seen: last_good, ended: false });
        if seq > lost.last_seen {
            (lost.last_seen, lost.ended) = (seq, ends_run);
        }
        readable += 1;
        last_record = last_record.max(global);
        incarnation = incarnation.max(found.header.incarnation);
        Ok(())
    })?;
    // Each record raises one run's last event by one. If those that were seen account for all records, no other run lost any.
    let lost = seen.values().try_fold(0_u64, |sum, lost| sum.checked_add(lost.last_seen - lost.last_good));
    let accounted = clean_end && lost == Some(last_record - kept) && !stands_whole(log, &damage)?;
    let mut runs: Vec<RunLoss> = Vec::new();
    for head in heads.sorted().into_iter().filter(|head| !head.ended) {
        let (run, last_good) = (head.run, head.last_seq);
        match seen.remove(&run) {
            Some(lost) => runs.push(lost),
            None if accounted => {}
            None => runs.push(RunLoss { run, last_good, last_seen: last_good, ended: false }),
        }
    }
    // Those that began behind the damage are left; one that ended before it can't have lost anything.
    runs.extend(seen.into_values().filter(|lost| lost.last_good == 0));
    Ok(Loss { damage, kept, readable, accounted, runs, incarnation })
}

/// Whether what does not fit is whole: then it, or what stood before it, was put there or taken away, and what the records
/// say of themselves accounts for nothing.
fn stands_whole(log: &Path, damage: &Damage) -> Result<bool, JournalError> {
    let path = log.join(&damage.segment);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(JournalError::io("opening", &path, error)),
    };
    let whole = if damage.offset == 0 {
        let mut header = [0; SEGMENT_HEADER_BYTES];
        read_at(&file, &mut header, 0).map(|got| SegmentHeader::decode(&header[..got]).is_ok())
    } else {
        Search::new(&file, damage.offset).whole().map(|header| header.is_some())
    };
    whole.map_err(|e| JournalError::io("reading", &path, e))
}

type Each<'a> = &'a mut dyn FnMut(Found<'_>) -> Result<(), JournalError>;

/// Hands over every whole record from the damage on that may be one behind it; answers whether the log ends in one.
fn search_behind(log: &Path, damage: &Damage, kept: u64, each: Each<'_>) -> Result<bool, JournalError> {
    let from = segment::number(&damage.segment).unwrap_or(1);
    let mut files = Vec::new();
    let mut bytes = 0;
    for number in segment::list(log)?.into_iter().filter(|number| *number >= from) {
        let path = segment::path(log, number);
        let open = File::open(&path).and_then(|file| file.metadata().map(|meta| (file, meta.len())));
        let (file, length) = open.map_err(|e| JournalError::io("opening", &path, e))?;
        bytes += length;
        files.push((number, path, file, length));
    }
    // No more records can stand there than that.
    let last = kept + bytes / FRAME_HEADER_BYTES as u64 + 1;
    let mut clean_end = false;
    for (number, path, file, length) in &files {
        let begin = if *number == from { damage.offset } else { 0 };
        let mut search = Search::new(file, begin);
        clean_end = false;
        while let Some(found) =
            search.next(|seen| seen.global > kept && seen.global <= last).map_err(|e| JournalError::io("reading", path, e))?
        {
            clean_end = found.begins + found.bytes.len() as u64 == *length;
            each(found)?;
        }
    }
    Ok(clean_end)
}

/// One record as a line of `readable.jsonl`; what is no JSON is written as a text.
fn write_line(file: &mut impl Write, found: &Found<'_>) -> io::Result<()> {
    let FrameHeader { global, run, seq, at, .. } = found.header;
    let payload = &found.bytes[FRAME_HEADER_BYTES..];
    let event = serde_json::from_slice(payload).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(payload).into_owned()));
    serde_json::to_writer(&mut *file, &json!({"record": global, "run": run, "seq": seq, "at": at, "event": event}))?;
    file.write_all(b"\n")
}

/// What earlier repairs moved aside, by number.
fn damaged_dirs(dir: &Path) -> Result<Vec<(u64, PathBuf)>, JournalError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| JournalError::io("reading", dir, e))? {
        let entry = entry.map_err(|e| JournalError::io("reading", dir, e))?;
        let number = entry.file_name().to_str().and_then(|name| name.strip_prefix("log.damaged-")?.parse().ok());
        found.extend(number.map(|number: u64| (number, entry.path())));
    }
    found.sort_unstable();
    Ok(found)
}

/// Removes what a repair left that did not come to its end. Before the exchange it changed nothing, and what it moved
/// aside are other names of the log's own files; after it, `log.repaired` holds nothing that has no other name.
fn remove_leftovers(on: &mut dyn Directories, dir: &Path, staged: &Path) -> Result<(), JournalError> {
    if staged.exists() {
        on.remove(staged)?;
    }
    for (_, aside) in damaged_dirs(dir)? {
        let shares = |number: &u64| same_file(&segment::path(&aside, *number), &segment::path(&dir.join("log"), *number));
        let empty = fs::read_dir(&aside).map_err(|e| JournalError::io("reading", &aside, e))?.next().is_none();
        if empty || segment::list(&aside)?.iter().any(shares) {
            on.remove(&aside)?;
        }
    }
    Ok(())
}

fn same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

#[cfg(test)]
mod tests;
