//! Reads mirrors, for whoever adopts from them; changes nothing in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::directory::{ABOUT, said};
use super::{Held, MirrorError};
use crate::event::{Event, Record};
use crate::ids::RunId;
use crate::journal::{JournalError, Position, Scanner};

/// The mirror of one journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MirrorCopy {
    /// The journal's id.
    pub journal: String,
    /// Whether nothing was changed outside before the mirror had the intent.
    pub required: bool,
    /// The histories of the runs that have not ended.
    pub open: BTreeMap<RunId, Vec<Record>>,
    /// The runs that have.
    pub ended: BTreeSet<RunId>,
}

/// An open run, from the mirror that has it as it went on last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adoptable {
    /// The run.
    pub run: RunId,
    /// Whose mirror it is in: the id of the journal that drove it last.
    pub journal: String,
    /// Whether nothing was changed outside before the mirror had the intent.
    pub required: bool,
    /// Its whole history there.
    pub records: Vec<Record>,
}

impl MirrorCopy {
    /// Gathers the records of one journal, in order; the first that does not follow on the one before is named.
    pub fn of(
        journal: String,
        required: bool,
        records: impl IntoIterator<Item = Result<Record, String>>,
    ) -> Result<Self, String> {
        let mut held = Held::default();
        let mut copy = Self { journal, required, open: BTreeMap::new(), ended: BTreeSet::new() };
        for record in records {
            let record = record?;
            held.absorb(&record)?;
            if record.event.ends_run() {
                copy.open.remove(&record.run);
                copy.ended.insert(record.run);
            } else {
                copy.open.entry(record.run).or_default().push(record);
            }
        }
        Ok(copy)
    }
}

/// The runs that have ended in none of the mirrors, each as it went on last, oldest first.
///
/// A run that was adopted stands in two of them. Its former worker may have recorded something after it lost the run, so the history
/// with more adoptions counts, and then the longer one. Two that parted without an adoption are nobody's to choose between.
pub fn adoptable(copies: &[MirrorCopy]) -> Result<Vec<Adoptable>, MirrorError> {
    let mut found: BTreeMap<RunId, Adoptable> = BTreeMap::new();
    let open = copies.iter().flat_map(|copy| copy.open.iter().map(move |(run, records)| (copy, *run, records)));
    for (copy, run, records) in open.filter(|(_, run, _)| !copies.iter().any(|copy| copy.ended.contains(run))) {
        let this = Adoptable { run, journal: copy.journal.clone(), required: copy.required, records: records.clone() };
        match found.remove(&run) {
            None => found.insert(run, this),
            Some(other) => found.insert(run, latest(other, this)?),
        };
    }
    let mut runs: Vec<Adoptable> = found.into_values().collect();
    runs.sort_by_key(|run| (run.records.first().map(|record| record.at), run.run));
    Ok(runs)
}

fn latest(one: Adoptable, other: Adoptable) -> Result<Adoptable, MirrorError> {
    let adoptions = |run: &Adoptable| run.records.iter().filter(|r| matches!(r.event, Event::RunAdopted { .. })).count();
    let rank = |run: &Adoptable| (adoptions(run), run.records.len());
    let (less, more) = if rank(&one) <= rank(&other) { (one, other) } else { (other, one) };
    let same = |(a, b): (&Record, &Record)| (a.seq, a.at, &a.event) == (b.seq, b.at, &b.event);
    if adoptions(&less) == adoptions(&more) && !less.records.iter().zip(&more.records).all(same) {
        let (run, a, b) = (less.run, less.journal, more.journal);
        return Err(MirrorError::refused(format!("run {run} went on in two ways, in the journals {a} and {b}")));
    }
    Ok(more)
}

/// Reads what a directory holds: the mirrors of journals, or a single journal's folder.
pub fn read_directory(root: &Path) -> Result<Vec<MirrorCopy>, MirrorError> {
    if root.join("log").is_dir() {
        return Ok(vec![read_one(root)?]);
    }
    let failed = |error: std::io::Error| MirrorError::trouble(format!("{} can't be read: {error}", root.display()));
    let mut folders: Vec<_> = fs::read_dir(root).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    folders.sort_by_key(fs::DirEntry::file_name);
    folders.iter().map(fs::DirEntry::path).filter(|path| path.join("log").is_dir()).map(|path| read_one(&path)).collect()
}

fn read_one(dir: &Path) -> Result<MirrorCopy, MirrorError> {
    let about = said(&dir.join(ABOUT));
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut scan = Scanner::new(dir.join("log"), Position::START).checking_chain();
    let mut next = || -> Result<Option<Record>, JournalError> { if scan.advance()? { scan.record() } else { Ok(None) } };
    let records = std::iter::from_fn(|| next().transpose()).map(|record| record.map_err(|error| error.to_string()));
    MirrorCopy::of(name, about.is_some_and(|about| about.required), records)
        .map_err(|detail| MirrorError::refused(format!("{} can't be used: {detail}", dir.display())))
}
