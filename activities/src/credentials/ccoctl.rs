//! Making credentials in the cloud with the vendor's `ccoctl`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, Probe};

use super::manifests;
use crate::cluster::Cluster;
use crate::command;
use crate::requests::ASSUMED;

/// Says in a directory that `ccoctl` was begun for it.
const MARK: &str = ".windlass-ccoctl-begun";

/// Has `ccoctl` make the credentials for extracted requests: roles in the cloud, and manifests of secrets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunCcoctl {
    /// What follows `ccoctl` but the directories; it takes the cloud's login from its surroundings.
    pub arguments: Vec<String>,
    /// The extracted requests.
    pub requests_dir: String,
    /// Where to put what is made; the manifests come into its folder `manifests`.
    pub output_dir: String,
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CcoctlRan {
    /// Whether it was run.
    pub ran: bool,
    /// What was found or done.
    pub note: String,
    /// How many secrets there are manifests for.
    pub manifests: usize,
}

impl Activity for RunCcoctl {
    const NAME: ActivityName = ActivityName::new("run-ccoctl");
    const EFFECT: Effect = Effect::Once;
    type World = Cluster;
    type Output = CcoctlRan;

    fn summary(&self) -> String {
        format!("make credentials with ccoctl {}", self.arguments.iter().take(2).cloned().collect::<Vec<_>>().join(" "))
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("ccoctl {}", self.whole().join(" "))]
    }

    fn assumed(&self) -> Option<CcoctlRan> {
        Some(CcoctlRan { ran: false, note: ASSUMED.to_owned(), manifests: 0 })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<CcoctlRan, ActivityError> {
        // What it changes is no object of the cluster, so no call to the cluster would notice.
        cx.world().still_ours("ccoctl").await?;
        self.make(command::find("ccoctl").as_deref()).await
    }

    async fn probe(&self, _: ActivityContext<Cluster>) -> Result<Probe<CcoctlRan>, ActivityError> {
        self.look().await
    }
}

impl RunCcoctl {
    fn whole(&self) -> Vec<String> {
        let mut arguments = self.arguments.clone();
        arguments.push(format!("--credentials-requests-dir={}", self.requests_dir));
        arguments.push(format!("--output-dir={}", self.output_dir));
        arguments
    }

    fn mark(&self) -> PathBuf {
        Path::new(&self.output_dir).join(MARK)
    }

    async fn make(self, ccoctl: Option<&Path>) -> Result<CcoctlRan, ActivityError> {
        if let Some(argument) = self.arguments.iter().find(|argument| argument.contains("-dir")) {
            let message = format!("{argument:?} names a directory, which is set here; take it out of the arguments");
            return Err(ActivityError::permanent("bad-arguments", message));
        }
        let (missing, made) = self.missing().await?;
        if missing.is_empty() && made > 0 {
            return Ok(CcoctlRan { ran: false, note: "every request has its manifest already".to_owned(), manifests: made });
        }
        let Some(ccoctl) = ccoctl else {
            return Ok(CcoctlRan { ran: false, note: "ccoctl is not on the PATH".to_owned(), manifests: made });
        };
        command::make_private(Path::new(&self.output_dir)).await?;
        // On disk before the first change in the cloud, so that a crash from here on is not taken for nothing done.
        begin(&self.mark()).await?;
        command::run(ccoctl, &self.whole()).await?;
        let (missing, made) = self.missing().await?;
        if missing.is_empty() {
            return Ok(CcoctlRan { ran: true, note: "ccoctl made a manifest for every request".to_owned(), manifests: made });
        }
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        let message = format!("ccoctl ended well, and there is still no manifest for {}", missing.join(", "));
        Err(ActivityError::permanent("incomplete", message))
    }

