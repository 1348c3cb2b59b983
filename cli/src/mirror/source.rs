//! The mirror that runs are adopted from.

use std::path::PathBuf;
use std::sync::Arc;

use windlass_activities::Cluster;
use windlass_activities::mirror::read_cluster;
use windlass_engine::mirror::{Adoptable, MirrorError, adoptable, read_directory};

use super::CLUSTER;
use crate::failure::{Failure, Kind};

/// Where the mirrors of lost journals are.
pub(crate) enum Source {
    /// In a directory.
    Directory(PathBuf),
    /// In the cluster that the runs are about.
    Cluster(Arc<Cluster>),
}

impl Source {
    /// What it is called, wherever one stands.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Directory(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string(),
            Self::Cluster(_) => CLUSTER.to_owned(),
        }
    }

    /// The runs that have not ended. A directory is read beside the event loop, for a share may hang.
    pub(crate) async fn look(&self) -> Result<Vec<Adoptable>, Failure> {
        let copies = match self {
            Self::Cluster(cluster) => read_cluster(cluster).await,
            Self::Directory(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || read_directory(&path)).await;
                read.map_err(|error| Failure::new(Kind::Failed, format!("reading the mirror broke down: {error}"), "retry"))?
            }
        };
        copies.and_then(|copies| adoptable(&copies)).map_err(|error| self.unusable(&error))
    }

    fn unusable(&self, error: &MirrorError) -> Failure {
        let name = self.name();
        match (self, error) {
            (Self::Directory(_), MirrorError::Trouble(why)) => Failure::new(
                Kind::Failed,
                format!("mirror {name}: {why}"),
                format!("check that {name} is there and mounted, then retry"),
            ),
            (Self::Directory(_), MirrorError::Refused(why)) => Failure::new(
                Kind::Damaged,
                format!("mirror {name}: {why}"),
                format!("`windlass --journal {name}/JOURNAL verify` shows the extent; or adopt from another copy"),
            ),
            (Self::Cluster(_), MirrorError::Trouble(why)) => {
                Failure::with_advice(Kind::Failed, &format!("mirror {name}: {why}"), "mend the cause, then retry")
            }
            (Self::Cluster(_), MirrorError::Refused(why)) => Failure::new(
                Kind::Damaged,
                format!("mirror {name}: {why}"),
                "`oc get secret -n windlass -l windlass.dev/journal` shows what is there; put it back as it was, or adopt from another copy",
            ),
        }
    }

    /// What to do if there is nothing in it.
    pub(crate) fn is_empty(&self) -> Failure {
        let next = match self {
            Self::Directory(_) => "name the directory that --mirror named",
            Self::Cluster(_) => "choose the cluster with --context or --kubeconfig; or name the directory that --mirror named",
        };
        Failure::not_found(format!("mirror {} has no open run", self.name()), next)
    }
}
