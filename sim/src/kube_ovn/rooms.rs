//! What runs in the containers of a Kube-OVN cluster: OVN's tools where the databases are, and commands on the nodes' disks anywhere.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use serde_json::Value;

use super::disks::Disks;
use super::objects::CENTRAL;
use super::{Backend, Database, commands};
use crate::clock::SimClock;
use crate::containers::{Containers, Output};
use crate::world::json::{label, name, text};

/// A command that took a server out of a database, or tried to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kick {
    /// When it was answered.
    pub at: DateTime<Utc>,
    /// The pod that it was sent to.
    pub pod: String,
    /// The node of that pod.
    pub node: String,
    /// The database.
    pub database: Database,
    /// The server as it was named; empty for one that was told to leave.
    pub server: String,
    /// What was answered.
    pub answer: Output,
}

/// The containers, and a book of what cannot be undone.
pub(crate) struct Rooms {
    backend: Arc<dyn Backend>,
    disks: Arc<Disks>,
    clock: SimClock,
    kicks: Arc<Mutex<Vec<Kick>>>,
}

impl Rooms {
    pub(crate) fn new(backend: Arc<dyn Backend>, disks: Arc<Disks>, clock: SimClock) -> Self {
        Self { backend, disks, clock, kicks: Arc::default() }
    }

    /// The kicks so far.
    pub(crate) fn kicks(&self) -> Vec<Kick> {
        self.kicks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn noted(
        kicks: Arc<Mutex<Vec<Kick>>>,
        clock: SimClock,
        mut kick: Kick,
        command: BoxFuture<'static, Option<Output>>,
    ) -> Option<Output> {
        let answer = command.await?;
        kick.at = clock.now();
        kick.answer = answer.clone();
        kicks.lock().unwrap_or_else(PoisonError::into_inner).push(kick);
        Some(answer)
    }
}

impl Containers for Rooms {
    fn exec(&self, pod: Arc<Value>, container: String, command: Vec<String>) -> BoxFuture<'static, Option<Output>> {
        let find = |path: &str| self.disks.in_pod(&pod, &container, path);
        let host = if pod["spec"]["hostNetwork"] == true { text(&pod, "/spec/nodeName") } else { name(&pod) };
        if let Some(output) = commands::run(&command, host, &find) {
            return ready(Some(output)).boxed();
        }
        if label(&pod, "app") != Some(CENTRAL) || container != CENTRAL {
            return ready(None).boxed();
        }
        let kick = kick_of(&command);
        let running = self.backend.exec(name(&pod), command);
        let Some((database, server)) = kick else { return running };
        let kick = Kick {
            at: self.clock.now(),
            pod: name(&pod).to_owned(),
            node: text(&pod, "/spec/nodeName").to_owned(),
            database,
            server,
            answer: Output::default(),
        };
        // Whoever asked may go away; what is done is done, and noted.
        let noted = tokio::spawn(Self::noted(Arc::clone(&self.kicks), self.clock.clone(), kick, running));
        async move { noted.await.ok().flatten() }.boxed()
    }

    fn is_act(&self, command: &[String]) -> bool {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let changes = |word: &&str| {
            matches!(
                *word,
                "cluster/kick"
                    | "cluster/leave"
                    | "cluster/change-election-timer"
                    | "ls-add"
                    | "ls-del"
                    | "chassis-add"
                    | "chassis-del"
            )
        };
        words.iter().any(changes) || matches!(words.first(), Some(&("mv" | "mkdir" | "rm" | "cp" | "sh" | "bash")))
    }
}

/// The database and the server that a command takes out.
fn kick_of(command: &[String]) -> Option<(Database, String)> {
    let at = command.iter().position(|word| matches!(word.as_str(), "cluster/kick" | "cluster/leave"))?;
    let schema = command.get(at + 1)?;
    let database = Database::BOTH.into_iter().find(|database| database.schema() == schema)?;
    Some((database, command.get(at + 2).cloned().unwrap_or_default()))
}
