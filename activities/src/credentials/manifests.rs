//! Files of manifests: which requests and which secrets they name. The rest of a secret's file is not kept.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use windlass_engine::ActivityError;

use crate::views::{CredentialsRequest, SecretRef, View as _};

/// A release has some ten requests for a cloud; a directory with hundreds of files is another one.
const MOST_FILES: usize = 500;
/// A manifest has a few kilobytes.
const LARGEST: u64 = 1 << 20;

/// What a manifest is and is called.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    kind: String,
    metadata: SecretRef,
}

/// Reads the requests for credentials in a directory; none if it does not exist.
pub(super) async fn requests(directory: &Path) -> Result<Option<Vec<CredentialsRequest>>, ActivityError> {
    let Some(files) = files(directory).await? else { return Ok(None) };
    let mut found = Vec::new();
    for file in files {
        let text = text_of(&file).await?;
        let kinds: Vec<Named> = documents(&file, &text)?;
        if kinds.iter().any(|named| named.kind == "CredentialsRequest") {
            let requests: Vec<CredentialsRequest> = documents(&file, &text)?;
            found.extend(
                kinds.iter().zip(requests).filter(|(named, _)| named.kind == "CredentialsRequest").map(|(_, request)| request),
            );
        }
    }
    found.retain(is_wanted);
    found.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(Some(found))
}

/// Requests that a release takes away, and those of feature sets that are not the default, are none to prepare.
fn is_wanted(request: &CredentialsRequest) -> bool {
    let deleted = request.annotation("release.openshift.io/delete") == Some("true");
    let sets = request.annotation("release.openshift.io/feature-set");
    !deleted && sets.is_none_or(|sets| sets.split(',').any(|set| set.trim() == "Default"))
}

/// The secrets that the manifests in a directory make; none if it does not exist.
pub(super) async fn secrets(directory: &Path) -> Result<BTreeSet<SecretRef>, ActivityError> {
    let mut found = BTreeSet::new();
    for file in files(directory).await?.unwrap_or_default() {
        let text = text_of(&file).await?;
        let named: Vec<Named> = documents(&file, &text)?;
        found.extend(named.into_iter().filter(|named| named.kind == "Secret").map(|named| named.metadata));
    }
    Ok(found)
}

async fn files(directory: &Path) -> Result<Option<Vec<PathBuf>>, ActivityError> {
    let failed = |error: std::io::Error| {
        ActivityError::permanent("unreadable-directory", format!("directory {} can't be read: {error}", directory.display()))
    };
    let mut entries = match tokio::fs::read_dir(directory).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        let path = entry.path();
        if path.extension().is_some_and(|extension| matches!(extension.to_str(), Some("yaml" | "yml" | "json"))) {
            files.push(path);
        }
        if files.len() > MOST_FILES {
            let message = format!("directory {} has more than {MOST_FILES} manifests; name the right one", directory.display());
            return Err(ActivityError::permanent("too-many-files", message));
        }
    }
    files.sort();
    Ok(Some(files))
}

async fn text_of(file: &Path) -> Result<String, ActivityError> {
    let failed =
        |why: String| ActivityError::permanent("unreadable-file", format!("file {} can't be read: {why}", file.display()));
    let size = tokio::fs::metadata(file).await.map_err(|error| failed(error.to_string()))?.len();
    if size > LARGEST {
        return Err(failed(format!("it has {size} bytes, more than a manifest has")));
    }
    tokio::fs::read_to_string(file).await.map_err(|error| failed(error.to_string()))
}

/// The error of the parser may quote the file, and the file may hold a secret: it is not repeated.
fn documents<T: serde::de::DeserializeOwned>(file: &Path, text: &str) -> Result<Vec<T>, ActivityError> {
    serde_saphyr::from_multiple(text).map_err(|_| {
        let message = format!("file {} is not YAML of the kind that is expected; correct it or take it away", file.display());
        ActivityError::permanent("unreadable-file", message)
    })
}
