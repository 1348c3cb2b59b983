use std::sync::Arc;

use super::super::wave::fixtures::{pool_of, wave};
use super::*;
use crate::condition::fixtures::{healthy, node as change, pool as change_pool};

const LABEL: &str = "node-role.kubernetes.io/workerpool-canary";

/// A wave of `worker-0`, whose pool rendered what `worker` has, and the node in it if `moved`.
pub(in crate::canary) fn picture(moved: bool) -> Snapshot {
    let mut snapshot = healthy();
    let pool = pool_of(&wave(), "windlass/1", "r0", i32::from(moved));
    Arc::make_mut(&mut snapshot.pools).insert("workerpool-canary".to_owned(), Arc::new(pool));
    if moved {
        change(&mut snapshot, "worker-0", |node| {
            node.metadata.labels.get_or_insert_default().insert(LABEL.to_owned(), String::new());
        });
        configure(&mut snapshot, "rendered-workerpool-canary-r0", "rendered-workerpool-canary-r0", "Done");
    }
    snapshot
}

pub(in crate::canary) fn configure(snapshot: &mut Snapshot, current: &str, desired: &str, state: &str) {
    change(snapshot, "worker-0", |node| {
        let annotations = node.metadata.annotations.get_or_insert_default();
        for (key, value) in [("currentConfig", current), ("desiredConfig", desired), ("state", state)] {
            annotations.insert(format!("machineconfiguration.openshift.io/{key}"), value.to_owned());
        }
    });
}

fn shown(verdict: &Verdict) -> String {
    let sort = match verdict {
        Verdict::Met { .. } => "met",
        Verdict::NotYet { .. } => "not yet",
        Verdict::Failed { code, .. } => code,
    };
    format!("{sort}: {verdict}")
}

#[test]
fn what_a_pool_rendered_is_known_by_what_follows_its_name() {
    let check = |rendered: &str, pool: &str, expect: &str| assert_eq!(suffix(rendered, pool), expect);
    check("rendered-worker-4cec", "worker", "4cec");
    check("rendered-workerpool-canary-4cec", "workerpool-canary", "4cec");
    check("rendered-workerpool-canary-4cec", "workerpool", "canary-4cec");
    check("rendered-workerpool-canary-4cec", "worker", "rendered-workerpool-canary-4cec");
}

#[test]
fn a_pool_that_renders_something_else_is_found_before_a_node_moves() {
    let check = |edit: &dyn Fn(&mut Snapshot), expect: &str| {
        let mut snapshot = picture(false);
        edit(&mut snapshot);
        assert_eq!(shown(&rendered(&snapshot, &wave())), expect);
    };
    let set = |snapshot: &mut Snapshot, config: &str| {
        change_pool(snapshot, "workerpool-canary", |pool| pool.spec.configuration.name = config.to_owned());
    };
    check(&|_| {}, "met: rendered-workerpool-canary-r0 has the same contents as rendered-worker-r0");
    check(&|snapshot| set(snapshot, ""), "not yet: pool workerpool-canary has not rendered yet");
    check(
        &|snapshot| change_pool(snapshot, "workerpool-canary", |pool| pool.metadata.generation = Some(3)),
        "not yet: pool workerpool-canary has not rendered yet",
    );
    check(
        &|snapshot| drop(Arc::make_mut(&mut snapshot.pools).remove("workerpool-canary")),
        "not yet: pool workerpool-canary does not show yet",
    );
    check(
        &|snapshot| set(snapshot, "rendered-workerpool-canary-r9"),
        "renders-differently: pool workerpool-canary renders rendered-workerpool-canary-r9 and pool worker renders rendered-worker-r0: \
         the contents differ, so every node that moves would reboot; look for machine configs, kubelet or runtime configs that \
         select only one of the two",
    );
}

#[test]
fn a_wave_is_formed_when_its_nodes_took_its_configuration_without_a_reboot() {
    let check = |edit: &dyn Fn(&mut Snapshot), expect: &str| {
        let mut snapshot = picture(true);
        edit(&mut snapshot);
        assert_eq!(shown(&formed(&snapshot, &wave())), expect);
    };
    check(&|_| {}, "met: wave canary: 1 nodes are in pool workerpool-canary, each still in the boot it was in");
    let (from, to) = ("rendered-worker-r0", "rendered-workerpool-canary-r0");
    check(&|snapshot| configure(snapshot, from, to, "Working"), &{
        let moving = "node worker-0 is moving to rendered-workerpool-canary-r0 (working)";
        format!("not yet: {moving}; {moving}")
    });
    check(
        &|snapshot| change(snapshot, "worker-0", |node| drop(node.metadata.labels.get_or_insert_default().remove(LABEL))),
        "not yet: node worker-0 is not in pool workerpool-canary yet",
    );
    check(
        &|snapshot| change_pool(snapshot, "workerpool-canary", |pool| pool.status.machine_count = 0),
        "not yet: pool workerpool-canary is moving to rendered-workerpool-canary-r0: 1 of 0 nodes updated, 1 ready \
         (since 2026-03-01 10:00:00Z); pool workerpool-canary counts 0 nodes of 1",
    );
    check(
        &|snapshot| change(snapshot, "worker-0", |node| node.status.node_info.boot_id = "b1".to_owned()),
        "rebooted: node worker-0 rebooted while it was moved to pool workerpool-canary (boot b0 is now b1): the move was to cost no \
         reboot",
    );
    check(
        &|snapshot| configure(snapshot, from, to, "Rebooting"),
        "rebooted: node worker-0 rebooted while it was moved to pool workerpool-canary (boot b0 is now b0): the move was to cost no \
         reboot",
    );
    check(
        &|snapshot| drop(Arc::make_mut(&mut snapshot.nodes).remove("worker-0")),
        "not-found: node worker-0 of wave canary no longer exists; start again without it",
    );
    check(
        &|snapshot| {
            change(snapshot, "worker-1", |node| {
                node.metadata.labels.get_or_insert_default().insert(LABEL.to_owned(), String::new());
            });
        },
        "not yet: node worker-1 waits for its turn, at rendered-worker-r0; pool workerpool-canary has node worker-1 in it, which is \
         not of the wave; remove its label node-role.kubernetes.io/workerpool-canary",
    );
}
