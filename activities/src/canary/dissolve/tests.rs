use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::form::tests::{configure, picture};
use super::super::wave::fixtures::wave;
use super::*;
use crate::condition::fixtures::{node as change, pool as change_pool};

const LABEL: &str = "node-role.kubernetes.io/workerpool-canary";

fn relabel(snapshot: &mut Snapshot, node: &str, inside: bool) {
    change(snapshot, node, |node| {
        let labels = node.metadata.labels.get_or_insert_default();
        if inside { drop(labels.insert(LABEL.to_owned(), String::new())) } else { drop(labels.remove(LABEL)) }
    });
}

/// Judges the wave of the fixtures on a picture changed by `edit`.
fn check_state(edit: impl Fn(&mut Snapshot), expect: &str) {
    let mut snapshot = picture(true);
    edit(&mut snapshot);
    let pools: Vec<MachineConfigPool> = snapshot.pools.values().map(|pool| pool.as_ref().clone()).collect();
    let nodes: Vec<Node> = snapshot.nodes.values().map(|node| node.as_ref().clone()).collect();
    let shown = match judge(&pools, &nodes, &wave(), "windlass/1") {
        WaveState::Gone => "gone".to_owned(),
        WaveState::Movable { uid, wave } => {
            let nodes: Vec<String> = wave.nodes.iter().map(|node| format!("{} in {}", node.name, node.boot_id)).collect();
            format!("movable ({}): {}", uid.unwrap_or_default(), nodes.join(", "))
        }
        WaveState::Owed { why } => format!("owed: {}", why.split("; once pools").next().unwrap_or_default()),
    };
    assert_eq!(shown, expect);
}

fn pool(snapshot: &mut Snapshot, name: &str, edit: impl Fn(&mut MachineConfigPool)) {
    change_pool(snapshot, name, |pool| edit(pool));
}

#[test]
fn nodes_go_back_only_where_that_reboots_and_breaks_none() {
    check_state(|_| {}, "movable (uid-1): worker-0 in b0");
    check_state(
        |snapshot| change(snapshot, "worker-0", |node| node.status.node_info.boot_id = "b7".to_owned()),
        "movable (uid-1): worker-0 in b7",
    );
    check_state(|snapshot| relabel(snapshot, "worker-0", false), "movable (uid-1): ");
    check_state(|snapshot| drop(Arc::make_mut(&mut snapshot.pools).remove("workerpool-canary")), "movable (): worker-0 in b0");
    check_state(
        |snapshot| {
            relabel(snapshot, "worker-0", false);
            Arc::make_mut(&mut snapshot.pools).remove("workerpool-canary");
        },
        "gone",
    );
    check_state(
        |snapshot| pool(snapshot, "worker", |pool| pool.spec.paused = true),
        "owed: pool worker is paused and would not take its nodes back",
    );
    check_state(
        |snapshot| {
            relabel(snapshot, "worker-0", false);
            pool(snapshot, "worker", |pool| pool.spec.paused = true);
        },
        "movable (uid-1): ",
    );
    check_state(
        |snapshot| pool(snapshot, "worker", |pool| pool.spec.configuration.name = "rendered-worker-r1".to_owned()),
        "owed: pool workerpool-canary renders rendered-workerpool-canary-r0 and pool worker renders rendered-worker-r1: the contents \
         differ, so every node that moves would reboot; look for machine configs, kubelet or runtime configs that select only one \
         of the two",
    );
    check_state(
        |snapshot| configure(snapshot, "rendered-worker-r0", "rendered-workerpool-canary-r0", "Working"),
        "owed: node worker-0 is moving to rendered-workerpool-canary-r0 (working)",
    );
}

