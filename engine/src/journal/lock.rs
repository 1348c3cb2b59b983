//! The worker's lock, and the count of its starts.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::media::Media;
use super::{JournalError, LockOwner};
use crate::time::Timestamp;

/// Held while a worker lives; the system takes it back when the process dies.
pub(crate) struct WorkerLock {
    _file: File,
}

impl WorkerLock {
    /// Takes the lock and writes down who has it, or tells who had it first.
    pub(crate) fn take(dir: &Path, now: Timestamp) -> Result<Self, JournalError> {
        let path = dir.join("worker.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|e| JournalError::refused("opening", &path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Locked { owner: owner(&mut file) }),
            Err(TryLockError::Error(error)) => return Err(JournalError::io("locking", &path, error)),
        }
        let owner = LockOwner { pid: std::process::id(), host: host(), since: now };
        serde_json::to_vec(&owner)
            .map_err(io::Error::from)
            .and_then(|text| {
                file.set_len(0)?;
                file.write_all(&text)
            })
            .map_err(|e| JournalError::refused("writing", &path, e))?;
        Ok(Self { _file: file })
    }
}

/// Who wrote the lock file; its owner may not have come to it yet.
fn owner(file: &mut File) -> LockOwner {
    let mut text = String::new();
    let read = file.take(4096).read_to_string(&mut text).ok();
    read.and_then(|_| serde_json::from_str(&text).ok()).unwrap_or(LockOwner {
        pid: 0,
        host: "a machine that has not named itself yet".to_owned(),
        since: Timestamp::default(),
    })
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Counts this start: one more than the file says, or than the log's last record if that says more.
pub(crate) fn next_incarnation(dir: &Path, last_recorded: u32, media: &dyn Media) -> Result<u32, JournalError> {
    let path = dir.join("incarnation");
    let mut text = String::new();
    // A file that can't be read or does not have its checksum counts as absent: the log knows better.
    let counted = match File::open(&path).and_then(|file| file.take(64).read_to_string(&mut text)) {
        Ok(_) => parse_incarnation(&text).unwrap_or(0),
        Err(_) => 0,
    };
    let incarnation = counted.max(last_recorded).saturating_add(1);
    // Always the same length and written in place, so that a torn write fails the checksum.
    let line = format!("{incarnation:010} {:08x}\n", crc32c::crc32c(format!("{incarnation:010}").as_bytes()));
    let mut file = if path.exists() { media.open(&path) } else { media.create(&path) }
        .map_err(|e| JournalError::refused("opening", &path, e))?;
    file.write_all_at(line.as_bytes(), 0)
        .and_then(|()| file.truncate(line.len() as u64))
        .map_err(|e| JournalError::refused("writing", &path, e))?;
    file.sync_data().map_err(|source| JournalError::SyncFailed { path: path.clone(), source })?;
    Ok(incarnation)
}

fn parse_incarnation(text: &str) -> Option<u32> {
    let (count, crc) = text.trim_end().split_once(' ')?;
    let crc = u32::from_str_radix(crc, 16).ok()?;
    if crc != crc32c::crc32c(count.as_bytes()) {
        return None;
    }
    count.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::media::FileSystem;
    use super::*;

    #[test]
    fn starts_are_counted_by_the_file_and_never_below_the_log() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(next_incarnation(dir.path(), 0, &FileSystem).unwrap(), 1);
        assert_eq!(next_incarnation(dir.path(), 0, &FileSystem).unwrap(), 2);
        assert_eq!(std::fs::read_to_string(dir.path().join("incarnation")).unwrap().len(), 20);
        std::fs::write(dir.path().join("incarnation"), "0000000009 00000000\n").unwrap();
        assert_eq!(next_incarnation(dir.path(), 2, &FileSystem).unwrap(), 3, "a damaged file falls back to the log");
        std::fs::remove_file(dir.path().join("incarnation")).unwrap();
        assert_eq!(next_incarnation(dir.path(), 3, &FileSystem).unwrap(), 4);
    }
}
