//! Changes of ovn-central's members on a modelled raft, through crashes, repeats, failures and lost replies.

use std::time::Duration;

use futures::FutureExt as _;
use serde_json::{Value, json};
use windlass_sim::ClusterShape;
use windlass_sim::kube_ovn::{Database, KubeOvnShape};
use windlass_tests::{
    Around, Ending, Proof, Stage, crash_at_every_append, crash_before_every_effect, fail_every_activity, lose_every_reply,
    repeat_every_activity,
};

/// Three members, and nodes that may become one.
fn shape(version: &str) -> ClusterShape {
    let kube_ovn = KubeOvnShape { version: version.to_owned(), ..KubeOvnShape::default() };
    let shape = ClusterShape { kube_ovn: Some(kube_ovn), ..ClusterShape::default() };
    shape.with_nodes("3+2").expect("a shape")
}

fn proof(workflow: &'static str, input: Value) -> Proof {
    let node = input["node"].as_str().unwrap_or_default().to_owned();
    Proof {
        workflow,
        input,
        approvals: vec![format!("kick-{node}")],
        shape: shape("1.13.2"),
        around: Around {
            before: |stage| async { remember(stage, "before").await }.boxed_local(),
            after: |stage| whole(stage).boxed_local(),
            effect: lasting,
            ..Around::default()
        },
    }
}

/// The member in the middle goes, a worker comes.
fn replace() -> Proof {
    proof("ovn-central-replace", json!({"node": "control-plane-2", "with": "worker-0"}))
}

/// Up to 1.11 the pods of ovs-ovn are restarted one by one.
fn replace_on_delete() -> Proof {
    Proof { shape: shape("1.11.0"), ..replace() }
}

fn add_first() -> Proof {
    proof("ovn-central-replace", json!({"node": "control-plane-2", "with": "worker-0", "add_first": true}))
}

/// The first member leads both databases when the cluster starts; it goes and comes back with empty databases.
fn replace_leader_by_itself() -> Proof {
    proof("ovn-central-replace", json!({"node": "control-plane-0", "with": "control-plane-0"}))
}

/// A look at a disk may be repeated, and a kick may go to any member's pod; pods have other names in each run.
fn lasting(effect: &str) -> Option<String> {
    if let Some((_, command)) = effect.split_once("/exec?") {
        let words = command.split(['&', ' ']).filter_map(|word| word.strip_prefix("command="));
        return Some(words.collect::<Vec<_>>().join(" "));
    }
    if effect.contains("windlass-host-") {
        return None;
    }
    let generated = |set: &str| effect.starts_with(&format!("delete /api/v1/namespaces/kube-system/pods/{set}-"));
    let set = ["ovn-central", "ovs-ovn"].into_iter().find(|set| generated(set));
    Some(set.map_or_else(|| effect.to_owned(), |set| format!("delete a pod of {set}")))
}

/// Writes a name into both databases.
async fn remember(stage: &Stage, what: &str) {
    let kube_ovn = stage.sim.kube_ovn().expect("a Kube-OVN cluster");
    for (tool, verb) in [("ovn-nbctl", "ls-add"), ("ovn-sbctl", "chassis-add")] {
        let mut written = false;
        for node in kube_ovn.central_nodes() {
            let words: &[&str] = if verb == "ls-add" { &[tool, verb, what] } else { &[tool, verb, what, "geneve", "10.0.0.1"] };
            written |= kube_ovn.exec(&node, words).await.is_some_and(|output| output.code == 0);
            if written {
                break;
            }
        }
        assert!(written, "{tool} {verb} {what}");
    }
}

/// Every member is in both databases, caught up; what was written before is there; nothing was taken out twice.
async fn whole(stage: &Stage) {
    let kube_ovn = stage.sim.kube_ovn().expect("a Kube-OVN cluster");
    // Pods that were started last become ready.
    stage.sim.clock().sleep(Duration::from_secs(120)).await;
    assert_eq!(kube_ovn.violations().await, Vec::<String>::new());
    for node in kube_ovn.central_nodes() {
        let list = kube_ovn.exec(&node, &["ovn-nbctl", "--no-leader-only", "ls-list"]).await.expect("a running pod");
        assert!(String::from_utf8_lossy(&list.stdout).contains("before"), "{node} has lost what was written: {list:?}");
    }
    for database in Database::BOTH {
        let kicks = kube_ovn.accepted_kicks();
        let kicks: Vec<_> = kicks.iter().filter(|((kicked, _), _)| *kicked == database).collect();
        assert!(kicks.len() == 1 && *kicks[0].1 == 1, "{database:?}: {kicks:?}");
    }
}

#[test]
fn an_exchange_survives_a_crash_at_every_append() {
    crash_at_every_append(&replace());
}

#[test]
fn an_exchange_survives_a_crash_before_every_effect() {
    crash_before_every_effect(&replace());
}

#[test]
fn an_exchange_survives_the_repeat_of_every_activity() {
    repeat_every_activity(&replace());
    repeat_every_activity(&replace_on_delete());
}

#[test]
fn an_exchange_survives_the_failure_of_every_activity() {
    fail_every_activity(&replace(), owed_if_begun);
}

#[test]
fn an_exchange_survives_the_loss_of_every_reply() {
    lose_every_reply(&replace());
    lose_every_reply(&replace_on_delete());
}

#[test]
fn the_other_order_survives_a_crash_at_every_append() {
    crash_at_every_append(&add_first());
}

#[test]
fn a_leader_that_comes_back_empty_survives_a_crash_at_every_append() {
    crash_at_every_append(&replace_leader_by_itself());
}

#[test]
fn pods_restarted_one_by_one_survive_a_crash_at_every_append() {
    crash_at_every_append(&replace_on_delete());
}

/// From the first write to the last the change is on record as owed.
fn owed_if_begun(stage: &Stage, what: &str) {
    let held: Vec<String> = stage.state().map(|state| state.held.into_keys().collect()).unwrap_or_default();
    let kube_ovn = stage.sim.kube_ovn().expect("a Kube-OVN cluster");
    let begun = !kube_ovn.accepted_kicks().is_empty();
    let completed = stage.ending() == Ending::Completed;
    assert!(!completed || held.is_empty(), "{what}: done, and still owed: {held:?}");
    assert!(!begun || completed || !held.is_empty(), "{what}: begun, not done, and not owed");
}
