//! What single calls have seen already: a watch may lag behind our own writes, and its older picture must not be judged.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::snapshot::{Objects, Snapshot};
use crate::views::{ClusterVersion, MachineConfigPool, View};

/// The newest generation of each object that a single call has brought.
#[derive(Debug, Default)]
pub(crate) struct Floor {
    seen: Mutex<BTreeMap<(String, String), Generation>>,
}

/// A generation counts within the life of one object.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Generation {
    uid: String,
    number: i64,
}

impl Generation {
    fn of<K: View>(object: &K) -> Self {
        Self { uid: object.uid_text().to_owned(), number: object.generation() }
    }
}

impl Floor {
    /// Takes note of an object that a single call has brought.
    pub(crate) fn note<K: View>(&self, object: &K) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (K::plural(&()).into_owned(), object.name().to_owned());
        let now = Generation::of(object);
        match seen.get_mut(&key) {
            Some(known) if known.uid == now.uid => known.number = known.number.max(now.number),
            Some(known) => *known = now,
            None => drop(seen.insert(key, now)),
        }
    }

    /// Whether a picture is at least as new as everything that single calls have brought.
    pub(crate) fn is_reached(&self, snapshot: &Snapshot) -> bool {
        self.covers::<ClusterVersion>(&snapshot.versions) && self.covers::<MachineConfigPool>(&snapshot.pools)
    }

    fn covers<K: View>(&self, objects: &Objects<K>) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = K::plural(&());
        objects.values().all(|object| {
            let known = seen.get(&(kind.clone().into_owned(), object.name().to_owned()));
            known.is_none_or(|known| known.uid != object.uid_text() || object.generation() >= known.number)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::{healthy, pool};

    #[test]
    fn a_picture_older_than_our_own_write_is_not_judged() {
        let check = |uid: &str, generation: i64, expect: bool| {
            let floor = Floor::default();
            let mut snapshot = healthy();
            pool(&mut snapshot, "worker", |pool| pool.metadata.uid = Some("1".to_owned()));
            let mut written = snapshot.pool(&"worker".into()).unwrap().clone();
            written.metadata.uid = Some(uid.to_owned());
            written.metadata.generation = Some(generation);
            floor.note(&written);
            assert_eq!(floor.is_reached(&snapshot), expect);
        };
        check("1", 1, true);
        check("1", 2, true);
        check("1", 3, false);
        check("2", 3, true);
    }
}
