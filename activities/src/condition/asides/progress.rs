//! An update that stands still.

use std::time::Duration;

use windlass_engine::Timestamp;

use crate::condition::{Concern, Reason};
use crate::snapshot::Snapshot;
use crate::views::{ClusterVersion, Conditions as _, View as _};

/// The cluster-version operator gives one task forty minutes before it calls the update failing; some tasks it never does.
const STANDSTILL: Duration = Duration::from_secs(40 * 60);

/// What is remembered of the update's progress: all that moves while it goes on, and since when it is so.
#[derive(Debug, Default)]
pub(super) struct Progress {
    last: Option<(String, Timestamp)>,
}

impl Progress {
    pub(super) fn look(&mut self, snapshot: &Snapshot) -> Option<Reason> {
        let told = snapshot.version().and_then(|version| version.holds("Progressing"));
        let (Some(told), Some(version)) = (told, snapshot.version()) else {
            self.last = None;
            return None;
        };
        let now = fingerprint(version, snapshot);
        let since = match &self.last {
            Some((before, since)) if *before == now => *since,
            Some(_) | None => snapshot.now,
        };
        self.last = Some((now, since));
        let still = snapshot.now.since(since) >= STANDSTILL;
        let what = format!("has not moved for {} min: {}", STANDSTILL.as_secs() / 60, told.explanation());
        still.then(|| Reason::waiting("the update", what).since(Some(since)).graded(Concern::Broken))
    }
}

/// The message alone may stand for an hour while the control-plane nodes reboot one after the other.
fn fingerprint(version: &ClusterVersion, snapshot: &Snapshot) -> String {
    let told = version.condition("Progressing").map(|condition| condition.message.as_str()).unwrap_or_default();
    let mut parts = vec![version.status.desired.image.clone(), told.to_owned()];
    parts.extend(snapshot.operators.values().map(|operator| operator.rolled_out().unwrap_or_default().to_owned()));
    let masters = snapshot.nodes.values().filter(|node| node.is_control_plane());
    parts.extend(masters.map(|node| {
        let (info, ready) = (&node.status.node_info, node.says("Ready"));
        format!("{} {} {} {} {ready:?}", node.name(), node.current_config(), node.config_state(), info.boot_id)
    }));
    parts.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::{at, condition, healthy, node, operator, version};
    use crate::views::Status;

    fn moving(message: &str) -> Snapshot {
        let mut snapshot = healthy();
        version(&mut snapshot, |version| {
            version.status.conditions.retain(|condition| condition.kind != "Progressing");
            version.status.conditions.push(condition("Progressing", Status::True, message));
        });
        snapshot
    }

    #[test]
    fn an_update_stands_still_when_nothing_of_the_control_plane_moves() {
        let check = |edit: &dyn Fn(&mut Snapshot), expect: &[&str]| {
            let mut progress = Progress::default();
            let mut snapshot = moving("Working towards 4.17.9: 300 of 900 done, waiting on etcd");
            assert_eq!(progress.look(&snapshot), None);
            snapshot.now = at(30);
            edit(&mut snapshot);
            assert_eq!(progress.look(&snapshot), None);
            snapshot.now = at(41);
            assert_eq!(progress.look(&snapshot).iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
        };
        let still = "!! the update has not moved for 40 min: Working towards 4.17.9: 300 of 900 done, waiting on etcd \
                     (since 2026-03-01 12:00:00Z)";
        check(&|_| {}, &[still]);
        check(&|snapshot| *snapshot = Snapshot { now: at(30), ..moving("Working towards 4.17.9: 301 of 900 done") }, &[]);
        check(&|snapshot| node(snapshot, "master-1", |node| node.status.node_info.boot_id = "b1".to_owned()), &[]);
        check(&|snapshot| operator(snapshot, "etcd", |etcd| etcd.status.versions[0].version = "4.17.9".to_owned()), &[]);
        check(&|snapshot| node(snapshot, "worker-1", |node| node.status.node_info.boot_id = "b1".to_owned()), &[still]);
        check(&|snapshot| *snapshot = Snapshot { now: at(30), ..healthy() }, &[]);
    }
}
