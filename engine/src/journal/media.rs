//! The few file operations that the log's durability rests on, so that a faulty disk can stand in for the real one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Where the log's files are written.
pub trait Media: Send + Sync + 'static {
    /// Makes a new file, readable by its owner alone, open for appending.
    fn create(&self, path: &Path) -> io::Result<Box<dyn MediaFile>>;

    /// Opens an existing file for appending.
    fn open(&self, path: &Path) -> io::Result<Box<dyn MediaFile>>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// A file of the log, open for appending.
pub trait MediaFile: Send {
    /// Appends all the bytes; not durable until [`MediaFile::sync_data`].
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the data and the length durable (`fdatasync`).
    fn sync_data(&mut self) -> io::Result<()>;

    /// Cuts the file to a length.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

impl Media for FileSystem {
    fn create(&self, path: &Path) -> io::Result<Box<dyn MediaFile>> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn MediaFile>> {
        Ok(Box::new(OpenOptions::new().append(true).open(path)?))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl MediaFile for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(self, bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}
