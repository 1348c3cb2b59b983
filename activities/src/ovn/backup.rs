//! A copy of each database before it is changed, kept on the operator's machine beside the journal.

mod copy;

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::fs;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::{Central, Database, NAMESPACE, Raft, Server, Standing};
use crate::cluster::Cluster;
use crate::exec::{Exec, Purpose};
use crate::ovn::central::CONTAINER;
use copy::Copy;

/// A database of half a gigabyte over a slow line; workflows allow for a little more.
const LIMIT: Duration = Duration::from_secs(25 * 60);
/// The same for the command, which would else go on in the pod when nobody listens any more.
const COMMAND_LIMIT: &str = "--timeout=1500";
/// Far above any database that OVN works with.
const MOST_BYTES: u64 = 1 << 30;

/// Copies a database from a member that is alive, and checks that the copy is whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BackUpDatabase {
    /// The database.
    pub database: Database,
    /// The run's own folder under [`Cluster::files`] of the machine that makes the copy; made if it is not there, 0700.
    pub folder: String,
}

/// A copy of a database.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DatabaseCopy {
    /// Where it is, 0600.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of it, in hexadecimal digits.
    pub sha256: String,
    /// From which pod it came, and how it is put back by hand.
    pub evidence: String,
}

impl Activity for BackUpDatabase {
    const NAME: ActivityName = ActivityName::new("back-up-ovn-database");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = DatabaseCopy;

    fn summary(&self) -> String {
        format!("back up the {} database", self.database)
    }

    fn assumed(&self) -> Option<DatabaseCopy> {
        Some(DatabaseCopy {
            path: self.folder.clone(),
            bytes: 0,
            sha256: String::new(),
            evidence: crate::requests::ASSUMED.to_owned(),
        })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<DatabaseCopy, ActivityError> {
        let folder = cx.world().make_folder(&self.folder).await?;
        let central = Central::look(cx.world()).await?;
        let sources = central.raft(self.database).map(sources).unwrap_or_default();
        let mut failures = Vec::new();
        for source in sources {
            cx.progress(format!("copying the {} database from pod {}", self.database, source.pod));
            match self.fetch(&cx, &folder, &source).await? {
                Ok(copy) => return self.keep(&folder, copy, &source).await,
                Err(why) => failures.push(format!("pod {}: {why}", source.pod)),
            }
        }
        if failures.is_empty() {
            failures.push("no member that follows a leader answers".to_owned());
        }
        let message = format!("the {} database can't be copied: {}; mend that, then retry", self.database, failures.join("; "));
        Err(ActivityError::transient("not-backed-up", message))
    }
}

/// A member to copy from.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Source {
    pod: String,
    /// `follower`, `leader`.
    role: &'static str,
}

/// The members to copy from: a follower that has everything first, because the leader has more to do.
fn sources(raft: &Raft) -> Vec<Source> {
    let caught_up = |server: &&Server| server.standing == Standing::Follower && server.behind.unwrap_or_default() == 0;
    let of = |server: &Server, role| server.pod.clone().map(|pod| Source { pod, role });
    let followers = raft.voters().filter(caught_up).filter_map(|server| of(server, "follower"));
    let leaders = raft.voters().filter(|server| server.standing == Standing::Leader).filter_map(|server| of(server, "leader"));
    followers.chain(leaders).collect()
}

impl BackUpDatabase {
    /// Copies from one member into a file that is not the copy yet; the inner error is for the next member to do better.
    async fn fetch(
        &self,
        cx: &ActivityContext<Cluster>,
        folder: &Path,
        source: &Source,
    ) -> Result<Result<Copy, String>, ActivityError> {
        let (attempt, schema) = (cx.attempt(), self.database.schema());
        let path = folder.join(format!(".{}-{}.part", self.database.file(), attempt.command.0));
        let mut file = copy::create(&path).await?;
        let socket = format!("unix:{}", self.database.socket());
        // A client may pass over a follower otherwise, by its own documentation; this one has everything.
        let words = ["ovsdb-client", "--no-leader-only", COMMAND_LIMIT, "backup", socket.as_str(), schema];
        let exec = Exec {
            namespace: NAMESPACE,
            pod: &source.pod,
            container: CONTAINER,
            words: &words,
            purpose: Purpose::Look,
            limit: LIMIT,
            most_bytes: MOST_BYTES,
        };
        let ended = match cx.world().exec_into(&exec, &mut file).await {
            Ok(ended) => ended,
            Err(error) if error.is_unauthorized() || error.is_forbidden() => return Err(error.into()),
            Err(error) => return Ok(Err(error.to_string())),
        };
        if ended.code != 0 {
            return Ok(Err(format!("ovsdb-client ended with {}: {}", ended.code, ended.in_words())));
        }
        copy::close(file, &path).await?;
        copy::examine(path, schema).await
    }

    /// Gives a copy its name, which has the first digits of its hash: the same copy is there once.
    async fn keep(&self, folder: &Path, copy: Copy, source: &Source) -> Result<DatabaseCopy, ActivityError> {
        let path = folder.join(format!("{}-{}.db", self.database.schema(), &copy.sha256[..16]));
        if copy::is_same(&path, &copy).await {
            // What can't be removed is found by whoever looks into the folder, and is harmless.
            let _ = fs::remove_file(&copy.path).await;
        } else {
            copy::publish(&copy.path, &path, folder).await?;
        }
        let evidence = self.evidence(&path, source);
        Ok(DatabaseCopy { path: path.display().to_string(), bytes: copy.bytes, sha256: copy.sha256, evidence })
    }

    fn evidence(&self, path: &Path, source: &Source) -> String {
        let (schema, socket, port, path) =
            (self.database.schema(), self.database.socket(), self.database.raft_port(), path.display());
        format!(
            "copied from pod {} ({}); to put it back into the running database: kubectl exec -i -n {NAMESPACE} POD-OF-THE-LEADER -c \
             {CONTAINER} -- ovsdb-client restore unix:{socket} {schema} < {path}; to found a new database of it: ovsdb-tool \
             create-cluster NEW-FILE {path} tcp:[ADDRESS]:{port}",
            source.pod, source.role
        )
    }
}

#[cfg(test)]
mod tests;
