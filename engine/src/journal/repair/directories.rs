//! The changes to directories that a repair is made of, so that a test can end it between any two of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::journal::JournalError;

/// What can be done to the directories of a journal. Names and data are durable only after [`Directories::sync`].
pub(super) trait Directories {
    /// Makes a directory that only its owner may look into.
    fn make(&mut self, dir: &Path) -> Result<(), JournalError>;

    /// Gives a file another name.
    fn link(&mut self, file: &Path, name: &Path) -> Result<(), JournalError>;

    /// Makes a new file with what another begins with.
    fn copy(&mut self, file: &Path, to: &Path, length: u64) -> Result<(), JournalError>;

    /// Makes an empty file.
    fn create(&mut self, file: &Path) -> Result<File, JournalError>;

    /// Makes the names in a directory durable, or the data of a file.
    fn sync(&mut self, path: &Path) -> Result<(), JournalError>;

    /// Gives two directories each other's name, in one step.
    fn exchange(&mut self, one: &Path, other: &Path) -> Result<(), JournalError>;

    /// Removes a directory and the names in it.
    fn remove(&mut self, dir: &Path) -> Result<(), JournalError>;
}

/// The machine's.
pub(super) struct RealDirectories;

impl Directories for RealDirectories {
    fn make(&mut self, dir: &Path) -> Result<(), JournalError> {
        fs::DirBuilder::new().mode(0o700).create(dir).map_err(|e| JournalError::io("creating", dir, e))
    }

    fn link(&mut self, file: &Path, name: &Path) -> Result<(), JournalError> {
        fs::hard_link(file, name).map_err(|e| JournalError::io("linking", file, e))
    }

    fn copy(&mut self, file: &Path, to: &Path, length: u64) -> Result<(), JournalError> {
        let from = File::open(file).map_err(|e| JournalError::io("opening", file, e))?;
        let mut new = self.create(to)?;
        let copied = io::copy(&mut from.take(length), &mut new);
        copied.map(|_| ()).map_err(|e| JournalError::io("copying", file, e))
    }

    fn create(&mut self, file: &Path) -> Result<File, JournalError> {
        let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
        new.map_err(|e| JournalError::io("creating", file, e))
    }

    fn sync(&mut self, path: &Path) -> Result<(), JournalError> {
        File::open(path).and_then(|file| file.sync_all()).map_err(|e| JournalError::io("syncing", path, e))
    }

    fn exchange(&mut self, one: &Path, other: &Path) -> Result<(), JournalError> {
        let done = renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
        done.map_err(|errno| {
            let source = match errno {
                Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => io::Error::other(
                    "this file system can't do that in one step; copy the journal to another, and repair the copy",
                ),
                other => other.into(),
            };
            JournalError::io("exchanging", other, source)
        })
    }

    fn remove(&mut self, dir: &Path) -> Result<(), JournalError> {
        fs::remove_dir_all(dir).map_err(|e| JournalError::io("removing", dir, e))
    }
}
