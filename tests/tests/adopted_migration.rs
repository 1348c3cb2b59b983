//! Migrations of the network that somebody began by hand, at every point at which they may have stopped: the run goes on from there, each
//! node reboots once to be prepared and once to take the new plugin, and nothing that was done by hand is done again.

use std::time::Duration;

use futures::FutureExt as _;
use serde_json::{Value, json};
use windlass_activities::exec::{Exec, Purpose};
use windlass_activities::{Cluster, Settings};
use windlass_sim::scenario::{When, WorldFault};
use windlass_sim::shape::NetworkPlugin;
use windlass_sim::store::Preconditions;
use windlass_sim::store::resources::{NAMESPACES, NETWORKS_CONFIG, NETWORKS_OPERATOR, NODES, PODS};
use windlass_sim::{ClusterShape, Scenario};
use windlass_tests::{
    Around, Ending, Proof, Stage, crash_at_every_append, crash_before_every_effect, fail_every_activity, lose_every_reply,
    on_paused_time,
};

/// Where the hand stopped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stop {
    /// The migration was asked for a moment ago.
    Asked,
    /// Some nodes are prepared.
    Rolling,
    Prepared,
    Switched,
    /// One worker and one node of the control plane have rebooted since, by `shutdown -r +1`.
    RebootedInPart,
    Rebooted,
    Ended,
    SettingsGone,
    Done,
}

const NAMESPACE: &str = "openshift-machine-config-operator";
const DAEMON: &str = "machine-config-daemon";

async fn pass(stage: &Stage, minutes: u64) {
    stage.sim.clock().sleep(Duration::from_secs(60 * minutes)).await;
}

fn set(stage: &Stage, operator: bool, field: &[&str], value: &Value) {
    let resource = if operator { &NETWORKS_OPERATOR } else { &NETWORKS_CONFIG };
    let edit = |object: &mut Value| {
        let place = field.iter().fold(object, |object, key| &mut object[key]);
        *place = value.clone();
    };
    stage.sim.store().modify(resource, None, "cluster", edit).expect("it is there");
}

/// `oc rsh` into the daemon's pod, and `shutdown -r +1` on the host.
async fn shut_down(stage: &Stage, node: &str) {
    let client = kube::Client::new(stage.sim.service(), "default");
    let cluster = Cluster::from_client(client, Settings::simulated(stage.clock().clone())).await.expect("the cluster answers");
    let pods = stage.sim.store().list(&PODS);
    let daemon = |pod: &&std::sync::Arc<Value>| {
        pod["spec"]["nodeName"] == node && pod["metadata"]["namespace"] == NAMESPACE && pod["metadata"]["labels"]["app"] == DAEMON
    };
    let pod = pods.iter().find(daemon).expect("a daemon")["metadata"]["name"].as_str().expect("a name").to_owned();
    let words = ["chroot", "/rootfs", "shutdown", "-r", "+1"];
    let limit = Duration::from_secs(60);
    let exec = Exec {
        namespace: NAMESPACE,
        pod: &pod,
        container: DAEMON,
        words: &words,
        purpose: Purpose::Act,
        limit,
        most_bytes: 1 << 16,
    };
    // As the vendor's script: a connection that breaks is tried again.
    let mut told = false;
    for _ in 0..3 {
        told = told || cluster.exec(&exec).await.is_ok_and(|ended| ended.code == 0);
    }
    assert!(told, "{node} can't be told");
}

/// Makes the vendor's steps by hand, as far as somebody came.
async fn by_hand(stage: &Stage, stop: Stop) {
    set(stage, true, &["spec", "migration"], &json!({"networkType": "OVNKubernetes"}));
    if stop == Stop::Rolling {
        pass(stage, 12).await;
        let counts = stage.sim.reboot_counts();
        assert!(counts.values().any(|times| *times == 1) && counts.values().any(|times| *times == 0), "{counts:?}");
    }
    if stop <= Stop::Rolling {
        return;
    }
    pass(stage, 12 * 60).await;
    if stop >= Stop::Switched {
        set(stage, false, &["spec", "networkType"], &json!("OVNKubernetes"));
        pass(stage, 3).await;
    }
    let rebooted: &[&str] = match stop {
        Stop::RebootedInPart => &["worker-0", "master-1"],
        Stop::Rebooted | Stop::Ended | Stop::SettingsGone | Stop::Done => {
            &["worker-0", "worker-1", "master-0", "master-1", "master-2"]
        }
        Stop::Asked | Stop::Rolling | Stop::Prepared | Stop::Switched => &[],
    };
    for node in rebooted {
        shut_down(stage, node).await;
    }
    pass(stage, if rebooted.is_empty() { 0 } else { 60 }).await;
    if stop >= Stop::Ended {
        set(stage, true, &["spec", "migration"], &Value::Null);
    }
    if stop >= Stop::SettingsGone {
        set(stage, true, &["spec", "defaultNetwork", "openshiftSDNConfig"], &Value::Null);
    }
    if stop >= Stop::Done {
        stage.sim.store().delete(&NAMESPACES, None, "openshift-sdn", &Preconditions::default()).expect("it is there");
    }
    pass(stage, 3).await;
}

