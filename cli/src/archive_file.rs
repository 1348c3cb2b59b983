//! Exported histories as commands meet them: opened, read to the end, and who vouches for them.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use windlass_engine::Record;
use windlass_engine::archive::{self, Archive, ReadError};

use crate::app::App;
use crate::failure::{Failure, Kind};
use crate::plan_file::SigningKey;

/// Who vouches for an export.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trust {
    /// The key beside this journal signed it.
    Ours,
    /// A key that was named on the command line signed it.
    Named,
    /// Some other key signed it.
    Stranger,
    /// Nobody: it has a format that proves nothing.
    Nobody,
}

impl Trust {
    /// What is known of the key that signed an export.
    pub(crate) fn of(app: &App, archive: &Archive, named: &[String]) -> Result<Self, Failure> {
        let Some(signer) = &archive.signer else { return Ok(Self::Nobody) };
        if named.contains(signer) {
            return Ok(Self::Named);
        }
        let ours = SigningKey::known(&app.journal()?)?.is_some_and(|key| key.public() == *signer);
        Ok(if ours { Self::Ours } else { Self::Stranger })
    }

    /// Refuses an export that nobody vouches for who is trusted here.
    pub(crate) fn demand(self, path: &Path, archive: &Archive, command: &str) -> Result<(), Failure> {
        let name = path.display();
        match self {
            Self::Ours | Self::Named => Ok(()),
            Self::Stranger => {
                let key = archive.signer.as_deref().unwrap_or_default();
                let message = format!("{name} is whole, and signed with a key that is not known here: {key}");
                let next = format!("compare the key with whoever exported it, then `windlass {command} {name} --signer {key}`");
                Err(Failure::new(Kind::NeedsPerson, message, next))
            }
            Self::Nobody => {
                let message = format!("{name} has format {}, which proves nothing: anybody can have changed it", archive.format);
                let next = "export it again where its journal is, with this windlass: `windlass export RUN FILE`";
                Err(Failure::new(Kind::NeedsPerson, message, next))
            }
        }
    }
}

/// What helps against a file that is no export.
const NO_EXPORT: &str = "name a file that `windlass export RUN FILE` has written";

/// Reads an export to its end and hands over its events, which hold only if all of it is good.
pub(crate) fn read(path: &Path, each: &mut dyn FnMut(Record)) -> Result<Archive, Failure> {
    let file = File::open(path).map_err(|e| {
        if e.kind() == std::io::ErrorKind::NotFound {
            return Failure::not_found(format!("there is no file {}", path.display()), NO_EXPORT);
        }
        Failure::io("opening", path, &e)
    })?;
    archive::read(&mut BufReader::new(file), each).map_err(|e| refused(path, &e))
}

/// Reads an export to its end and keeps its events.
pub(crate) fn read_all(path: &Path) -> Result<(Archive, Vec<Record>), Failure> {
    let mut records = Vec::new();
    let archive = read(path, &mut |record| records.push(record))?;
    Ok((archive, records))
}

fn refused(path: &Path, error: &ReadError) -> Failure {
    let (kind, next) = match error {
        ReadError::Io(_) => (Kind::Failed, "check that you may read it, then retry"),
        ReadError::Foreign(_) => (Kind::Usage, NO_EXPORT),
        ReadError::NewerFormat { .. } | ReadError::UnknownEvent { .. } => {
            (Kind::Damaged, "use the windlass that wrote it, or a newer one; nothing was changed")
        }
        ReadError::Wrong { .. } => {
            (Kind::Damaged, "do not rely on it: have it exported again where its journal is (`windlass export RUN FILE`)")
        }
    };
    Failure::new(kind, format!("{}: {error}", path.display()), next)
}
