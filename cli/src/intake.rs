//! Marks a journal while the history of a run is taken into it: cut off in the middle, that run would look open.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use windlass_engine::RunId;

use crate::failure::{Failure, Kind};

/// The file beside the journal.
const FILE: &str = "import.json";

/// A run whose history is being taken in.
#[derive(Serialize, Deserialize)]
struct Mark {
    run: RunId,
    /// The command that goes on with it.
    finish: String,
}

/// The mark, for as long as the history is not whole.
pub(crate) struct Intake {
    path: PathBuf,
    /// Whether an earlier import of the same run was cut off.
    goes_on: bool,
}

impl Intake {
    /// Marks the journal, durably, before the first event; whoever calls holds its lock.
    pub(crate) fn begin(dir: &Path, run: RunId, finish: String) -> Result<Self, Failure> {
        let path = dir.join(FILE);
        if let Some(mark) = read(dir)? {
            // One history at a time: another one's mark must not be lost.
            return if mark.run == run { Ok(Self { path, goes_on: true }) } else { Err(unfinished(&mark)) };
        }
        let text = serde_json::to_vec(&Mark { run, finish })
            .map_err(|e| Failure::new(Kind::Failed, format!("the import can't be marked: {e}"), "retry"))?;
        let write = || {
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::File::open(dir)?.sync_all()
        };
        write().map_err(|e| Failure::io("writing", &path, &e))?;
        Ok(Self { path, goes_on: false })
    }

    /// Nothing was taken in now, so what an earlier import left is all there is.
    pub(crate) fn give_up(self) -> Result<(), Failure> {
        if self.goes_on { Ok(()) } else { self.end() }
    }

    /// The history is whole.
    pub(crate) fn end(self) -> Result<(), Failure> {
        fs::remove_file(&self.path).map_err(|e| Failure::io("removing", &self.path, &e))
    }
}

/// Refuses to drive a run of which only the beginning was taken in.
pub(crate) fn refuse_unfinished(dir: &Path, driven: Option<RunId>) -> Result<(), Failure> {
    match read(dir)? {
        Some(mark) if driven.is_none_or(|driven| driven == mark.run) => Err(unfinished(&mark)),
        Some(_) | None => Ok(()),
    }
}

fn read(dir: &Path) -> Result<Option<Mark>, Failure> {
    let path = dir.join(FILE);
    let bytes = match fs::read(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        outcome => outcome.map_err(|e| Failure::io("reading", &path, &e))?,
    };
    // It is synced before the first event is written: not whole, nothing was taken in.
    Ok(serde_json::from_slice(&bytes).ok())
}

fn unfinished(mark: &Mark) -> Failure {
    let message = format!("the import of run {} was cut off, so only its beginning may be in the journal", mark.run);
    Failure::new(Kind::NeedsPerson, message, mark.finish.clone())
}
