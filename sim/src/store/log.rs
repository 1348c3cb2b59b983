//! The newest changes, in order, so that watches can resume and lists can be read as of a moment.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::Resource;

/// One write that changed something.
#[derive(Clone, Debug)]
pub struct Change {
    /// The resourceVersion that it made.
    pub revision: u64,
    /// The resource of the object.
    pub resource: Resource,
    /// What happened to the object.
    pub kind: ChangeKind,
    /// The object after the change; for a removal its last state, with the removal's resourceVersion.
    pub object: Arc<Value>,
    /// The object before the change, unless it was created.
    pub previous: Option<Arc<Value>>,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was created.
    Added,
    /// It was changed.
    Modified,
    /// It was removed.
    Deleted,
}

/// The newest changes. Revisions have no gaps, so a revision is an index.
#[derive(Debug)]
pub(super) struct Log {
    changes: VecDeque<Arc<Change>>,
    revision: u64,
    keep: usize,
}

/// The asked revision is older than what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Compacted {
    /// The oldest revision from which a reader can go on.
    pub(super) oldest: u64,
}

impl Log {
    pub(super) fn new(keep: usize) -> Self {
        // "0" means "any version" to clients, so an empty cluster is at 1.
        Self { changes: VecDeque::new(), revision: 1, keep }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn push(&mut self, change: Change) {
        debug_assert_eq!(change.revision, self.revision + 1, "revisions have no gaps");
        self.revision = change.revision;
        self.changes.push_back(Arc::new(change));
        self.compact_to(self.keep);
    }

    pub(super) fn keep(&mut self, keep: usize) {
        self.keep = keep;
        self.compact_to(keep);
    }

    pub(super) fn compact_to(&mut self, keep: usize) {
        let surplus = self.changes.len().saturating_sub(keep);
        self.changes.drain(..surplus);
    }

    /// Changes after `revision`, oldest first.
    pub(super) fn since(&self, revision: u64) -> Result<impl DoubleEndedIterator<Item = &Arc<Change>>, Compacted> {
        let oldest = self.revision - self.changes.len() as u64;
        let skip = revision.checked_sub(oldest).ok_or(Compacted { oldest })?;
        Ok(self.changes.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::resources::NODES;
    use super::*;

    #[test]
    fn readers_go_on_where_they_were_until_the_log_is_compacted() {
        let mut log = Log::new(3);
        for revision in 2..=6 {
            let object = Arc::new(Value::Null);
            log.push(Change { revision, resource: NODES, kind: ChangeKind::Added, object, previous: None });
        }
        let read = |from| log.since(from).map(|changes| changes.map(|c| c.revision).collect::<Vec<_>>());
        assert_eq!(read(2), Err(Compacted { oldest: 3 }));
        assert_eq!(read(3), Ok(vec![4, 5, 6]));
        assert_eq!(read(5), Ok(vec![6]));
        assert_eq!(read(6), Ok(vec![]));
        assert_eq!(read(99), Ok(vec![]));
    }
}
