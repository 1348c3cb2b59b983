//! Every committed record in a second place, so that a machine may be lost: the follower that brings records there, what it
//! promises to the worker, and the places. A mirror only ever has what the journal has made durable.

mod chunk;
mod directory;
mod follow;
mod held;
mod read;
mod watch;

pub use chunk::{Chunk, ChunkDigest, ChunkError, Growth, events, grow};
pub use directory::Directory;
pub use follow::{Follower, Selection};
pub use held::{Held, HeldRun};
pub use read::{Adoptable, MirrorCopy, adoptable, read_directory};
pub use watch::{Barrier, Demand, MirrorState, MirrorWatch};

use std::collections::BTreeSet;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::event::Record;
use crate::ids::RunId;

/// A place that keeps the records of a journal.
pub trait MirrorTarget: Send + 'static {
    /// What it is called: a path, `cluster`.
    fn name(&self) -> String;

    /// Opens it, or opens it again after an error, and says what it holds. When this returns, a mirror that vouched and is not
    /// `required` any more vouches no longer.
    fn open(&mut self, required: bool) -> BoxFuture<'_, Result<Held, MirrorError>>;

    /// Learns which runs have ended, once it was found to be this journal's. A place with little room lets them go: it keeps
    /// that they have ended, and nothing else; those that it returns are not brought again.
    fn let_go(&mut self, ended: BTreeSet<RunId>) -> BoxFuture<'_, Result<BTreeSet<RunId>, MirrorError>> {
        drop(ended);
        async { Ok(BTreeSet::new()) }.boxed()
    }

    /// Vouches from now on, to whoever adopts from it, that nothing was changed outside before it had the intent. Said when it
    /// has every record: what was recorded before it was required may have been acted on already.
    fn vouch(&mut self) -> BoxFuture<'_, Result<(), MirrorError>>;

    /// Makes the records durable there, in the order given. After an error it is opened again.
    fn put(&mut self, records: Vec<Record>) -> BoxFuture<'_, Result<(), MirrorError>>;
}

/// Why a mirror does not take records.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MirrorError {
    /// It may take them later: full, not reachable, no answer.
    #[error("{0}")]
    Trouble(String),
    /// It has what this journal does not have, or is damaged; a person must look.
    #[error("{0}")]
    Refused(String),
}

impl MirrorError {
    /// It may work later.
    pub fn trouble(error: impl std::fmt::Display) -> Self {
        Self::Trouble(error.to_string())
    }

    /// A person must look.
    pub fn refused(error: impl std::fmt::Display) -> Self {
        Self::Refused(error.to_string())
    }
}
