//! A mirror in the cluster itself: Secrets in the namespace of windlass, so that whoever may go on with a maintenance finds its
//! records where the maintenance is, and ordinary readers of the cluster do not.
//!
//! One Secret says what there is: how many pieces of which run, and which runs have ended. The others hold a run's events,
//! piece by piece. A piece counts once the first one says so; a piece that is full is never written again. Every write goes
//! past the fence, and names the version of the object that it changes.

mod read;
mod secret;
mod target;

pub use read::read_cluster;
pub use target::ClusterMirror;

use windlass_engine::mirror::MirrorError;

use crate::error::{CallError, Failure};

/// How large a piece gets, in bytes. The last one is written anew with each commit, so small ones spare the cluster's etcd.
pub const CHUNK_BYTES: usize = 64 << 10;

/// So many pieces a journal may have at the most: 8 MiB, a thousandth of what an etcd holds.
pub const MOST_CHUNKS: u32 = 128;

/// What a call's end means for the mirror.
fn in_words(error: &CallError) -> MirrorError {
    if error.is_forbidden() {
        let permission = error.call.permission();
        return MirrorError::trouble(format!(
            "permission missing: {permission}; `windlass rbac WORKFLOW --mirror cluster` prints what to have applied for this login"
        ));
    }
    match &error.failure {
        // Whoever lost the cluster has no business in it, the mirror included.
        Failure::Fenced(_) => MirrorError::refused(error),
        Failure::Answered { .. }
        | Failure::NotSent(_)
        | Failure::Lost(_)
        | Failure::TimedOut(_)
        | Failure::NoCredentials(_)
        | Failure::Unreadable(_) => MirrorError::trouble(error),
    }
}
