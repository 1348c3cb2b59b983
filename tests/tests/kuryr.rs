//! The migration from Kuryr to OVN-Kubernetes on a simulated cluster and its cloud, through crashes, repeats, failures and lost replies:
//! two reboots a node, nothing of Kuryr's left, and nothing of anybody else touched.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt as _;
use serde_json::json;
use windlass_engine::control::What;
use windlass_sim::check::CloudBaseline;
use windlass_sim::kuryr::KuryrShape;
use windlass_sim::openstack::{CloudObject, Kind, OpenStack, Owner};
use windlass_sim::store::Preconditions;
use windlass_sim::store::resources::{KURYRNETWORKS, NAMESPACES, NETWORKS_CONFIG, NETWORKS_OPERATOR, PODS};
use windlass_sim::{ClusterShape, Scenario};
use windlass_tests::{
    Around, Ending, Proof, Stage, crash_at_every_append, crash_before_every_effect, fail_every_activity, lose_every_reply,
    on_paused_time, repeat_every_activity,
};

const GATES: [&str; 3] = ["prepare-nodes", "switch-network", "clean-up-kuryr"];

fn proof() -> Proof {
    let mut shape = ClusterShape { workloads_per_node: 2, ..ClusterShape::default() };
    shape.suit_kuryr();
    shape.kuryr = KuryrShape { own_router: true, pods_per_namespace: 1 };
    Proof {
        workflow: "kuryr-to-ovn",
        input: json!({"cloud": "openstack"}),
        approvals: GATES.map(str::to_owned).to_vec(),
        shape: shape.with_nodes("3+2").expect("a shape"),
        around: Around { after: |stage| async { migrated(stage) }.boxed_local(), effect: lasting, ..Around::default() },
    }
}

/// Hosts may be told to reboot more than once, and which pods there are when finalizers go depends on the hour.
fn lasting(effect: &str) -> Option<String> {
    (!effect.contains("/exec?") && !effect.contains("/metadata/finalizers/")).then(|| effect.to_owned())
}

fn cloud(stage: &Stage) -> &OpenStack {
    stage.sim.openstack().expect("it stands on a cloud")
}

fn migrated(stage: &Stage) {
    let store = stage.sim.store();
    for (node, times) in stage.sim.reboot_counts() {
        assert_eq!(times, 2, "{node} rebooted {times} times");
    }
    let config = store.get(&NETWORKS_CONFIG, None, "cluster").expect("it is there");
    assert_eq!(config["status"]["networkType"], "OVNKubernetes");
    assert!(store.get(&NAMESPACES, None, "openshift-kuryr").is_none());
    let kuryrs = |object: &serde_json::Value| {
        object["metadata"]["finalizers"].as_array().into_iter().flatten().any(|f| f.as_str().is_some_and(|f| f.contains("kuryr")))
    };
    assert!(!store.list(&PODS).iter().any(|pod| kuryrs(pod)), "a pod still has Kuryr's finalizer");
    cleaned_up(stage);
    each_was_deleted_once(stage);
}

/// Nothing of Kuryr's is left, and everything else is as it was.
fn cleaned_up(stage: &Stage) {
    assert_eq!(CloudBaseline::left_of_kuryr(cloud(stage)), Vec::<String>::new());
    let then = stage.cloud.as_ref().expect("it was looked at");
    assert_eq!(then.check_others(cloud(stage)), Vec::new());
}

fn each_was_deleted_once(stage: &Stage) {
    let mut deleted: BTreeMap<String, usize> = BTreeMap::new();
    for record in cloud(stage).audit() {
        if record.method == "DELETE" && record.status < 300 {
            *deleted.entry(record.path).or_default() += 1;
        }
    }
    deleted.retain(|_, times| *times > 1);
    assert_eq!(deleted, BTreeMap::new(), "deleted more than once");
}

#[test]
fn it_survives_a_crash_at_every_append() {
    crash_at_every_append(&proof());
}

#[test]
fn it_survives_a_crash_before_every_effect() {
    crash_before_every_effect(&proof());
}

#[test]
fn it_survives_the_repeat_of_every_activity() {
    repeat_every_activity(&proof());
}

#[test]
fn it_survives_the_failure_of_every_activity() {
    fail_every_activity(&proof(), |stage, what| {
        let then = stage.cloud.as_ref().expect("it was looked at");
        assert_eq!(then.check_others(cloud(stage)), Vec::new(), "{what}");
        let held: Vec<String> = stage.state().map(|state| state.held.into_keys().collect()).unwrap_or_default();
        let config = stage.sim.store().get(&NETWORKS_CONFIG, None, "cluster").expect("it is there");
        let is_over = config["status"]["networkType"] == "OVNKubernetes" && config["status"]["migration"].is_null();
        if is_over && !CloudBaseline::left_of_kuryr(cloud(stage)).is_empty() {
            let named = |key: &&String| *key == "kuryr-clean-up" || *key == "network-migration";
            assert!(held.iter().any(|key| named(&key)), "{what}: Kuryr's objects are left, and not on record: {held:?}");
        }
    });
}