#[test]
fn nodes_stay_where_no_pool_would_take_them() {
    check_state(
        |snapshot| change(snapshot, "worker-0", |node| node.spec.unschedulable = true),
        "owed: node worker-0 is cordoned, and no pool takes a cordoned node",
    );
    check_state(
        |snapshot| change(snapshot, "worker-1", |node| node.spec.unschedulable = true),
        "owed: pool worker takes no node while 1 of it are cordoned or not ready, of 1 at once: worker-1",
    );
    check_state(
        |snapshot| {
            change(snapshot, "worker-1", |node| node.spec.unschedulable = true);
            pool(snapshot, "worker", |pool| pool.spec.max_unavailable = Some(IntOrString::Int(2)));
        },
        "movable (uid-1): worker-0 in b0",
    );
    check_state(
        |snapshot| relabel(snapshot, "worker-1", true),
        "owed: node worker-1 is in pool workerpool-canary and not of the wave",
    );
    check_state(
        |snapshot| pool(snapshot, "workerpool-canary", |pool| pool.metadata.annotations = None),
        "owed: pool workerpool-canary is no longer this run's own",
    );
}

#[test]
fn nodes_are_back_when_they_took_the_sources_configuration() {
    let check = |edit: &dyn Fn(&mut Snapshot), expect: &str| {
        let mut snapshot = picture(true);
        relabel(&mut snapshot, "worker-0", false);
        configure(&mut snapshot, "rendered-worker-r0", "rendered-worker-r0", "Done");
        change_pool(&mut snapshot, "workerpool-canary", |pool| pool.status.machine_count = 0);
        edit(&mut snapshot);
        assert_eq!(dissolved(&snapshot, &wave()).to_string(), expect);
    };
    let canary = "rendered-workerpool-canary-r0";
    check(&|_| {}, "wave canary: 1 nodes are back in pool worker");
    check(&|snapshot| configure(snapshot, canary, canary, "Done"), "node worker-0 has not taken rendered-worker-r0 yet");
    check(
        &|snapshot| configure(snapshot, canary, "rendered-worker-r0", "Working"),
        "node worker-0 is moving to rendered-worker-r0 (working)",
    );
    check(
        &|snapshot| change_pool(snapshot, "workerpool-canary", |pool| pool.status.machine_count = 1),
        "pool workerpool-canary still counts 1 nodes",
    );
    check(&|snapshot| relabel(snapshot, "worker-0", true), "node worker-0 is not in pool worker yet");
    check(
        &|snapshot| drop(Arc::make_mut(&mut snapshot.nodes).remove("worker-0")),
        "wave canary: 1 nodes are back in pool worker",
    );
}

#[test]
fn a_pool_is_deleted_only_when_no_node_holds_on_to_it() {
    let check = |edit: &dyn Fn(&mut Snapshot), expect: Option<&str>| {
        let mut snapshot = picture(true);
        relabel(&mut snapshot, "worker-0", false);
        configure(&mut snapshot, "rendered-worker-r0", "rendered-worker-r0", "Done");
        change_pool(&mut snapshot, "workerpool-canary", |pool| pool.status.machine_count = 0);
        edit(&mut snapshot);
        let nodes: Vec<Node> = snapshot.nodes.values().map(|node| node.as_ref().clone()).collect();
        assert_eq!(in_use(&snapshot.pools["workerpool-canary"], &nodes).as_deref(), expect);
    };
    let used = Some("pool workerpool-canary is still used by node worker-0; move it back first, then retry");
    check(&|_| {}, None);
    check(&|snapshot| configure(snapshot, "rendered-workerpool-canary-r0", "rendered-worker-r0", "Done"), used);
    check(&|snapshot| configure(snapshot, "rendered-worker-r0", "rendered-workerpool-canary-r0", "Done"), used);
    check(&|snapshot| relabel(snapshot, "worker-0", true), used);
    check(
        &|snapshot| change_pool(snapshot, "workerpool-canary", |pool| pool.status.machine_count = 2),
        Some("pool workerpool-canary still counts 2 nodes; wait until it is empty, then retry"),
    );
}
