//! The machine's file system, with its writes and syncs counted.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use windlass_engine::journal::{FileSystem, Media, MediaFile};

/// The machine's file system, counted.
#[derive(Clone, Default)]
pub struct Counting(Arc<Counts>);

impl Counting {
    /// Writes and syncs of files so far.
    pub fn so_far(&self) -> (u64, u64) {
        (self.0.writes.load(Ordering::Relaxed), self.0.syncs.load(Ordering::Relaxed))
    }
}

#[derive(Default)]
struct Counts {
    writes: AtomicU64,
    syncs: AtomicU64,
}

struct CountingFile(Box<dyn MediaFile>, Arc<Counts>);

impl Media for Counting {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        FileSystem.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn MediaFile>> {
        Ok(Box::new(CountingFile(FileSystem.create(path)?, self.0.clone())))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn MediaFile>> {
        Ok(Box::new(CountingFile(FileSystem.open(path)?, self.0.clone())))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        FileSystem.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        FileSystem.sync_dir(path)
    }
}

impl MediaFile for CountingFile {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.1.writes.fetch_add(1, Ordering::Relaxed);
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.1.syncs.fetch_add(1, Ordering::Relaxed);
        self.0.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }
}