fn shape() -> ClusterShape {
    // A health check would replace nodes that take long to boot for somebody else.
    let shape = ClusterShape { network: NetworkPlugin::Sdn, health_check_minutes: None, ..ClusterShape::default() };
    shape.with_nodes("3+2").expect("a shape")
}

fn stage() -> Stage {
    Stage::new("sdn-to-ovn", shape(), Scenario::default())
}

fn input() -> Value {
    json!({"adopt": true})
}

/// What a run wrote, by what it is for.
fn writes(stage: &Stage) -> Vec<&'static str> {
    let effects = stage.effects();
    let known = |effect: &String| match effect {
        effect if effect.contains("/exec?") => None,
        effect if effect.contains("config.openshift.io/v1/networks") => Some("switch"),
        effect if effect.contains("operator.openshift.io/v1/networks") && effect.contains("openshiftSDNConfig") => {
            Some("settings")
        }
        effect if effect.contains("operator.openshift.io/v1/networks") && effect.contains("\"migration\":null") => Some("end"),
        effect if effect.contains("namespaces/openshift-sdn") => Some("namespace"),
        _ => Some("something else"),
    };
    effects.iter().filter_map(known).collect()
}

/// Which nodes the run told to reboot.
fn told(stage: &Stage) -> usize {
    stage.effects().iter().filter(|effect| effect.contains("systemd-run")).count()
}

fn migrated(stage: &Stage) {
    for (node, times) in stage.sim.reboot_counts() {
        assert_eq!(times, 2, "{node} rebooted {times} times");
    }
    let store = stage.sim.store();
    let config = store.get(&NETWORKS_CONFIG, None, "cluster").expect("it is there");
    assert!(config["status"]["networkType"] == "OVNKubernetes" && config["status"]["migration"].is_null(), "{config}");
    let operator = store.get(&NETWORKS_OPERATOR, None, "cluster").expect("it is there");
    assert!(operator["spec"]["migration"].is_null() && operator["spec"]["defaultNetwork"]["openshiftSDNConfig"].is_null());
    assert!(store.get(&NAMESPACES, None, "openshift-sdn").is_none());
    assert!(stage.state().is_some_and(|state| state.held.is_empty()), "nothing is owed");
}

/// Seen to fail with nodes told to reboot that have.
#[test]
fn the_run_goes_on_from_each_point_at_which_the_hand_stopped() {
    let all = ["switch", "end", "settings", "namespace"];
    let check = |stop: Stop, expected: &[&str], left: usize| {
        on_paused_time(async {
            let stage = stage();
            by_hand(&stage, stop).await;
            let before = told(&stage);
            let approvals = ["adopt", "switch-network"].map(str::to_owned);
            stage.start(&input(), &approvals, None, None).await.expect("the stage works");
            assert_eq!(stage.ending(), Ending::Completed, "{stop:?}: {}", stage.last_failure());
            assert_eq!((writes(&stage).as_slice(), told(&stage) - before), (expected, left), "{stop:?}");
            migrated(&stage);
        });
    };
    check(Stop::Asked, &all, 5);
    check(Stop::Rolling, &all, 5);
    check(Stop::Prepared, &all, 5);
    check(Stop::Switched, &all[1..], 5);
    check(Stop::RebootedInPart, &all[1..], 3);
    check(Stop::Rebooted, &all[1..], 0);
    check(Stop::Ended, &all[2..], 0);
    check(Stop::SettingsGone, &all[3..], 0);
    check(Stop::Done, &[], 0);
}

#[test]
fn nothing_is_done_before_a_person_has_seen_what_was_found() {
    on_paused_time(async {
        let stage = stage();
        by_hand(&stage, Stop::RebootedInPart).await;
        let before = stage.effects().len();
        stage.start(&input(), &[], None, None).await.expect("the stage works");
        assert_eq!(stage.ending(), Ending::AtGates(vec!["adopt".to_owned()]));
        assert_eq!(stage.effects().len(), before);
        let question = stage.question("adopt");
        for part in [
            "network.config: spec.networkType OVNKubernetes, status.networkType OVNKubernetes, status.migration OVNKubernetes",
            "5 of 5 nodes are prepared for OVN-Kubernetes",
            "Done, and not done again:",
            "- the reboot of master-1, worker-0",
            "- tell master-0, master-2, worker-1 to reboot once",
        ] {
            assert!(question.contains(part), "{part}: {question}");
        }
    });
}

