//! What is remembered of mirrors beside the journal, in `mirror.json`.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use windlass_engine::mirror::MirrorState;

use super::{CLUSTER, NONE};
use crate::failure::{Failure, Kind};

/// What is remembered beside the journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// The directory, or `cluster`; `none` if there are only mirrors in other clusters to be remembered.
    pub(crate) target: String,
    /// Whether nothing is changed on the cluster before the mirror has the intent.
    pub(crate) required: bool,
    /// Whether the mirror says of itself that it is required, or may say so.
    pub(super) vouches: bool,
    /// How it stood when it was last seen.
    pub(super) state: MirrorState,
    /// The cluster in which the mirror is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cluster: Option<String>,
    /// The mirrors in other clusters, by their ids. Each has the runs of its own cluster only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) elsewhere: BTreeMap<String, Seen>,
}

/// A mirror as it was seen last.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Whether the mirror says of itself that it is required, or may say so.
    pub(super) vouches: bool,
    /// How it stood.
    pub(crate) state: MirrorState,
}

const FILE: &str = "mirror.json";

impl Remembered {
    /// Reads what is remembered, also of a mirror that was ended.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = dir.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::io("reading", &path, &error)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            let next = format!("remove {} and name the mirror again with --mirror", path.display());
            Failure::new(Kind::Failed, format!("{} can't be understood: {error}", path.display()), next)
        })
    }

    /// The mirror that the journal has.
    pub(crate) fn current(dir: &Path) -> Result<Option<Self>, Failure> {
        Ok(Self::read(dir)?.filter(|known| known.target != NONE))
    }

    /// How the mirror of a run's cluster was seen last; a directory has the runs of all clusters.
    pub(crate) fn seen(&self, cluster: Option<&str>) -> Seen {
        let other = cluster.filter(|cluster| self.target == CLUSTER && self.cluster.as_deref() != Some(cluster));
        let here = || Seen { vouches: self.vouches, state: self.state.clone() };
        other.map_or_else(here, |other| self.elsewhere.get(other).cloned().unwrap_or_default())
    }

    /// Makes it durable; what says nothing is removed.
    pub(super) fn keep(&self, dir: &Path) -> Result<(), Failure> {
        let path = dir.join(FILE);
        if self.target != NONE || !self.elsewhere.is_empty() {
            return self.save(dir).map_err(|error| Failure::io("writing", &path, &error));
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::io("removing", &path, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub(super) fn save(&self, dir: &Path) -> io::Result<()> {
        let (path, new) = (dir.join(FILE), dir.join("mirror.json.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        fs::File::open(dir)?.sync_all()
    }
}
