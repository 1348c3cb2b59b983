//! The journal's own name: who it is to a cluster, to a mirror, to another machine.

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::JournalError;

/// Names a journal; made once, and kept by whoever copies the directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JournalId(Uuid);

impl fmt::Display for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for JournalId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// The name of the file in the journal's directory.
const FILE: &str = "journal.id";

/// A uuid and a newline are 37 bytes; what is longer is not ours.
const LONGEST: u64 = 64;

impl JournalId {
    /// Reads the name of the journal in a directory, without its lock; `None` if it was never opened for writing.
    pub fn read(dir: &Path) -> Result<Option<Self>, JournalError> {
        let path = dir.join(FILE);
        let mut text = String::new();
        match File::open(&path).and_then(|file| file.take(LONGEST).read_to_string(&mut text)) {
            Ok(_) => text.trim_end().parse().map(Some).map_err(|_| JournalError::BadIdentity { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(JournalError::BadIdentity { path }),
            Err(error) => Err(JournalError::io("reading", &path, error)),
        }
    }

    /// The name of the journal, which is given one if it has none. Only for whoever holds the lock.
    pub(super) fn ensure(dir: &Path) -> Result<Self, JournalError> {
        if let Some(id) = Self::read(dir)? {
            return Ok(id);
        }
        let id = Self(Uuid::now_v7());
        let (path, draft) = (dir.join(FILE), dir.join("journal.id.new"));
        // Renamed when it is whole: a name that was told to a cluster must not change because of a crash.
        write_synced(&draft, &format!("{id}\n"))
            .and_then(|()| fs::rename(&draft, &path))
            .and_then(|()| File::open(dir)?.sync_all())
            .map_err(|error| JournalError::io("writing", &path, error))?;
        Ok(id)
    }
}

fn write_synced(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // What was there before keeps its own mode otherwise.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_named_once_and_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(JournalId::read(dir.path()).unwrap(), None);
        // A crash before the rename left this.
        fs::write(dir.path().join("journal.id.new"), "0198").unwrap();
        let id = JournalId::ensure(dir.path()).unwrap();
        assert_eq!(JournalId::ensure(dir.path()).unwrap(), id);
        assert_eq!(JournalId::read(dir.path()).unwrap(), Some(id));
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(JournalId::ensure(tempfile::tempdir().unwrap().path()).unwrap(), id);
    }

    #[test]
    fn a_damaged_name_is_refused_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        for damaged in [&b""[..], b"0198c1d2", b"\xff\xfe", &[b'7'; 100]] {
            fs::write(dir.path().join(FILE), damaged).unwrap();
            let error = JournalId::ensure(dir.path()).unwrap_err();
            assert!(matches!(error, JournalError::BadIdentity { .. }), "{error}");
            assert_eq!(fs::read(dir.path().join(FILE)).unwrap(), damaged);
        }
    }
}
