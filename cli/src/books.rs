//! The journal as commands read it: without its lock, beside a running worker, and as far as it is readable.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use windlass_engine::journal::{JournalError, JournalReader, LockOwner, Records};
use windlass_engine::remote::Remote;
use windlass_engine::view::RunView;
use windlass_engine::{OpenRun, Record, RunId, Timestamp};

use crate::failure::Failure;

/// A journal that exists, open for reading.
pub(crate) struct Books {
    pub(crate) dir: PathBuf,
    reader: JournalReader,
}

/// The runs that could be read, oldest first, and what stopped the reading.
pub(crate) struct Runs {
    pub(crate) runs: Vec<OpenRun>,
    pub(crate) damage: Option<JournalError>,
}

/// One run, as far as it could be read.
pub(crate) struct ReadRun {
    pub(crate) view: RunView,
    pub(crate) damage: Option<JournalError>,
}

/// Stands for the run that was created last.
pub(crate) const LATEST: &str = "latest";

/// Shorter parts of a run's id are too likely to mean another run tomorrow.
const SHORTEST_PART: usize = 4;

impl Books {
    /// Opens the journal in a directory.
    pub(crate) fn open(dir: &Path) -> Result<Self, Failure> {
        Ok(Self { dir: dir.to_owned(), reader: JournalReader::open(dir)? })
    }

    /// All runs, each folded to its open ends.
    pub(crate) fn runs(&self) -> Runs {
        let mut runs: BTreeMap<RunId, OpenRun> = BTreeMap::new();
        let mut damage = None;
        for record in self.reader.records() {
            match record {
                Ok(record) => fold_into(&mut runs, &record),
                Err(error) => damage = Some(error),
            }
        }
        let mut runs: Vec<OpenRun> = runs.into_values().collect();
        runs.sort_by_key(|run| (run.started_at, run.run));
        Runs { runs, damage }
    }

    /// One run, folded for display.
    pub(crate) fn run(&self, run: RunId) -> Result<ReadRun, Failure> {
        let mut view: Option<RunView> = None;
        let mut damage = None;
        for record in self.records_of(run) {
            match (record, &mut view) {
                (Ok(record), Some(view)) => view.apply(&record),
                (Ok(record), none) => *none = RunView::begin(&record),
                (Err(error), _) => damage = Some(error),
            }
        }
        match (view, damage) {
            (Some(view), damage) => Ok(ReadRun { view, damage }),
            (None, Some(error)) => Err(error.into()),
            (None, None) => Err(no_such_run(&run.to_string())),
        }
    }

    /// How many records there are behind one, and when the first of them was recorded; as far as the journal is readable. Of a
    /// cluster, those of its own runs and of runs that are bound to none.
    pub(crate) fn beyond(&self, global: u64, of: Option<&str>) -> (u64, Option<Timestamp>) {
        let last: u64 = self.reader.runs().runs.iter().map(|head| head.last_seq).sum();
        if last <= global {
            return (0, None);
        }
        let is_other = |run: &OpenRun| run.cluster.as_deref().is_some_and(|bound| Some(bound) != of);
        let others: BTreeSet<RunId> = match of {
            Some(_) => self.runs().runs.iter().filter(|run| is_other(run)).map(|run| run.run).collect(),
            None => BTreeSet::new(),
        };
        let beyond = self.reader.records().map_while(Result::ok).filter(|record| record.global > global);
        let (mut count, mut since) = (0, None);
        for record in beyond.filter(|record| !others.contains(&record.run)) {
            count += 1;
            since.get_or_insert(record.at);
        }
        (count, since)
    }

    /// The records of one run.
    pub(crate) fn records_of(&self, run: RunId) -> Records {
        self.reader.records_of(run)
    }

    /// The run that a full id, or a unique beginning or end of one, means.
    pub(crate) fn resolve(&self, text: &str) -> Result<RunId, Failure> {
        if let Ok(run) = text.parse::<RunId>() {
            return Ok(run);
        }
        if text == LATEST {
            return self.reader.runs().runs.last().map(|head| head.run).ok_or_else(no_run_yet);
        }
        let part = text.to_ascii_lowercase();
        if part.len() < SHORTEST_PART || !part.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
            return Err(no_such_run(text));
        }
        let readable = self.reader.runs();
        let all = readable.runs.iter().map(|head| head.run);
        let found: Vec<RunId> = all.filter(|run| fits(*run, &part)).collect();
        match (found.as_slice(), readable.damage) {
            ([run], _) => Ok(*run),
            ([], Some(damage)) => Err(damage.into()),
            ([], None) => Err(no_such_run(text)),
            (several, _) => {
                let list = several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let next = "give the last eight characters, or the whole id".to_owned();
                Err(Failure::usage(format!("{text} may mean several runs: {list}"), next))
            }
        }
    }

    /// The worker that holds the journal, if one answers.
    pub(crate) async fn worker(&self) -> Option<LockOwner> {
        worker_of(&self.dir).await
    }
}

/// The worker that holds the journal in a directory, if one answers.
pub(crate) async fn worker_of(dir: &Path) -> Option<LockOwner> {
    // The lock file outlives its worker; the socket answers only while it lives.
    Remote::connect(dir).await.ok()?;
    let text = std::fs::read_to_string(dir.join("worker.lock")).ok()?;
    serde_json::from_str(&text).ok()
}

/// Whether a text is the beginning or the end of a run's id.
pub(crate) fn fits(run: RunId, part: &str) -> bool {
    let id = run.to_string();
    id.starts_with(part) || id.ends_with(part)
}

fn fold_into(runs: &mut BTreeMap<RunId, OpenRun>, record: &Record) {
    match runs.get_mut(&record.run) {
        Some(run) => run.apply(record),
        None => runs.extend(OpenRun::begin(record).map(|run| (record.run, run))),
    }
}

fn no_run_yet() -> Failure {
    Failure::not_found("there is no run in this journal yet".to_owned(), "`windlass start` makes one")
}

/// What to say of a run that the journal does not have.
pub(crate) fn no_such_run(text: &str) -> Failure {
    Failure::not_found(format!("there is no run {text} in this journal"), "`windlass list` shows the runs")
}
