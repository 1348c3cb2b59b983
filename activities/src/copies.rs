//! Copies of what is about to be changed, on the operator's machine beside the journal.

use std::path::{Component, Path, PathBuf};

use ring::digest::{SHA256, digest};
use tokio::fs;
use windlass_engine::ActivityError;

use crate::cluster::Cluster;
use crate::command::make_private;
use crate::ovn::hex;

/// A copy that is on the disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    /// Where it is, 0600.
    pub(crate) path: String,
    /// SHA-256 of it, in hexadecimal digits.
    pub(crate) sha256: String,
}

impl Cluster {
    /// Makes a run's own folder under [`Cluster::files`], 0700; one that leads elsewhere is refused.
    pub(crate) async fn make_folder(&self, folder: &str) -> Result<PathBuf, ActivityError> {
        make_folder(self.files()?, folder).await
    }

    /// Keeps a text in a run's own folder, under a name that carries its digest.
    pub(crate) async fn keep_copy(&self, folder: &str, name: &str, text: &str) -> Result<Kept, ActivityError> {
        let folder = self.make_folder(folder).await?;
        let sha256 = hex(&digest(&SHA256, text.as_bytes()));
        let path = folder.join(format!("{name}-{}.json", &sha256[..16]));
        write(&folder, &path, text).await.map_err(|error| {
            let message = format!("{} can't be written: {error}; make room or name another journal, then retry", path.display());
            ActivityError::transient("backup-not-written", message)
        })?;
        Ok(Kept { path: path.display().to_string(), sha256 })
    }
}

/// Makes a folder below another one, 0700; one that leads elsewhere is refused.
pub(crate) async fn make_folder(files: &Path, folder: &str) -> Result<PathBuf, ActivityError> {
    let below = Path::new(folder);
    if below.components().any(|part| !matches!(part, Component::Normal(_))) {
        let message = format!("{folder:?} names no folder below {}; plan again", files.display());
        return Err(ActivityError::permanent("bad-folder", message));
    }
    let folder = files.join(below);
    make_private(&folder).await?;
    Ok(folder)
}

/// Writes a file that is on the disk before it has its name.
async fn write(folder: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt as _;
    let part = path.with_extension("part");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.open(&part).await?;
    file.write_all(text.as_bytes()).await?;
    file.sync_all().await?;
    fs::rename(&part, path).await?;
    fs::File::open(folder).await?.sync_all().await
}