#[test]
fn it_survives_the_loss_of_every_reply() {
    lose_every_reply(&proof());
}

/// The cloud's replies are lost one by one, each after its effect.
#[test]
fn it_survives_the_loss_of_every_reply_of_the_cloud() {
    let run = |lost: Option<usize>| {
        on_paused_time(async {
            let Proof { workflow, input, approvals, shape, .. } = proof();
            let stage = Stage::new(workflow, shape, Scenario::default());
            cloud(&stage).audit();
            if let Some(nth) = lost {
                cloud(&stage).lose_reply(nth);
            }
            stage.start(&input, &approvals, None, None).await.expect("the stage works");
            assert_eq!(stage.ending(), Ending::Completed, "reply {lost:?}: {}", stage.last_failure());
            migrated(&stage);
            cloud(&stage).audit().len()
        })
    };
    let calls = run(None);
    assert!(calls > 20, "{calls} calls");
    for nth in 1..=calls {
        run(Some(nth));
    }
}

/// What stands in the way of the clean-up: it comes about while the run waits at its gate.
struct Obstacle {
    stage: fn(&Stage),
    /// What the run says at a question of its own, if it comes to one.
    asks: Option<&'static str>,
    mend: fn(&Stage),
}

fn ours(stage: &Stage, kind: Kind) -> CloudObject {
    let found = cloud(stage).objects().into_iter().find(|object| object.kind == kind && object.owner == Some(Owner::Kuryr));
    found.expect("Kuryr has one of each kind")
}

async fn approve(stage: &Stage, gates: Vec<String>) {
    for gate in gates {
        let approve = What::Approve { gate, in_advance: false, seen: None, plan: None };
        stage.tell(approve).expect("the journal works").expect("the gate is open");
    }
    stage.resume(None).await.expect("the stage works");
}

/// Drives a run to the gate of its clean-up.
async fn at_the_gate(shape: ClusterShape) -> Stage {
    let Proof { workflow, input, approvals, .. } = proof();
    let stage = Stage::new(workflow, shape, Scenario::default());
    stage.start(&input, &approvals[..2], None, None).await.expect("the stage works");
    assert_eq!(stage.ending(), Ending::AtGates(vec!["clean-up-kuryr".to_owned()]), "{}", stage.last_failure());
    assert_eq!(cloud(&stage).audit(), [], "nothing in the cloud is changed before");
    stage
}

fn meets(obstacle: &Obstacle) {
    on_paused_time(async {
        let stage = at_the_gate(proof().shape).await;
        (obstacle.stage)(&stage);
        approve(&stage, vec!["clean-up-kuryr".to_owned()]).await;
        if let Some(words) = obstacle.asks {
            let gates = match stage.ending() {
                Ending::AtGates(gates) => gates,
                Ending::Completed | Ending::Failed(_) | Ending::Parked(_) | Ending::Stuck(_) => Vec::new(),
            };
            let said: Vec<String> = gates.iter().map(|gate| stage.question(gate)).collect();
            assert!(said.iter().any(|said| said.contains(words)), "{said:?} does not say {words:?}");
            (obstacle.mend)(&stage);
            approve(&stage, gates).await;
        }
        assert_eq!(stage.ending(), Ending::Completed, "{}", stage.last_failure());
        cleaned_up(&stage);
    });
}

/// F47.
#[test]
fn a_load_balancer_that_is_being_changed_is_waited_for() {
    let hold = |stage: &Stage| cloud(stage).hold_load_balancer(&ours(stage, Kind::LoadBalancer).id, Duration::from_secs(20 * 60));
    meets(&Obstacle { stage: hold, asks: None, mend: |_| {} });
}

/// F47. Seen to fail with the state after the deletion not looked at.
#[test]
fn a_load_balancer_that_breaks_when_it_is_deleted_is_shown_to_a_person() {
    let fail = |stage: &Stage| cloud(stage).fail_deletion(&ours(stage, Kind::LoadBalancer).id);
    meets(&Obstacle { stage: fail, asks: Some("went into ERROR instead of going"), mend: |_| {} });
}

/// Somebody put a machine of their own into one of Kuryr's networks. Seen to fail with the tags of ports not looked at.
#[test]
fn a_port_of_somebody_else_in_a_network_of_kuryrs_is_shown_to_a_person() {
    let stage = |stage: &Stage| {
        let is_pods = |object: &&CloudObject| {
            object.kind == Kind::Port && object.owner == Some(Owner::Kuryr) && object.object["device_owner"] == "trunk:subport"
        };
        let port = cloud(stage).objects().iter().find(is_pods).expect("a pod has a port").clone();
        cloud(stage).change(Kind::Port, &port.id, |port| port["tags"] = json!(["somebody"]));
    };
    let mend = |stage: &Stage| {
        let tags = ours(stage, Kind::Network).object["tags"].clone();
        for port in cloud(stage).objects().into_iter().filter(|object| object.object["tags"] == json!(["somebody"])) {
            cloud(stage).change(Kind::Port, &port.id, |port| port["tags"] = tags.clone());
        }
    };
    meets(&Obstacle { stage, asks: Some("do not carry the tag"), mend });
}

