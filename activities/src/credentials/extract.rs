//! Extracting a release's requests for credentials.

use std::path::Path;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::manifests;
use crate::cluster::Cluster;
use crate::command;
use crate::release::Release;
use crate::requests::ASSUMED;

/// Says in a directory which release its requests are of.
const MARK: &str = ".windlass-release";

/// Extracts a release's requests for credentials with `oc`, by digest; a directory that has them is left as it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExtractRequests {
    /// The release.
    pub release: Release,
    /// Where to.
    pub dir: String,
    /// The cloud as `oc` names it: `aws`.
    pub cloud: String,
}

/// What became of the extraction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestsExtracted {
    /// Whether `oc` was run.
    pub ran: bool,
    /// What was found or done.
    pub note: String,
    /// How many requests there are.
    pub requests: usize,
}

impl Activity for ExtractRequests {
    const NAME: ActivityName = ActivityName::new("extract-requests");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = RequestsExtracted;

    fn summary(&self) -> String {
        format!("extract the requests for credentials of {} to {}", self.release.title(), self.dir)
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("oc {}", self.arguments().join(" "))]
    }

    fn assumed(&self) -> Option<RequestsExtracted> {
        Some(RequestsExtracted { ran: false, note: ASSUMED.to_owned(), requests: 0 })
    }

    async fn run(self, _: ActivityContext<Cluster>) -> Result<RequestsExtracted, ActivityError> {
        self.extract(command::find("oc").as_deref()).await
    }
}

impl ExtractRequests {
    fn arguments(&self) -> Vec<String> {
        let (cloud, to) = (format!("--cloud={}", self.cloud), format!("--to={}", self.dir));
        ["adm", "release", "extract", "--credentials-requests", &cloud, &to, &self.release.image].map(str::to_owned).to_vec()
    }

    async fn extract(self, oc: Option<&Path>) -> Result<RequestsExtracted, ActivityError> {
        let dir = Path::new(&self.dir);
        let mark = dir.join(MARK);
        let marked = tokio::fs::read_to_string(&mark).await.ok();
        let there = manifests::requests(dir).await?.map_or(0, |requests| requests.len());
        match marked.as_deref().map(str::trim) {
            Some(digest) if digest == self.release.digest() && there > 0 => {
                return Ok(RequestsExtracted { ran: false, note: "they were extracted already".to_owned(), requests: there });
            }
            Some(digest) if digest != self.release.digest() => {
                let message =
                    format!("directory {} has the requests of another release ({digest}); move it away, then retry", self.dir);
                return Err(ActivityError::permanent("other-release", message));
            }
            None if there > 0 => {
                let note = "a person put them there; they are taken to be of this release".to_owned();
                return Ok(RequestsExtracted { ran: false, note, requests: there });
            }
            Some(_) | None => {}
        }
        let Some(oc) = oc else {
            return Ok(RequestsExtracted { ran: false, note: "oc is not on the PATH".to_owned(), requests: 0 });
        };
        command::make_private(dir).await?;
        command::run(oc, &self.arguments()).await?;
        // Marked when it is whole: what a crash left half is extracted again.
        tokio::fs::write(&mark, self.release.digest()).await.map_err(|error| {
            ActivityError::unknown("unwritable-directory", format!("file {} can't be written: {error}", mark.display()))
        })?;
        let requests = manifests::requests(dir).await?.map_or(0, |requests| requests.len());
        Ok(RequestsExtracted { ran: true, note: format!("oc extracted them from {}", self.release.digest()), requests })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::tests::script;
    use crate::condition::fixtures::release;

    #[tokio::test]
    async fn a_release_is_extracted_once_by_digest_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("requests");
        let input = |version: &str| ExtractRequests {
            release: release(version),
            dir: dir.to_str().unwrap().to_owned(),
            cloud: "aws".to_owned(),
        };
        let absent = input("4.17.9").extract(None).await.unwrap();
        assert_eq!((absent.ran, absent.note.as_str()), (false, "oc is not on the PATH"));
        let log = folder.path().join("log");
        let body = format!(
            "echo \"$@\" >> {}; printf 'kind: CredentialsRequest\\nmetadata: {{name: a}}\\n' > {}/1.yaml",
            log.display(),
            dir.display()
        );
        let oc = script(folder.path(), "oc", &body);
        let first = input("4.17.9").extract(Some(&oc)).await.unwrap();
        assert_eq!((first.ran, first.requests), (true, 1));
        let again = input("4.17.9").extract(Some(&oc)).await.unwrap();
        assert_eq!((again.ran, again.note.as_str()), (false, "they were extracted already"));
        let said = std::fs::read_to_string(&log).unwrap();
        let image = release("4.17.9").image;
        assert_eq!(said, format!("adm release extract --credentials-requests --cloud=aws --to={} {image}\n", dir.display()));
        let error = input("4.18.1").extract(Some(&oc)).await.unwrap_err();
        assert_eq!(error.code, "other-release");
        std::fs::remove_file(dir.join(MARK)).unwrap();
        assert!(input("4.18.1").extract(Some(&oc)).await.unwrap().note.starts_with("a person put them there"));
    }
}