/// The person at the cluster goes on while the one at the gate is asked: what was agreed to no longer holds.
///
/// Seen to fail with the second look left out.
#[test]
fn who_goes_on_by_hand_meanwhile_is_seen_and_asked_about() {
    on_paused_time(async {
        let stage = stage();
        by_hand(&stage, Stop::Prepared).await;
        stage.start(&input(), &["switch-network".to_owned()], None, None).await.expect("the stage works");
        assert_eq!(stage.ending(), Ending::AtGates(vec!["adopt".to_owned()]));
        set(&stage, false, &["spec", "networkType"], &json!("OVNKubernetes"));
        pass(&stage, 3).await;
        shut_down(&stage, "worker-1").await;
        pass(&stage, 30).await;
        stage.approve("adopt").await.expect("an open gate");
        assert_eq!(stage.ending(), Ending::AtGates(vec!["adopt".to_owned()]), "it is another step now");
        let question = stage.question("adopt");
        assert!(question.contains("- the reboot of worker-1"), "{question}");
        // A node fewer to reboot is what was agreed to.
        shut_down(&stage, "worker-0").await;
        pass(&stage, 30).await;
        stage.approve("adopt").await.expect("an open gate");
        assert_eq!(stage.ending(), Ending::Completed, "{}", stage.last_failure());
        assert_eq!(writes(&stage), ["end", "settings", "namespace"]);
        migrated(&stage);
    });
}

#[test]
fn what_contradicts_itself_or_cannot_be_told_stops_plan_and_run() {
    let check = |stop: Stop, edit: &dyn Fn(&Stage), part: &str| {
        on_paused_time(async {
            let stage = stage();
            if stop != Stop::Done {
                by_hand(&stage, stop).await;
            }
            edit(&stage);
            pass(&stage, 3).await;
            let before = stage.effects().len();
            let blockers = stage.blockers(&input()).await.expect("a plan").join("\n");
            assert!(blockers.contains(part), "{stop:?}, {part}: the plan says: {blockers}");
            stage.start(&input(), &["adopt".to_owned()], None, None).await.expect("the stage works");
            let Ending::Failed(error) = stage.ending() else { panic!("{stop:?}: {:?}", stage.ending()) };
            assert!(error.contains(part), "the run: {error}");
            assert_eq!(stage.effects().len(), before, "{stop:?}");
        });
    };
    // Nothing was done at all.
    check(Stop::Done, &|_| {}, "nothing of a migration to OVNKubernetes has begun; `windlass start sdn-to-ovn`");
    let end = |stage: &Stage| set(stage, true, &["spec", "migration"], &Value::Null);
    check(Stop::RebootedInPart, &end, "the migration was ended, and master-0, master-2, worker-1 have not rebooted");
    check(Stop::Rolling, &end, "on their way back");
    let silence = |stage: &Stage| {
        let when = When::default();
        stage.sim.disturb(WorldFault::NodeSilent { when, node: "worker-1".to_owned(), minutes: None });
    };
    check(Stop::RebootedInPart, &silence, "whether worker-1 has rebooted since the switch can't be told: it is not ready");
    let lose = |stage: &Stage| {
        let key = "machineconfiguration.openshift.io/currentConfig";
        let edit = |node: &mut Value| node["metadata"]["annotations"][key] = json!("rendered-worker-older");
        stage.sim.store().modify(&NODES, None, "worker-1", edit).expect("it is there");
    };
    check(Stop::Switched, &lose, "it would come back from its reboot without a network");
}

fn proof(before: for<'a> fn(&'a Stage) -> futures::future::LocalBoxFuture<'a, ()>) -> Proof {
    Proof {
        workflow: "sdn-to-ovn",
        input: input(),
        approvals: ["adopt", "switch-network"].map(str::to_owned).to_vec(),
        shape: shape(),
        around: Around {
            before,
            after: |stage| async { migrated(stage) }.boxed_local(),
            // A host may be told to reboot more than once; what counts is how often it does.
            effect: |effect| (!effect.contains("/exec?")).then(|| effect.to_owned()),
            ..Around::default()
        },
    }
}

fn half_rebooted() -> Proof {
    proof(|stage| by_hand(stage, Stop::RebootedInPart).boxed_local())
}

#[test]
fn a_migration_that_is_taken_over_survives_a_crash_at_every_append() {
    crash_at_every_append(&half_rebooted());
    crash_at_every_append(&proof(|stage| by_hand(stage, Stop::Rolling).boxed_local()));
}

#[test]
fn a_migration_that_is_taken_over_survives_an_hour_without_a_worker() {
    let mut proof = half_rebooted();
    proof.around.away = Duration::from_secs(3600);
    crash_at_every_append(&proof);
}

#[test]
fn a_migration_that_is_taken_over_survives_crashes_before_effects_and_lost_replies() {
    crash_before_every_effect(&half_rebooted());
    lose_every_reply(&half_rebooted());
}

#[test]
fn a_migration_that_is_taken_over_is_owed_until_it_is_ended() {
    fail_every_activity(&half_rebooted(), |stage, what| {
        let held: Vec<String> = stage.state().map(|state| state.held.into_keys().collect()).unwrap_or_default();
        let effects = writes(stage);
        if stage.ending() == Ending::Completed {
            assert!(held.is_empty(), "{what}: {held:?}");
        } else if told(stage) > 0 && !effects.contains(&"end") {
            assert!(held.iter().any(|key| key == "network-migration"), "{what}: {held:?}");
        }
    });
}