/// Somebody took a security group over after it was written down. Seen to fail with the tag looked at when ids are captured only.
#[test]
fn what_lost_the_tag_since_it_was_captured_is_not_deleted() {
    let stage = |stage: &Stage| {
        let group = ours(stage, Kind::SecurityGroup);
        cloud(stage).change(Kind::SecurityGroup, &group.id, |group| group["tags"] = json!(["somebody"]));
    };
    let mend = |stage: &Stage| {
        let tags = ours(stage, Kind::Router).object["tags"].clone();
        for group in cloud(stage).objects().into_iter().filter(|object| object.object["tags"] == json!(["somebody"])) {
            cloud(stage).change(Kind::SecurityGroup, &group.id, |group| group["tags"] = tags.clone());
        }
    };
    meets(&Obstacle { stage, asks: Some("does not carry the tag"), mend });
}

/// F48: the vendor's clean-up reads the ids from objects that it deletes before it is done. Seen to fail with the first list of ids
/// forgotten.
#[test]
fn networks_go_although_nothing_names_them_any_more() {
    on_paused_time(async {
        let Proof { workflow, input, approvals, shape, .. } = proof();
        let stage = Stage::new(workflow, shape, Scenario::default());
        stage.start(&input, &approvals[..1], None, None).await.expect("the stage works");
        assert_eq!(stage.ending(), Ending::AtGates(vec!["switch-network".to_owned()]));
        // The cluster's objects are gone, and the networks have other names: only the first list knows them.
        let is_namespaces = |object: &CloudObject| {
            object.kind == Kind::Network
                && object.owner == Some(Owner::Kuryr)
                && object.object["name"].to_string().contains("ns/")
        };
        assert!(cloud(&stage).objects().iter().any(is_namespaces));
        for network in cloud(&stage).objects().into_iter().filter(is_namespaces) {
            cloud(&stage).change(Kind::Network, &network.id, |network| network["name"] = json!("renamed"));
        }
        let store = stage.sim.store();
        for network in store.list(&KURYRNETWORKS) {
            let (namespace, name) =
                (network["metadata"]["namespace"].as_str(), network["metadata"]["name"].as_str().expect("a name"));
            let strip = |object: &mut serde_json::Value| object["metadata"]["finalizers"] = json!([]);
            store.modify(&KURYRNETWORKS, namespace, name, strip).expect("it is there");
            store.delete(&KURYRNETWORKS, namespace, name, &Preconditions::default()).expect("it is there");
        }
        approve(&stage, vec!["switch-network".to_owned()]).await;
        approve(&stage, vec!["clean-up-kuryr".to_owned()]).await;
        assert_eq!(stage.ending(), Ending::Completed, "{}", stage.last_failure());
        migrated(&stage);
    });
}

/// The installer's router has other networks than Kuryr's.
#[test]
fn the_installers_router_stays() {
    on_paused_time(async {
        let Proof { mut shape, .. } = proof();
        shape.kuryr.own_router = false;
        let stage = at_the_gate(shape).await;
        let routers = || cloud(&stage).objects().into_iter().filter(|object| object.kind == Kind::Router).count();
        let before = routers();
        assert!(stage.question("clean-up-kuryr").contains("the installer made it"), "{}", stage.question("clean-up-kuryr"));
        approve(&stage, vec!["clean-up-kuryr".to_owned()]).await;
        assert_eq!(stage.ending(), Ending::Completed, "{}", stage.last_failure());
        assert_eq!(routers(), before);
        migrated(&stage);
    });
}

/// Somebody began by hand, and stopped before the switch or right after it.
#[test]
fn a_migration_that_was_begun_by_hand_is_gone_on_with() {
    for is_switched in [false, true] {
        on_paused_time(async {
            let Proof { workflow, mut input, approvals, mut shape, .. } = proof();
            // A health check would replace nodes that take long to boot for somebody else.
            shape.health_check_minutes = None;
            input["migration"] = json!({"adopt": true});
            let stage = Stage::new(workflow, shape, Scenario::default());
            let store = stage.sim.store();
            let wish = |operator: &mut serde_json::Value| operator["spec"]["migration"] = json!({"networkType": "OVNKubernetes"});
            store.modify(&NETWORKS_OPERATOR, None, "cluster", wish).expect("it is there");
            stage.sim.clock().sleep(Duration::from_secs(12 * 3600)).await;
            if is_switched {
                let switch = |network: &mut serde_json::Value| network["spec"]["networkType"] = json!("OVNKubernetes");
                store.modify(&NETWORKS_CONFIG, None, "cluster", switch).expect("it is there");
                stage.sim.clock().sleep(Duration::from_secs(180)).await;
            }
            let gates = [vec!["adopt".to_owned()], approvals].concat();
            stage.start(&input, &gates, None, None).await.expect("the stage works");
            assert_eq!(stage.ending(), Ending::Completed, "switched {is_switched}: {}", stage.last_failure());
            migrated(&stage);
        });
    }
}
