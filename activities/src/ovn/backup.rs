//! A copy of each database before it is changed, kept on the operator's machine beside the journal.

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::Database;
use crate::cluster::Cluster;

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
        let _ = (self, cx);
        Err(ActivityError::permanent("unbuilt", "not built yet"))
    }
}