    /// The secrets that no manifest makes yet, and how many manifests there are.
    async fn missing(&self) -> Result<(BTreeSet<crate::views::SecretRef>, usize), ActivityError> {
        let requests = manifests::requests(Path::new(&self.requests_dir)).await?.unwrap_or_default();
        let made = manifests::secrets(&Path::new(&self.output_dir).join("manifests")).await?;
        let wanted: BTreeSet<_> = requests.into_iter().map(|request| request.spec.secret_ref).collect();
        Ok((wanted.difference(&made).cloned().collect(), made.len()))
    }

    async fn look(&self) -> Result<Probe<CcoctlRan>, ActivityError> {
        let (missing, made) = self.missing().await?;
        if missing.is_empty() && made > 0 {
            let evidence = format!("{made} manifests are there, one for every request");
            let output = CcoctlRan { ran: true, note: evidence.clone(), manifests: made };
            return Ok(Probe::Happened { output, evidence });
        }
        if !self.mark().exists() {
            return Ok(Probe::DidNotHappen(format!("{} was not begun", self.output_dir)));
        }
        Ok(Probe::CannotTell(format!(
            "ccoctl was begun and {} of its manifests are missing: look in the cloud which roles it made, then run it by hand \
             or remove {} to have it run again",
            missing.len(),
            self.mark().display()
        )))
    }
}

async fn begin(mark: &Path) -> Result<(), ActivityError> {
    let written = async {
        let file = tokio::fs::File::create(mark).await?;
        file.sync_all().await
    };
    written.await.map_err(|error| {
        ActivityError::permanent("unwritable-directory", format!("file {} can't be written: {error}", mark.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::tests::script;

    fn input(folder: &Path) -> RunCcoctl {
        std::fs::create_dir_all(folder.join("requests")).unwrap();
        let request = "kind: CredentialsRequest\nmetadata: {name: a}\nspec: {secretRef: {namespace: n, name: s}}\n";
        std::fs::write(folder.join("requests/1.yaml"), request).unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        RunCcoctl {
            arguments: vec!["aws".to_owned(), "create-iam-roles".to_owned()],
            requests_dir: path("requests"),
            output_dir: path("out"),
        }
    }

    fn making(folder: &Path) -> PathBuf {
        let out = folder.join("out/manifests");
        let secret = "kind: Secret\\nmetadata: {namespace: n, name: s}\\n";
        script(folder, "ccoctl", &format!("mkdir -p {0}; printf '{secret}' > {0}/1.yaml", out.display()))
    }

    #[tokio::test]
    async fn it_runs_once_and_a_second_time_finds_its_work() {
        let folder = tempfile::tempdir().unwrap();
        let input = input(folder.path());
        let absent = input.clone().make(None).await.unwrap();
        assert_eq!((absent.ran, absent.note.as_str()), (false, "ccoctl is not on the PATH"));
        assert!(matches!(input.look().await.unwrap(), Probe::DidNotHappen(_)));
        let ran = input.clone().make(Some(&making(folder.path()))).await.unwrap();
        assert_eq!((ran.ran, ran.manifests), (true, 1));
        assert!(matches!(input.look().await.unwrap(), Probe::Happened { .. }));
        assert!(!input.make(Some(Path::new("/nowhere/ccoctl"))).await.unwrap().ran);
    }

    #[tokio::test]
    async fn what_was_begun_and_left_half_is_not_decided_here() {
        let folder = tempfile::tempdir().unwrap();
        let input = input(folder.path());
        let failing = script(folder.path(), "ccoctl", "echo throttled >&2; exit 1");
        let error = input.clone().make(Some(&failing)).await.unwrap_err();
        assert_eq!(error.kind, windlass_engine::FailureKind::Unknown);
        assert!(matches!(input.look().await.unwrap(), Probe::CannotTell(_)));
        let idle = script(folder.path(), "ccoctl", "exit 0");
        assert_eq!(input.clone().make(Some(&idle)).await.unwrap_err().code, "incomplete");
        let named = RunCcoctl { arguments: vec!["--output-dir=/x".to_owned()], ..input };
        assert_eq!(named.make(None).await.unwrap_err().code, "bad-arguments");
    }
}
